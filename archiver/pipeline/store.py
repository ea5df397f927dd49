"""The archive's own database (`archive.db`): catalogue, ledger, dead letters and snapshots share one SQLite file."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from archiver.model import BackpressureError, ForebayError, PermanentError, TransientError

FORMAT = 1


class Store:
    """One connection behind a lock; what is committed is synced.

    Parameters
    ----------
    path : Path
        Created when it is not there.

    Raises
    ------
    PermanentError
        The file is broken or of a newer format; it is left as it was.
    TransientError
        The file cannot be opened now.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock, self._reading_lock = threading.RLock(), threading.Lock()
        self._reading: sqlite3.Connection | None = None
        connection: sqlite3.Connection | None = None
        try:
            connection = sqlite3.connect(path, isolation_level=None, timeout=30, check_same_thread=False)
            version = connection.execute("PRAGMA user_version").fetchone()[0]
            if version > FORMAT:
                raise PermanentError(f"{path} has format {version}, newer than {FORMAT}: upgrade forebay")
            if version < FORMAT:
                connection.execute(f"PRAGMA user_version={FORMAT}")
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute("PRAGMA synchronous=FULL")
        except (sqlite3.DatabaseError, ForebayError) as exc:
            if connection is not None:
                connection.close()
            raise exc if isinstance(exc, ForebayError) else _translate(exc, path) from exc
        self._connection = connection

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Give the connection inside a transaction: committed at the end, rolled back when an error leaves it."""
        with self._lock:
            try:
                self._connection.execute("BEGIN IMMEDIATE")
                yield self._connection
                self._connection.execute("COMMIT")
            except sqlite3.DatabaseError as exc:
                self._roll_back()
                raise _translate(exc, self._path) from exc
            except BaseException:
                self._roll_back()
                raise

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """Give a connection that sees what is committed, all of it as of one instant, and keeps no transaction waiting.

        It cannot write.
        """
        with self._reading_lock:
            try:
                if self._reading is None:
                    self._reading = sqlite3.connect(
                        self._path, isolation_level=None, timeout=30, check_same_thread=False
                    )
                    self._reading.execute("PRAGMA query_only=ON")
                self._reading.execute("BEGIN")
                yield self._reading
            except sqlite3.DatabaseError as exc:
                raise _translate(exc, self._path) from exc
            finally:
                if self._reading is not None and self._reading.in_transaction:
                    self._reading.execute("ROLLBACK")

    def _roll_back(self) -> None:
        if self._connection.in_transaction:
            self._connection.execute("ROLLBACK")

    def create(self, schema: str) -> None:
        """Create the tables of one part, if they are not there."""
        with self._lock:
            try:
                self._connection.executescript(schema)
            except sqlite3.DatabaseError as exc:
                raise _translate(exc, self._path) from exc

    def close(self) -> None:
        """Close the file."""
        with self._reading_lock, self._lock:
            if self._reading is not None:
                self._reading.close()
            self._connection.close()


def _translate(exc: sqlite3.DatabaseError, path: Path) -> ForebayError:
    """Turn an error of the driver into one of ours: a full disk and locks pass, a broken file does not."""
    if "full" in str(exc) or "disk I/O" in str(exc):
        return BackpressureError(f"{path} cannot grow ({exc}): free space on its disk", 5.0)
    kind = TransientError if isinstance(exc, sqlite3.OperationalError) else PermanentError
    return kind(f"{path}: {exc}")


class Snapshots:
    """Named states, each with the journal offset up to which it counts: what a restart continues from."""

    _SCHEMA = """
    CREATE TABLE IF NOT EXISTS snapshot (
        name TEXT, stream TEXT, offset INTEGER NOT NULL, state BLOB NOT NULL, PRIMARY KEY (name, stream)
    );
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        store.create(self._SCHEMA)

    def save(self, name: str, stream: str, offset: int, state: bytes) -> None:
        """Keep a state in place of the one before."""
        with self._store.transaction() as connection:
            connection.execute("INSERT OR REPLACE INTO snapshot VALUES (?, ?, ?, ?)", (name, stream, offset, state))

    def load(self, name: str, stream: str) -> tuple[int, bytes] | None:
        """Return offset and state, None when there is none."""
        with self._store.transaction() as connection:
            query = "SELECT offset, state FROM snapshot WHERE name = ? AND stream = ?"
            row: tuple[int, bytes] | None = connection.execute(query, (name, stream)).fetchone()
            return row
