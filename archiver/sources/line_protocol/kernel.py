"""The fast path: compiled code that walks the bytes of a body, for lines that are plain.

Plain is a line without escapes, strings, exponents or superfluous blanks, of a series and field seen before. At the
first other line the walk stops and says where: `grammar` takes that line, and the walk goes on behind it. What it
accepts it understands exactly as `grammar` does.

Importing this module compiles it (seconds the first time, a moment from numba's cache later).
"""

# ruff: noqa: SIM109 - spelt out: it compiles to plain comparisons
from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from archiver.model import Kind
from archiver.sources.line_protocol.columns import BITS, CODES, KINDS, STATUSES, TIMES
from archiver.sources.line_protocol.decimals import float_bits
from archiver.sources.line_protocol.table import (
    CODE,
    FIELD_LENGTH,
    HASH,
    KEY_LENGTH,
    OFFSET,
    SEED,
    STATUS,
    UNKNOWN,
)
from archiver.sources.line_protocol.words import (
    borrowed,
    digits,
    folded_product,
    load,
    lowest,
    trailing_zeros,
    where,
    word,
)

_NEWLINE, _SPACE, _TAB, _HASH_SIGN, _COMMA, _EQUALS, _BACKSLASH, _MINUS, _DOT, _ZERO = (ord(c) for c in "\n \t#,=\\-.0")
_INT_SUFFIX, _UINT_SUFFIX = ord("i"), ord("u")
_NONE, _FLOAT, _INT, _UINT, _BOOL = (int(k) for k in (Kind.NONE, Kind.FLOAT, Kind.INT, Kind.UINT, Kind.BOOL))
_LONGEST_MANTISSA = 19
_SEED = np.uint64(SEED)
_U3, _U64 = np.uint64(3), np.uint64(64)
_MAX = np.uint64(2**63 - 1)
_TRUE = np.frombuffer(b"true", np.uint8)
_FALSE = np.frombuffer(b"false", np.uint8)

_compiled = njit(nogil=True, forceinline=True)


def _key(data: Any, position: Any, multiplier: Any) -> Any:
    """Return (end, hash) of measurement and tags; the end is -1 when they are not plain."""
    code = _SEED ^ multiplier
    while position < data.size:
        eight = word(data, position)
        stop = where(eight, _SPACE) | where(eight, _BACKSLASH) | where(eight, _NEWLINE)
        if stop != 0:
            count = trailing_zeros(stop) >> _U3
            position += np.int64(count)
            plain = data[position] == _SPACE
            return (position if plain else -1), folded_product(code ^ lowest(eight, count), multiplier)
        code = folded_product(code ^ eight, multiplier)
        position += 8
    return -1, code


def _field_key(data: Any, position: Any, code: Any, multiplier: Any) -> Any:
    """Return (end, hash) of a field key, the hash continued from the series; the end is -1 when it is not plain."""
    while position < data.size:
        eight = word(data, position)
        stop = where(eight, _EQUALS) | where(eight, _COMMA) | where(eight, _SPACE)
        stop |= where(eight, _BACKSLASH) | where(eight, _NEWLINE)
        if stop != 0:
            count = trailing_zeros(stop) >> _U3
            position += np.int64(count)
            plain = data[position] == _EQUALS
            return (position if plain else -1), folded_product(code ^ lowest(eight, count), multiplier)
        code = folded_product(code ^ eight, multiplier)
        position += 8
    return -1, code


def _same(data: Any, start: int, pool: Any, offset: int, length: Any) -> Any:
    """Whether bytes of the body are those of the pool, which goes on for a word behind all it holds."""
    while length > 8:
        if word(data, start) != load(pool, offset):
            return False
        start, offset, length = start + 8, offset + 8, length - 8
    unlike = word(data, start) ^ load(pool, offset)
    return length == 0 or unlike << (_U64 - (np.uint64(length) << _U3)) == 0


def _find(
    data: Any, start: int, key_end: int, field_start: int, field_end: int, code: Any, table: Any, pool: Any
) -> int:
    """Return the code of a series and field, UNKNOWN when it is not in the table; equal hashes are told apart."""
    length, field_length = key_end - start, field_end - field_start
    slot = np.int64(code >> np.uint64(32)) & (table.shape[0] - 1)
    while table[slot, OFFSET] >= 0:
        offset = table[slot, OFFSET]
        if (
            table[slot, HASH] == np.int64(code)
            and table[slot, KEY_LENGTH] == length
            and table[slot, FIELD_LENGTH] == field_length
            and same(data, start, pool, offset, length)
            and same(data, field_start, pool, offset + length, field_length)
        ):
            return int(table[slot, CODE])
        slot = (slot + 1) & (table.shape[0] - 1)
    return UNKNOWN


def _literal(data: Any, position: int, text: Any) -> int:
    """Return where a boolean written with one letter or as `text` ends."""
    if position + text.size > data.size:
        return position + 1
    for index in range(1, text.size):
        if data[position + index] != text[index]:
            return position + 1
    return int(position + text.size)


def _value(data: Any, position: int) -> Any:
    """Return (kind, bits, end) of a field value; NONE when it is not plain."""
    size = data.size
    if position >= size:
        return _NONE, np.int64(0), position
    first = data[position]
    if first == 116 or first == 84:
        return _BOOL, np.int64(1), literal(data, position, _TRUE)
    if first == 102 or first == 70:
        return _BOOL, np.int64(0), literal(data, position, _FALSE)
    negative = first == _MINUS
    return number(data, position + negative, negative)


