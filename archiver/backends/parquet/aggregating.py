"""Aggregates made of row groups as they are decoded: no sample is put in order with others, or given to anybody."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from archiver.backends.parquet.entry import FileEntry, Ints, Pieces
from archiver.backends.parquet.gathering import Runs
from archiver.backends.parquet.index import Index
from archiver.backends.parquet.reading import DataFiles, narrowed
from archiver.backends.parquet.rowgroups import constant
from archiver.backends.parquet.schema import from_stored
from archiver.model import Kind, SampleBatch, Status
from archiver.model.batch import Mask
from archiver.model.grid import Grid
from archiver.model.partials import WEIGHTED, Partials, Samples, blocks_of, concat, joined, native, reduce_blocks
from archiver.model.reducing import reduced, span_of
from archiver.model.time import MAX_TIME
from archiver.ports import Aggregated

MADE = frozenset({"count", "good_count", "min", "max", "mean", "std", "first", "last"}) | WEIGHTED
"""Aggregates that are made here: all."""
_CELLS = 1_000_000
"""About how many cells are made at a time; of an element that alone has more of them, the samples are read."""
_ROWS = 16_000_000
"""About of how many samples."""
_LARGEST = {"mean": 1e290, "time_weighted_mean": 1e270, "integral": 1e270, "std": 1e140}
"""Numbers up to this overflow in no sum, in whichever order they are added."""


@dataclass(frozen=True)
class Asked:
    """What is asked; see `archiver.ports.SupportsAggregation.aggregate`."""

    grid: Grid
    wanted: frozenset[str]
    until: int
    groups: Sequence[str] | None


@dataclass(frozen=True)
class Found:
    """Where some elements lie.

    Parameters
    ----------
    files : list of FileEntry
    file : ndarray of int64
        Index in `files`, per piece.
    pieces : Pieces
        In the order in which they lie in each file.
    place : ndarray of int64
        Number of the element, per piece.
    rows : ndarray of float64
        About how many samples each element has, at most.
    """

    files: list[FileEntry]
    file: Ints
    pieces: Pieces
    place: Ints
    rows: NDArray[np.float64]

    @classmethod
    def of(cls, index: Index, elements: Sequence[str], asked: Asked) -> Found:
        """Look elements up, which are numbered by their places."""
        names = index.names.known(elements)
        ids = index.names.number(names)
        number = {name: place for place, name in enumerate(elements)}
        places = np.zeros(int(ids.max(initial=-1)) + 1, np.int64)
        places[ids] = [number[name] for name in names]
        ids.sort()
        files = index.snapshot.overlapping(asked.grid.interval, asked.groups)
        parts = [entry.pieces.take(entry.pieces.of(ids, asked.grid.interval)).in_file_order() for entry in files]
        pieces = Pieces.joined([*parts, Pieces.none()])
        file = np.repeat(np.arange(len(parts)), [len(part.ids) for part in parts])
        place = places[pieces.ids]
        rows = np.bincount(place, pieces.count.astype(np.float64), len(elements)).astype(np.float64)
        return cls(files, file, pieces, place, rows)


class Aggregator:
    """Makes the cells of what lies in the files of a table.

    An element is left to be read where pieces of it overlap in time, or a piece has versions of a sample: which one is
    valid shows when they are together. So is one that was disconnected, and one with numbers so large that a sum could
    overflow in one order and not in another.

    Parameters
    ----------
    index : Index
    files : DataFiles
    """

    def __init__(self, index: Index, files: DataFiles) -> None:
        self._index, self._files = index, files

    def chunks(self, elements: Sequence[str], asked: Asked) -> Iterator[Sequence[str]]:
        """Yield runs of the elements, of which neither the samples nor the cells are too many at a time."""
        rows = Found.of(self._index, elements, asked).rows
        load = np.cumsum(rows / _ROWS + np.minimum(rows, asked.grid.count) / _CELLS)
        first = 0
        while first < len(elements):
            stop = int(np.searchsorted(load, load[first] + 1, "right"))
            yield elements[first:stop]
            first = stop

    def made(self, elements: Sequence[str], asked: Asked) -> Aggregated:
        """Return the cells of some elements."""
        work = _Chunk(Found.of(self._index, elements, asked), asked, self._files)
        cells = work.cells()
        left = [elements[place] for place in np.flatnonzero(work.left).tolist()]
        return Aggregated(elements, cells, left, asked.grid.interval.end)


def of_samples(batch: SampleBatch, elements: Sequence[str], asked: Asked) -> Aggregated:
    """Return the cells of some elements from all of their samples in the interval, in order; for few of them."""
    parts = reduced(iter([batch]), elements, asked.grid, asked.wanted, asked.until)
    gaps = (batch.status & np.uint64(Status.DISCONNECTED)) != 0
    left = sorted(batch.filter(gaps).present()) if gaps.any() else []
    cells = next(parts, Partials.none())
    if left:
        owners = cells.cells // asked.grid.count
        cells = cells.take(np.flatnonzero(~np.isin(owners, [elements.index(name) for name in left])))
    return Aggregated(elements, cells, left, asked.grid.interval.end)


class _Chunk:
    """The cells of a few elements; `left` says by place of which ones nothing is given, once they are made."""

    def __init__(self, found: Found, asked: Asked, files: DataFiles) -> None:
        self._asked, self._files, self._found = asked, files, found
        self.left: Mask = np.minimum(found.rows, asked.grid.count) > _CELLS
        place, pieces = found.place, found.pieces
        order = np.lexsort((pieces.first, place))
        same = place[order[1:]] == place[order[:-1]]
        first, last = pieces.first[order], pieces.last[order]
        self.left[place[order[1:]][same & (first[1:] <= last[:-1])]] = True
        self._rank = np.empty(len(order), np.int64)
        self._rank[order] = np.arange(len(order))
        self._following = np.full(len(order), MAX_TIME)
        self._following[order[:-1]] = np.where(same, first[1:], MAX_TIME)

    def cells(self) -> Partials:
        """Return the cells, in order."""
        found = self._found
        numbers = np.flatnonzero(~self.left[found.place])
        file, group = found.file[numbers], found.pieces.row_group[numbers]
        cuts = np.flatnonzero((file[1:] != file[:-1]) | (group[1:] != group[:-1])) + 1
        jobs = np.split(numbers, cuts) if len(numbers) else []
        rows = sum(self._files.rows(found.files[found.file[job[0]]], found.pieces.row_group[job[:1]]) for job in jobs)
        parts = self._files.side_by_side(lambda job: self._reduced(job, rows), jobs, rows)
        made = [part for part in parts if part is not None]
        if not made:
            return Partials.none()
        whole = concat([cells for cells, _ in made])
        order = np.lexsort((np.concatenate([rank for _, rank in made]), whole.cells))
        order = order[~self.left[whole.cells[order] // self._asked.grid.count]]
        with np.errstate(invalid="ignore", over="ignore"):
            return joined(None, whole.take(order)) if len(order) else Partials.none()

    def _reduced(self, job: Ints, total: int) -> tuple[Partials, Ints] | None:
        """Return the cells of some pieces of one row group, and the rank of each one's piece; None without samples."""
        pieces, entry = self._found.pieces.take(job), self._found.files[self._found.file[job[0]]]
        wanted, interval = self._asked.wanted, self._asked.grid.interval
        timeless = entry.unique and not WEIGHTED & wanted and self._within_buckets(pieces)
        group = self._files.row_group(entry, int(pieces.row_group[0]), self._columns(entry, timeless), total)
        offset, count = pieces.offset, pieces.count
        if not timeless:
            offset, count = narrowed([group], np.zeros_like(offset), pieces, interval)
        filled = np.flatnonzero(count)
        if not len(filled):
            return None
        runs = Runs.of(entry, [group], pieces, np.zeros_like(offset), offset, count).compacted()
        job = job[filled]
        samples = self._samples(runs, self._found.place[job], timeless)
        heads = np.cumsum(runs.count) - runs.count
        self.left[self._found.place[job][_untold(samples, heads, runs.unique, wanted)]] = True
        starts = blocks_of(samples.cells)
        ends = np.append(starts[1:], len(samples))
        held = np.empty(0, np.uint64)
        if WEIGHTED & wanted:
            held = self._held(samples, ends - 1, np.append(heads[1:], len(samples)) - 1, self._following[job])
        with np.errstate(invalid="ignore", over="ignore"):
            cells = reduce_blocks(samples, starts, ends, held, wanted)
        return cells, self._rank[job][np.searchsorted(heads, starts, "right") - 1]

    def _columns(self, entry: FileEntry, timeless: bool) -> list[str]:
        values = [] if self._asked.wanted <= {"count"} else [kind.column for kind in entry.kinds]
        return [*([] if timeless else ["source_time"]), *([] if entry.unique else ["sequence"]), "status", *values]

    def _within_buckets(self, pieces: Pieces) -> bool:
        """Return whether each piece lies in the interval and in one bucket."""
        grid = self._asked.grid
        inside = (pieces.first >= grid.interval.start) & (pieces.last < grid.interval.end)
        return bool(inside.all()) and bool((grid.numbers(pieces.first) == grid.numbers(pieces.last)).all())

    def _samples(self, runs: Runs, places: Ints, timeless: bool) -> Samples:
        """Return the samples of a row group, each with its cell; times are missing where the index says enough."""
        group, grid = runs.groups[0], self._asked.grid
        zeros = np.zeros(group.rows, np.int64)
        columns = {name: pa.array(zeros) for name in ("source_time", "sequence", "receive_time")}  # of those unread
        columns |= {name: constant(name, value, group.rows) for name, value in group.constants.items()}
        batch = from_stored({**columns, **group.columns}, [""], zeros.astype(np.int32))
        cells = np.repeat(places * grid.count + (grid.numbers(runs.first) if timeless else 0), runs.count)
        return Samples(batch, cells if timeless else cells + grid.numbers(batch.source_time))

    def _held(self, samples: Samples, lasts: Ints, tails: Ints, following: Ints) -> NDArray[np.uint64]:
        """Return for how long values hold in their buckets, ns; `lasts` are last rows of blocks, `tails` of runs."""
        grid, times = self._asked.grid, samples.batch.source_time
        ends = np.append(times[1:], MAX_TIME)
        ends[tails] = following
        ends[lasts] = np.minimum(ends[lasts], grid.ends(samples.cells[lasts] % grid.count))
        return span_of(times, np.minimum(ends, self._asked.until))


def _untold(samples: Samples, heads: Ints, is_unique: bool, wanted: frozenset[str]) -> Mask:
    """Return which runs have samples that must be seen by others; `heads` are their first rows."""
    batch = samples.batch
    odd: Mask = (batch.status & np.uint64(Status.DISCONNECTED)) != 0
    if not is_unique:
        times, sequence = batch.source_time, batch.sequence
        same = np.append(False, (times[1:] == times[:-1]) & (sequence[1:] == sequence[:-1]))
        same[heads] = False
        odd |= same
    largest = min((limit for name, limit in _LARGEST.items() if name in wanted), default=np.inf)
    if largest < np.inf and Kind.FLOAT in batch.kinds:
        numbers = native(batch.values(Kind.FLOAT))
        if not max(numbers.max(), -numbers.min()) <= largest:  # or there is a NaN
            odd |= samples.numeric & (np.abs(numbers) > largest)
    result: Mask = np.logical_or.reduceat(odd, heads)
    return result
