"""A stream of samples made into cells: what the aggregates of each bucket are made of."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from archiver.model.batch import Int64s, SampleBatch
from archiver.model.grid import Grid
from archiver.model.partials import BLOCK, WEIGHTED, Partials, Samples, blocks_of, joined, reduce_blocks

FLUSH_ROWS = 4 * BLOCK
"""How many samples are held, and a batch more, before they are reduced."""


def reduced(
    batches: Iterator[SampleBatch], elements: Sequence[str], grid: Grid, aggregates: Collection[str], until: int
) -> Iterator[Partials]:
    """Yield the cells that have samples, in order, each once.

    A cell is a bucket of an element: ``element * grid.count + bucket``. The result is the same, to the last bit,
    however the samples come in batches.

    Parameters
    ----------
    batches : iterator of SampleBatch
        In order of element, source time, sequence; all in the grid's interval.
    elements : sequence of str
        Sorted; their places number them.
    aggregates : collection of str
        What is to be made of the cells.
    until : int
        Instant beyond which no value is held, ns.
    """
    reducer = _Reducer(elements, grid, aggregates, until)
    pending: list[SampleBatch] = []
    rows = 0
    for batch in batches:
        pending.append(batch)
        rows += batch.num_rows
        if rows >= FLUSH_ROWS:
            rest, complete = reducer.reduce(SampleBatch.concat(pending), final=False)
            pending, rows = [rest], rest.num_rows
            if len(complete):
                yield complete
    if rows:
        yield reducer.reduce(SampleBatch.concat(pending), final=True)[1]


class _Reducer:
    """What is known between two flushes: the bucket that is open."""

    def __init__(self, elements: Sequence[str], grid: Grid, aggregates: Collection[str], until: int) -> None:
        self._grid = grid
        self._index = {name: number for number, name in enumerate(elements)}
        self._aggregates = aggregates
        self._weighted = bool(WEIGHTED & set(aggregates))
        self._until = until
        self._open: Partials | None = None

    def reduce(self, batch: SampleBatch, *, final: bool) -> tuple[SampleBatch, Partials]:
        """Reduce the blocks to which no sample can be added; return the samples left over, and the cells now complete.

        The last block stays, as the next sample may belong to it, and ends how long its last value holds.
        """
        cells = codes_in(batch, self._index) * self._grid.count + self._grid.numbers(batch.source_time)
        starts = blocks_of(cells)
        ends = np.append(starts[1:], len(cells))
        if not final:
            starts, ends = starts[:-1], ends[:-1]
        if not len(starts):
            return batch, Partials(cells[:0], {}, {})
        stop = int(ends[-1])
        held = self._durations(batch.source_time, cells, stop) if self._weighted else np.empty(0, np.uint64)
        with np.errstate(invalid="ignore", over="ignore"):  # infinity is a value as well
            partials = joined(self._open, reduce_blocks(Samples(batch, cells), starts, ends, held, self._aggregates))
        self._open = None
        if not final and partials.cells[-1] == cells[stop]:
            rows = np.arange(len(partials))
            self._open, partials = partials.take(rows[-1:]), partials.take(rows[:-1])
        return batch.slice(stop), partials

    def _durations(self, times: Int64s, cells: Int64s, stop: int) -> NDArray[np.uint64]:
        """Return for how long the values of the first samples hold in their buckets, ns."""
        ends = np.empty(stop, np.int64)
        ends[:-1] = times[1:stop]
        last = np.append(cells[1:stop] != cells[: stop - 1], stop == len(cells) or cells[stop] != cells[stop - 1])
        if not last[-1]:
            ends[-1] = times[stop]
        ends[last] = self._grid.ends(cells[:stop][last] % self._grid.count)
        return span_of(times[:stop], np.minimum(ends, self._until))


def codes_in(batch: SampleBatch, index: dict[str, int]) -> Int64s:
    """Return the number of each sample's element; -1 where it has none."""
    table = np.fromiter((index.get(name, -1) for name in batch.elements), np.int64, len(batch.elements))
    return np.full(batch.num_rows, table[0]) if len(table) == 1 else table[batch.codes]


def span_of(start: Int64s, end: Int64s) -> NDArray[np.uint64]:
    """Return the time from start to end, 0 when the end comes first; uint64 holds any difference of two int64."""
    return (np.maximum(end, start) - start).view(np.uint64)
