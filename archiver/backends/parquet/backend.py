"""The Parquet backend: the verbs of the port, over a Delta table on the local disk."""

from __future__ import annotations

import fcntl
import os
import threading
import time
import zlib
from collections.abc import Iterator, Mapping, Sequence
from typing import ClassVar, TextIO

import numpy as np

from archiver.backends.parquet import compaction, disk, sidecar
from archiver.backends.parquet.compaction import Merge, Merger
from archiver.backends.parquet.entry import FileEntry, Ints, Level, Names, cells_of
from archiver.backends.parquet.errors import translated
from archiver.backends.parquet.index import Index
from archiver.backends.parquet.log import DeltaLog
from archiver.backends.parquet.options import ParquetOptions
from archiver.backends.parquet.query import Reader, Request
from archiver.backends.parquet.reading import DataFiles
from archiver.backends.parquet.writing import FileWriter, WrittenFile
from archiver.model import Interval, PermanentError, SampleBatch, TransientError
from archiver.model.batch import Mask
from archiver.model.identity import Watermarks, duplicates
from archiver.model.time import MAX_TIME, NANOSECONDS, now
from archiver.ports import (
    BackendContext,
    BackendLimits,
    BeforeCommit,
    Coverage,
    Options,
    Position,
    Segment,
    WriteReceipt,
)

_LOCK = "_forebay/lock"


