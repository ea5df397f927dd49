"""What is done with a connection to Oracle."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import oracledb
import pyarrow as pa
from numpy.typing import NDArray
from sqlalchemy import URL, Connection, Executable, Table, create_engine, delete, event, text

from archiver.backends.sql.columns import STORED_SCHEMA, Columns, Exactness
from archiver.backends.sql.dialects import StatementOf
from archiver.backends.sql.dialects.oracle import codes, connecting, schema, statements
from archiver.backends.sql.errors import KeyTakenError
from archiver.backends.sql.tables import GroupTables, Tables
from archiver.model import ConfigurationError, ForebayError, Interval
from archiver.model.interruption import interruptible
from archiver.model.time import MAX_TIME

ROWS_PER_CALL = 20_000  # of an array bind: some megabytes in one round trip
ROWS_PER_FETCH = 10_000
ROWS_FOR_DIRECT_PATH = 10_000  # a load of fewer takes longer than an array bind
TEXT_BYTES = 4_000  # of VARCHAR2 on every server; a longer text is kept as bytes
_SESSION = (
    "ALTER SESSION SET nls_comp = BINARY nls_sort = BINARY",  # else two names may be equal that are not
    "ALTER SESSION SET ddl_lock_timeout = 30",
)


class OracleDialect:
    """An Oracle database, 19c or newer.

    Statements that make or drop tables commit what was done before them, so that they run in a session of their own.

    Parameters
    ----------
    url : URL
        Parameters of python-oracledb may follow: see `connecting.arguments`.
    directory : Path
        Not used.
    read_only : bool
        Not used: nothing is asked to write then.
    tables : Tables
    """

    exact = Exactness(every_float=False, nul=False, text_bytes=TEXT_BYTES)
    in_process = False
    words = statements.WORDS

    def __init__(self, url: URL, directory: Path, read_only: bool, tables: Tables) -> None:
        self._tables = tables
        given = connecting.arguments(url)
        self.engine = create_engine("oracle+oracledb://", creator=lambda: oracledb.connect(**given), max_overflow=-1)
        event.listen(self.engine, "connect", _configure)

    def close(self) -> None:
        """Close all connections."""
        self.engine.dispose()

    def discard(self) -> None:
        """Close idle connections."""
        self.engine.dispose()

    # -- tables -----------------------------------------------------------------------------------------

    def make_archive(self, connection: Connection) -> None:
        """Make the tables that are missing, and hold off another process; refuse a database that is not in UTF-8."""
        encoding = connection.exec_driver_sql(
            "SELECT value FROM nls_database_parameters WHERE parameter = 'NLS_CHARACTERSET'"
        ).scalar()
        if encoding != "AL32UTF8":
            raise ConfigurationError([f"url: the database is encoded in {encoding}; it must be AL32UTF8"])
        self._define(schema.archive_tables(self._tables))
        connection.exec_driver_sql(f"LOCK TABLE {self._tables.archive.name} IN EXCLUSIVE MODE WAIT 30")

    def make_group(self, connection: Connection, tables: GroupTables, segment_ns: int) -> None:
        """Make the tables of a group that are missing."""
        self._define(schema.group_tables(tables, segment_ns))

    def add_segment(self, connection: Connection, samples: Table, interval: Interval) -> None:
        """Do nothing: Oracle makes a partition for the first row that needs it."""

    def drop_segment(self, connection: Connection, samples: Table, interval: Interval) -> None:
        """Drop the partition; delete the rows of an interval that is none, as after another segment length."""
        if self._is_partition(connection, samples, interval):
            try:
                with self._alone() as cursor:
                    cursor.execute(schema.drop_partition(samples, interval.start))
            except oracledb.DatabaseError as exc:
                if _code(exc) != codes.NO_PARTITION:  # gone already, before a crash
                    raise
        else:
            to_the_end = interval.end == MAX_TIME
            connection.exec_driver_sql(schema.delete_interval(samples, interval, to_the_end=to_the_end))

    def segment_bytes(self, connection: Connection, samples: Table, intervals: Sequence[Interval]) -> list[int]:
        """Return the size of each partition without its index, 0 for an interval that is none."""
        rows = connection.exec_driver_sql(schema.partition_bytes(), {"name": samples.name.upper()})
        sizes = {int(end): int(size) for end, size in rows}
        return [sizes.get(interval.end, 0) for interval in intervals]

    def _is_partition(self, connection: Connection, samples: Table, interval: Interval) -> bool:
        found = connection.exec_driver_sql(schema.partition_length(), {"name": samples.name.upper()}).scalar()
        length = int(found or 0)
        return length == interval.end - interval.start and interval.start >= 0 and interval.start % length == 0

    @contextmanager
    def _alone(self) -> Iterator[Any]:
        """Lend a cursor of a session of its own: what it commits is not what a writer has done so far."""
        with self.engine.connect() as connection, _raw(connection).cursor() as cursor:
            yield cursor

    def _define(self, definitions: Iterable[tuple[str, str]]) -> None:
        """Make the tables that are not there already."""
        with self._alone() as cursor:
            present = {name for (name,) in cursor.execute("SELECT table_name FROM user_tables")}
            for name, statement in definitions:
                if name.upper() in present:
                    continue
                try:
                    cursor.execute(statement)
                except oracledb.DatabaseError as exc:
                    if _code(exc) != codes.NAME_TAKEN:  # made by another process at this moment
                        raise

    # -- writing ----------------------------------------------------------------------------------------

    def begin(self, connection: Connection) -> None:
        """Take the writers' lock, or fail after half a minute."""
        connection.exec_driver_sql(statements.lock(self._tables.archive))

    def empty_staging(self, connection: Connection) -> Table:
        """Delete the rows that this transaction has staged: the table is there for ever, its rows for a transaction."""
        connection.execute(delete(self._tables.staging))
        return self._tables.staging

    def insert(self, connection: Connection, table: Table, columns: Columns) -> None:
        """Insert by array binds; all rows are tried, and what is wrong with some of them is said at once."""
        statement = statements.insert(table, list(columns))
        rows = pa.table(columns)
        with _raw(connection).cursor() as cursor:
            for start in range(0, rows.num_rows, ROWS_PER_CALL):
                cursor.executemany(statement, rows.slice(start, ROWS_PER_CALL), batcherrors=True)
                _check(cursor.getbatcherrors(), table)

    def back_fill(self, connection: Connection, samples: Table, columns: Columns) -> None:
        """Load by direct path into a table without keys, and merge from there."""
        count = len(next(iter(columns.values())))
        if count < ROWS_FOR_DIRECT_PATH:
            self.insert(connection, samples, columns)
            return
        landing = self._tables.landing
        with self.engine.connect() as other:
            raw = _raw(other)
            owner = other.exec_driver_sql("SELECT sys_context('userenv', 'current_schema') FROM dual").scalar()
            other.exec_driver_sql(f"TRUNCATE TABLE {landing.name}")
            raw.direct_path_load(owner, landing.name.upper(), [name.upper() for name in columns], pa.table(columns))
        merged = connection.exec_driver_sql(statements.merge_new(samples, landing)).rowcount
        if merged != count:
            raise KeyTakenError(f"{samples.name} has {count - merged} of {count} keys that were loaded")

    def upsert_newest(self, latest: Table) -> Executable:
        """Return the merge of Oracle."""
        return text(statements.merge_newest(latest, self._tables.staging))

    # -- reading ----------------------------------------------------------------------------------------

    def read(self, tables: Sequence[Table], ids: Sequence[int], interval: Interval) -> Iterator[pa.RecordBatch]:
        """Yield rows along the key, a hundred ids in a statement."""
        bounds = {"first": interval.start, "last": interval.end}
        with self.engine.connect() as connection:
            if len(ids) > 1:
                connection.exec_driver_sql("SET TRANSACTION READ ONLY")  # all statements see the same instant
            for block in _blocks(ids):
                if len(block) == 1:
                    yield from _fetch(connection, statements.read(tables), {"id": block[0], **bounds})
                else:
                    statement = statements.read_block(tables, len(block))
                    yield from _fetch(connection, statement, _named(block) | bounds)

    def each(
        self, ids: Sequence[int], statement: StatementOf, numbers: Mapping[str, int], schema: pa.Schema
    ) -> Iterator[pa.RecordBatch]:
        """Yield rows by one statement for up to a hundred ids, all as of one instant."""
        with self.engine.connect() as connection:
            if len(ids) > statements.BLOCKS[-1]:
                connection.exec_driver_sql("SET TRANSACTION READ ONLY")
            for block in _blocks(ids):
                asked = statement(statements.any_of(len(block)))
                yield from _fetch(connection, asked, _named(block) | dict(numbers), schema)

    def read_instants(self, table: Table, instants: NDArray[np.int64]) -> Iterator[pa.RecordBatch]:
        """Yield rows by a join with the instants, staged in a session of their own."""
        with self.engine.connect() as connection:
            staging = self._tables.staging
            self.insert(
                connection, staging, {"element_id": pa.array(instants[:, 0]), "source_time": pa.array(instants[:, 1])}
            )
            bounds = {"first": int(instants[:, 1].min()), "last": int(instants[:, 1].max())}
            yield from _fetch(connection, statements.instants(table, staging), bounds)

    def last_before(
        self, tables: Sequence[Table], ids: Sequence[int], time: int, as_of: int | None
    ) -> Iterator[pa.RecordBatch]:
        """Yield rows by one descent of the key per id and table, a hundred of them in a statement."""
        bounds = {"time": time, "known": MAX_TIME if as_of is None else as_of}
        with self.engine.connect() as connection:
            for table in tables:
                for block in _blocks(ids):
                    yield from _fetch(connection, statements.last_before(table, len(block)), _named(block) | bounds)

    def verdict(self, error: BaseException) -> type[ForebayError] | None:
        """Return the class of an error of python-oracledb."""
        return codes.verdict_of(error.args[0].full_code) if isinstance(error, oracledb.Error) else None


