"""The format ``.raw``: protobuf messages, an escaped line each, in chunks of one year and one type.

A chunk is a PayloadInfo, then its samples; an empty line is between two chunks. What the messages are says
``docs/reference/appliance.md``. They are encoded from columns.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from enum import IntEnum

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from archiver.model import Kind
from archiver.model.batch import Int64s
from archiver.model.time import NANOSECONDS
from services.appliance.events import Events
from services.appliance.formats.bytes import Matrix, Ragged, fixed, joined, lines, same, variable, varint
from services.appliance.series import Series

MEDIA_TYPE = "application/x-protobuf"
_PIECE_ROWS = 65_536
_ENCODED_ROWS = 8_192  # what they are encoded by stays in the cache
_YEAR = "datetime64[Y]"
_INT32 = np.iinfo(np.int32)
Part = Matrix | Ragged


class Payload(IntEnum):
    """Type of the samples of a chunk, as the appliance numbers them."""

    STRING = 0
    ENUM = 3
    INT = 5
    DOUBLE = 6
    WAVEFORM_STRING = 7
    WAVEFORM_ENUM = 10
    WAVEFORM_BYTE = 11
    WAVEFORM_INT = 12
    WAVEFORM_DOUBLE = 13


_PAYLOADS = {
    Kind.NONE: Payload.DOUBLE,
    Kind.FLOAT: Payload.DOUBLE,
    Kind.INT: Payload.INT,
    Kind.UINT: Payload.INT,
    Kind.ENUM: Payload.ENUM,
    Kind.BOOL: Payload.ENUM,
    Kind.TEXT: Payload.STRING,
    Kind.BINARY: Payload.WAVEFORM_BYTE,
    Kind.FLOATS: Payload.WAVEFORM_DOUBLE,
    Kind.INTS: Payload.WAVEFORM_INT,
    Kind.UINTS: Payload.WAVEFORM_INT,
    Kind.ENUMS: Payload.WAVEFORM_ENUM,
    Kind.BOOLS: Payload.WAVEFORM_ENUM,
    Kind.TEXTS: Payload.WAVEFORM_STRING,
    Kind.BINARIES: Payload.WAVEFORM_STRING,
}


def payload_of(kind: Kind, value: pa.Array | None = None) -> Payload:
    """Return the type of a chunk for values of a kind: integers that 32 bits do not hold go as double."""
    payload = _PAYLOADS[kind]
    if value is not None and payload in (Payload.INT, Payload.WAVEFORM_INT):
        bounds = pc.min_max(value.flatten() if kind.is_list else value).as_py()
        if bounds["min"] is not None and (bounds["min"] < _INT32.min or bounds["max"] > _INT32.max):
            return Payload.DOUBLE if payload is Payload.INT else Payload.WAVEFORM_DOUBLE
    return payload


def write(answer: Iterable[Series]) -> Iterator[bytes]:
    """Yield the answer piece by piece; a PV without samples has a chunk without samples."""
    first = True
    for series in answer:
        chunk: tuple[int, Payload, int] | None = None
        for events in _pieces(series.events):
            payload = payload_of(events.kind, events.value)
            head = (_year(int(events.time[0])), payload, _items(events))
            if chunk is None or head[:2] != chunk[:2]:
                yield (b"" if first else b"\n") + info(series, *head)
                chunk, first = head, False
            yield samples(events, payload)
        if chunk is None:
            yield (b"" if first else b"\n") + info(series, _year(series.start), payload_of(series.kind), 1)
            first = False


def info(series: Series, year: int, payload: Payload, count: int) -> bytes:
    """Return the line that begins a chunk."""
    name = series.name.encode()
    content = (
        b"\x08" + _number(payload) + b"\x12" + _delimited(name) + b"\x18" + _number(year) + b"\x20" + _number(count)
    )
    content += b"".join(b"\x7a" + _delimited(_field(*item)) for item in series.meta.items())
    return lines([same(content, 1)])


def samples(events: Events, payload: Payload) -> bytes:
    """Return the lines of samples of one year."""
    starts = range(0, events.num_rows, _ENCODED_ROWS)
    return b"".join(_encoded(events.slice(start, start + _ENCODED_ROWS), payload) for start in starts)


def _encoded(events: Events, payload: Payload) -> bytes:
    rows = events.num_rows
    year = np.datetime64(int(events.time[0]), "ns").astype(_YEAR).astype("datetime64[ns]").astype(np.int64)
    seconds, nanos = np.divmod(events.time - year, NANOSECONDS)
    parts: list[Part] = [same(b"\x08", rows), varint(seconds), same(b"\x10", rows), varint(nanos)]
    parts += _value(events, payload)
    for tag, numbers in ((b"\x20", events.severity), (b"\x28", events.status)):
        if numbers.any():
            parts += [same(tag, rows).where(numbers > 0), varint(numbers).where(numbers > 0)]
    for name, column in events.fields.items():
        parts += _fields(name, column)
    return lines(parts)


def _pieces(stream: Iterator[Events]) -> Iterator[Events]:
    """Yield events of one year each, few at a time."""
    for events in stream:
        for start in range(0, events.num_rows, _PIECE_ROWS):
            piece = events.slice(start, min(start + _PIECE_ROWS, events.num_rows))
            years = piece.time[[0, -1]].astype("datetime64[ns]").astype(_YEAR)
            edges = np.arange(years[0] + 1, years[1] + 1).astype("datetime64[ns]").astype(np.int64)
            bounds = [0, *np.searchsorted(piece.time, edges).tolist(), piece.num_rows]
            yield from (piece.slice(a, b) for a, b in itertools.pairwise(bounds) if a < b)


def _year(time: int) -> int:
    return int(np.datetime64(time, "ns").astype(_YEAR).astype(np.int64)) + 1970


def _items(events: Events) -> int:
    """Return how many items the first value has."""
    if events.kind is Kind.BINARY:
        return int(pc.binary_length(events.value[0]).as_py())
    return len(events.value[0]) if events.kind.is_list else 1


def _value(events: Events, payload: Payload) -> list[Part]:
    rows, value = events.num_rows, events.value
    if payload is Payload.DOUBLE:
        return [same(b"\x19", rows), fixed(events.numbers())]  # type: ignore[arg-type]  # a number by its payload
    if payload is Payload.INT:
        return [same(b"\x1d", rows), fixed(value.to_numpy().astype(np.int32))]
    if payload is Payload.ENUM:
        return [same(b"\x18", rows), varint(_zigzag(value.to_numpy()))]
    if payload in (Payload.STRING, Payload.WAVEFORM_BYTE):
        return [*_length(variable(value), b"\x1a")]
    counts = pc.list_value_length(value).to_numpy().astype(np.int64)
    items = value.flatten()
    if payload is Payload.WAVEFORM_STRING:
        texts = joined(_length(variable(items), b"\x1a"))
        return [texts.grouped(counts)]
    if payload is Payload.WAVEFORM_ENUM:
        packed = joined([varint(_zigzag(items.to_numpy()))])
    else:
        dtype = np.int32 if payload is Payload.WAVEFORM_INT else np.float64
        packed = joined([fixed(items.to_numpy().astype(dtype))])
    return _length(packed.grouped(counts), b"\x1a")


def _fields(name: str, column: pa.Array) -> list[Part]:
    """Return a named value of some samples as part of them."""
    rows, present = len(column), column.is_valid().to_numpy(zero_copy_only=False)
    texts = variable(column)
    size = varint(texts.lengths)
    start = b"\x0a" + _delimited(name.encode()) + b"\x12"
    length = varint(len(start) + size.used.sum(axis=1) + texts.lengths)
    parts = (same(b"\x3a", rows), length, same(start, rows), size)
    return [*(part.where(present) for part in parts), texts]


def _length(content: Ragged, tag: bytes) -> list[Part]:
    return [same(tag, len(content)), varint(content.lengths), content]


def _zigzag(numbers: NDArray[np.int32]) -> Int64s:
    wide = numbers.astype(np.int64)
    return (wide << 1) ^ (wide >> 63)


def _field(name: str, text: str) -> bytes:
    return b"\x0a" + _delimited(name.encode()) + b"\x12" + _delimited(text.encode())


def _delimited(content: bytes) -> bytes:
    return _number(len(content)) + content


def _number(number: int) -> bytes:
    return joined([varint(np.array([number]))]).content.tobytes()
