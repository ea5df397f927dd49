"""Reads the rows of some elements from data files: only the row groups and columns that are needed."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from archiver.backends.parquet.entry import FileEntry, Ints, Pieces
from archiver.backends.parquet.gathering import Runs, joined
from archiver.backends.parquet.rowgroups import KeptRowGroups, RowGroup, one
from archiver.backends.parquet.schema import from_stored
from archiver.model import Interval, SampleBatch

_OPTIONAL = ("sequence", "status")
"""Columns that are mostly one value: where a file's statistics say so, they are not read."""
_GROUPS_AT_A_TIME = 2
"""Row groups decoded at once: what is decoded and not asked for stays small, and threads end at about the same time."""
_ROW_BYTES = 32
_MANY_ROWS = 500_000
"""From here on several threads decode side by side."""
_THREADS = min(8, os.cpu_count() or 1)


@dataclass(frozen=True, slots=True)
class _Footer:
    """A footer, the rows of each row group, and the value of columns that are constant in it (None: they vary)."""

    metadata: pq.FileMetaData
    sizes: Ints
    constants: dict[str, list[int | None]]


Job = TypeVar("Job")
Result = TypeVar("Result")
Wanted = Sequence[tuple[FileEntry, Ints]]


class DataFiles:
    """Reads data files of a table; their footers are kept, the files are mapped into memory for each read.

    Parameters
    ----------
    root : Path
        The table.
    kept_bytes : int
        How much of what was decoded is kept, for reads that ask for less than that.
    """

    def __init__(self, root: Path, kept_bytes: int = 0) -> None:
        self._root = root
        self._footer = lru_cache(4096)(self._load_footer)
        self._kept = KeptRowGroups(kept_bytes)

    def read(
        self, wanted: Wanted, interval: Interval | None, names: Sequence[str], ids: Ints, *, newest: bool = False
    ) -> tuple[SampleBatch, bool]:
        """Return the samples of some pieces of files that lie in an interval (all when None).

        Parameters
        ----------
        wanted : sequence of (FileEntry, ndarray of int64)
            Files, and row numbers in the pieces of each.
        names, ids
            The elements that may come up: sorted names, and the id of each.
        newest : bool
            Of each piece only the samples of its greatest source time in the interval.

        Returns
        -------
        SampleBatch
            By element; by time too, where pieces of an element do not overlap.
        bool
            Whether it is sorted, and no two samples share an identity.

        Raises
        ------
        FileNotFoundError
            Compaction in another process has replaced a file and removed it.
        """
        taken = [(entry, entry.pieces.take(rows).in_file_order()) for entry, rows in wanted if len(rows)]
        jobs, total = [], 0
        for entry, pieces in taken:
            numbers = np.unique(pieces.row_group)
            total += self.rows(entry, numbers)
            starts = range(0, len(numbers), _GROUPS_AT_A_TIME)
            jobs += [(entry, pieces, numbers[start : start + _GROUPS_AT_A_TIME]) for start in starts]
        if not jobs:
            return SampleBatch.empty(), True
        keep = self._keeps(total)

        def found(job: tuple[FileEntry, Pieces, Ints]) -> Runs:
            return _found(*job, self._decoded(job[0], job[2].tolist(), total), interval, newest, keep)

        runs = joined(self.side_by_side(found, jobs, total))
        if not runs.groups:
            return SampleBatch.empty(), True
        columns, codes, settled = runs.gathered(ids, partial(self.side_by_side, total=int(runs.count.sum())))
        return from_stored(columns, names, codes), settled

    def rows(self, entry: FileEntry, numbers: Ints) -> int:
        """Return how many samples some row groups of a file have."""
        return int(self._footer(entry.path).sizes[numbers].sum())

    def side_by_side(self, work: Callable[[Job], Result], jobs: Sequence[Job], total: int) -> list[Result]:
        """Return the result of each job, in order; where they are about many samples in all, some work at a time."""
        if total < _MANY_ROWS:
            return [work(job) for job in jobs]
        with ThreadPoolExecutor(_THREADS, "parquet") as pool:
            return list(pool.map(work, jobs))

    def row_group(self, entry: FileEntry, number: int, columns: Sequence[str], total: int) -> RowGroup:
        """Return some columns of a row group, or all if it is kept or to be kept; `total` as in `side_by_side`."""
        if self._keeps(total):
            return self._decoded(entry, [number], total)[0]
        return self._kept.get(entry.path, number) or self._decode(entry, [number], total, columns)[0]

    def _keeps(self, total: int) -> bool:
        """Return whether row groups of so many samples are few enough to be kept for the next read."""
        return total * _ROW_BYTES <= self._kept.limit

    def _decoded(self, entry: FileEntry, numbers: list[int], total: int) -> list[RowGroup]:
        """Return row groups of a file, those that are not kept from the file."""
        found = {number: self._kept.get(entry.path, number) for number in numbers}
        lacking = [number for number, group in found.items() if group is None]
        for number, group in zip(lacking, self._decode(entry, lacking, total) if lacking else [], strict=True):
            found[number] = group
            if self._keeps(total):
                self._kept.put(entry.path, number, group)
        return [group for group in found.values() if group is not None]

    def _decode(self, entry: FileEntry, numbers: list[int], total: int, wanted: Collection[str] = ()) -> list[RowGroup]:
        """Decode row groups: some columns, or all."""
        footer = self._footer(entry.path)
        values = {name: found[numbers[0]] for name, found in footer.constants.items()}
        same = {n: v for n, v in values.items() if v is not None and all(footer.constants[n][g] == v for g in numbers)}
        columns = [name for name in ("source_time", "sequence", "receive_time", "status") if name not in same]
        columns += [kind.column for kind in entry.kinds]
        columns = [name for name in columns if not wanted or name in wanted]
        alone = total < _MANY_ROWS  # else there is a thread for each processor already
        with pa.memory_map(str(self._root / entry.path)) as source:
            file = pq.ParquetFile(source, metadata=footer.metadata)
            table = file.read_row_groups(numbers, columns=columns, use_threads=alone)
        groups, start = [], 0
        for number in numbers:
            rows = int(footer.sizes[number])
            part = table.slice(start, rows)
            groups.append(RowGroup(rows, {name: one(part.column(name)) for name in columns}, same))
            start += rows
        return groups

    def _load_footer(self, path: str) -> _Footer:
        metadata = pq.read_metadata(self._root / path)
        groups = [metadata.row_group(number) for number in range(metadata.num_row_groups)]
        places = {name: metadata.schema.names.index(name) for name in _OPTIONAL}
        constants = {name: [_constant_in(group.column(place)) for group in groups] for name, place in places.items()}
        return _Footer(metadata, np.array([group.num_rows for group in groups]), constants)


