"""What is known in memory of one data file: where each element lies in it, and the times it spans."""

from __future__ import annotations

import re
import threading
import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from archiver.model import Interval, Kind, SampleBatch
from archiver.model.time import DAY_NS

Ints = NDArray[np.int64]
_UNSAFE = re.compile(r"[^A-Za-z0-9_-]")


class Level(IntEnum):
    """How a file came about: by a write, by merging a few of them, or those of an hour, or of a day."""

    WRITE = 0
    MERGED = 1
    HOUR = 2
    DAY = 3


@dataclass(frozen=True, slots=True, order=True)
class Cell:
    """What the samples of one file have in common; compaction never joins files of different cells.

    Parameters
    ----------
    group : str
    day : int
        UTC days since the epoch.
    part : int
        Number of the segment, for groups whose segments are shorter than a day; else 0.
    bucket : int
    """

    group: str
    day: int
    part: int
    bucket: int

    @property
    def day_text(self) -> str:
        """The day as in the Delta partition: ``2026-01-31``."""
        return str(np.datetime64(self.day, "D"))

    @property
    def partition(self) -> dict[str, str | None]:
        """Values of the Delta partition columns."""
        return {"group": self.group, "day": self.day_text, "bucket": str(self.bucket)}

    def new_path(self, level: Level) -> str:
        """Return a path for a new file, relative to the table.

        What the configuration does not allow in a group's name is replaced: the log has the true name, and the name of
        the file is unique by itself.
        """
        folder = f"group={_UNSAFE.sub('_', self.group)[:100]}/day={self.day_text}/bucket={self.bucket}"
        return f"{folder}/{level.name.lower()}_{self.part}_{uuid.uuid4().hex}.parquet"

    @classmethod
    def of_path(cls, path: str, partition: dict[str, str]) -> tuple[Cell, Level]:
        """Return cell and level of a file from its path and partition values."""
        name, part, _ = path.rpartition("/")[2].split("_", 2)
        day = int(np.datetime64(partition["day"], "D").astype(np.int64))
        return cls(partition["group"], day, int(part), int(partition["bucket"])), Level[name.upper()]


@dataclass(frozen=True, slots=True)
class Pieces:
    """Rows of one element in one row group, a piece each; sorted by `ids` and then by place in the file.

    Parameters
    ----------
    ids : ndarray of int64
        The element, as numbered by `Names`.
    row_group, offset, count : ndarray of int64
        Where the rows are.
    first, last : ndarray of int64
        Least and greatest source time, ns.
    """

    ids: Ints
    row_group: Ints
    offset: Ints
    count: Ints
    first: Ints
    last: Ints

    @classmethod
    def none(cls) -> Pieces:
        """Return no pieces."""
        return cls(*(np.zeros(0, np.int64) for _ in range(6)))

    @classmethod
    def joined(cls, parts: Sequence[Pieces]) -> Pieces:
        """Return the pieces of several, one after the other."""
        fields = ("ids", "row_group", "offset", "count", "first", "last")
        return cls(*(np.concatenate([getattr(part, name) for part in parts]) for name in fields))

    def of(self, ids: Ints, interval: Interval | None = None) -> Ints:
        """Return the row numbers of the pieces of some elements (ascending ids) that touch an interval."""
        low, high = np.searchsorted(self.ids, ids, "left"), np.searchsorted(self.ids, ids, "right")
        rows = ranges(low, high - low)
        if interval is None:
            return rows
        return rows[(self.first[rows] < interval.end) & (self.last[rows] >= interval.start)]

    def take(self, rows: Ints) -> Pieces:
        """Return some of the pieces, in the order given."""
        columns = (self.ids, self.row_group, self.offset, self.count, self.first, self.last)
        return Pieces(*(column[rows] for column in columns))

    def about(self, interval: Interval) -> Ints:
        """Return about how many rows of each piece lie in an interval that it touches."""
        span = (self.last - self.first).astype(float) + 1
        shared = np.minimum(self.last, interval.end).astype(float) - np.maximum(self.first, interval.start)
        result: Ints = np.ceil(self.count * np.clip((shared + 1) / span, 0.05, 1)).astype(np.int64)
        return result

    def in_file_order(self) -> Pieces:
        """Return the pieces in the order in which they lie in the file."""
        return self.take(np.lexsort((self.offset, self.row_group)))


@dataclass(frozen=True, slots=True)
class FileEntry:
    """One data file of the table.

    Parameters
    ----------
    path : str
        Relative to the table.
    size, rows : int
    unique : bool
        No two rows share an identity.
    kinds : tuple of Kind
        The value columns that it has.
    pieces : Pieces
    """

    path: str
    cell: Cell
    level: Level
    size: int
    rows: int
    unique: bool
    kinds: tuple[Kind, ...]
    first: int
    last: int
    pieces: Pieces


