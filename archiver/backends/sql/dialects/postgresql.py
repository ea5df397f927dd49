"""PostgreSQL: written by psycopg's binary COPY into tables partitioned by time, read by ADBC as Arrow."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import adbc_driver_manager
import numpy as np
import psycopg
import pyarrow as pa
from adbc_driver_postgresql import dbapi as adbc
from numpy.typing import NDArray
from sqlalchemy import URL, Connection, Executable, Table, create_engine, event
from sqlalchemy.dialects import postgresql

from archiver.backends.sql.cells import Words
from archiver.backends.sql.columns import STORED_SCHEMA, Columns, Exactness
from archiver.backends.sql.dialects import StatementOf, binary_copy
from archiver.backends.sql.dialects.common import empty_staging, make_group, on_conflict
from archiver.backends.sql.dialects.sqlstate import verdict_of
from archiver.backends.sql.tables import SAMPLE_COLUMNS, GroupTables, Tables
from archiver.model import ConfigurationError, ForebayError, Interval, PermanentError, TransientError
from archiver.model.interruption import interruptible
from archiver.model.time import MAX_TIME

IDLE_READERS = 4
INSTANTS_PER_QUERY = 50_000
_SETUP_LOCK = 0x666F7265626179  # "forebay": an advisory lock, so that two processes do not make the tables at once
_SELECT = ", ".join(SAMPLE_COLUMNS)
_DEFAULTS = {  # a dead network is noticed within half a minute
    "connect_timeout": "10",
    "keepalives_idle": "10",
    "keepalives_interval": "5",
    "keepalives_count": "3",
    "tcp_user_timeout": "30000",
}
_PLANNING = (
    "SET jit = off",  # compiling costs more than these queries take
    "SET random_page_cost = 1.1",  # rows come along the key, the first at once; else all of them are sorted before
)
_SESSION = (
    *_PLANNING,
    "SET lock_timeout = '30s'",
    # a commit that is not on disk must not be reported: the journal would forget what a power cut loses
    "SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off'",
)


class PostgresqlDialect:
    """A PostgreSQL server.

    Parameters
    ----------
    url : URL
    directory : Path
        Not used.
    read_only : bool
        Have the server refuse every change.
    tables : Tables
    """

    exact = Exactness(every_float=True, nul=False)
    in_process = False
    words = Words(
        summable="CASE WHEN {0} BETWEEN -1e290 AND 1e290 THEN {0} END",
        minus_zeros="COUNT(CASE WHEN {0} = 0 AND CAST({0} AS text) = '-0' THEN 1 END)",
    )

    def __init__(self, url: URL, directory: Path, read_only: bool, tables: Tables) -> None:
        self._tables = tables
        url = url.set(drivername="postgresql+psycopg", query=_DEFAULTS | dict(url.query))
        self._uri = url.set(drivername="postgresql").render_as_string(hide_password=False)
        self._idle: list[Any] = []
        self._idle_lock = threading.Lock()
        self.engine = create_engine(url, max_overflow=-1)
        self._session = (*_SESSION, *(("SET default_transaction_read_only = on",) if read_only else ()))
        event.listen(self.engine, "connect", self._configure)

    def close(self) -> None:
        """Close all connections."""
        self.discard()
        self.engine.dispose()

    def discard(self) -> None:
        """Close idle connections of readers."""
        with self._idle_lock:
            idle, self._idle = self._idle, []
        for connection in idle:
            connection.close()

    def begin(self, connection: Connection) -> None:
        """Do nothing: the lock is a row, and the first statement begins."""

    def make_archive(self, connection: Connection) -> None:
        """Make the tables behind an advisory lock; refuse a database that is not in UTF-8."""
        connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_SETUP_LOCK})")
        encoding = connection.exec_driver_sql("SHOW server_encoding").scalar()
        if encoding != "UTF8":
            raise ConfigurationError([f"url: the database is encoded in {encoding}; create it with ENCODING 'UTF8'"])
        self._tables.metadata.create_all(connection)

    def make_group(self, connection: Connection, tables: GroupTables, segment_ns: int) -> None:
        """Make the tables, as yet without a partition."""
        make_group(connection, tables)

    def empty_staging(self, connection: Connection) -> Table:
        """Make the temporary table of this connection, or empty it."""
        return empty_staging(connection, self._tables.staging)

    def insert(self, connection: Connection, table: Table, columns: Columns) -> None:
        """Insert by binary COPY."""
        statement = f"COPY {table.name} ({', '.join(columns)}) FROM STDIN (FORMAT BINARY)"
        raw: Any = connection.connection.dbapi_connection
        with raw.cursor() as cursor, cursor.copy(statement) as copy:
            for part in binary_copy.stream(columns):
                copy.write(part)

    def back_fill(self, connection: Connection, samples: Table, columns: Columns) -> None:
        """Insert by binary COPY."""
        self.insert(connection, samples, columns)

    def upsert_newest(self, latest: Table) -> Executable:
        """Return the upsert of PostgreSQL."""
        return on_conflict(postgresql.insert, latest, self._tables.staging)

    def add_segment(self, connection: Connection, samples: Table, interval: Interval) -> None:
        """Make a partition and attach it: readers go on meanwhile, as CREATE … PARTITION OF would not let them."""
        name = partition_name(samples, interval)
        end = "MAXVALUE" if interval.end == MAX_TIME else interval.end
        connection.exec_driver_sql(f"CREATE TABLE {name} (LIKE {samples.name} INCLUDING ALL)")
        connection.exec_driver_sql(
            f"ALTER TABLE {samples.name} ATTACH PARTITION {name} FOR VALUES FROM ({interval.start}) TO ({end})"
        )

    def drop_segment(self, connection: Connection, samples: Table, interval: Interval) -> None:
        """Detach the partition and drop it."""
        name = partition_name(samples, interval)
        connection.exec_driver_sql(f"ALTER TABLE {samples.name} DETACH PARTITION {name}")
        connection.exec_driver_sql(f"DROP TABLE {name}")

    def segment_bytes(self, connection: Connection, samples: Table, intervals: Sequence[Interval]) -> list[int]:
        """Return the size of each partition with its index."""
        names = [partition_name(samples, interval) for interval in intervals]
        statement = "SELECT coalesce(pg_total_relation_size(to_regclass(n)), 0) FROM unnest(%(names)s::text[]) n"
        return [int(size) for (size,) in connection.exec_driver_sql(statement, {"names": names})]

    def read(self, tables: Sequence[Table], ids: Sequence[int], interval: Interval) -> Iterator[pa.RecordBatch]:
        """Yield rows by one descent of the key per id and partition, in a single streamed statement."""
        order = "source_time, sequence, receive_time"
        if len(ids) == 1:  # without a join the server need not sort
            return self._fetch(f"{_rows(tables, str(ids[0]), interval)} ORDER BY {order}")
        rows = _rows(tables, "id", interval)
        return self._fetch(
            f"SELECT {_SELECT} FROM {_ids(ids)} CROSS JOIN LATERAL ({rows} ORDER BY {order}) s ORDER BY rank, {order}"
        )

    def each(
        self, ids: Sequence[int], statement: StatementOf, numbers: Mapping[str, int], schema: pa.Schema
    ) -> Iterator[pa.RecordBatch]:
        """Yield rows of all ids by one statement, in which each is made along the key."""
        return self._fetch(f"SELECT s.* FROM {_ids(ids)} CROSS JOIN LATERAL ({statement('id')}) s", schema)

    def read_instants(self, table: Table, instants: NDArray[np.int64]) -> Iterator[pa.RecordBatch]:
        """Yield rows by a join with the instants."""
        for start in range(0, len(instants), INSTANTS_PER_QUERY):
            ids, times = instants[start : start + INSTANTS_PER_QUERY].T.tolist()
            yield from self._fetch(
                f"SELECT {_SELECT} FROM {table.name} JOIN unnest({_array(ids, 'int')}, {_array(times, 'bigint')}) "
                f"instants (id, time) ON element_id = id AND source_time = time "
                f"WHERE source_time BETWEEN {min(times)} AND {max(times)}"  # lets partitions be left out
            )

    def last_before(
        self, tables: Sequence[Table], ids: Sequence[int], time: int, as_of: int | None
    ) -> Iterator[pa.RecordBatch]:
        """Yield rows by one descent of the key per id and table, in the newest partition that has any."""
        known = "" if as_of is None else f"AND receive_time <= {as_of}"
        order = "source_time DESC, sequence DESC, receive_time DESC"
        for table in tables:
            row = (
                f"SELECT {_SELECT} FROM {table.name} WHERE element_id = id AND source_time < {time} {known} "
                f"ORDER BY {order} LIMIT 1"
            )
            yield from self._fetch(f"SELECT {_SELECT} FROM {_ids(ids)} CROSS JOIN LATERAL ({row}) s")

    def verdict(self, error: BaseException) -> type[ForebayError] | None:
        """Return the class of an error of psycopg or ADBC."""
        if not isinstance(error, (psycopg.Error, adbc_driver_manager.Error)):
            return None
        if error.sqlstate:
            return verdict_of(error.sqlstate)
        permanent = (
            (psycopg.DataError, psycopg.ProgrammingError, psycopg.NotSupportedError)
            if isinstance(error, psycopg.Error)
            else (adbc_driver_manager.DataError, adbc_driver_manager.NotSupportedError)
        )
        return PermanentError if isinstance(error, permanent) else TransientError

    def _configure(self, connection: Any, _record: Any) -> None:
        with connection.cursor() as cursor:
            for statement in self._session:
                cursor.execute(statement)
        connection.commit()

    def _fetch(self, statement: str, schema: pa.Schema = STORED_SCHEMA) -> Iterator[pa.RecordBatch]:
        with self._reader() as connection, connection.cursor() as cursor, interruptible(connection.adbc_cancel):
            cursor.execute(statement)
            for batch in cursor.fetch_record_batch():
                columns = [column.cast(field.type) for column, field in zip(batch.columns, schema, strict=True)]
                yield pa.RecordBatch.from_arrays(columns, schema=schema)

    @contextmanager
    def _reader(self) -> Iterator[Any]:
        """Lend a connection; one that is given back in the middle of a result, or broken, is closed."""
        with self._idle_lock:
            connection = self._idle.pop() if self._idle else None
        if connection is None:
            connection = adbc.connect(self._uri, autocommit=True)
            try:
                with connection.cursor() as cursor:
                    for statement in _PLANNING:
                        cursor.execute(statement)
            except BaseException:  # also when it is interrupted: nobody else would close it
                connection.close()
                raise
        try:
            yield connection
        except BaseException:  # also when a reader is closed in the middle of a result
            connection.close()
            raise
        with self._idle_lock:
            if keep := len(self._idle) < IDLE_READERS:
                self._idle.append(connection)
        if not keep:
            connection.close()


def partition_name(samples: Table, interval: Interval) -> str:
    """Return the name of the partition that starts there."""
    return f"{samples.name}_{'m' if interval.start < 0 else ''}{abs(interval.start)}"


def _rows(tables: Sequence[Table], key: str, interval: Interval) -> str:
    bounds = f"element_id = {key} AND source_time >= {interval.start} AND source_time < {interval.end}"
    return " UNION ALL ".join(f"SELECT {_SELECT} FROM {table.name} WHERE {bounds}" for table in tables)


def _ids(ids: Sequence[int]) -> str:
    return f"unnest({_array(ids, 'int')}) WITH ORDINALITY ids (id, rank)"


def _array(numbers: Sequence[int], item: str) -> str:
    return f"'{{{','.join(map(str, numbers))}}}'::{item}[]"
