"""The embedded journal: one SQLite file in WAL mode, written by one thread that commits in groups."""

from __future__ import annotations

import logging
import sqlite3
import threading
import uuid
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import ClassVar, Literal

from pydantic import Field

from archiver.journal.payload import decode, encode
from archiver.journal.readers import Readers
from archiver.journal.recent import Recent, run_of
from archiver.journal.waiting import Waiting
from archiver.model import BackpressureError, ForebayError, PermanentError, SampleBatch, TransientError
from archiver.model.time import DAY_NS, now
from archiver.ports import JournalEntry, JournalState, Options

_LOG = logging.getLogger(__name__)
FORMAT = 1
_PAGE_BYTES = 65536
_CACHED_BYTES = 64 * 2**20
_GROUP_BYTES = 64 * 2**20
_TRIM_BYTES = 8 * 2**20
_TRIM_ENTRIES = 1000
_NEARLY = 0.9
_AGE_STEPS = 1000
_SCHEMA = """
CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS entry (
    offset INTEGER PRIMARY KEY,
    rows INTEGER NOT NULL,
    received INTEGER NOT NULL,
    bytes INTEGER NOT NULL,
    account BLOB,
    payload BLOB NOT NULL
);
CREATE INDEX IF NOT EXISTS entry_account ON entry (offset) WHERE account IS NOT NULL;
"""


