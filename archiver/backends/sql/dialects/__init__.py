"""What differs from database to database; one more is a file here and a line in `DIALECTS`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from sqlalchemy import Connection, Engine, Executable, Table, make_url

from archiver.backends.sql.cells import Words
from archiver.backends.sql.columns import Columns, Exactness
from archiver.backends.sql.errors import Translator
from archiver.backends.sql.tables import GroupTables, Tables
from archiver.model import Interval

DIALECTS = {
    "sqlite": ("archiver.backends.sql.dialects.sqlite", "SqliteDialect", ()),
    "postgresql": (
        "archiver.backends.sql.dialects.postgresql",
        "PostgresqlDialect",
        ("psycopg", "adbc_driver_postgresql"),
    ),
    "oracle": ("archiver.backends.sql.dialects.oracle", "OracleDialect", ("oracledb",)),
}
"""Name in the URL: module, class, and the packages that its extra installs."""

Instants = NDArray[np.int64]
"""Element id and source time (ns) in each row."""


StatementOf = Callable[[str], str]
"""Gives a statement of one element, whose id is that expression."""


class Dialect(Translator, Protocol):
    """A database, and the tables of one archive in it; `in_process` when it has no server.

    Statements that all databases understand are elsewhere, in SQLAlchemy Core. Making tables is here: in some a
    statement that makes one belongs to the transaction, in others it would commit what was done before.
    """

    exact: Exactness
    engine: Engine
    in_process: bool

    def close(self) -> None:
        """Close all connections."""

    def discard(self) -> None:
        """Forget idle connections after an error: they may be broken as well."""

    def begin(self, connection: Connection) -> None:
        """Start a transaction that will write; its first statement is the one that locks the row of `archive`."""

    def make_archive(self, connection: Connection) -> None:
        """Make the tables of the archive that are missing, and hold off another process until the commit."""

    def make_group(self, connection: Connection, tables: GroupTables, segment_ns: int) -> None:
        """Make the tables of a group that are missing; `segment_ns` is how long its segments will be."""

    def empty_staging(self, connection: Connection) -> Table:
        """Return the staging table, with no rows that this connection sees."""

    def insert(self, connection: Connection, table: Table, columns: Columns) -> None:
        """Insert rows, as many as the columns are long, by the fastest way of the driver."""

    def back_fill(self, connection: Connection, samples: Table, columns: Columns) -> None:
        """Insert rows as `insert` does, by a way that is faster for many of them, where there is one."""

    def upsert_newest(self, latest: Table) -> Executable:
        """Return the statement that puts staged rows into `latest` where they are newer, or the first of an element."""

    def add_segment(self, connection: Connection, samples: Table, interval: Interval) -> None:
        """Make room for samples of an interval."""

    def drop_segment(self, connection: Connection, samples: Table, interval: Interval) -> None:
        """Remove all samples of an interval."""

    def segment_bytes(self, connection: Connection, samples: Table, intervals: Sequence[Interval]) -> list[int]:
        """Return the bytes that each segment takes on disk, 0 where that is not known."""

    def read(self, tables: Sequence[Table], ids: Sequence[int], interval: Interval) -> Iterator[pa.RecordBatch]:
        """Yield rows of `STORED_SCHEMA` in the order of `ids`, source time, sequence and receive time.

        In parts that fit into memory, whatever the interval, and all as of one instant.
        """

    def read_instants(self, table: Table, instants: Instants) -> Iterator[pa.RecordBatch]:
        """Yield the rows of some elements at some source times, in any order; `instants` are (id, time), unique."""

    def last_before(
        self, tables: Sequence[Table], ids: Sequence[int], time: int, as_of: int | None
    ) -> Iterator[pa.RecordBatch]:
        """Yield for each id and table the last row before `time`, received at or before `as_of` (ns)."""


@runtime_checkable
class CellDialect(Dialect, Protocol):
    """A database that makes cells of samples."""

    words: Words

    def each(
        self, ids: Sequence[int], statement: StatementOf, numbers: Mapping[str, int], schema: pa.Schema
    ) -> Iterator[pa.RecordBatch]:
        """Yield the rows that a statement gives for each id, in any order; `numbers` are those that it names."""


def load(url: str, directory: Path, read_only: bool, tables: Tables) -> Dialect:
    """Return the dialect of a database URL; relative files are relative to `directory`. Connects to nothing."""
    parsed = make_url(url)
    module, name, _ = DIALECTS[parsed.get_backend_name()]
    dialect: Any = getattr(import_module(module), name)
    made: Dialect = dialect(parsed, directory, read_only, tables)
    return made


def missing_packages(name: str) -> list[str]:
    """Return the packages that a dialect needs and that are not installed."""
    return [package for package in DIALECTS[name][2] if find_spec(package) is None]
