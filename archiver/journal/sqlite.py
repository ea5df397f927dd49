"""The embedded journal: one SQLite file in WAL mode, written by one thread that commits in groups."""

from __future__ import annotations

import sqlite3
import threading
import uuid
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar, Literal

from pydantic import Field

from archiver.journal.payload import decode, encode
from archiver.model import BackpressureError, ForebayError, PermanentError, SampleBatch, TransientError
from archiver.model.time import DAY_NS, now
from archiver.ports import JournalEntry, JournalState, Options

FORMAT = 1
_PAGE_BYTES = 65536
_CACHED_ROWS = 4_000_000
_GROUP_BYTES = 64 * 2**20
_TRIM_BYTES = 8 * 2**20
_TRIM_ENTRIES = 1000
_NEARLY = 0.9
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
        self._recent: deque[JournalEntry] = deque()
        self._recent_rows = 0
        self._state = JournalState(0, 0, 0, 1, 0, None)
        self._queued_bytes = 0
        self._stream = ""
        self._readers: list[sqlite3.Connection] = []
        self._local = threading.local()

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
        self._state = self._count(connection, trimmed=int(meta.get("trimmed", 0)))
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
        for reader in self._readers:
            reader.close()
        self._readers.clear()
        self._local = threading.local()
        self._recent.clear()
        self._recent_rows = 0

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
        connection.execute("INSERT OR REPLACE INTO meta VALUES ('trimmed', ?)", (last,))
        oldest = connection.execute("SELECT received FROM entry WHERE offset = ?", (last + 1,)).fetchone()
        old = self._state
        return JournalState(
            old.entries - entries, old.rows - rows, old.bytes - size, last + 1, old.last, oldest[0] if oldest else None
        )

    def fullness(self) -> float:
        """Return how full it is as a share of its bounds, of size or age, whichever is nearer."""
        state = self._state
        age_s = 0.0 if state.oldest is None else (now() - state.oldest) / 1e9
        return max(state.bytes / self.options.max_bytes, age_s / self.options.max_age_s)

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
        oldest = self._state.oldest
        if oldest is not None and now() - oldest > self.options.max_age_s * 10**9:
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
        except sqlite3.Error as exc:
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
        )

    def _roll_back(self, connection: sqlite3.Connection, tasks: list[_Task], exc: Exception) -> None:
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
            self._state = state
            self._recent.extend(entries)
            self._recent_rows += sum(entry.batch.num_rows for entry in entries)
            while self._recent and (self._recent[0].offset < state.first or self._recent_rows > _CACHED_ROWS):
                self._recent_rows -= self._recent.popleft().batch.num_rows
            self._condition.notify_all()
        appended = iter(entries)
        for task in tasks:
            task.future.set_result(next(appended).offset if task.action is None else 0)

    # -- reading --------------------------------------------------------------------------------------

    def read(self, after: int, rows: int) -> list[JournalEntry]:
        """Return entries after an offset; see `archiver.ports.Journal.read`."""
        with self._condition:
            if self._recent and self._recent[0].offset <= max(after + 1, self._state.first):
                return _until(rows, iter(self._recent_after(after)))
        query = "SELECT offset, payload FROM entry WHERE offset > ? ORDER BY offset"
        try:
            cursor = self._reader().execute(query, (after,))
            return _until(rows, (JournalEntry(offset, decode(payload)) for offset, payload in cursor))
        except sqlite3.Error as exc:
            raise _translate(exc, self._path) from exc

    def _recent_after(self, after: int) -> list[JournalEntry]:
        skip = max(0, after + 1 - self._recent[0].offset)
        return list(self._recent)[skip:]

    def rows_after(self, after: int) -> int:
        """Return how many samples lie after an offset."""
        with self._condition:
            if after >= self._state.last:
                return 0
            if self._recent and self._recent[0].offset <= max(after + 1, self._state.first):
                return sum(entry.batch.num_rows for entry in self._recent_after(after))
        query = "SELECT coalesce(sum(rows), 0) FROM entry WHERE offset > ?"
        try:
            return int(self._reader().execute(query, (after,)).fetchone()[0])
        except sqlite3.Error as exc:
            raise _translate(exc, self._path) from exc

    def accounts(self, after: int) -> list[tuple[int, bytes]]:
        """Return the non-empty accounts after an offset, with their offsets."""
        query = "SELECT offset, account FROM entry WHERE offset > ? AND account IS NOT NULL ORDER BY offset"
        try:
            return list(self._reader().execute(query, (after,)))
        except sqlite3.Error as exc:
            raise _translate(exc, self._path) from exc

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

    def _reader(self) -> sqlite3.Connection:
        connection: sqlite3.Connection | None = getattr(self._local, "connection", None)
        if connection is None:
            connection = self._local.connection = self._connect()
            with self._condition:
                self._readers.append(connection)
        return connection

    @staticmethod
    def _count(connection: sqlite3.Connection, trimmed: int) -> JournalState:
        query = "SELECT count(*), sum(rows), sum(bytes), min(offset), max(offset), min(received) FROM entry"
        entries, rows, size, first, last, oldest = connection.execute(query).fetchone()
        return JournalState(entries, rows or 0, size or 0, first or trimmed + 1, last or trimmed, oldest)


def _until(rows: int, entries: object) -> list[JournalEntry]:
    result: list[JournalEntry] = []
    total = 0
    for entry in entries:  # type: ignore[attr-defined]
        result.append(entry)
        total += entry.batch.num_rows
        if total >= rows:
            break
    return result


def _translate(exc: Exception, path: Path) -> ForebayError:
    """Turn an error of the driver into one of ours: a full disk and locks pass, a broken file does not."""
    text = str(exc)
    if "full" in text or "disk I/O" in text:
        return BackpressureError(f"the journal {path} cannot grow ({text}): free space on its disk", 5.0)
    if isinstance(exc, sqlite3.OperationalError):
        return BackpressureError(f"the journal {path} cannot be written now: {text}", 1.0)
    return PermanentError(f"the journal {path} is broken: {text}")
