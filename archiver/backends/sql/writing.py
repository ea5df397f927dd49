"""What happens within the transaction of a write."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, Table, delete, insert, select, update

from archiver.backends.sql import columns, versions
from archiver.backends.sql.dialects import Dialect
from archiver.backends.sql.elements import Elements
from archiver.backends.sql.segments import Extent, Segments
from archiver.backends.sql.tables import Tables
from archiver.model import Interval, SampleBatch
from archiver.model.batch import Int32s, sort_order
from archiver.model.identity import Watermarks, duplicates
from archiver.ports import BackendContext, Position, Segment, WriteReceipt

Insert = Callable[[Connection, Table, columns.Columns], None]


class Writer:
    """Writes of one process; what it remembers from one to the next is used only if nobody else wrote in between.

    Parameters
    ----------
    dialect : Dialect
    tables : Tables
    elements : Elements
    context : BackendContext
    """

    def __init__(self, dialect: Dialect, tables: Tables, elements: Elements, context: BackendContext) -> None:
        self._dialect = dialect
        self._tables = tables
        self._elements = elements
        self._context = context
        self.forget()

    def forget(self) -> None:
        """Forget everything, since it is not known what became of the last transaction."""
        self._generation: int | None = None
        self._marks: dict[str, Watermarks] = {}
        self._segments: dict[str, Segments] = {}
        self._fresh: dict[str, int] = {}

    def begin(self, connection: Connection) -> None:
        """Take the lock that all writers take, and forget what is remembered if another wrote since."""
        self._dialect.begin(connection)
        archive = self._tables.archive
        generation = connection.execute(select(archive.c.generation).with_for_update()).scalar_one()
        if generation != self._generation:
            self.forget()
            self._generation = generation

    def stored_offset(self, connection: Connection, stream: str) -> int | None:
        """Return the offset stored for a stream."""
        table = self._tables.position
        return connection.execute(select(table.c.last_offset).where(table.c.stream == stream)).scalar()

    def store(
        self,
        connection: Connection,
        parts: Mapping[str, SampleBatch],
        position: Position | None,
        *,
        look_up_all: bool = False,
    ) -> WriteReceipt:
        """Store samples and position; the caller commits, and then calls `committed`.

        Parameters
        ----------
        position : Position or None
            None is a back-fill.
        look_up_all : bool
            Compare every sample with what is stored, not only those that are no news by what is remembered.
        """
        insert = self._dialect.back_fill if position is None else self._dialect.insert
        known = {
            group: self._store_group(connection, group, batch, insert, look_up_all) for group, batch in parts.items()
        }
        if position is not None:
            self._store_position(connection, position)
        self._count(connection)
        return WriteReceipt(position, known)

    def drop_before(self, connection: Connection, group: str, time: int) -> list[Segment]:
        """Drop the segments of a group that end at or before `time`; return those that held samples."""
        gone = [extent for extent in self._segments_of(connection, group).extents if extent.interval.end <= time]
        if not gone:
            return []
        tables, segment = self._tables.group(group), self._tables.segment
        sizes = self._dialect.segment_bytes(connection, tables.samples, [extent.interval for extent in gone])
        for extent in gone:
            self._dialect.drop_segment(connection, tables.samples, extent.interval)
        end = gone[-1].interval.end
        connection.execute(delete(tables.latest).where(tables.latest.c.source_time < end))
        connection.execute(delete(segment).where(segment.c.archive_group == group, segment.c.end_time <= end))
        del self._segments[group]
        self._count(connection)
        return [
            Segment(group, extent.interval, extent.rows, size)
            for extent, size in zip(gone, sizes, strict=True)
            if extent.rows
        ]

    def committed(self) -> None:
        """Take what was stored as known from now on."""
        self._elements.keep(self._fresh)
        self._fresh = {}

    # -- one group ------------------------------------------------------------------------------------

    def _store_group(
        self, connection: Connection, group: str, batch: SampleBatch, insert: Insert, look_up_all: bool
    ) -> NDArray[np.bool_]:
        if not batch.num_rows:
            return np.zeros(0, bool)
        self._make_room(connection, group, batch)
        table = self._ids(connection, batch)
        marks = self._marks_of(connection, group)
        late = batch.filter(marks.at_or_below(batch)) if marks.newest else SampleBatch.empty()
        if look_up_all:
            late = batch
        existing = self._existing(group, late, table) if late.num_rows else late
        ordered = batch.compacted()
        order = sort_order(ordered.codes, ordered.source_time, ordered.sequence)
        if order is not None:
            ordered = ordered.take(order)  # before anything else: what follows passes once over rows that are in order
        known = duplicates(ordered, existing)
        rows = versions.separated(ordered.filter(~known).sorted(), existing)
        if rows.num_rows:
            ids = _codes(rows, table)
            for block in columns.encode(rows, ids, self._dialect.exact):
                insert(connection, self._tables.group(group).samples, block)
            self._refresh_latest(connection, group, rows, ids)
            self._grow(connection, group, rows)
            marks.advance(rows)
        if order is not None:
            known[order] = known.copy()
        return known

    def _ids(self, connection: Connection, batch: SampleBatch) -> dict[str, int]:
        """Return the ids of all elements of a batch, new ones included."""
        names = batch.present()
        found = self._elements.find(connection, (name for name in names if name not in self._fresh))
        found |= {name: self._fresh[name] for name in names if name in self._fresh}
        fresh = self._elements.create(connection, set(names) - set(found))
        self._fresh |= fresh
        return found | fresh

    def _existing(self, group: str, late: SampleBatch, ids: Mapping[str, int]) -> SampleBatch:
        """Return all stored versions of everything that has the element and source time of a late sample.

        Read as readers do, outside of the transaction: nobody else writes as long as it holds the lock.
        """
        instants = np.empty((late.num_rows, 2), np.int64)
        instants[:, 0] = _codes(late, ids)
        instants[:, 1] = late.source_time
        names = {key: name for name, key in ids.items()}
        rows = self._dialect.read_instants(self._tables.group(group).samples, np.unique(instants, axis=0))
        return SampleBatch.concat([columns.decode(part, names) for part in rows])

    def _refresh_latest(self, connection: Connection, group: str, rows: SampleBatch, ids: Int32s) -> None:
        """Keep the newest row of each element; `rows` are sorted."""
        last = np.append(rows.codes[1:] != rows.codes[:-1], True)
        staging = self._dialect.empty_staging(connection)
        for block in columns.encode(rows.filter(last), ids[last], self._dialect.exact):
            self._dialect.insert(connection, staging, block)
        connection.execute(self._dialect.upsert_newest(self._tables.group(group).latest))

    # -- what is known --------------------------------------------------------------------------------

    def _marks_of(self, connection: Connection, group: str) -> Watermarks:
        if group not in self._marks:
            latest, element = self._tables.group(group).latest, self._tables.element
            rows = connection.execute(
                select(element.c.name, latest.c.source_time).where(element.c.id == latest.c.element_id)
            )
            self._marks[group] = Watermarks({row.name: row.source_time for row in rows})
        return self._marks[group]

    def _segments_of(self, connection: Connection, group: str) -> Segments:
        if group not in self._segments:
            table = self._tables.segment
            rows = connection.execute(select(table).where(table.c.archive_group == group))
            self._segments[group] = Segments(
                Extent(Interval(row.start_time, row.end_time), row.row_count, row.first_time, row.last_time)
                for row in rows
            )
        return self._segments[group]

    def _make_room(self, connection: Connection, group: str, batch: SampleBatch) -> None:
        """Make the tables and segments that the samples need."""
        segments = self._segments_of(connection, group)
        tables, table = self._tables.group(group), self._tables.segment
        length = self._context.group(group).segment_ns
        if not segments.extents:
            self._dialect.make_group(connection, tables, length)
        for interval in segments.missing(batch.source_time, length):
            self._dialect.add_segment(connection, tables.samples, interval)
            connection.execute(
                insert(table).values(archive_group=group, start_time=interval.start, end_time=interval.end, row_count=0)
            )
            segments.add(Extent(interval))

    def _grow(self, connection: Connection, group: str, rows: SampleBatch) -> None:
        """Count the samples into their segments."""
        segments, table = self._segments_of(connection, group), self._tables.segment
        for extent in segments.grown(rows.source_time):
            connection.execute(
                update(table)
                .where(table.c.archive_group == group, table.c.start_time == extent.interval.start)
                .values(row_count=extent.rows, first_time=extent.first, last_time=extent.last)
            )
            segments.add(extent)

    def _store_position(self, connection: Connection, position: Position) -> None:
        table = self._tables.position
        done = connection.execute(
            update(table).where(table.c.stream == position.stream).values(last_offset=position.offset)
        )
        if not done.rowcount:
            connection.execute(insert(table).values(stream=position.stream, last_offset=position.offset))

    def _count(self, connection: Connection) -> None:
        archive = self._tables.archive
        self._generation = (self._generation or 0) + 1
        connection.execute(update(archive).values(generation=self._generation))


def _codes(batch: SampleBatch, ids: Mapping[str, int]) -> Int32s:
    """Return the element id of each sample."""
    return np.array([ids.get(name, 0) for name in batch.elements], np.int32)[batch.codes]
