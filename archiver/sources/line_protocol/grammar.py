r"""The grammar of a line, in plain Python: complete, and what the fast path is compared with.

A special character (comma, space; in tags and field keys also the equals sign) with a backslash just before it is
escaped, and that backslash goes; every other backslash is an ordinary character. In a string, which may go on over
the end of a line, only ``\"`` and ``\\`` are escapes.

References
----------
InfluxDB documentation, "Line protocol": special characters, data types and format.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

from archiver.model import Kind
from archiver.model.time import MAX_TIME, MIN_TIME

Value = float | int | bool | str

_MEASUREMENT = re.compile(rb"(?:[^,\\ \n]|\\[, ]?+)++")
_NAME = rb"((?:[^,=\\ \n]|\\[,= ]?+)++)"
_TAG = re.compile(rb"," + _NAME + rb"=" + _NAME)
_FIELD_KEY = re.compile(_NAME + rb"=")
_STRING = re.compile(rb'"((?:[^"\\]|\\.)*+)"', re.DOTALL)
_WORD = re.compile(rb"[^, \r\n]++")
_FLOAT = re.compile(rb"-?(?:\d++\.?\d*+|\.\d++)(?:[eE][+-]?\d++)?")
_INT = re.compile(rb"(-?)(?=\d)0*+(\d*+)i")
_UINT = re.compile(rb"(?=\d)0*+(\d*+)u")
_TIME = re.compile(rb"-?\d++")
_SPACES = re.compile(rb" *+")
_END = re.compile(rb"\r?(?:\n|\Z)")
_NOT_IN_MEASUREMENT = re.compile(rb"\\([, ])")
_NOT_IN_NAME = re.compile(rb"\\([,= ])")
_NOT_IN_STRING = re.compile(rb'\\(["\\])')
_BOOLEANS = dict.fromkeys((b"t", b"T", b"true", b"True", b"TRUE"), True)
_BOOLEANS |= dict.fromkeys((b"f", b"F", b"false", b"False", b"FALSE"), False)
_LONGEST_INTEGER = 20


class LineError(ValueError):
    """A line is not line protocol; the text says why. It refuses the line, never the body."""


@dataclass(frozen=True, slots=True)
class Field:
    """A field: its key as it stands in the line (escaped), kind and value."""

    key: bytes
    kind: Kind
    value: Value


@dataclass(frozen=True, slots=True)
class Line:
    """A parsed line.

    Parameters
    ----------
    key : bytes
        Measurement and tags as they stand in the line (escaped): what identifies the series.
    fields : list of Field
    time : int or None
        ns; None when the line has no timestamp.
    end : int
        Where the next line begins in the body.
    """

    key: bytes
    fields: list[Field]
    time: int | None
    end: int


def parse_line(body: bytes, start: int, unit_ns: int) -> Line:
    """Return the line that begins at `start` with a measurement; timestamps count in `unit_ns`.

    Raises
    ------
    LineError
        It is none.
    """
    position = key_end(body, start)
    key = body[start:position]
    position = _spaces(body, position)
    fields: list[Field] = []
    while True:
        field, position = _field(body, position)
        fields.append(field)
        if body[position : position + 1] != b",":
            break
        position += 1
    time, position = _timestamp(body, position, unit_ns)
    end = _END.match(body, position)
    if end is None:
        raise LineError(f"unexpected text after the {'fields' if time is None else 'timestamp'}")
    return Line(key, fields, time, end.end())


def key_end(body: bytes, start: int) -> int:
    """Return where measurement and tags end, after checking their form."""
    match = _MEASUREMENT.match(body, start)
    if match is None:
        raise LineError("the measurement is missing")
    position = match.end()
    while body[position : position + 1] == b",":
        tag = _TAG.match(body, position)
        if tag is None:
            raise LineError("a tag is not key=value")
        position = tag.end()
    if body[position : position + 1] == b"=":
        raise LineError("a tag value holds an equals sign; escape it with a backslash")
    if body[position : position + 1] != b" ":
        raise LineError("the fields are missing")
    return position


def parse_key(key: bytes) -> tuple[str, dict[str, str]]:
    """Return measurement and tags, unescaped.

    Raises
    ------
    LineError
        A tag comes twice, or the text is not UTF-8.
    """
    match = _MEASUREMENT.match(key)
    if match is None:
        raise LineError("the measurement is missing")
    tags: dict[str, str] = {}
    for tag in _TAG.finditer(key, match.end()):
        name, value = (unescape(part) for part in tag.groups())
        if name in tags:
            raise LineError(f"the tag {name!r} comes twice")
        tags[name] = value
    return _text(_NOT_IN_MEASUREMENT.sub(rb"\1", match.group())), tags


def unescape(name: bytes) -> str:
    """Return a tag key, tag value or field key without its escapes."""
    return _text(_NOT_IN_NAME.sub(rb"\1", name) if b"\\" in name else name)


def _text(raw: bytes) -> str:
    try:
        return raw.decode()
    except UnicodeDecodeError as exc:
        raise LineError(f"not UTF-8: {raw!r}") from exc


def _spaces(body: bytes, position: int) -> int:
    match = _SPACES.match(body, position)
    assert match is not None, "it matches the empty text"
    return match.end()


def _field(body: bytes, position: int) -> tuple[Field, int]:
    match = _FIELD_KEY.match(body, position)
    if match is None:
        raise LineError("a field is not key=value")
    key, position = match.group(1), match.end()
    if body[position : position + 1] == b'"':
        string = _STRING.match(body, position)
        if string is None:
            raise LineError(f"the string of field {_show(key)} has no closing quote")
        return Field(key, Kind.TEXT, _text(_NOT_IN_STRING.sub(rb"\1", string.group(1)))), string.end()
    word = _WORD.match(body, position)
    if word is None:
        raise LineError(f"the field {_show(key)} has no value")
    kind, value = _value(word.group(), key)
    return Field(key, kind, value), word.end()


def _value(word: bytes, key: bytes) -> tuple[Kind, Value]:
    if word in _BOOLEANS:
        return Kind.BOOL, _BOOLEANS[word]
    if _FLOAT.fullmatch(word):
        number = float(word)
        if math.isinf(number):
            raise LineError(f"the field {_show(key)} is beyond what a float holds")
        return Kind.FLOAT, number
    integer = _INT.fullmatch(word)
    if integer:
        sign, digits = integer.groups()
        value = _integer(digits, key) * (-1 if sign else 1)
        if not -(2**63) <= value < 2**63:
            raise LineError(f"the field {_show(key)} is beyond what a 64-bit integer holds")
        return Kind.INT, value
    unsigned = _UINT.fullmatch(word)
    if unsigned:
        value = _integer(unsigned.group(1), key)
        if value >= 2**64:
            raise LineError(f"the field {_show(key)} is beyond what an unsigned 64-bit integer holds")
        return Kind.UINT, value
    raise LineError(f"the field {_show(key)} is no number, boolean or string: {_show(word)}")


def _integer(digits: bytes, key: bytes) -> int:
    if len(digits) > _LONGEST_INTEGER:
        raise LineError(f"the field {_show(key)} is beyond what a 64-bit integer holds")
    return int(digits or b"0")


def _timestamp(body: bytes, position: int, unit_ns: int) -> tuple[int | None, int]:
    start = _spaces(body, position)
    match = _TIME.match(body, start)
    if match is None or start == position:
        return None, start
    digits = match.group()
    time = int(digits) * unit_ns if len(digits) <= _LONGEST_INTEGER else MAX_TIME + 1
    if not MIN_TIME <= time <= MAX_TIME:
        raise LineError("the timestamp is outside of what int64 nanoseconds hold (1677 to 2262); check the precision")
    return time, _spaces(body, match.end())


def _show(raw: bytes) -> str:
    return repr(raw[:80].decode(errors="replace"))
