"""The fast path: compiled code that walks the bytes of a body, for lines that are plain.

Plain is a line without escapes, strings, exponents or superfluous blanks, of a series and field seen before. At the
first other line the walk stops and says where: `grammar` takes that line, and the walk goes on behind it. What it
accepts it understands exactly as `grammar` does.

Importing this module compiles it (seconds the first time, a moment from numba's cache later).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from archiver.model import Kind
from archiver.sources.line_protocol.decimals import float_bits
from archiver.sources.line_protocol.table import SEED, STATUS, UNKNOWN

_NEWLINE, _SPACE, _TAB, _HASH, _COMMA, _EQUALS, _BACKSLASH, _MINUS, _DOT = (ord(c) for c in "\n \t#,=\\-.")
_INT_SUFFIX, _UINT_SUFFIX = ord("i"), ord("u")
_NONE, _FLOAT, _INT, _UINT, _BOOL = (int(k) for k in (Kind.NONE, Kind.FLOAT, Kind.INT, Kind.UINT, Kind.BOOL))
_LONGEST_MANTISSA = 19
_SEED = np.uint64(SEED)
_TEN = np.uint64(10)
_MAX = np.uint64(2**63 - 1)
_TRUE = np.frombuffer(b"true", np.uint8)
_FALSE = np.frombuffer(b"false", np.uint8)

_compiled = njit(cache=True, nogil=True)


def _key(data: Any, position: int, multiplier: Any) -> Any:
    """Return (end, hash) of measurement and tags; the end is -1 when they are not plain."""
    code = _SEED
    for index in range(position, data.size):
        byte = data[index]
        if byte == _SPACE:
            return index, code
        if byte == _BACKSLASH or byte == _NEWLINE:
            break
        code = (code ^ np.uint64(byte)) * multiplier
    return -1, code


def _field_key(data: Any, position: int, code: Any, multiplier: Any) -> Any:
    """Return (end, hash) of a field key, the hash continued from the series; the end is -1 when it is not plain."""
    for index in range(position, data.size):
        byte = data[index]
        if byte == _EQUALS:
            return index, code
        if byte == _COMMA or byte == _SPACE or byte == _BACKSLASH or byte == _NEWLINE:
            break
        code = (code ^ np.uint64(byte)) * multiplier
    return -1, code


def _same(data: Any, start: int, pool: Any, offset: int, length: int) -> bool:
    for index in range(length):
        if data[start + index] != pool[offset + index]:
            return False
    return True


def _find(data: Any, key: Any, field: Any, code: Any, table: Any) -> int:
    """Return the code of a series and field, UNKNOWN when it is not in the table; equal hashes are told apart."""
    slots, shift, hashes, entries, pool = table
    slot = np.int64(code >> np.uint64(shift))
    while True:
        entry = slots[slot]
        if entry < 0:
            return UNKNOWN
        if hashes[entry] == code and entries[entry, 1] == key[1] - key[0] and entries[entry, 2] == field[1] - field[0]:
            offset = entries[entry, 0]
            if same(data, key[0], pool, offset, entries[entry, 1]) and same(
                data, field[0], pool, offset + entries[entry, 1], entries[entry, 2]
            ):
                return int(entries[entry, 3])
        slot = (slot + 1) & (slots.size - 1)


def _word(data: Any, position: int, word: Any) -> int:
    """Return where a boolean written with one letter or as `word` ends."""
    end = position + 1
    if end + word.size - 1 <= data.size and same(data, position, word, 0, word.size):
        end = position + word.size
    return end


def _value(data: Any, position: int, powers: Any) -> Any:
    """Return (kind, bits, end) of a field value; NONE when it is not plain."""
    size = data.size
    if position >= size:
        return _NONE, np.int64(0), position
    first = data[position]
    if first == 116 or first == 84:
        return _BOOL, np.int64(1), word(data, position, _TRUE)
    if first == 102 or first == 70:
        return _BOOL, np.int64(0), word(data, position, _FALSE)
    negative = first == _MINUS
    start = position + negative
    mantissa, end = digits(data, start, np.uint64(0))
    count = end - start
    suffix = data[end] if end < size else 0
    if suffix == _INT_SUFFIX:
        if count == 0 or count > _LONGEST_MANTISSA or mantissa > _MAX:
            return _NONE, np.int64(0), end
        return _INT, -np.int64(mantissa) if negative else np.int64(mantissa), end + 1
    if suffix == _UINT_SUFFIX:
        if count == 0 or count > _LONGEST_MANTISSA or negative:
            return _NONE, np.int64(0), end
        return _UINT, np.int64(mantissa), end + 1
    fraction = 0
    if suffix == _DOT:
        whole = end + 1
        mantissa, end = digits(data, whole, mantissa)
        fraction = end - whole
        count += fraction
    if count == 0 or count > _LONGEST_MANTISSA:
        return _NONE, np.int64(0), end
    known, bits = float_bits(mantissa, -fraction, negative, powers)
    return (_FLOAT if known else _NONE), bits, end


def _digits(data: Any, position: int, number: Any) -> Any:
    """Return (number with the digits appended, where they end); meaningless past 19 digits, which the caller refuses."""
    while position < data.size:
        digit = np.uint64(data[position]) - np.uint64(48)
        if digit > np.uint64(9):
            break
        number = number * _TEN + digit
        position += 1
    return number, position


def _time(data: Any, position: int, unit: int, default: int) -> Any:
    """Return (time in ns, start of the next line) from behind the fields; the start is -1 when this is not plain."""
    size = data.size
    if position >= size:
        return default, size
    if data[position] == _NEWLINE:
        return default, position + 1
    if data[position] != _SPACE:
        return default, -1
    start = position + 1
    negative = start < size and data[start] == _MINUS
    start += negative
    number, end = digits(data, start, np.uint64(0))
    count = end - start
    if count == 0 or count > _LONGEST_MANTISSA or number > _MAX // np.uint64(unit):
        return default, -1
    if end < size and data[end] != _NEWLINE:
        return default, -1
    time = np.int64(number) * unit
    return (-time if negative else time), min(end + 1, size)


def _line(data: Any, start: int, row: int, times: Any, multiplier: Any, table: Any, powers: Any, columns: Any) -> Any:
    """Return (start of the next line, next row); the start is -1, and nothing counts, when the line is not plain."""
    codes, kinds, bits, source_times, statuses = columns
    key_end, key_hash = key(data, start, multiplier)
    if key_end < 0:
        return -1, row
    position = key_end
    first, status = row, np.uint64(0)
    while True:
        field_start = position + 1
        field_end, field_hash = field_key(data, field_start, key_hash, multiplier)
        if field_end < 0:
            return -1, first
        code = find(data, (start, key_end), (field_start, field_end), field_hash, table)
        if code == UNKNOWN:
            return -1, first
        kind, number, position = value(data, field_end + 1, powers)
        if kind == _NONE:
            return -1, first
        if code == STATUS:
            if kind != _UINT and (kind != _INT or number < 0):
                return -1, first
            status = np.uint64(number)
        else:
            codes[row] = code
            kinds[row] = kind
            bits[row] = number
            row += 1
        if position >= data.size or data[position] != _COMMA:
            break
    if row == first:
        return -1, first
    time, position = line_time(data, position, times[0], times[1])
    if position >= 0:
        source_times[first:row] = time
        statuses[first:row] = status
    return position, row if position >= 0 else first


def _walk(
    data: Any, position: int, lines: int, row: int, times: Any, multiplier: Any, table: Any, powers: Any, columns: Any
) -> Any:
    """Return (position, lines, rows) at the end of the body, or at the first line that is not plain.

    Parameters
    ----------
    data : uint8 array
        The body.
    position, lines, row : int
        Where to begin, how many lines and rows there are before.
    times : tuple of int
        Nanoseconds per unit of a timestamp, and the time of lines without one (ns).
    multiplier : uint64
        Of the hash; odd.
    table : tuple
        `SeriesTable.arrays`.
    powers : uint64 array
        `powers_of_five`.
    columns : tuple of arrays
        Code, kind, value bits, source time and status per row, long enough.
    """
    while position < data.size:
        byte = data[position]
        if byte == _NEWLINE:
            position, lines = position + 1, lines + 1
            continue
        if byte == _HASH or byte == _SPACE or byte == _TAB or byte == _COMMA:
            break
        following, row = line(data, position, row, times, multiplier, table, powers, columns)
        if following < 0:
            break
        position, lines = following, lines + 1
    return position, lines, row


digits: Any = _compiled(_digits)
key: Any = _compiled(_key)
field_key: Any = _compiled(_field_key)
same: Any = _compiled(_same)
find: Any = _compiled(_find)
word: Any = _compiled(_word)
value: Any = _compiled(_value)
line_time: Any = _compiled(_time)
line: Any = _compiled(_line)
_TABLE = "Tuple((int32[::1], int64, uint64[::1], int64[:, ::1], uint8[::1]))"
_COLUMNS = "Tuple((int32[::1], uint8[::1], int64[::1], int64[::1], uint64[::1]))"
walk: Any = njit(
    "Tuple((int64, int64, int64))(Array(uint8, 1, 'C', readonly=True), int64, int64, int64, UniTuple(int64, 2), uint64, "
    f"{_TABLE}, uint64[:, ::1], {_COLUMNS})",
    cache=True,
    nogil=True,
)(_walk)