def _configure(connection: Any, _record: Any) -> None:
    with connection.cursor() as cursor:
        for statement in _SESSION:
            cursor.execute(statement)


def _raw(connection: Connection) -> Any:
    return connection.connection.dbapi_connection


def _code(error: oracledb.Error) -> int:
    return int(error.args[0].code)


def _check(errors: Sequence[Any], table: Table) -> None:
    """Raise what an array bind met: a value that cannot be stored before a key that is there."""
    if not errors:
        return
    wrong = [error for error in errors if error.code != codes.KEY_TAKEN] or list(errors)
    found = codes.verdict_of(wrong[0].full_code)
    raise found(f"{table.name} takes {len(wrong)} rows not, the first one since {wrong[0].message.splitlines()[0]}")


def _blocks(ids: Sequence[int]) -> Iterator[list[int | None]]:
    """Yield the ids in blocks of few sizes, filled up with nulls."""
    start = 0
    while start < len(ids):
        left = len(ids) - start
        size = next((size for size in statements.BLOCKS if size >= left), statements.BLOCKS[-1])
        block: list[int | None] = list(ids[start : start + size])
        yield block + [None] * (size - len(block))
        start += size


def _named(block: Sequence[int | None]) -> dict[str, int | None]:
    return {f"id{index}": key for index, key in enumerate(block)}


def _fetch(
    connection: Connection, statement: str, values: Mapping[str, int | None], schema: pa.Schema = STORED_SCHEMA
) -> Iterator[pa.RecordBatch]:
    """Yield rows as Arrow; without the schema, numbers of 19 digits would come as floats."""
    raw = _raw(connection)
    try:
        with interruptible(raw.cancel):
            for frame in raw.fetch_df_batches(statement, values, size=ROWS_PER_FETCH, requested_schema=schema):
                for batch in pa.table(frame).to_batches():
                    yield pa.RecordBatch.from_arrays(batch.columns, schema=schema)
    except Exception:  # whatever it was, the connection may be in the midst of an answer: it is not lent again
        connection.invalidate()
        raise