class ParquetBackend:
    """Samples in a Delta table: Parquet files sorted by element and time, partitioned by group, UTC day and bucket.

    Parameters
    ----------
    context : BackendContext
        With ``read_only``, follows the commits of the process that writes.
    options : ParquetOptions
    """

    Options: ClassVar[type[Options]] = ParquetOptions

    def __init__(self, context: BackendContext, options: ParquetOptions) -> None:
        self.name = context.name
        self.limits = BackendLimits()
        self.root = context.directory / (options.path or context.name)
        self._context, self._options = context, options
        self._lock_file: TextIO | None = None
        self._committing = threading.RLock()
        self._compacting = threading.Lock()
        self._clear()

    def _clear(self) -> None:
        self._names = Names()
        self._index = Index(self._names)
        self._log = DeltaLog(self.root)
        self._files = DataFiles(self.root)
        self._reader = Reader(self._index, self._files, self._follow)
        self._merger = Merger(self.root, self._names, self._files)

    # -- life -----------------------------------------------------------------------------------------

    def open(self) -> None:
        """Open or create the table, take the writer's lock, and roll a torn last commit back.

        Raises
        ------
        TransientError
            Another process writes this table, or the disk cannot be used.
        """
        self._clear()
        with translated("opening", self.root):
            if not self._context.read_only:
                self._lock()
        try:
            with translated("opening", self.root):
                if not self._context.read_only:
                    self._log.create()
                self._log.load()
                self._load_index()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Give the lock back; everything written is durable already."""
        if self._lock_file is not None:
            self._lock_file.close()
            self._lock_file = None

    def _lock(self) -> None:
        path = self.root / _LOCK
        disk.make_folder(path.parent)
        file = path.open("a+", encoding="utf-8")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as exc:
            file.seek(0)
            owner = file.read().strip() or "unknown"
            file.close()
            raise TransientError(
                f"backend {self.name!r}: the table {self.root} is being written by process {owner}; "
                "stop that one, or open this one read-only"
            ) from exc
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        self._lock_file = file

    def _load_index(self) -> None:
        known = {entry.path for entry in self._index.snapshot.entries}
        added = [
            sidecar.load(self.root, path, partition, self._names)
            for path, partition in self._log.files.items()
            if path not in known
        ]
        self._index.change(added, known - self._log.files.keys())
        for group in list(self._index.latest):  # what the writer dropped is older than all that is left
            left = [entry.first for entry in self._index.snapshot.of_group(group)]
            self._index.forget_before(group, min(left, default=MAX_TIME))

    def _follow(self) -> None:
        """See what the writing process has committed since; the writer itself knows."""
        if self._lock_file is not None:
            return
        with self._committing, translated("reading", self.root):
            for _ in range(5):
                if not self._log.refresh():
                    return
                try:
                    self._load_index()
                    return
                except FileNotFoundError:  # compacted again since
                    continue

    # -- writing --------------------------------------------------------------------------------------

    def position(self, stream: str) -> Position | None:
        """Return the position committed with the data for this stream."""
        self._follow()
        with self._committing:
            offset = self._log.offset(stream)
        return None if offset is None else Position(stream, offset)

    def write(
        self,
        parts: Mapping[str, SampleBatch],
        position: Position | None = None,
        before_commit: BeforeCommit | None = None,
    ) -> WriteReceipt:
        """Store samples, by group, and the position, in one Delta commit: see `archiver.ports.Backend.write`."""
        self._check_writable()
        with self._committing, translated("writing", self.root):
            if position is not None:
                stored = self._log.offset(position.stream)
                if stored is not None and position.offset <= stored:
                    return WriteReceipt(Position(position.stream, stored), repeated=True)
            self._merge_small()
            fresh = {group: self._fresh(group, batch) for group, batch in parts.items()}
            written: list[WrittenFile] = []
            try:
                for group, (_, ordered) in fresh.items():
                    self._write_files(group, ordered, written)
                receipt = WriteReceipt(position, {group: known for group, (known, _) in fresh.items()})
                if before_commit is not None:
                    before_commit(receipt)
                if written or position is not None:
                    self._log.commit([file.entry for file in written], position=position)
            except BaseException:
                self._discard(written)
                raise
            self._index.change(written)
            return receipt

    def _fresh(self, group: str, batch: SampleBatch) -> tuple[Mask, SampleBatch]:
        """Return which samples are known already, per sample as given, and the others, sorted."""
        late = self._index.watermarks.get(group, Watermarks()).at_or_below(batch)
        stored = SampleBatch.empty()
        if late.any():
            stored = self._reader.stored_versions(batch.filter(late), group)
        ordered = batch.sorted()  # what is sorted is compared fast, and mostly there is nothing to be found
        if not duplicates(ordered, stored).any():
            return np.zeros(batch.num_rows, bool), ordered
        known = duplicates(batch, stored)
        return known, batch.filter(~known).sorted()

    def _write_files(self, group: str, batch: SampleBatch, written: list[WrittenFile]) -> None:
        if not batch.num_rows:
            return
        buckets = self._buckets(batch.elements)
        for cell, part in cells_of(batch, group, self._context.group(group).segment_ns, buckets):
            writer = FileWriter(self.root, self._names, cell, Level.WRITE, part.kinds)
            try:
                writer.write(part)
                written.append(writer.close())
            except BaseException:
                writer.abandon()
                raise
            sidecar.save(self.root, written[-1], self._names)

    def _buckets(self, names: Sequence[str]) -> Ints | None:
        if self._options.buckets == 1:
            return None
        return np.array([zlib.crc32(name.encode()) % self._options.buckets for name in names], np.int64)

    def _discard(self, written: Sequence[WrittenFile]) -> None:
        for file in written:
            (self.root / file.entry.path).unlink(missing_ok=True)
            sidecar.path_of(self.root, file.entry.path).unlink(missing_ok=True)

    def _check_writable(self) -> None:
        if self._context.read_only:
            raise PermanentError(f"backend {self.name!r} is open read-only: write through the process that owns it")
        if self._lock_file is None:
            raise TransientError(f"backend {self.name!r} is not open")

    # -- reading --------------------------------------------------------------------------------------

    def read(
        self,
        elements: Sequence[str],
        interval: Interval,
        *,
        groups: Sequence[str] | None = None,
        as_of: int | None = None,
        versions: bool = False,
    ) -> Iterator[SampleBatch]:
        """Yield the samples of some elements in an interval: see `archiver.ports.Backend.read`."""
        with translated("reading", self.root):
            yield from self._reader.read(elements, interval, Request(groups, as_of, versions))

    def last_before(
        self,
        elements: Sequence[str],
        time: int,
        *,
        groups: Sequence[str] | None = None,
        as_of: int | None = None,
    ) -> SampleBatch:
        """Return the last valid sample per element before `time` (ns): see `archiver.ports.Backend.last_before`."""
        with translated("reading", self.root):
            return self._reader.last_before(elements, time, Request(groups, as_of))

    def elements(self) -> list[str]:
        """Return the names of all elements that have a sample here, sorted."""
        self._follow()
        ids = [np.unique(entry.pieces.ids) for entry in self._index.snapshot.entries]
        return sorted(self._names.names(np.unique(np.concatenate(ids)))) if ids else []

    def coverage(self) -> list[Coverage]:
        """Return first time, last time and number of samples (versions counted) of each group that has any."""
        self._follow()
        groups: dict[str, list[FileEntry]] = {}
        for entry in self._index.snapshot.entries:
            groups.setdefault(entry.cell.group, []).append(entry)
        return [
            Coverage(group, min(e.first for e in found), max(e.last for e in found), sum(e.rows for e in found))
            for group, found in sorted(groups.items())
        ]

    # -- segments -------------------------------------------------------------------------------------

    def segments(self, group: str) -> list[Segment]:
        """Return the segments of a group, oldest first: multiples of its `segment_ns` since the epoch."""
        self._follow()
        return [
            Segment(group, interval, sum(e.rows for e in found), sum(e.size for e in found))
            for interval, found in self._segment_files(group)
        ]

    def drop_before(self, group: str, time: int) -> list[Segment]:
        """Drop the segments of a group that end at or before `time` (ns), in one commit; return what was dropped."""
        self._check_writable()
        with self._compacting, self._committing, translated("dropping segments of", self.root):
            dropped = [segment for segment in self.segments(group) if segment.interval.end <= time]
            files = [e for interval, found in self._segment_files(group) if interval.end <= time for e in found]
            if dropped:
                self._mark_removed(files)
                self._log.commit([], files)
                self._index.change([], [entry.path for entry in files])
                self._index.forget_before(group, dropped[-1].interval.end)
            return dropped

    def _segment_files(self, group: str) -> list[tuple[Interval, list[FileEntry]]]:
        """Return the files of each segment; a day or the group's segment is the shortest, whichever was shorter."""
        length = self._context.group(group).segment_ns
        found: dict[int, list[FileEntry]] = {}
        for entry in self._index.snapshot.of_group(group):
            found.setdefault(entry.last // length, []).append(entry)
        return [(Interval(n * length, (n + 1) * length), found[n]) for n in sorted(found)]

    # -- compaction -----------------------------------------------------------------------------------

    def compact(self) -> int:
        """Join the files of hours and days that are over, sum up the log, and remove files nobody needs.

        Returns
        -------
        int
            Number of files that were replaced.
        """
        self._check_writable()
        with self._compacting, translated("compacting", self.root):
            replaced = 0
            for merge in compaction.due_merges(self._index.snapshot.entries, now()):
                self._merge(merge)
                replaced += len(merge.entries)
            with self._committing:
                self._log.forget_history()
            self._vacuum()
            return replaced

    def _merge_small(self) -> None:
        """Keep the number of files, and with it the time of a commit, within bounds between two compactions."""
        merges = compaction.small_merges(self._index.snapshot.entries)
        if merges and self._compacting.acquire(blocking=False):  # a compaction under way does it anyhow
            try:
                for merge in merges:
                    self._merge(merge)
            finally:
                self._compacting.release()

    def _merge(self, merge: Merge) -> None:
        written = self._merger.merge(merge)
        try:
            for file in written:
                sidecar.save(self.root, file, self._names)
            with self._committing:
                self._mark_removed(merge.entries)
                self._log.commit([file.entry for file in written], merge.entries)
                self._index.change(written, [entry.path for entry in merge.entries])
        except BaseException:
            self._discard(written)
            raise

    def _mark_removed(self, entries: Sequence[FileEntry]) -> None:
        """Note the time on the files that a commit will take out of the table: they stay a while for readers."""
        for entry in entries:
            os.utime(self.root / entry.path)

    def _vacuum(self) -> None:
        """Remove files that the table does not name: replaced a while ago, or left over from a crash."""
        oldest = time.time() - self._options.keep_removed / NANOSECONDS
        with self._committing:
            live = set(self._log.files)
            for path in self.root.glob("group=*/day=*/bucket=*/*.parquet"):
                relative = path.relative_to(self.root).as_posix()
                if relative not in live and path.stat().st_mtime <= oldest:
                    path.unlink()
                    sidecar.path_of(self.root, relative).unlink(missing_ok=True)
