"""Sorted streams of samples into one: exact in time, each sample once."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from archiver.model.batch import SampleBatch
from archiver.model.identity import distinct, newest_versions

Key = tuple[str, int, int] | tuple[str, int, int, int]
"""Place of a sample in an answer: element, source time, sequence, and of a version its receive time."""


def key_of(batch: SampleBatch, row: int, versions: bool) -> Key:
    """Return the key of a row; it holds the receive time when versions are told apart."""
    name = batch.elements[int(batch.codes[row])]
    identity = (name, int(batch.source_time[row]), int(batch.sequence[row]))
    return (*identity, int(batch.receive_time[row])) if versions else identity


def rows_through(batch: SampleBatch, key: Key) -> int:
    """Return how many rows of a sorted batch, with its names in sorted order, lie at or before a key."""
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
    ranked = sorted(range(len(names)), key=names.__getitem__)
    if ranked == list(range(len(names))):
        return batch
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
    while heads:
        frontier = min(key_of(head, -1, versions) for head in heads.values())
        pieces = []
        for index, head in list(heads.items()):
            count = rows_through(head, frontier)
            if count:
                pieces.append(head.slice(0, count))
            rest = head.slice(count) if count < head.num_rows else _next(streams[index])
            if rest is None:
                del heads[index]
            else:
                heads[index] = rest
        yield _joined(pieces, versions)


def _next(stream: Iterator[SampleBatch]) -> SampleBatch | None:
    filled = next((batch for batch in stream if batch.num_rows), None)
    return None if filled is None else with_sorted_names(filled)


def _joined(pieces: list[SampleBatch], versions: bool) -> SampleBatch:
    """Return sorted pieces as one sorted batch, repeated samples dropped."""
    if len(pieces) == 1:
        return pieces[0]
    batch = with_sorted_names(SampleBatch.concat(pieces))
    few = len(batch.elements) < 2**15
    order = np.argsort(batch.codes.astype(np.int16) if few else batch.codes, kind="stable")  # int16: by radix
    codes, time = batch.codes[order], batch.source_time[order]
    if ((codes[1:] > codes[:-1]) | (time[1:] > time[:-1])).all():
        return batch.take(order)
    return distinct(batch) if versions else newest_versions(batch)
