"""The Parquet backend: the verbs of the port, over a Delta table on the local disk."""

from __future__ import annotations

import os
import threading
import time
import zlib
from collections.abc import Collection, Container, Iterator, Mapping, Sequence
from typing import ClassVar

import numpy as np

from archiver.backends.parquet import aggregating, compaction, sidecar
from archiver.backends.parquet.compaction import Merge
from archiver.backends.parquet.entry import FileEntry, Ints, Level, cells_of
from archiver.backends.parquet.errors import translated
from archiver.backends.parquet.lock import WriterLock
from archiver.backends.parquet.options import ParquetOptions
from archiver.backends.parquet.query import Request
from archiver.backends.parquet.table import Table
from archiver.backends.parquet.writing import FileWriter, WrittenFile
from archiver.model import Interval, PermanentError, SampleBatch, TransientError
from archiver.model.batch import Mask
from archiver.model.grid import Grid
from archiver.model.identity import Watermarks, duplicates, same_identity
from archiver.model.time import NANOSECONDS, now
from archiver.ports import (
    Aggregated,
    BackendContext,
    BackendLimits,
    BeforeCommit,
    Coverage,
    Options,
    Position,
    Segment,
    WriteReceipt,
)


class ParquetBackend:
    """Samples in a Delta table: Parquet files sorted by element and time, partitioned by group, UTC day and bucket.

    Parameters
    ----------
    context : BackendContext
        With ``read_only``, follows the commits of the process that writes.
    options : ParquetOptions
    """

    Options: ClassVar[type[Options]] = ParquetOptions
    aggregates = aggregating.MADE

    def __init__(self, context: BackendContext, options: ParquetOptions) -> None:
        self.name = context.name
        self.limits = BackendLimits()
        self.root = context.directory / (options.path or context.name)
        self._context, self._options = context, options
        self._table: Table | None = None
        self._compacting = threading.Lock()  # taken before the other one
        self._committing = threading.RLock()

    # -- life -----------------------------------------------------------------------------------------

    def open(self) -> None:
        """Open or create the table, take the writer's lock, and roll a torn last commit back.

        Waits for a write or compaction under way, as `close` does.

        Raises
        ------
        TransientError
            Another process writes this table, or the disk cannot be used.
        """
        with self._compacting, self._committing, translated("opening", self.root):
            self._let_go()
            lock = None if self._context.read_only else WriterLock(self.root, self.name)
            table = Table(self.root, self._committing, lock)
            table.open()
            self._table = table  # whole: nobody reads from half an index

    def close(self) -> None:
        """Give the lock back; everything written is durable already."""
        with self._compacting, self._committing:
            self._let_go()

    def _let_go(self) -> None:
        table, self._table = self._table, None
        if table is not None:
            table.close()

    def _opened(self) -> Table:
        table = self._table
        if table is None:
            raise TransientError(f"backend {self.name!r} is not open")
        return table

    def _followed(self) -> Table:
        table = self._opened()
        table.follow()
        return table

    def _writable(self) -> Table:
        """Return the table that may be written to; it stays open for as long as the caller holds a lock."""
        if self._context.read_only:
            raise PermanentError(f"backend {self.name!r} is open read-only: write through the process that owns it")
        return self._opened()

    # -- writing --------------------------------------------------------------------------------------

    def position(self, stream: str) -> Position | None:
        """Return the position committed with the data for this stream."""
        table = self._followed()
        with self._committing:
            offset = table.log.offset(stream)
        return None if offset is None else Position(stream, offset)

    def write(
        self,
        parts: Mapping[str, SampleBatch],
        position: Position | None = None,
        before_commit: BeforeCommit | None = None,
    ) -> WriteReceipt:
        """Store samples, by group, and the position, in one Delta commit: see `archiver.ports.Backend.write`."""
        with self._committing, translated("writing", self.root):
            table = self._writable()
            if position is not None:
                stored = table.log.offset(position.stream)
                if stored is not None and position.offset <= stored:
                    return WriteReceipt(Position(position.stream, stored), repeated=True)
            self._merge_small(table)
            fresh = {group: _fresh(table, group, batch) for group, batch in parts.items()}
            written: list[WrittenFile] = []
            try:
                for group, (_, ordered) in fresh.items():
                    self._write_files(table, group, ordered, written)
                receipt = WriteReceipt(position, {group: known for group, (known, _) in fresh.items()})
                if before_commit is not None:
                    before_commit(receipt)
                if written or position is not None:
                    table.commit(written, position=position)
            except BaseException:
                self._discard(table, written)
                raise
            return receipt

    def _write_files(self, table: Table, group: str, batch: SampleBatch, written: list[WrittenFile]) -> None:
        if not batch.num_rows:
            return
        buckets = self._buckets(batch.elements)
        for cell, part in cells_of(batch, group, self._context.group(group).segment_ns, buckets):
            writer = FileWriter(self.root, table.names, cell, Level.WRITE, part.kinds)
            try:
                writer.write(part)
                written.append(writer.close())
            except BaseException:
                writer.abandon()
                raise
            sidecar.save(self.root, written[-1])

    def _buckets(self, names: Sequence[str]) -> Ints | None:
        if self._options.buckets == 1:
            return None
        return np.array([zlib.crc32(name.encode()) % self._options.buckets for name in names], np.int64)

    def _discard(self, table: Table, written: Sequence[WrittenFile]) -> None:
        """Remove files after a failure, unless it came when they were committed already."""
        for path in {file.entry.path for file in written} - table.log.files.keys():
            (self.root / path).unlink(missing_ok=True)
            sidecar.path_of(self.root, path).unlink(missing_ok=True)

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
            yield from self._opened().reader.read(elements, interval, Request(groups, as_of, versions))

    def aggregate(
        self,
        elements: Sequence[str],
        grid: Grid,
        aggregates: Collection[str],
        until: int,
        *,
        groups: Sequence[str] | None = None,
    ) -> Iterator[Aggregated]:
        """Yield the cells of some elements: see `archiver.ports.SupportsAggregation.aggregate`."""
        with translated("aggregating", self.root):
            asked = aggregating.Asked(grid, frozenset(aggregates), until, groups)
            yield from self._opened().reader.aggregate(elements, asked)

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
            return self._opened().reader.last_before(elements, time, Request(groups, as_of))

    def elements(self) -> list[str]:
        """Return the names of all elements that have a sample here, sorted."""
        return self._followed().elements()

    def coverage(self) -> list[Coverage]:
        """Return first time, last time and number of samples (versions counted) of each group that has any."""
        groups: dict[str, list[FileEntry]] = {}
        for entry in self._followed().index.snapshot.entries:
            groups.setdefault(entry.cell.group, []).append(entry)
        return [
            Coverage(group, min(e.first for e in found), max(e.last for e in found), sum(e.rows for e in found))
            for group, found in sorted(groups.items())
        ]

    # -- segments -------------------------------------------------------------------------------------

    def segments(self, group: str) -> list[Segment]:
        """Return the segments of a group, oldest first: multiples of its `segment_ns` since the epoch."""
        return [
            Segment(group, interval, sum(e.rows for e in found), sum(e.size for e in found), len(found))
            for interval, found in self._segment_files(self._followed(), group)
        ]

    def drop_before(self, group: str, time: int) -> list[Segment]:
        """Drop the segments of a group that end at or before `time` (ns), in one commit; return what was dropped."""
        with self._compacting, self._committing, translated("dropping segments of", self.root):
            table = self._writable()
            dropped = [segment for segment in self.segments(group) if segment.interval.end <= time]
            files = [e for interval, found in self._segment_files(table, group) if interval.end <= time for e in found]
            if dropped:
                self._mark_removed(files)
                table.commit([], files)
                table.index.forget_before(group, dropped[-1].interval.end)
            return dropped

    def _segment_files(self, table: Table, group: str) -> list[tuple[Interval, list[FileEntry]]]:
        """Return the files of each segment; a day or the group's segment is the shortest, whichever was shorter."""
        length = self._context.group(group).segment_ns
        found: dict[int, list[FileEntry]] = {}
        for entry in table.index.snapshot.of_group(group):
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
        with self._compacting, translated("compacting", self.root):
            table = self._writable()
            replaced = 0
            for merge in compaction.due_merges(table.index.snapshot.entries, now()):
                self._merge(table, merge)
                replaced += len(merge.entries)
            with self._committing:
                table.log.forget_history()
                self._vacuum(table.log.files)
            return replaced

    def _merge_small(self, table: Table) -> None:
        """Keep the number of files, and with it the time of a commit, within bounds between two compactions."""
        merges = compaction.small_merges(table.index.snapshot.entries)
        if merges and self._compacting.acquire(blocking=False):  # a compaction under way does it anyhow
            try:
                for merge in merges:
                    self._merge(table, merge)
            finally:
                self._compacting.release()

    def _merge(self, table: Table, merge: Merge) -> None:
        written = table.merger.merge(merge)
        try:
            for file in written:
                sidecar.save(self.root, file)
            with self._committing:
                self._mark_removed(merge.entries)
                table.commit(written, merge.entries)
        except BaseException:
            self._discard(table, written)
            raise

    def _mark_removed(self, entries: Sequence[FileEntry]) -> None:
        """Note the time on the files that a commit will take out of the table: they stay a while for readers."""
        for entry in entries:
            os.utime(self.root / entry.path)

    def _vacuum(self, live: Container[str]) -> None:
        """Remove files that the table does not name: replaced a while ago, or left over from a crash."""
        oldest = time.time() - self._options.keep_removed / NANOSECONDS
        for path in self.root.glob("group=*/day=*/bucket=*/*.parquet"):
            relative = path.relative_to(self.root).as_posix()
            if relative not in live and path.stat().st_mtime <= oldest:
                path.unlink()
                sidecar.path_of(self.root, relative).unlink(missing_ok=True)


def _fresh(table: Table, group: str, batch: SampleBatch) -> tuple[Mask, SampleBatch]:
    """Return which samples are known already, per sample as given, and the others, sorted."""
    late = table.index.watermarks.get(group, Watermarks()).at_or_below(batch)
    stored = SampleBatch.empty()
    if late.any():
        stored = table.reader.stored_versions(batch.filter(late), group)
    ordered = batch.sorted()  # what is sorted is compared fast, and mostly there is nothing to be found
    alone = not stored.num_rows and not same_identity(ordered).any()
    if alone or not duplicates(ordered, stored).any():
        return np.zeros(batch.num_rows, bool), ordered
    known = duplicates(batch, stored)
    return known, batch.filter(~known).sorted()
