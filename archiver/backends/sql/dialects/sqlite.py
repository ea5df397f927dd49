"""SQLite in a file: write-ahead log, synced at every commit."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import chain, islice
from pathlib import Path
from typing import Any, cast

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from sqlalchemy import URL, Connection, Executable, NullPool, QueuePool, Table, create_engine
from sqlalchemy.dialects import sqlite

from archiver.backends.sql.cells import Words
from archiver.backends.sql.columns import STORED_SCHEMA, Columns, Exactness
from archiver.backends.sql.dialects import StatementOf
from archiver.backends.sql.dialects.common import empty_staging, make_group, on_conflict
from archiver.backends.sql.errors import KeyTakenError
from archiver.backends.sql.tables import SAMPLE_COLUMNS, GroupTables, Tables
from archiver.model import ForebayError, Interval, Kind, PermanentError, TransientError
from archiver.model.interruption import interruptible
from archiver.model.time import MAX_TIME

ROWS_PER_STATEMENT = 100  # a statement costs as much as many rows; more of them are no faster
ROWS_PER_PAGE = 50_000
BUSY_TIMEOUT_S = 10.0
_PRAGMAS = ("journal_mode = WAL", "synchronous = FULL", "cache_size = -65536", "temp_store = MEMORY")
_VALUES = "float_value, ifnull(int_value, 0), ifnull(text_value, bytes_value)"
_SELECT = f"SELECT {', '.join(SAMPLE_COLUMNS[:6])}, {_VALUES} FROM"
_ROW = np.dtype(
    [
        ("element_id", "i4"),
        ("source_time", "i8"),
        ("sequence", "i4"),
        ("receive_time", "i8"),
        ("status", "i8"),
        ("kind", "i2"),
        ("float_value", "f8"),  # null becomes NaN, which is never stored as such
        ("int_value", "i8"),
        ("object", "O"),
    ]
)
_KEY_TAKEN = {sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY, sqlite3.SQLITE_CONSTRAINT_UNIQUE}
_TRANSIENT = {
    sqlite3.SQLITE_INTERNAL,
    sqlite3.SQLITE_PERM,
    sqlite3.SQLITE_ABORT,
    sqlite3.SQLITE_BUSY,
    sqlite3.SQLITE_LOCKED,
    sqlite3.SQLITE_NOMEM,
    sqlite3.SQLITE_READONLY,
    sqlite3.SQLITE_INTERRUPT,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_CORRUPT,
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_PROTOCOL,
    sqlite3.SQLITE_EMPTY,
    sqlite3.SQLITE_SCHEMA,
    sqlite3.SQLITE_AUTH,
    sqlite3.SQLITE_NOTADB,
}
_PERMANENT = {
    sqlite3.SQLITE_ERROR,
    sqlite3.SQLITE_NOTFOUND,
    sqlite3.SQLITE_TOOBIG,
    sqlite3.SQLITE_CONSTRAINT,
    sqlite3.SQLITE_MISMATCH,
    sqlite3.SQLITE_MISUSE,
    sqlite3.SQLITE_NOLFS,
    sqlite3.SQLITE_FORMAT,
    sqlite3.SQLITE_RANGE,
}
CODES: dict[int, type[ForebayError]] = dict.fromkeys(_TRANSIENT, TransientError) | dict.fromkeys(
    _PERMANENT, PermanentError
)
"""Primary result code: transient when the file or the machine is the reason, permanent when a sample or a table is."""


class SqliteDialect:
    """SQLite in a file.

    Parameters
    ----------
    url : URL
    directory : Path
        What a relative file is relative to.
    read_only : bool
        Change nothing; a file that is not there yet is an empty database.
    tables : Tables
    """

    exact = Exactness(every_float=False, nul=True)
    in_process = True
    words = Words()

    def __init__(self, url: URL, directory: Path, read_only: bool, tables: Tables) -> None:
        self._tables = tables
        self._file = directory / (url.database or "")
        self._read_only = read_only
        # a new connection for each read beside another process: it may be the one that makes the file
        pool: dict[str, Any] = {"poolclass": NullPool} if read_only else {"poolclass": QueuePool, "max_overflow": -1}
        self.engine = create_engine("sqlite://", creator=self._connect, **pool)

    def _connect(self) -> sqlite3.Connection:
        path = self._file.absolute().as_uri() + ("?mode=ro" if self._read_only else "")
        if self._read_only and not self._file.exists():
            path = ":memory:"
        connection = sqlite3.connect(path, BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False, uri=True)
        for pragma in _PRAGMAS[2:] if self._read_only else _PRAGMAS:
            connection.execute(f"PRAGMA {pragma}")
        return connection

    def close(self) -> None:
        """Close all connections."""
        self.engine.dispose()

    def discard(self) -> None:
        """Do nothing: other connections do not suffer from an error of one."""

    def begin(self, connection: Connection) -> None:
        """Take the write lock at once: one that is taken late fails when another has written in between."""
        connection.exec_driver_sql("BEGIN IMMEDIATE")

    def make_archive(self, connection: Connection) -> None:
        """Make the tables behind the write lock."""
        self.begin(connection)
        self._tables.metadata.create_all(connection)

    def make_group(self, connection: Connection, tables: GroupTables, segment_ns: int) -> None:
        """Make the tables."""
        make_group(connection, tables)

    def empty_staging(self, connection: Connection) -> Table:
        """Make the temporary table of this connection, or empty it."""
        return empty_staging(connection, self._tables.staging)

    def insert(self, connection: Connection, table: Table, columns: Columns) -> None:
        """Insert by statements of many rows, in which columns of one number are written out."""
        raw = _raw(connection)
        constant = {name: value for name, array in columns.items() if (value := _constant(array)) is not None}
        varying = {name: array for name, array in columns.items() if name not in constant}
        row = ", ".join(str(constant.get(name, "?")) for name in columns)
        head = f"INSERT INTO {table.name} ({', '.join(columns)}) VALUES "
        count = len(next(iter(columns.values())))
        for start in range(0, count, ROWS_PER_PAGE):
            rows = min(ROWS_PER_PAGE, count - start)
            values = _interleaved([array.slice(start, rows) for array in varying.values()])
            for first in range(0, rows, ROWS_PER_STATEMENT):
                size = min(ROWS_PER_STATEMENT, rows - first)
                part = values[first * len(varying) : (first + size) * len(varying)]
                raw.execute(head + ", ".join([f"({row})"] * size), part)

    def back_fill(self, connection: Connection, samples: Table, columns: Columns) -> None:
        """Insert by statements of many rows."""
        self.insert(connection, samples, columns)

    def upsert_newest(self, latest: Table) -> Executable:
        """Return the upsert of SQLite."""
        return on_conflict(sqlite.insert, latest, self._tables.staging)

    def add_segment(self, connection: Connection, samples: Table, interval: Interval) -> None:
        """Do nothing: a segment is a range of the table."""

    def drop_segment(self, connection: Connection, samples: Table, interval: Interval) -> None:
        """Delete the rows, element by element along the key."""
        ids = f"SELECT DISTINCT element_id FROM {samples.name}"
        if interval.end == MAX_TIME:
            connection.exec_driver_sql(
                f"DELETE FROM {samples.name} WHERE element_id IN ({ids}) AND source_time >= ?", (interval.start,)
            )
        else:
            connection.exec_driver_sql(
                f"DELETE FROM {samples.name} WHERE element_id IN ({ids}) AND source_time >= ? AND source_time < ?",
                (interval.start, interval.end),
            )

    def segment_bytes(self, connection: Connection, samples: Table, intervals: Sequence[Interval]) -> list[int]:
        """Return zeros: a range of a table has no size of its own."""
        return [0] * len(intervals)

    def read(self, tables: Sequence[Table], ids: Sequence[int], interval: Interval) -> Iterator[pa.RecordBatch]:
        """Yield rows by one descent of the key per id."""
        where = "WHERE element_id = ?1 AND source_time >= ?2 AND source_time < ?3"
        union = " UNION ALL ".join(f"{_SELECT} {table.name} {where}" for table in tables)
        statement = f"{union} ORDER BY source_time, sequence, receive_time"
        yield from self._fetch((statement, (key, interval.start, interval.end)) for key in ids)

    def each(
        self, ids: Sequence[int], statement: StatementOf, numbers: Mapping[str, int], schema: pa.Schema
    ) -> Iterator[pa.RecordBatch]:
        """Yield rows by one execution per id; a double that is null is NaN."""
        row = np.dtype([(field.name, field.type.to_pandas_dtype()) for field in schema])

        def batch_of(page: NDArray[np.void]) -> pa.RecordBatch:
            arrays = [pa.array(np.ascontiguousarray(page[name])) for name in schema.names]
            return pa.RecordBatch.from_arrays(arrays, schema=schema)

        text = statement("?1")
        yield from self._fetch(((text, (key,)) for key in ids), row, batch_of)

    def read_instants(self, table: Table, instants: NDArray[np.int64]) -> Iterator[pa.RecordBatch]:
        """Yield rows by one descent of the key per instant."""
        statement = f"{_SELECT} {table.name} WHERE element_id = ? AND source_time = ?"
        yield from self._fetch((statement, instant) for instant in instants.tolist())

    def last_before(
        self, tables: Sequence[Table], ids: Sequence[int], time: int, as_of: int | None
    ) -> Iterator[pa.RecordBatch]:
        """Yield rows by one descent of the key per id and table."""
        where = "WHERE element_id = ? AND source_time < ? AND receive_time <= ?"
        order = "ORDER BY source_time DESC, sequence DESC, receive_time DESC LIMIT 1"
        bound = MAX_TIME if as_of is None else as_of
        yield from self._fetch(
            (f"{_SELECT} {table.name} {where} {order}", (key, time, bound)) for table in tables for key in ids
        )

    def _fetch(
        self,
        queries: Iterable[tuple[str, Sequence[int]]],
        row: np.dtype[np.void] = _ROW,
        batch_of: Callable[[NDArray[np.void]], pa.RecordBatch] | None = None,
    ) -> Iterator[pa.RecordBatch]:
        """Yield the rows of many small queries, one after the other, as of one instant."""
        with self.engine.connect() as connection:
            raw = _raw(connection)
            raw.execute("BEGIN")
            rows = chain.from_iterable(raw.execute(*query) for query in queries)
            with interruptible(raw.interrupt):
                while len(page := np.fromiter(islice(rows, ROWS_PER_PAGE), row)):
                    yield (batch_of or _record_batch)(page)

    def verdict(self, error: BaseException) -> type[ForebayError] | None:
        """Return the class of an error of `sqlite3`."""
        if isinstance(error, sqlite3.Error):
            code = getattr(error, "sqlite_errorcode", None)
            if code in _KEY_TAKEN:
                return KeyTakenError
            if code is not None:
                return CODES.get(code & 0xFF, TransientError)
            return PermanentError  # raised by the module itself, of a value that it cannot bind
        return PermanentError if isinstance(error, (OverflowError, UnicodeError)) else None


def _raw(connection: Connection) -> sqlite3.Connection:
    return cast(sqlite3.Connection, connection.connection.dbapi_connection)


def _constant(array: pa.Array) -> int | None:
    """Return the number that all rows of an integer column have, None when there is no such number."""
    if not pa.types.is_integer(array.type) or not len(array):
        return None
    numbers = array.to_numpy()
    first = int(numbers[0])
    return first if (numbers == first).all() else None


def _interleaved(arrays: list[pa.Array]) -> list[Any]:
    """Return the values row by row in one flat list."""
    values: list[Any] = [None] * sum(len(array) for array in arrays)
    for index, array in enumerate(arrays):
        numeric = pa.types.is_integer(array.type) or pa.types.is_floating(array.type)
        values[index :: len(arrays)] = array.to_numpy().tolist() if numeric else array.to_pylist()
    return values


def _record_batch(page: NDArray[np.void]) -> pa.RecordBatch:
    arrays = [pa.array(np.ascontiguousarray(page[name])) for name in SAMPLE_COLUMNS[:6]]
    floats = np.ascontiguousarray(page["float_value"])
    arrays += [pa.array(floats, mask=np.isnan(floats)), pa.array(np.ascontiguousarray(page["int_value"]))]
    kinds, objects = page["kind"], page["object"]
    if (kinds < Kind.TEXT).all():
        arrays += [pa.nulls(len(page), pa.utf8()), pa.nulls(len(page), pa.binary())]
    else:
        texts = kinds == Kind.TEXT
        arrays.append(pa.array(objects, pa.utf8(), mask=~texts, from_pandas=True))
        arrays.append(pa.array(objects, pa.binary(), mask=texts, from_pandas=True))
    return pa.RecordBatch.from_arrays(arrays, schema=STORED_SCHEMA)