def _number(data: Any, start: int, negative: bool) -> Any:
    """Return (kind, bits, end) of a number behind its sign; NONE when it is not plain."""
    mantissa, end = digits(data, start, np.uint64(0))
    count, fraction = end - start, 0
    suffix = data[end] if end < data.size else 0
    if suffix == _INT_SUFFIX or suffix == _UINT_SUFFIX:
        count = end - zeros(data, start)
        signed = suffix == _INT_SUFFIX
        if end == start or count > _LONGEST_MANTISSA or (signed and mantissa > _MAX) or (negative and not signed):
            return _NONE, np.int64(0), end
        return (_INT if signed else _UINT), (-np.int64(mantissa) if negative else np.int64(mantissa)), end + 1
    if suffix == _DOT:
        whole = end + 1
        mantissa, end = digits(data, whole, mantissa)
        fraction = end - whole
        count += fraction
    if count > _LONGEST_MANTISSA:
        count = significant(data, start, end)
    if count == 0 or count > _LONGEST_MANTISSA:
        return _NONE, np.int64(0), end
    known, bits = float_bits(mantissa, -fraction, negative)
    return (_FLOAT if known else _NONE), bits, end


def _significant(data: Any, position: int, end: int) -> Any:
    """Return the digits of a number with a fraction that count, at least one: those behind the zeros at its front."""
    position = zeros(data, position)
    if position < end and data[position] == _DOT:
        return max(end - zeros(data, position + 1), 1)
    dot = 0
    for index in range(position, end):
        dot += data[index] == _DOT
    return end - position - dot


def _zeros(data: Any, position: int) -> Any:
    """Return where the zeros that begin here end."""
    while position < data.size and data[position] == _ZERO:
        position += 1
    return position


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
    units, end = digits(data, start, np.uint64(0))
    count = end - start
    if count == 0 or count > _LONGEST_MANTISSA or units > _MAX // np.uint64(unit):
        return default, -1
    if end < size and data[end] != _NEWLINE:
        return default, -1
    time = np.int64(units) * unit
    return (-time if negative else time), min(end + 1, size)


def _line(
    data: Any, start: int, row: int, unit: int, receive_time: int, multiplier: Any, table: Any, pool: Any, rows: Any
) -> Any:
    """Return (next line, next row); the former is -1, and nothing counts, when it has no room or is not plain."""
    key_end, key_hash = key(data, start, multiplier)
    if key_end < 0:
        return -1, row
    position = key_end
    first, status = row, np.int64(0)
    while True:
        field_start = position + 1
        field_end, field_hash = field_key(data, field_start, key_hash, multiplier)
        if field_end < 0:
            return -1, first
        code = find(data, start, key_end, field_start, field_end, field_hash, table, pool)
        if code == UNKNOWN:
            return -1, first
        kind, content, position = value(data, field_end + 1)
        if kind == _NONE:
            return -1, first
        if code == STATUS:
            if kind != _UINT and (kind != _INT or content < 0):
                return -1, first
            status = content
        else:
            if row >= rows[CODES].size:
                return -1, first
            rows[CODES][row] = code
            rows[KINDS][row] = kind
            rows[BITS][row] = content
            row += 1
        if position >= data.size or data[position] != _COMMA:
            break
    if row == first:
        return -1, first
    time, position = line_time(data, position, unit, receive_time)
    if position < 0:
        return -1, first
    for index in range(first, row):
        rows[TIMES][index] = time
        rows[STATUSES][index] = status
    return position, row


def _walk(
    data: Any,
    position: int,
    lines: int,
    row: int,
    unit: int,
    receive_time: int,
    multiplier: Any,
    table: Any,
    pool: Any,
    rows: Any,
) -> Any:
    """Return (position, lines, rows) at the end of the body, or at the first line that is not plain, or has no room.

    Parameters
    ----------
    data : uint8 array
        The body.
    position, lines, row : int
        Where to begin, how many lines and rows there are before.
    unit, receive_time : int
        Nanoseconds per unit of a timestamp, and the time of lines without one (ns).
    multiplier : uint64
        Of the hash.
    table, pool : int64 array of shape (slots, 5), uint8 array
        `SeriesTable.slots` and `SeriesTable.pool`.
    rows : tuple of arrays
        `Columns.rows`.
    """
    data, table, pool = borrowed(data), borrowed(table), borrowed(pool)
    rows = (borrowed(rows[0]), borrowed(rows[1]), borrowed(rows[2]), borrowed(rows[3]), borrowed(rows[4]))
    while position < data.size:
        byte = data[position]
        if byte == _NEWLINE:
            position, lines = position + 1, lines + 1
            continue
        if byte == _HASH_SIGN or byte == _SPACE or byte == _TAB or byte == _COMMA:
            break
        following, row = line(data, position, row, unit, receive_time, multiplier, table, pool, rows)
        if following < 0:
            break
        position, lines = following, lines + 1
    return position, lines, row


same: Any = _compiled(_same)
key: Any = _compiled(_key)
field_key: Any = _compiled(_field_key)
find: Any = _compiled(_find)
zeros: Any = _compiled(_zeros)
significant: Any = _compiled(_significant)
literal: Any = _compiled(_literal)
number: Any = _compiled(_number)
value: Any = _compiled(_value)
line_time: Any = _compiled(_time)
line: Any = _compiled(_line)
walk: Any = njit(
    "UniTuple(int64, 3)(Array(uint8, 1, 'C', readonly=True), int64, int64, int64, int64, int64, uint64, "
    "int64[:, ::1], uint8[::1], Tuple((int32[::1], uint8[::1], int64[::1], int64[::1], uint64[::1])))",
    cache=True,
    nogil=True,
)(_walk)