class Names:
    """Numbers element names, for as long as the process runs: the index then is made of numbers only."""

    def __init__(self) -> None:
        self._ids: dict[str, int] = {}
        self._names: list[str] = []
        self._adding = threading.Lock()  # the lane and compaction both meet new names

    def number(self, names: Sequence[str]) -> Ints:
        """Return the id of each name; a new name gets the next one."""
        with self._adding:
            for name in names:
                if name not in self._ids:
                    self._names.append(name)
                    self._ids[name] = len(self._names) - 1
        return np.fromiter(map(self._ids.__getitem__, names), np.int64, len(names))

    def known(self, names: Sequence[str]) -> list[str]:
        """Return those of the names that have an id, sorted, each once."""
        return sorted(name for name in set(names) if name in self._ids)

    def names(self, ids: Ints) -> list[str]:
        """Return the names of ids."""
        return [self._names[i] for i in ids.tolist()]


class PieceBuilder:
    """Notes where each element lies, while the row groups of a file are written (or read again)."""

    def __init__(self) -> None:
        self._columns: list[Pieces] = []
        self._newest: list[SampleBatch] = []
        self._groups = 0
        self._previous: tuple[str, int, int] | None = None
        self.unique = True

    def add(self, batch: SampleBatch, names: Names) -> None:
        """Note the next row group: sorted samples, after those before."""
        codes, time, sequence = batch.codes, batch.source_time, batch.sequence
        starts = np.flatnonzero(np.append(True, codes[1:] != codes[:-1]))
        ends = np.append(starts[1:], batch.num_rows)
        same = (codes[1:] == codes[:-1]) & (time[1:] == time[:-1]) & (sequence[1:] == sequence[:-1])
        head = (batch.elements[codes[0]], int(time[0]), int(sequence[0]))
        self.unique = self.unique and not same.any() and head != self._previous
        self._previous = (batch.elements[codes[-1]], int(time[-1]), int(sequence[-1]))
        ids = names.number([batch.elements[code] for code in codes[starts].tolist()])
        group = np.full(len(starts), self._groups, np.int64)
        self._columns.append(Pieces(ids, group, starts, ends - starts, time[starts], time[ends - 1]))
        self._newest.append(batch.take(ends - 1))
        self._groups += 1

    def pieces(self) -> Pieces:
        """Return what was noted."""
        joined = Pieces.joined(self._columns)
        return joined.take(np.argsort(joined.ids, kind="stable"))

    def newest(self) -> SampleBatch:
        """Return the newest version of the newest sample of each element, sorted by name."""
        return last_of_each(SampleBatch.concat(self._newest).compacted())


def last_of_each(batch: SampleBatch) -> SampleBatch:
    """Return the last row of each element of a sorted batch."""
    return batch.filter(np.append(batch.codes[1:] != batch.codes[:-1], True)[: batch.num_rows])


def ranges(starts: Ints, counts: Ints) -> Ints:
    """Return ``starts[0], starts[0] + 1, …`` for `counts[0]` numbers, then those of the next start, and so on.

    Examples
    --------
    >>> ranges(np.array([5, 0]), np.array([2, 3])).tolist()
    [5, 6, 0, 1, 2]
    """
    if len(starts) == 1:
        return np.arange(starts[0], starts[0] + counts[0])
    ends = np.cumsum(counts)
    total = int(ends[-1]) if len(ends) else 0
    result: Ints = np.arange(total, dtype=np.int64) + np.repeat(starts - (ends - counts), counts)
    return result


def cells_of(batch: SampleBatch, group: str, segment_ns: int, buckets: Ints | None) -> list[tuple[Cell, SampleBatch]]:
    """Return the samples of each cell that a sorted batch touches, order kept.

    Parameters
    ----------
    segment_ns : int
        Segment length of the group: where it is shorter than a day, no file crosses its ends.
    buckets : ndarray of int64, optional
        Bucket per name of the batch; all in bucket 0 when left out.
    """
    part_ns = min(segment_ns, DAY_NS)
    found: list[tuple[Cell, SampleBatch]] = []
    for day, of_day in _split(batch, batch.source_time, DAY_NS):
        parts = _split(of_day, of_day.source_time, part_ns) if part_ns < DAY_NS else [(0, of_day)]
        for part, of_part in parts:
            of_buckets = [(0, of_part)] if buckets is None else _split(of_part, buckets[of_part.codes])
            found += [(Cell(group, day, part, bucket), rows) for bucket, rows in of_buckets]
    return found


def _split(batch: SampleBatch, numbers: Ints, unit: int = 1) -> Iterable[tuple[int, SampleBatch]]:
    """Yield the samples of each multiple of a unit that their numbers lie in, order kept; one is the rule."""
    low = int(numbers.min()) // unit
    if int(numbers.max()) // unit == low:
        yield low, batch
        return
    keys = numbers // unit
    for key in np.unique(keys).tolist():
        yield key, batch.filter(keys == key)
