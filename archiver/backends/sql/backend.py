"""The backend: which transaction does what, and what becomes of an error."""

from __future__ import annotations

import threading
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any, ClassVar

from sqlalchemy import Connection, Engine, Select, Table, bindparam, func, insert, inspect, select, union

from archiver.backends.sql import aggregating, dialects, reading
from archiver.backends.sql.elements import Elements
from archiver.backends.sql.errors import KeyTakenError, translated
from archiver.backends.sql.options import SqlOptions
from archiver.backends.sql.tables import SCHEMA_VERSION, GroupTables, Tables
from archiver.backends.sql.writing import Writer
from archiver.model import ConfigurationError, Interval, PermanentError, SampleBatch, TransientError
from archiver.model.grid import Grid
from archiver.model.time import MAX_TIME, MIN_TIME
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


class SqlBackend:
    """Keeps samples as rows of a table per archive group, and the position in the same transaction.

    Parameters
    ----------
    context : BackendContext
        Each group's `segment_ns` is the length of its partitions, where the database has any.
    options : SqlOptions

    Raises
    ------
    ConfigurationError
        A package that the database needs is not installed.
    """

    Options: ClassVar[type[Options]] = SqlOptions

    def __init__(self, context: BackendContext, options: SqlOptions) -> None:
        self.name = context.name
        self.limits = BackendLimits()
        self._context = context
        self._options = options
        self._tables = Tables(options.prefix)
        self._dialect = dialects.load(options.url, context.directory, context.read_only, self._tables)
        self._held = _held(self._tables.segment)
        self._writing = threading.Lock()
        self._is_open = False
        self._forget()

    def _forget(self) -> None:
        self._elements = Elements(self._tables.element)
        self._writer = Writer(self._dialect, self._tables, self._elements, self._context)
        self._made = False

    def open(self) -> None:
        """Connect, and make the tables when there are none.

        Raises
        ------
        TransientError
            The database cannot be reached.
        ConfigurationError
            The tables are of a newer version, or the database cannot hold every text.
        """
        self._forget()
        self._is_open = True
        if not self._context.read_only:
            self._context.directory.mkdir(parents=True, exist_ok=True)
        with self._connection("open") as connection:
            if not self._is_made(connection) and not self._context.read_only:
                connection.rollback()
                self._make(connection)

    def close(self) -> None:
        """Close all connections."""
        self._is_open = False
        self._dialect.close()

    def position(self, stream: str) -> Position | None:
        """Return the position stored with the data for this stream."""
        with self._connection("position") as connection:
            offset = self._writer.stored_offset(connection, stream) if self._is_made(connection) else None
        return None if offset is None else Position(stream, offset)

    def write(
        self,
        parts: Mapping[str, SampleBatch],
        position: Position | None = None,
        before_commit: BeforeCommit | None = None,
    ) -> WriteReceipt:
        """Store samples, by group, and the position: see `archiver.ports.Backend.write`."""
        try:
            return self._write(parts, position, before_commit)
        except KeyTakenError:  # another program wrote rows past the lock: what is there is looked up, and counted
            return self._write(parts, position, before_commit, look_up_all=True)

    def _write(
        self,
        parts: Mapping[str, SampleBatch],
        position: Position | None,
        before_commit: BeforeCommit | None,
        *,
        look_up_all: bool = False,
    ) -> WriteReceipt:
        with self._transaction("write") as connection:
            with self._translated("write"):
                self._writer.begin(connection)
                if position is not None:
                    stored = self._writer.stored_offset(connection, position.stream)
                    if stored is not None and position.offset <= stored:
                        return WriteReceipt(Position(position.stream, stored), repeated=True)
                receipt = self._writer.store(connection, parts, position, look_up_all=look_up_all)
            if before_commit is not None:
                before_commit(receipt)
        return receipt

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
        tables, ids = self._look_up(elements, groups, interval.start, interval.end)
        if tables and ids:
            with self._translated("read"):
                samples = [table.samples for table in tables]
                yield from reading.read(self._dialect, samples, ids, interval, as_of, versions)

    @property
    def in_process(self) -> bool:
        """Whether it is this process that does the work of a read."""
        return self._dialect.in_process

    @property
    def aggregates(self) -> frozenset[str]:
        """Which aggregates the database makes by itself."""
        return aggregating.MADE if isinstance(self._dialect, dialects.CellDialect) else frozenset()

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
        tables, ids = self._look_up(elements, groups, grid.interval.start, grid.interval.end)
        with self._translated("aggregate"):
            samples = [table.samples for table in tables]
            asked = aggregating.Request(grid, frozenset(aggregates))
            yield from aggregating.aggregate(self._dialect, samples, elements, ids, asked)

    def last_before(
        self,
        elements: Sequence[str],
        time: int,
        *,
        groups: Sequence[str] | None = None,
        as_of: int | None = None,
    ) -> SampleBatch:
        """Return the last valid sample per element before `time` (ns): see `archiver.ports.Backend.last_before`."""
        tables, ids = self._look_up(elements, groups, MIN_TIME, time)
        if not tables or not ids:
            return SampleBatch.empty()
        with self._translated("last_before"):
            return reading.last_before(self._dialect, tables, ids, time, as_of)

    def elements(self) -> list[str]:
        """Return the names of all elements that have a sample here, sorted."""
        element = self._tables.element
        with self._connection("elements") as connection:
            groups = self._groups(connection)
            if not groups:
                return []
            held = union(*(select(self._tables.group(group).latest.c.element_id) for group in groups))
            return sorted(connection.execute(select(element.c.name).where(element.c.id.in_(held))).scalars())

    def coverage(self) -> list[Coverage]:
        """Return first time, last time and number of samples (versions counted) of each group that has any."""
        table = self._tables.segment
        statement = (
            select(
                table.c.archive_group,
                func.min(table.c.first_time),
                func.max(table.c.last_time),
                func.sum(table.c.row_count),
            )
            .where(table.c.row_count > 0)
            .group_by(table.c.archive_group)
        )
        with self._connection("coverage") as connection:
            found = list(connection.execute(statement)) if self._is_made(connection) else []
        rows = [Coverage(group, first, last, int(count)) for group, first, last, count in found]
        return sorted(rows, key=lambda coverage: coverage.group)

    def segments(self, group: str) -> list[Segment]:
        """Return the segments of a group that hold samples, oldest first."""
        table = self._tables.segment
        statement = (
            select(table).where(table.c.archive_group == group, table.c.row_count > 0).order_by(table.c.start_time)
        )
        with self._connection("segments") as connection:
            rows = list(connection.execute(statement)) if self._is_made(connection) else []
            intervals = [Interval(row.start_time, row.end_time) for row in rows]
            sizes = self._dialect.segment_bytes(connection, self._tables.group(group).samples, intervals)
        return [
            Segment(group, interval, row.row_count, size)
            for interval, row, size in zip(intervals, rows, sizes, strict=True)
        ]

    def drop_before(self, group: str, time: int) -> list[Segment]:
        """Drop the segments of a group that end at or before `time` (ns); return what was dropped."""
        with self._transaction("drop_before") as connection, self._translated("drop_before"):
            self._writer.begin(connection)
            return self._writer.drop_before(connection, group, time)

    # -- connections ----------------------------------------------------------------------------------

    @contextmanager
    def _transaction(self, doing: str) -> Iterator[Connection]:
        """Lend the writer's connection, and commit; after an error it is discarded with all that was remembered."""
        if self._context.read_only:
            raise PermanentError(f"backend {self.name!r} is open read-only: write through the process that owns it")
        with self._writing:
            with self._translated(doing):
                connection = self._engine().connect()
            try:
                yield connection
                with self._translated(doing):
                    connection.commit()
            except BaseException:  # also when it is interrupted: nobody knows what the connection was at
                self._writer.forget()
                self._dialect.discard()
                connection.invalidate()
                raise
            else:
                self._writer.committed()
            finally:
                connection.close()

    @contextmanager
    def _connection(self, doing: str) -> Iterator[Connection]:
        """Lend a connection for a few statements."""
        with self._translated(doing), self._engine().connect() as connection:
            try:
                yield connection
            except BaseException:  # as above; a reader may also be closed in the middle
                connection.invalidate()
                raise

    def _engine(self) -> Engine:
        """Return the engine; it would connect again after `close`, and nobody would close that connection."""
        if not self._is_open:
            raise TransientError(f"backend {self.name!r} is not open")
        return self._dialect.engine

    def _translated(self, doing: str) -> AbstractContextManager[None]:
        return translated(self._dialect, f"backend {self.name!r}, {doing}")

    # -- looking up -----------------------------------------------------------------------------------

    def _is_made(self, connection: Connection) -> bool:
        """Return whether the tables are there, and of a version that is understood."""
        if not self._made and inspect(connection).has_table(self._tables.archive.name):
            version = connection.execute(select(self._tables.archive.c.schema_version)).scalar()
            if version is None:
                return False  # another process makes the tables, one by one
            if version > SCHEMA_VERSION:
                raise ConfigurationError(
                    [
                        f"url: the tables {self._options.prefix}* are of version {version}, and this forebay knows "
                        f"{SCHEMA_VERSION}; upgrade forebay, or set another prefix"
                    ]
                )
            self._made = True
        return self._made

    def _make(self, connection: Connection) -> None:
        self._dialect.make_archive(connection)
        archive = self._tables.archive
        if connection.execute(select(archive.c.id)).first() is None:
            connection.execute(insert(archive).values(id=1, schema_version=SCHEMA_VERSION, generation=0))
        connection.commit()

    def _groups(self, connection: Connection, first: int = MIN_TIME, last: int = MAX_TIME) -> list[str]:
        """Return the groups that have samples, or some from `first` to `last`, both included."""
        if not self._is_made(connection):
            return []
        return sorted(connection.execute(self._held, {"first": first, "last": last}).scalars())

    def _look_up(
        self, elements: Sequence[str], groups: Sequence[str] | None, start: int, end: int
    ) -> tuple[list[GroupTables], dict[str, int]]:
        with self._connection("read") as connection:
            held = self._groups(connection, start, end)
            tables = [self._tables.group(group) for group in held if groups is None or group in groups]
            return tables, self._elements.find(connection, elements) if tables else {}


def _held(segment: Table) -> Select[Any]:
    """Return the statement for the groups that have samples from `first` to `last`; every read begins with it."""
    return (
        select(segment.c.archive_group)
        .where(segment.c.last_time >= bindparam("first"), segment.c.first_time <= bindparam("last"))
        .distinct()
    )
