"""Sorted streams of samples into one: exact in time, each sample once."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from archiver.model.batch import SampleBatch, schema_of
from archiver.model.identity import distinct, newest_versions
from archiver.model.kind import Kind

_LONG_RUN = 32
"""From so many rows a run on, copying runs is quicker than sorting rows."""
_WHOLE_RUN = 32_768
"""From here on a copy takes longer than handling each run as a batch of its own."""

Key = tuple[str, int, int] | tuple[str, int, int, int]
"""Place of a sample in an answer: element, source time, sequence, and of a version its receive time."""


def key_of(batch: SampleBatch, row: int, versions: bool) -> Key:
    """Return the key of a row; it holds the receive time when versions are told apart."""
    name = batch.elements[int(batch.codes[row])]
    identity = (name, int(batch.source_time[row]), int(batch.sequence[row]))
    return (*identity, int(batch.receive_time[row])) if versions else identity


def rows_through(batch: SampleBatch, key: Key) -> int:
    """Return how many rows of a sorted batch, with its names in sorted order, lie at or before a key."""
    if not batch.num_rows or key_of(batch, 0, len(key) > 3) > key:
        return 0
    code = bisect_left(batch.elements, key[0])
    start = int(np.searchsorted(batch.codes, np.int32(code)))
    if code == len(batch.elements) or batch.elements[code] != key[0]:
        return start
    stop = int(np.searchsorted(batch.codes, np.int32(code), "right"))
    columns: list[NDArray[Any]] = [batch.source_time, batch.sequence, batch.receive_time]
    for column, wanted in zip(columns, key[1:], strict=False):
        part, exact = column[start:stop], column.dtype.type(wanted)
        start, stop = (start + int(np.searchsorted(part, exact, side)) for side in ("left", "right"))
    return stop


def with_sorted_names(batch: SampleBatch) -> SampleBatch:
    """Return the batch with its dictionary of names in sorted order; rows stay where they are."""
    names = batch.elements
    if names == sorted(names):
        return batch
    ranked = sorted(range(len(names)), key=names.__getitem__)
    rank = np.empty(len(names), np.int32)
    rank[ranked] = np.arange(len(names), dtype=np.int32)
    return batch.with_elements(rank[batch.codes], [names[i] for i in ranked])


def after(batches: Iterable[SampleBatch], key: Key) -> Iterator[SampleBatch]:
    """Yield what of a sorted stream comes after a key."""
    for batch in batches:
        ordered = with_sorted_names(batch)
        rest = ordered.slice(rows_through(ordered, key))
        if rest.num_rows:
            yield rest


def merged(streams: Sequence[Iterator[SampleBatch]], *, versions: bool = False) -> Iterator[SampleBatch]:
    """Yield the samples of several streams in order, each once.

    Holds one batch of each stream. Of a sample that several streams have, the one received last is given; all
    that differ are, when versions are asked for.

    Parameters
    ----------
    streams : sequence of iterators
        Each in order of element name, source time, sequence (and receive time). Streams that follow each other
        in time are merged fastest when given in that order.
    """
    if len(streams) == 1:
        yield from (batch for batch in streams[0] if batch.num_rows)
        return
    heads = {index: head for index, stream in enumerate(streams) if (head := _next(stream)) is not None}
    while len(heads) > 1:
        ends = {index: key_of(head, -1, versions) for index, head in heads.items()}
        frontier = min(ends.values())
        pieces = []
        for index, head in list(heads.items()):
            count = head.num_rows if ends[index] == frontier else rows_through(head, frontier)
            if count:
                pieces.append(head.slice(0, count) if count < head.num_rows else head)
                rest = head.slice(count) if count < head.num_rows else _next(streams[index])
                if rest is None:
                    del heads[index]
                else:
                    heads[index] = rest
        yield from _joined(pieces, versions)
    for index, head in heads.items():  # what is left of one stream repeats nothing
        yield head
        yield from (batch for batch in streams[index] if batch.num_rows)


def _next(stream: Iterator[SampleBatch]) -> SampleBatch | None:
    filled = next((batch for batch in stream if batch.num_rows), None)
    return None if filled is None else with_sorted_names(filled)


def _joined(pieces: list[SampleBatch], versions: bool) -> list[SampleBatch]:
    """Return sorted pieces as one sorted batch, or as what follows each other; repeated samples are dropped."""
    if len(pieces) == 1:
        return pieces
    in_runs = _joined_by_runs(pieces)
    if in_runs is not None:
        return in_runs
    batch = with_sorted_names(SampleBatch.concat(pieces))
    few = len(batch.elements) < 2**15
    order = np.argsort(batch.codes.astype(np.int16) if few else batch.codes, kind="stable")  # int16: by radix
    codes, time = batch.codes[order], batch.source_time[order]
    if ((codes[1:] > codes[:-1]) | (time[1:] > time[:-1])).all():
        return [batch.take(order)]
    return [distinct(batch) if versions else newest_versions(batch)]


def _joined_by_runs(pieces: list[SampleBatch]) -> list[SampleBatch] | None:
    """Return sorted pieces as one sorted batch, copied run by run: a run is what a piece has of an element.

    Long runs are given as they are. None where runs are short, or overlap in time: then rows are sorted.
    """
    names = sorted({name for piece in pieces for name in piece.elements})
    number = {name: code for code, name in enumerate(names)}
    runs = [_runs(piece, number, place) for place, piece in enumerate(pieces)]
    code, first, last, place, start, count = (np.concatenate(column) for column in zip(*runs, strict=True))
    if count.sum() < _LONG_RUN * len(count):
        return None
    order = np.lexsort((first, code))
    code, count = code[order], count[order]
    if ((code[1:] == code[:-1]) & (last[order[:-1]] >= first[order[1:]])).any():
        return None
    places, starts = place[order].tolist(), start[order].tolist()
    spans = list(zip(places, starts, count.tolist(), strict=True))
    if count.sum() >= _WHOLE_RUN * len(count):
        return [pieces[at].slice(begin, rows) for at, begin, rows in spans]
    kinds = sorted({kind for piece in pieces for kind in piece.kinds})
    columns = pa.schema(list(schema_of(kinds))[1:])
    batches = [pa.RecordBatch.from_arrays(_columns(piece, kinds), schema=columns) for piece in pieces]
    copied = pa.concat_batches([batches[at].slice(begin, rows) for at, begin, rows in spans])
    element = pa.DictionaryArray.from_arrays(np.repeat(code, count), pa.array(names, pa.utf8()), safe=False)
    return [SampleBatch(pa.RecordBatch.from_arrays([element, *copied.columns], schema=schema_of(kinds)))]


def _columns(piece: SampleBatch, kinds: Sequence[Kind]) -> list[pa.Array]:
    """Return the columns but the element, with values of all of some kinds."""
    base = [piece.column(name) for name in ("source_time", "sequence", "receive_time", "status")]
    return [*base, *(piece.values(kind) for kind in kinds)]


def _runs(piece: SampleBatch, number: dict[str, int], place: int) -> tuple[NDArray[Any], ...]:
    """Return of each run of a piece: the element's number, first and last time, the piece's place, start and length."""
    codes, time = piece.codes, piece.source_time
    starts = np.append(0, np.flatnonzero(codes[1:] != codes[:-1]) + 1)
    ends = np.append(starts[1:], piece.num_rows)
    table = np.array([number[name] for name in piece.elements], np.int32)
    return table[codes[starts]], time[starts], time[ends - 1], np.full(len(starts), place), starts, ends - starts
