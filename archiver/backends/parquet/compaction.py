"""Decides which files are worth joining, and joins them: content stays the same, element by element.

Files go through levels: `WRITE` files of a commit each, `MERGED` when there are many, `HOUR` when the hour is over,
`DAY` when the day is. At the last step elements whose values repeat (setpoints, decimals) and those whose do not
(noise) part: each kind gets a file with the encoding that suits it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np

from archiver.backends.parquet.encoding import DICTIONARY, encodings_of, repetitive
from archiver.backends.parquet.entry import Cell, FileEntry, Ints, Level, Names
from archiver.backends.parquet.reading import DataFiles
from archiver.backends.parquet.writing import FileWriter, WrittenFile
from archiver.model import Interval, Kind, SampleBatch
from archiver.model.identity import distinct
from archiver.model.time import DAY_NS, MAX_TIME, MIN_TIME, NANOSECONDS

HOUR_NS = 3600 * NANOSECONDS
SETTLED_NS = 600 * NANOSECONDS
"""An hour or day is taken as over this long after its end: most late samples have come by then."""
FEW_FILES = 64
SMALL_ROWS = 500_000
CHUNK_ROWS = 1_000_000


@dataclass(frozen=True)
class Merge:
    """Files of one cell to be replaced by files of a level."""

    cell: Cell
    level: Level
    entries: tuple[FileEntry, ...]


def small_merges(entries: Sequence[FileEntry]) -> list[Merge]:
    """Return merges that keep the number of small files of a cell below `FEW_FILES`, so that commits stay quick."""
    return [
        Merge(cell, Level.MERGED, small)
        for cell, small in _by_cell(entry for entry in entries if _small(entry)).items()
        if len(small) >= FEW_FILES
    ]


def due_merges(entries: Sequence[FileEntry], now: int) -> list[Merge]:
    """Return what is worth compacting: the files of days that are over, and of hours that are over in other days."""
    merges: list[Merge] = []
    for cell, files in _by_cell(entries).items():
        if (cell.day + 1) * DAY_NS + SETTLED_NS <= now:
            merges += _day_merge(cell, files)
        else:
            merges += _hour_merges(cell, files, now)
    return merges


def _day_merge(cell: Cell, files: tuple[FileEntry, ...]) -> list[Merge]:
    """Return the merge of a day that is over; a day file is not written again for a few late samples."""
    days = [entry for entry in files if entry.level is Level.DAY]
    rest = [entry for entry in files if entry.level is not Level.DAY]
    if not rest:
        return []
    if 10 * sum(entry.rows for entry in rest) >= sum(entry.rows for entry in days):
        return [Merge(cell, Level.DAY, files)]
    return [Merge(cell, Level.HOUR, tuple(rest))] if len(rest) > 8 else []


def _hour_merges(cell: Cell, files: tuple[FileEntry, ...], now: int) -> list[Merge]:
    hours: dict[int, list[FileEntry]] = defaultdict(list)
    for entry in files:
        if entry.level < Level.HOUR and (entry.first // HOUR_NS + 1) * HOUR_NS + SETTLED_NS <= now:
            hours[entry.first // HOUR_NS].append(entry)
    return [Merge(cell, Level.HOUR, tuple(found)) for found in hours.values() if len(found) > 1]


def _by_cell(entries: Iterator[FileEntry] | Sequence[FileEntry]) -> dict[Cell, tuple[FileEntry, ...]]:
    cells: dict[Cell, list[FileEntry]] = defaultdict(list)
    for entry in entries:
        cells[entry.cell].append(entry)
    return {cell: tuple(found) for cell, found in cells.items()}


def _small(entry: FileEntry) -> bool:
    return entry.level is Level.WRITE and entry.rows < SMALL_ROWS


class Merger:
    """Writes the files that replace those of a merge; commits nothing.

    Parameters
    ----------
    root, names, files
        The table, its element numbers, and its reader.
    """

    def __init__(self, root: Path, names: Names, files: DataFiles) -> None:
        self._root, self._names, self._files = root, names, files

    def merge(self, merge: Merge) -> list[WrittenFile]:
        """Write the new files, a bounded number of samples at a time."""
        kinds = sorted({kind for entry in merge.entries for kind in entry.kinds})
        writers: dict[bool, FileWriter] = {}
        try:
            for batch in filter(len, self._batches(merge.entries)):
                for repeats, part in _parted(batch) if merge.level is Level.DAY else [(False, batch)]:
                    if repeats not in writers:
                        writers[repeats] = FileWriter(self._root, self._names, merge.cell, merge.level, kinds)
                    encodings = encodings_of(part)
                    if repeats:
                        encodings[Kind.FLOAT.column] = DICTIONARY
                    writers[repeats].write(part, encodings)
            return [writer.close() for writer in writers.values()]
        except BaseException:
            for writer in writers.values():
                writer.abandon()
            raise

    def _batches(self, entries: Sequence[FileEntry]) -> Iterator[SampleBatch]:
        """Yield what the files hold, in order, exact duplicates once, about `CHUNK_ROWS` samples at a time."""
        ids, counts = _totals(entries)
        names = self._names.names(ids)
        chunk: list[int] = []
        rows = 0
        for place in sorted(range(len(names)), key=names.__getitem__):
            if chunk and rows + counts[place] > CHUNK_ROWS:
                yield self._chunk(entries, [names[i] for i in chunk], ids[chunk], None)
                chunk, rows = [], 0
            if counts[place] > 2 * CHUNK_ROWS:
                for span in _spans(entries, int(counts[place]) // CHUNK_ROWS):
                    yield self._chunk(entries, [names[place]], ids[[place]], span)
                continue
            chunk.append(place)
            rows += int(counts[place])
        if chunk:
            yield self._chunk(entries, [names[i] for i in chunk], ids[chunk], None)

    def _chunk(
        self, entries: Sequence[FileEntry], names: list[str], ids: Ints, interval: Interval | None
    ) -> SampleBatch:
        ascending = np.sort(ids)
        wanted = [(entry, entry.pieces.of(ascending, interval)) for entry in entries]
        batch, settled = self._files.read(wanted, interval, names, ids)
        return batch if settled else distinct(batch)


def _spans(entries: Sequence[FileEntry], count: int) -> Iterator[Interval]:
    """Yield `count` intervals that together hold all times of the files."""
    edges = np.linspace(min(e.first for e in entries), max(e.last for e in entries), count + 1).astype(np.int64)
    inner = edges[1:-1].tolist()
    for start, end in pairwise([MIN_TIME, *inner, MAX_TIME]):
        yield Interval(start, end)


def _totals(entries: Sequence[FileEntry]) -> tuple[Ints, Ints]:
    """Return the ids of all elements in some files, and the number of their samples."""
    ids, inverse = np.unique(np.concatenate([entry.pieces.ids for entry in entries]), return_inverse=True)
    totals = np.zeros(len(ids), np.int64)
    np.add.at(totals, inverse, np.concatenate([entry.pieces.count for entry in entries]))
    return ids, totals


def _parted(batch: SampleBatch) -> list[tuple[bool, SampleBatch]]:
    """Return the samples of elements whose floats repeat, and of the others; empty parts left out."""
    if Kind.FLOAT not in batch.kinds:
        return [(False, batch)]
    values, codes = batch.values(Kind.FLOAT), batch.codes
    starts = np.flatnonzero(np.append(True, codes[1:] != codes[:-1]))
    ends = np.append(starts[1:], batch.num_rows)
    table = np.zeros(len(batch.elements), bool)
    for start, end in zip(starts.tolist(), ends.tolist(), strict=True):
        table[codes[start]] = repetitive(values.slice(start, end - start))
    mask = table[codes]
    return [(flag, batch.filter(mask == flag)) for flag in (False, True) if (mask == flag).any()]
