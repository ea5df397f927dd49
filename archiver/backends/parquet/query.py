"""Answers reads from the index and the files: element by element, bounded in memory, whatever the interval."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

import numpy as np

from archiver.backends.parquet.aggregating import Aggregator, Asked, of_samples
from archiver.backends.parquet.entry import FileEntry, Ints, last_of_each
from archiver.backends.parquet.index import Index, Snapshot
from archiver.backends.parquet.reading import DataFiles
from archiver.model import Interval, SampleBatch, TransientError
from archiver.model.batch import Mask
from archiver.model.identity import distinct, newest_versions
from archiver.model.time import DAY_NS, MIN_TIME
from archiver.ports import Aggregated

CHUNK_ROWS = 1_000_000
FEW_ROWS = 50_000
"""So many samples are read sooner than row groups are looked at without reading them."""
_ATTEMPTS = 5

Groups = Sequence[str] | None
T = TypeVar("T")


@dataclass(frozen=True)
class Request:
    """What a read asks for, besides elements and interval; as `archiver.ports.Backend.read` has it."""

    groups: Groups = None
    as_of: int | None = None
    versions: bool = False


@dataclass(frozen=True)
class _Lot:
    """What is read at a time: some elements in an interval, and which pieces of which files that is."""

    names: list[str]
    ids: Ints
    interval: Interval
    snapshot: Snapshot
    wanted: list[tuple[FileEntry, Ints]]

    @property
    def most(self) -> int:
        """How many samples it has at most."""
        return sum(int(entry.pieces.count[rows].sum()) for entry, rows in self.wanted)


class Reader:
    """Reads samples of a table.

    Parameters
    ----------
    index : Index
    files : DataFiles
    refresh : callable
        Brings the index up to what is committed now.
    """

    def __init__(self, index: Index, files: DataFiles, refresh: Callable[[], None]) -> None:
        self._index, self._files, self._refresh = index, files, refresh

    def read(self, elements: Sequence[str], interval: Interval, request: Request) -> Iterator[SampleBatch]:
        """Yield samples in order of element name, source time and sequence; about `CHUNK_ROWS` at a time."""
        self._refresh()
        for lot in self._lots(self._index.names.known(elements), interval, request.groups):
            batch = self._retried(partial(self._samples, lot, request))
            if batch.num_rows:
                yield batch

    def aggregate(self, elements: Sequence[str], asked: Asked) -> Iterator[Aggregated]:
        """Yield the cells of the elements, some after the other."""
        self._refresh()
        lot = self._lot(self._index.names.known(elements), asked.grid.interval, asked.groups)
        if lot.most <= FEW_ROWS:
            yield of_samples(self._retried(partial(self._samples, lot, Request(asked.groups))), elements, asked)
            return
        aggregator = Aggregator(self._index, self._files)
        for names in aggregator.chunks(elements, asked):
            yield self._retried(partial(aggregator.made, names, asked))

    def last_before(self, elements: Sequence[str], time: int, request: Request) -> SampleBatch:
        """Return the valid sample with the greatest source time before `time`, per element that has one."""
        self._refresh()
        names = self._index.names.known(elements)
        groups = [g for g in list(self._index.latest) if request.groups is None or g in request.groups]
        found = [self._index.latest[group].get(names) for group in groups]
        settled: list[SampleBatch] = []
        for group, newest in zip(groups, found, strict=True):
            fits = newest.source_time < time
            if request.as_of is not None:
                fits &= newest.receive_time <= request.as_of
            settled.append(newest.filter(fits))
            older = [newest.elements[code] for code in newest.codes[~fits].tolist()]
            if older:
                before = Request((group,), request.as_of)
                settled.append(self._retried(partial(self._search, older, time, before)))
        return last_of_each(newest_versions(SampleBatch.concat(settled)))

    def stored_versions(self, late: SampleBatch, group: str) -> SampleBatch:
        """Return all stored versions in a group of at least the identities in `late`."""
        late = late.sorted()
        ids = self._index.names.number(late.elements)[late.codes]
        times, ranks = np.unique(late.source_time, return_inverse=True)
        width = len(times) + 1
        keys = np.sort(ids * width + ranks)
        wanted, order = np.unique(ids, return_index=True)
        names = [late.elements[code] for code in late.codes[order].tolist()]
        span = Interval(int(times[0]), int(times[-1]) + 1)
        parts = []
        for entry in self._index.snapshot.overlapping(span, (group,)):
            rows = entry.pieces.of(wanted, span)
            pieces = entry.pieces.take(rows)
            low = np.searchsorted(keys, pieces.ids * width + np.searchsorted(times, pieces.first))
            high = np.searchsorted(keys, pieces.ids * width + np.searchsorted(times, pieces.last, "right"))
            rows = rows[high > low]  # pieces that have a late sample within their times
            batch, _ = self._files.read([(entry, rows)], span, *_ordered(names, wanted))
            parts.append(batch.filter(np.isin(batch.source_time, times)))
        return SampleBatch.concat(parts)

    # -- a lot ------------------------------------------------------------------------------------------

    def _lot(self, names: list[str], interval: Interval, groups: Groups) -> _Lot:
        snapshot, ids = self._index.snapshot, self._index.names.number(names)
        ascending = np.sort(ids)
        wanted = [(entry, entry.pieces.of(ascending, interval)) for entry in snapshot.overlapping(interval, groups)]
        return _Lot(names, ids, interval, snapshot, wanted)

    def _lots(self, names: list[str], interval: Interval, groups: Groups) -> Iterator[_Lot]:
        """Yield lots, in order, that hold about `CHUNK_ROWS` samples each."""
        whole = self._lot(names, interval, groups)
        if whole.most <= CHUNK_ROWS:
            yield whole
            return
        totals = np.zeros(len(names), np.int64)
        rank = np.argsort(whole.ids)
        for entry, rows in whole.wanted:
            pieces = entry.pieces.take(rows)
            place = rank[np.searchsorted(whole.ids, pieces.ids, sorter=rank)]
            np.add.at(totals, place, pieces.about(interval))
        size = math.ceil(totals.sum() / max(1, round(totals.sum() / CHUNK_ROWS)))
        first = 0
        while first < len(names):
            count = max(1, int(np.searchsorted(np.cumsum(totals[first:]), size, "right")))
            chosen = names[first : first + count]
            if totals[first] > CHUNK_ROWS:
                for span in _days(whole.snapshot, interval, groups):
                    yield self._lot(chosen, span, groups)
            elif totals[first : first + count].any():
                yield self._lot(chosen, interval, groups)
            first += count

    def _samples(self, lot: _Lot, request: Request) -> SampleBatch:
        """Return the samples of a lot, which is looked up again when the files are others by now."""
        if lot.snapshot is not self._index.snapshot:
            lot = self._lot(lot.names, lot.interval, request.groups)
        batch, settled = self._files.read(lot.wanted, lot.interval, lot.names, lot.ids)
        if settled or request.versions:
            batch = batch if settled else distinct(batch)
            return batch if request.as_of is None else batch.filter(batch.receive_time <= request.as_of)
        return newest_versions(batch, request.as_of)

    def _search(self, names: list[str], time: int, request: Request) -> SampleBatch:
        """Return the last sample before `time` per element, reading the newest files first.

        An element is settled when no file that is still to come can hold a later sample of it.
        """
        open_ids = np.sort(self._index.names.number(names))
        span = Interval(MIN_TIME, time)
        best = np.full(len(open_ids), MIN_TIME, np.int64)
        found: list[SampleBatch] = []
        for entry in sorted(self._index.snapshot.overlapping(span, request.groups), key=_end, reverse=True):
            rows = self._last_pieces(entry, open_ids[best <= min(entry.last, time - 1)], span, request.as_of)
            if not len(rows):
                continue
            ids = np.unique(entry.pieces.ids[rows])
            names_ = self._index.names.names(ids)
            batch, _ = self._files.read([(entry, rows)], span, *_ordered(names_, ids), newest=request.as_of is None)
            newest = last_of_each(newest_versions(batch, request.as_of))
            found.append(newest)
            place = np.searchsorted(open_ids, self._index.names.number(newest.elements)[newest.codes])
            best[place] = np.maximum(best[place], newest.source_time)
        return last_of_each(newest_versions(SampleBatch.concat(found)))

    def _last_pieces(self, entry: FileEntry, ids: Ints, span: Interval, as_of: int | None) -> Ints:
        """Return the pieces of a file that may hold the last sample of each element."""
        rows = entry.pieces.of(np.sort(ids), span)
        if as_of is not None or not len(rows):
            return rows
        of = entry.pieces.ids[rows]
        start = np.flatnonzero(np.append(True, of[1:] != of[:-1]))
        newest = np.maximum.reduceat(entry.pieces.first[rows], start)
        # the piece that begins last has it, and pieces that reach as far share its instant
        keep: Mask = entry.pieces.last[rows] >= np.repeat(newest, np.diff(np.append(start, len(rows))))
        return rows[keep]

    def _retried(self, read: Callable[[], T]) -> T:
        """Call `read`; again with the files of now when compaction took one away in between."""
        for _ in range(_ATTEMPTS):
            try:
                return read()
            except FileNotFoundError as exc:
                gone = exc
                self._refresh()
        raise TransientError(f"a data file is missing, again after {_ATTEMPTS} attempts: {gone}") from gone


def _end(entry: FileEntry) -> int:
    return entry.last


def _ordered(names: list[str], ids: Ints) -> tuple[list[str], Ints]:
    order = sorted(range(len(names)), key=names.__getitem__)
    return [names[i] for i in order], ids[order]


def _days(snapshot: Snapshot, interval: Interval, groups: Groups) -> Iterator[Interval]:
    """Yield the part of the interval in each UTC day that has files."""
    entries = snapshot.overlapping(interval, groups)
    for day in sorted({entry.cell.day for entry in entries}):
        span = interval.intersect(Interval(day * DAY_NS, (day + 1) * DAY_NS))
        if span is not None:
            yield span
