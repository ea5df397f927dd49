"""The index of a table: which files may hold what is asked for, the newest sample of every element, and watermarks."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np

from archiver.backends.parquet.entry import FileEntry, Ints, Names, last_of_each
from archiver.backends.parquet.writing import WrittenFile
from archiver.model import Interval, SampleBatch
from archiver.model.identity import Watermarks

_BLOCKS = 8

Newest = tuple[int, int, int]


@dataclass(frozen=True)
class Snapshot:
    """The files of the table at one moment; never changed, so that a reader sees all of a commit or none."""

    entries: tuple[FileEntry, ...] = ()
    first: Ints = field(default_factory=lambda: np.zeros(0, np.int64))
    last: Ints = field(default_factory=lambda: np.zeros(0, np.int64))

    @classmethod
    def of(cls, entries: Iterable[FileEntry]) -> Snapshot:
        """Return a snapshot of these files, in order of time."""
        ordered = tuple(sorted(entries, key=lambda entry: (entry.first, entry.last)))
        first = np.fromiter((entry.first for entry in ordered), np.int64, len(ordered))
        return cls(ordered, first, np.fromiter((entry.last for entry in ordered), np.int64, len(ordered)))

    def overlapping(self, interval: Interval, groups: Sequence[str] | None = None) -> list[FileEntry]:
        """Return the files with times in the interval, of some groups or of all."""
        hits = np.flatnonzero((self.first < interval.end) & (self.last >= interval.start)).tolist()
        found = [self.entries[i] for i in hits]
        return found if groups is None else [entry for entry in found if entry.cell.group in groups]

    def of_group(self, group: str) -> list[FileEntry]:
        """Return the files of a group."""
        return [entry for entry in self.entries if entry.cell.group == group]

    def changed(self, added: Iterable[FileEntry], removed: Iterable[str]) -> Snapshot:
        """Return the snapshot after a commit."""
        gone = set(removed)
        return Snapshot.of([*(entry for entry in self.entries if entry.path not in gone), *added])


class LatestTable:
    """The newest sample of every element of one group, newest version, ready to be given."""

    def __init__(self) -> None:
        self._blocks: list[SampleBatch] = []
        self._where: dict[str, tuple[Newest, int, int]] = {}
        self._lock = threading.Lock()

    def add(self, rows: SampleBatch) -> None:
        """Take rows, one per element, where they are newer than what is known."""
        keys = zip(rows.source_time.tolist(), rows.sequence.tolist(), rows.receive_time.tolist(), strict=True)
        codes = rows.codes.tolist()
        with self._lock:
            block = len(self._blocks)
            self._blocks.append(rows)
            for row, key in enumerate(keys):
                name = rows.elements[codes[row]]
                known = self._where.get(name)
                if known is None or key >= known[0]:
                    self._where[name] = (key, block, row)
            if block >= _BLOCKS:
                self._replace(self._rows(sorted(self._where)))

    def get(self, names: Sequence[str]) -> SampleBatch:
        """Return the newest sample of those of the elements that have one, sorted by name."""
        with self._lock:
            return self._rows([name for name in names if name in self._where])

    def forget_before(self, time: int) -> None:
        """Forget elements whose newest sample is older than `time`: it was dropped, and all before it."""
        with self._lock:
            self._replace(self._rows(sorted(name for name, (key, _, _) in self._where.items() if key[0] >= time)))

    def _rows(self, names: Sequence[str]) -> SampleBatch:
        if not names:
            return SampleBatch.empty()
        places = np.array([self._where[name][1:] for name in names], np.int64)
        parts = [self._blocks[b].take(places[places[:, 0] == b, 1]) for b in np.unique(places[:, 0]).tolist()]
        return SampleBatch.concat(parts).sorted()

    def _replace(self, rows: SampleBatch) -> None:
        codes, keys = (
            rows.codes.tolist(),
            zip(rows.source_time.tolist(), rows.sequence.tolist(), rows.receive_time.tolist(), strict=True),
        )
        self._blocks = [rows]
        self._where = {rows.elements[codes[row]]: (key, 0, row) for row, key in enumerate(keys)}


class Index:
    """What `ParquetBackend` knows of its files without reading them."""

    def __init__(self, names: Names) -> None:
        self.names = names
        self.snapshot = Snapshot()
        self.latest: dict[str, LatestTable] = {}
        self.watermarks: dict[str, Watermarks] = {}

    def change(self, added: Sequence[WrittenFile], removed: Iterable[str] = ()) -> None:
        """Follow a commit of this or another process."""
        assert all(file.names is self.names for file in added), "numbered by another index"
        for group in {file.entry.cell.group for file in added}:
            newest = SampleBatch.concat([file.newest for file in added if file.entry.cell.group == group]).sorted()
            self.latest.setdefault(group, LatestTable()).add(last_of_each(newest))
            self.watermarks.setdefault(group, Watermarks()).advance(newest)
        self.snapshot = self.snapshot.changed([file.entry for file in added], removed)

    def forget_before(self, group: str, time: int) -> None:
        """Follow the dropping of all samples of a group before a time."""
        if group in self.latest:
            self.latest[group].forget_before(time)
        marks = self.watermarks.get(group, Watermarks())
        self.watermarks[group] = Watermarks({name: at for name, at in marks.newest.items() if at >= time})