class SqliteOptions(Options):
    """Bounds of the embedded journal."""

    max_bytes: int = Field(10 * 2**30, gt=0, description="samples kept at most, in bytes")
    max_age_s: int = Field(30 * DAY_NS // 10**9, gt=0, description="age of its oldest sample when it counts as full")
    when_full: Literal["block", "drop_oldest"] = Field(
        "block", description="block: sources wait; drop_oldest: lanes that are behind lose samples, on record"
    )


@dataclass
class _Task:
    """Work of the writing thread: an append (with a payload), or something to run between two commits."""

    future: Future[int]
    payload: bytes = b""
    account: bytes = b""
    batch: SampleBatch = field(default_factory=SampleBatch.empty)
    action: Callable[[sqlite3.Connection], JournalState] | None = None


class SqliteJournal:
    """The `Journal` port on SQLite.

    Parameters
    ----------
    directory : Path
        The file is ``directory / "journal.db"``.
    options : SqliteOptions

    Notes
    -----
    ``synchronous=FULL``: the commit that acknowledges a batch has synced the write-ahead log. Appends that wait
    while a commit runs share the next one. Entries of the recent past are kept decoded, so that lanes that keep
    up never read the file.
    """

    Options: ClassVar[type[Options]] = SqliteOptions

    def __init__(self, directory: Path, options: SqliteOptions) -> None:
        self.options = options
        self._path = directory / "journal.db"
        self._tasks: deque[_Task] = deque()
        self._condition = threading.Condition()
        self._closing = False
        self._thread: threading.Thread | None = None
        self._recent = Recent(_CACHED_BYTES)
        self._state = JournalState(0, 0, 0, 1, 0, None, 0)
        self._waiting = Waiting(self._state, 0)
        self._queued_bytes = 0
        self._stream = ""
        self._readers = Readers(self._connect)

    @property
    def stream(self) -> str:
        """Identity of this journal, kept over restarts."""
        return self._stream

    # -- life -----------------------------------------------------------------------------------------

    def open(self) -> None:
        """Open or create the file and start the writing thread.

        Raises
        ------
        PermanentError
            The file is of a newer format, or not a journal.
        TransientError
            The file cannot be opened now.
        """
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            connection = self._connect()
            connection.execute(f"PRAGMA page_size={_PAGE_BYTES}")
            connection.execute("PRAGMA journal_mode=WAL")
            connection.executescript(_SCHEMA)
            connection.execute("INSERT OR IGNORE INTO meta VALUES ('stream', ?)", (uuid.uuid4().hex,))
            connection.execute("INSERT OR IGNORE INTO meta VALUES ('format', ?)", (FORMAT,))
            meta = dict(connection.execute("SELECT key, value FROM meta"))
        except sqlite3.DatabaseError as exc:
            kind = TransientError if isinstance(exc, sqlite3.OperationalError) else PermanentError
            raise kind(f"the journal {self._path} cannot be opened: {exc}") from exc
        if meta["format"] > FORMAT:
            connection.close()
            raise PermanentError(
                f"the journal {self._path} has format {meta['format']}, newer than {FORMAT}: upgrade forebay"
            )
        self._stream = str(meta["stream"])
        self._state = self._count(connection, trimmed=int(meta.get("trimmed", 0)), newest=int(meta.get("newest", 0)))
        self._waiting = Waiting(self._state, self.options.max_age_s / _AGE_STEPS)
        self._closing = False
        self._thread = threading.Thread(target=self._run, args=(connection,), name="journal", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Commit what was appended, stop the thread and close the file."""
        with self._condition:
            self._closing = True
            self._condition.notify_all()
        if self._thread is not None:
            self._thread.join()
            self._thread = None
        self._readers.close()
        self._recent.clear()

    # -- writing --------------------------------------------------------------------------------------

    def append(self, batch: SampleBatch, account: bytes = b"") -> Future[int]:
        """Queue a batch; see `archiver.ports.Journal.append`."""
        task = _Task(Future(), encode(batch), account, batch)
        task.future.set_running_or_notify_cancel()  # nobody may cancel it: it will be durable
        with self._condition:
            full = self._why_full(len(task.payload))
            if full or self._closing:
                task.future.set_exception(BackpressureError(full or "the archive is shutting down", 1.0))
                return task.future
            self._queued_bytes += len(task.payload)
            self._tasks.append(task)
            self._condition.notify_all()
        return task.future

    def trim(self, through: int) -> None:
        """Forget entries up to and including an offset; done when it returns.

        Works in steps, so that appends go on between them: freeing the pages of an entry reads them.
        """
        through = min(through, self._state.last)
        while self._state.first <= through:
            task = _Task(Future(), action=lambda connection: self._delete(connection, through))
            with self._condition:
                self._tasks.append(task)
                self._condition.notify_all()
            task.future.result()

    def _delete(self, connection: sqlite3.Connection, through: int) -> JournalState:
        query = "SELECT offset, rows, bytes FROM entry WHERE offset <= ? ORDER BY offset LIMIT ?"
        entries = rows = size = 0
        last = through
        for offset, count, length in connection.execute(query, (through, _TRIM_ENTRIES)).fetchall():
            entries, rows, size, last = entries + 1, rows + count, size + length, offset
            if size >= _TRIM_BYTES:
                break
        connection.execute("DELETE FROM entry WHERE offset <= ?", (last,))
        old = self._state
        connection.execute("INSERT OR REPLACE INTO meta VALUES ('trimmed', ?), ('newest', ?)", (last, old.newest))
        oldest = connection.execute("SELECT received FROM entry WHERE offset = ?", (last + 1,)).fetchone()
        return replace(
            old,
            entries=old.entries - entries,
            rows=old.rows - rows,
            bytes=old.bytes - size,
            first=last + 1,
            oldest=oldest[0] if oldest else None,
        )

    def fullness(self) -> float:
        """Return how full it is as a share of its bounds, of size or age, whichever is nearer."""
        with self._condition:
            age_s = self._waiting.of_oldest(self._state)
            return max(self._state.bytes / self.options.max_bytes, age_s / self.options.max_age_s)

    def overfull(self) -> bool:
        """Whether the policy is to drop the oldest entries, and the journal is within a tenth of a bound."""
        return self.options.when_full == "drop_oldest" and self.fullness() > _NEARLY

    def _why_full(self, more: int) -> str:
        held = self._state.bytes + self._queued_bytes
        if held + more > self.options.max_bytes:
            return (
                f"the journal is full ({held} of {self.options.max_bytes} bytes): a backend is behind; "
                "see `forebay backends`, then repair it or raise journal.max_bytes"
            )
        if self._waiting.of_oldest(self._state) > self.options.max_age_s:
            return (
                f"the journal's oldest sample waits for more than {self.options.max_age_s} s: a backend is behind; "
                "see `forebay backends`, then repair it or raise journal.max_age_s"
            )
        return ""

    def _run(self, connection: sqlite3.Connection) -> None:
        while True:
            with self._condition:
                self._condition.wait_for(lambda: self._tasks or self._closing)
                tasks = self._next_group()
                if not tasks:
                    break
            self._commit(connection, tasks)
        connection.close()

    def _next_group(self) -> list[_Task]:
        """Take appends up to a size, or one trim: it counts on the state that the commit before it left."""
        tasks: list[_Task] = []
        size = 0
        while self._tasks and size < _GROUP_BYTES and not (tasks and self._tasks[0].action):
            tasks.append(self._tasks.popleft())
            size += len(tasks[-1].payload)
            if tasks[-1].action:
                break
        return tasks

    def _commit(self, connection: sqlite3.Connection, tasks: list[_Task]) -> None:
        """Write a group in one transaction; if it fails as a whole, each task alone, so that one cannot sink others."""
        state = self._state
        entries = []
        try:
            connection.execute("BEGIN IMMEDIATE")
            for task in tasks:
                if task.action is not None:
                    state = task.action(connection)
                else:
                    state = self._insert(connection, task, state)
                    entries.append(JournalEntry(state.last, task.batch))
            connection.execute("COMMIT")
        except Exception as exc:  # noqa: BLE001 - whoever waits must hear of it, and the next ones must be served
            self._roll_back(connection, tasks, exc)
            return
        self._publish(tasks, state, entries)

    def _insert(self, connection: sqlite3.Connection, task: _Task, state: JournalState) -> JournalState:
        received = int(task.batch.receive_time[0]) if task.batch.num_rows else now()
        size = len(task.payload) + len(task.account)
        offset = state.last + 1
        connection.execute(
            "INSERT INTO entry VALUES (?, ?, ?, ?, ?, ?)",
            (offset, task.batch.num_rows, received, size, task.account or None, task.payload),
        )
        return JournalState(
            entries=state.entries + 1,
            rows=state.rows + task.batch.num_rows,
            bytes=state.bytes + size,
            first=state.first if state.entries else offset,
            last=offset,
            oldest=received if state.oldest is None else state.oldest,
            newest=max(state.newest, received),
        )

    def _roll_back(self, connection: sqlite3.Connection, tasks: list[_Task], exc: Exception) -> None:
        with suppress(sqlite3.Error):  # the next transaction cannot begin then, and is rolled back first
            if connection.in_transaction:
                connection.execute("ROLLBACK")
        if len(tasks) > 1:
            for task in tasks:
                self._commit(connection, [task])
            return
        with self._condition:
            self._queued_bytes -= len(tasks[0].payload)
        tasks[0].future.set_exception(_translate(exc, self._path))

    def _publish(self, tasks: list[_Task], state: JournalState, entries: list[JournalEntry]) -> None:
        with self._condition:
            self._queued_bytes -= sum(len(task.payload) for task in tasks)
            for entry, task in zip(entries, tasks, strict=False):  # a trim comes alone, and has none
                self._waiting.note(entry.offset)
                self._recent.add(entry, len(task.payload))
            self._recent.forget_before(state.first)
            self._state = state
            self._condition.notify_all()
        appended = iter(entries)
        for task in tasks:
            task.future.set_result(next(appended).offset if task.action is None else 0)

    # -- reading --------------------------------------------------------------------------------------

    def read(self, after: int, rows: int) -> list[JournalEntry]:
        """Return entries after an offset; see `archiver.ports.Journal.read`."""
        with self._condition:
            after = max(after, self._state.first - 1)
            if after >= self._state.last:
                return []
            if (recent := self._recent.after(after)) is not None:
                return run_of(recent, rows)
        query = "SELECT offset, payload FROM entry WHERE offset > ? ORDER BY offset"
        with self._reading() as connection, closing(connection.execute(query, (after,))) as cursor:
            return run_of(((JournalEntry(offset, decode(data)), len(data)) for offset, data in cursor), rows)

    def rows_after(self, after: int) -> int:
        """Return how many samples lie after an offset."""
        with self._condition:
            after = max(after, self._state.first - 1)
            if after >= self._state.last:
                return 0
            if (recent := self._recent.after(after)) is not None:
                return sum(entry.batch.num_rows for entry, _ in recent)
        query = "SELECT coalesce(sum(rows), 0) FROM entry WHERE offset > ?"
        with self._reading() as connection:
            return int(connection.execute(query, (after,)).fetchone()[0])

    def accounts(self, after: int) -> list[tuple[int, bytes]]:
        """Return the non-empty accounts after an offset, with their offsets."""
        if after >= self._state.last:
            return []
        query = "SELECT offset, account FROM entry WHERE offset > ? AND account IS NOT NULL ORDER BY offset"
        with self._reading() as connection:
            return list(connection.execute(query, (after,)))

    def wait(self, after: int, timeout_s: float) -> bool:
        """Wait until there is an entry after an offset; return whether there is."""
        with self._condition:
            self._condition.wait_for(lambda: self._state.last > after or self._closing, timeout_s)
            return self._state.last > after

    def state(self) -> JournalState:
        """Return how full it is."""
        return self._state

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self._path, isolation_level=None, timeout=30, check_same_thread=False)
        connection.execute("PRAGMA synchronous=FULL")
        return connection

    @contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        try:
            with self._readers.lend() as connection:
                yield connection
        except sqlite3.Error as exc:
            raise _translate(exc, self._path) from exc

    @staticmethod
    def _count(connection: sqlite3.Connection, trimmed: int, newest: int) -> JournalState:
        query = """SELECT count(*), coalesce(sum(rows), 0), coalesce(sum(bytes), 0), coalesce(min(offset), :next),
            coalesce(max(offset), :trimmed), min(received), max(coalesce(max(received), 0), :newest) FROM entry"""
        return JournalState(
            *connection.execute(query, {"next": trimmed + 1, "trimmed": trimmed, "newest": newest}).fetchone()
        )


def _translate(exc: Exception, path: Path) -> ForebayError:
    """Turn any error into one of ours: a full disk, locks and a lack of memory pass, a broken file does not."""
    text = str(exc) or type(exc).__name__
    if isinstance(exc, sqlite3.OperationalError) and ("full" in text or "disk I/O" in text):
        return BackpressureError(f"the journal {path} cannot grow ({text}): free space on its disk", 5.0)
    if isinstance(exc, sqlite3.OperationalError | MemoryError):
        return BackpressureError(f"the journal {path} cannot be used now: {text}", 1.0)
    if isinstance(exc, sqlite3.DataError | OverflowError):
        return PermanentError(f"the journal {path} cannot hold this batch ({text}): send it in parts")
    if isinstance(exc, sqlite3.Error):
        return PermanentError(f"the journal {path} is broken: {text}")
    _LOG.error("the journal %s: unexpected error", path, exc_info=exc)
    return PermanentError(f"the journal {path} cannot take this: {type(exc).__name__}: {text}")