def _constant_in(column: pq.ColumnChunkMetaData) -> int | None:
    statistics = column.statistics
    if statistics is None or not statistics.has_min_max or statistics.min != statistics.max:
        return None
    return int(statistics.min)


def _found(
    entry: FileEntry,
    pieces: Pieces,
    numbers: Ints,
    groups: list[RowGroup],
    interval: Interval | None,
    newest: bool,
    kept: bool,
) -> Runs:
    """Return the rows in the interval of those pieces of a file that lie in some row groups."""
    low, high = np.searchsorted(pieces.row_group, numbers[[0, -1]] + [0, 1])
    pieces = pieces.take(np.arange(low, high))
    position = np.searchsorted(numbers, pieces.row_group)
    offsets, counts = pieces.offset, pieces.count
    if interval is not None:
        offsets, counts = narrowed(groups, position, pieces, interval, newest)
    runs = Runs.of(entry, groups, pieces, position, offsets, counts)
    return runs if kept or 2 * counts.sum() > sum(group.rows for group in groups) else runs.compacted()


def narrowed(
    groups: list[RowGroup], position: Ints, pieces: Pieces, interval: Interval, newest: bool = False
) -> tuple[Ints, Ints]:
    """Return offset and number of rows of each piece within the interval; times ascend in a piece."""
    offsets, counts = pieces.offset.copy(), pieces.count.copy()
    edges = np.array([interval.start, interval.end])
    times = [group.times for group in groups]
    cut = (pieces.first < interval.start) | (pieces.last >= interval.end)
    for index in np.flatnonzero(cut | newest).tolist():
        start = offsets[index]
        of_piece = times[position[index]][start : start + counts[index]]
        low, high = np.searchsorted(of_piece, edges)
        if newest and low < high:
            low = np.searchsorted(of_piece[:high], of_piece[high - 1])
        offsets[index], counts[index] = start + low, high - low
    return offsets, counts
