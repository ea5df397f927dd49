"""The formats ``.json``, ``.qw``, ``.csv`` and ``.txt``: rows of text made of columns.

JSON here is valid JSON: what is not a number, or not finite, is null. CSV has no header and quotes nothing, as the
appliance's; there, ``NaN`` and ``Infinity`` are written out.
"""

from __future__ import annotations

import json as json_text
from collections.abc import Callable, Iterable, Iterator, Mapping

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from archiver.model import Kind
from archiver.model.time import NANOSECONDS
from archiver.query import text
from services.appliance.events import Events
from services.appliance.series import Series

_PIECE_ROWS = 65_536
_MILLISECOND = 1_000_000
_UNQUOTED = (Kind.TEXT,)


def json(answer: Iterable[Series]) -> Iterator[bytes]:
    """Yield a JSON array: an object per PV that has samples, with all that is known of each sample."""
    yield from _document(answer, lambda series, events: series.meta, _json_rows)


def qw(answer: Iterable[Series]) -> Iterator[bytes]:
    """Yield a JSON array for plots in a browser: milliseconds and values only."""

    def meta(series: Series, events: Events) -> Mapping[str, str | bool]:
        return {"waveform": events.kind.is_list or events.kind is Kind.BINARY, **series.meta}

    yield from _document(answer, meta, _qw_rows)


def csv(answer: Iterable[Series]) -> Iterator[bytes]:
    """Yield rows of seconds, value, severity, status and nanoseconds; an empty line is the last."""
    for events in _rows(answer):
        seconds, nanos = _seconds(events)
        columns = [seconds, values(events.kind, events.value, plain=True), *_alarm(events), nanos]
        yield _bytes(_lines(columns, ","))
    yield b"\n"


def txt(answer: Iterable[Series]) -> Iterator[bytes]:
    """Yield rows for people: time, value, severity, status and nanoseconds, between tabs."""
    for series in answer:
        begun = False
        for events in _pieces(series.events):
            if not begun:
                yield f"Beginning data for {series.name}\nData from stream forebay\n".encode()
                begun = True
            _, nanos = _seconds(events)
            shown = pa.array(events.time // NANOSECONDS).cast(pa.timestamp("s"))
            time = pc.strftime(shown, format="%b/%d/%Y %H:%M:%S UTC")
            columns = [time, values(events.kind, events.value, plain=True), *_alarm(events), nanos]
            yield _bytes(_lines(columns, "\t"))


def values(kind: Kind, value: pa.Array, *, plain: bool = False) -> pa.Array:
    """Return values as JSON, or as they are written in CSV.

    Parameters
    ----------
    plain : bool
        Text without quotes, and ``NaN`` and ``Infinity`` in place of null.
    """
    if kind is Kind.BINARY:
        octets = pa.LargeListArray.from_arrays(*_octets(value))
        return _lists(octets.cast(pa.list_(pa.uint8())), lambda items: items.cast(pa.utf8()))
    if kind.is_list:
        return _lists(value, lambda items: values(kind.item, items, plain=plain and kind.item is Kind.FLOAT))
    if plain and kind in _UNQUOTED:
        return value
    if kind is Kind.FLOAT:
        written = text.csv_values({kind: value})
        finite = np.isfinite(value.to_numpy())
        return written if plain or finite.all() else pc.if_else(pa.array(finite), written, "null")
    return text.json_values({kind: value})


def _document(
    answer: Iterable[Series],
    meta: Callable[[Series, Events], Mapping[str, str | bool]],
    rows: Callable[[Events], list[pa.Array | str]],
) -> Iterator[bytes]:
    yield b"["
    before = b""
    for series in answer:
        begun = empty = False
        for events in series.events:
            if not begun:
                head = json_text.dumps({"name": series.name, **meta(series, events)}, ensure_ascii=False)
                yield before + b'\n{"meta": ' + head.encode() + b',\n"data": ['
                before, begun, empty = b",", True, True
            for piece in _cut(events):
                encoded = _bytes(pc.binary_join_element_wise(",\n{", *rows(piece), "}", ""))
                yield encoded[1:] if empty else encoded
                empty = False
        if begun:
            yield b"\n]}"
    yield b"\n]\n"


def _json_rows(events: Events) -> list[pa.Array | str]:
    seconds, nanos = _seconds(events)
    severity, status = _alarm(events)
    columns = ['"secs": ', seconds, ', "val": ', values(events.kind, events.value), ', "nanos": ', nanos]
    return [*columns, ', "severity": ', severity, ', "status": ', status, *_fields(events)]


def _qw_rows(events: Events) -> list[pa.Array | str]:
    millis = pa.array(events.time // _MILLISECOND).cast(pa.utf8())
    return ['"millis": ', millis, ', "val": ', values(events.kind, events.value), *_fields(events)]


def _fields(events: Events) -> list[pa.Array]:
    """Return the further values of samples as the end of their objects."""
    if not events.fields:
        return []
    pairs = [pc.binary_join_element_wise(f', "{name}": "', column, '"', "") for name, column in events.fields.items()]
    some = pc.binary_join_element_wise(*(pc.coalesce(pair, "") for pair in pairs), "")
    shown = pc.binary_join_element_wise(', "fields": {', pc.utf8_slice_codeunits(some, 2), "}", "")
    return [pc.if_else(pc.equal(some, ""), "", shown)]


def _seconds(events: Events) -> tuple[pa.Array, pa.Array]:
    seconds, nanos = np.divmod(events.time, NANOSECONDS)
    return pa.array(seconds).cast(pa.utf8()), pa.array(nanos).cast(pa.utf8())


def _alarm(events: Events) -> tuple[pa.Array, pa.Array]:
    return pa.array(events.severity).cast(pa.utf8()), pa.array(events.status).cast(pa.utf8())


def _lines(columns: list[pa.Array], between: str) -> pa.Array:
    ended = pc.binary_join_element_wise(columns[-1], "\n", "")
    return pc.binary_join_element_wise(*columns[:-1], ended, between)


def _octets(value: pa.Array) -> tuple[pa.Array, pa.Array]:
    large = value.cast(pa.large_binary())
    bounds = np.frombuffer(large.buffers()[1], np.int64)[large.offset : large.offset + len(large) + 1]
    data = large.buffers()[2]
    return pa.array(bounds), pa.array(np.empty(0, np.uint8) if data is None else np.frombuffer(data, np.uint8))


def _lists(array: pa.Array, render: Callable[[pa.Array], pa.Array]) -> pa.Array:
    lengths = pc.list_value_length(array).to_numpy()
    offsets = pa.array(np.append(0, np.cumsum(lengths)).astype(np.int32))
    items = pa.ListArray.from_arrays(offsets, render(array.flatten()))
    return pc.binary_join_element_wise("[", pc.binary_join(items, ","), "]", "")


def _rows(answer: Iterable[Series]) -> Iterator[Events]:
    for series in answer:
        yield from _pieces(series.events)


def _pieces(stream: Iterator[Events]) -> Iterator[Events]:
    for events in stream:
        yield from _cut(events)


def _cut(events: Events) -> Iterator[Events]:
    for start in range(0, events.num_rows, _PIECE_ROWS):
        yield events.slice(start, min(start + _PIECE_ROWS, events.num_rows))


def _bytes(rows: pa.Array) -> bytes:
    """Return all texts one after the other."""
    offsets, data = rows.buffers()[1:]
    bounds = np.frombuffer(offsets, np.int32)[rows.offset : rows.offset + len(rows) + 1]
    return memoryview(data)[int(bounds[0]) : int(bounds[-1])].tobytes()
