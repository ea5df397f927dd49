"""How Oracle's wire protocol writes lengths, numbers, floats and times."""

from __future__ import annotations

import struct
from decimal import Decimal
from functools import lru_cache

VARCHAR, NUMBER, LONG, DATE, RAW, LONG_RAW, BINARY_DOUBLE, BLOB = 1, 2, 8, 12, 23, 24, 101, 113
TIMESTAMP, TIMESTAMP_TZ, TIMESTAMP_LTZ = 180, 181, 231
_CHUNKED, _LONGEST_SHORT = 254, 252


def ub(number: int) -> bytes:
    """Return a "universal" integer: a length, then as many bytes, big-endian."""
    if number == 0:
        return b"\0"
    size = next(size for size in (1, 2, 4, 8) if number < 256**size)
    return bytes([size]) + number.to_bytes(size, "big")


def lb(data: bytes | None) -> bytes:
    """Return bytes behind their length, in chunks where it takes more than a byte; null has no length."""
    if data is None:
        return b"\0"
    if len(data) <= _LONGEST_SHORT:
        return bytes([len(data)]) + data
    chunks = [data[start : start + 32767] for start in range(0, len(data), 32767)]
    return bytes([_CHUNKED]) + b"".join(ub(len(chunk)) + chunk for chunk in chunks) + b"\0"


def b2(data: bytes | str) -> bytes:
    """Return bytes behind two lengths."""
    raw = data.encode() if isinstance(data, str) else data
    return ub(len(raw)) + lb(raw) if raw else b"\0"


def encode_number(value: Decimal) -> bytes:
    """Return a NUMBER: an exponent to the base of 100, then digits of that base."""
    if value == 0:
        return b"\x80"
    negative, digits, exponent = value.normalize().as_tuple()
    assert isinstance(exponent, int)
    text = "".join(map(str, digits))
    if exponent % 2:
        text, exponent = text + "0", exponent - 1
    if len(text) % 2:
        text = "0" + text
    pairs = [int(text[index : index + 2]) for index in range(0, len(text), 2)]
    power = 193 + len(pairs) + exponent // 2 - 1
    if not negative:
        return bytes([power, *(pair + 1 for pair in pairs)])
    return bytes([~power & 255, *(101 - pair for pair in pairs), *([102] if len(pairs) < 20 else [])])


@lru_cache(maxsize=4096)
def encode_integer(value: int) -> bytes:
    """Return a NUMBER, as `encode_number` does, four times as fast; most columns have few of them."""
    left, pairs = abs(value), []
    while left:
        left, pair = divmod(left, 100)
        pairs.append(pair)
    power = 192 + len(pairs)
    while pairs and not pairs[0]:
        del pairs[0]
    pairs.reverse()
    if value > 0:
        return bytes([power, *(pair + 1 for pair in pairs)])
    if value < 0:
        return bytes([~power & 255, *(101 - pair for pair in pairs), *([102] if len(pairs) < 20 else [])])
    return b"\x80"


def decode_number(data: bytes) -> Decimal:
    if data == b"\x80":
        return Decimal(0)
    positive = data[0] & 0x80
    power = (data[0] if positive else ~data[0] & 255) - 193
    digits = data[1:]
    if not positive and digits[-1:] == b"\x66":
        digits = digits[:-1]
    value = 0
    for digit in digits:
        value = value * 100 + (digit - 1 if positive else 101 - digit)
    return Decimal(value if positive else -value).scaleb(2 * (power + 1 - len(digits)))


def encode_double(value: float) -> bytes:
    """Return a BINARY_DOUBLE: IEEE 754, with the bits so that the order of bytes is that of numbers."""
    bits = int.from_bytes(struct.pack(">d", value), "big")
    return (~bits & (2**64 - 1) if bits >> 63 else bits | 1 << 63).to_bytes(8, "big")


def decode_double(data: bytes) -> float:
    bits = int.from_bytes(data, "big")
    plain = bits & ~(1 << 63) if bits >> 63 else ~bits & (2**64 - 1)
    return float(struct.unpack(">d", plain.to_bytes(8, "big"))[0])


def encode_time(year: int, month: int, day: int, hour: int, minute: int, second: int, ns: int) -> bytes:
    date = bytes([year // 100 + 100, year % 100 + 100, month, day, hour + 1, minute + 1, second + 1])
    return date + struct.pack(">I", ns) if ns else date


def decode_time(data: bytes) -> tuple[int, ...]:
    """Return year, month, day, hour, minute, second, nanosecond."""
    ns = struct.unpack(">I", data[7:11])[0] if len(data) >= 11 else 0
    return ((data[0] - 100) * 100 + data[1] - 100, data[2], data[3], data[4] - 1, data[5] - 1, data[6] - 1, ns)
