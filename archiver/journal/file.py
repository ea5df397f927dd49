"""The embedded journal: files that are appended to, by one thread that syncs in groups."""

from __future__ import annotations

import errno
import logging
import threading
from collections import deque
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import ClassVar

from archiver.journal.bounds import Bounds
from archiver.journal.frames import Entry
from archiver.journal.payload import decode, encode
from archiver.journal.recent import Recent, run_of
from archiver.journal.segments import Segments
from archiver.journal.waiting import Waiting
from archiver.model import BackpressureError, ForebayError, PermanentError, SampleBatch, TransientError
from archiver.model.time import now
from archiver.ports import JournalEntry, JournalState, Options

_LOG = logging.getLogger(__name__)
_CACHED_BYTES = 64 * 2**20
_GROUP_BYTES = 16 * 2**20
_AGE_STEPS = 1000
_PASSING = {errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS}


class FileOptions(Bounds):
    """Bounds of the embedded journal."""


@dataclass
class _Task:
    """A batch that waits for the writing thread."""

    batch: SampleBatch
    entry: Entry
    future: Future[int] = field(default_factory=Future)


class FileJournal:
    """The `Journal` port on files of its own.

    Parameters
    ----------
    directory : Path
        The files are in ``directory / "journal"``.
    options : FileOptions

    Notes
    -----
    What waits while a sync runs shares the next one. Entries of the recent past are kept decoded, so that lanes that
    keep up never read a file.
    """

    Options: ClassVar[type[Options]] = FileOptions

    def __init__(self, directory: Path, options: FileOptions) -> None:
        self.options = options
        self._folder = directory / "journal"
        self._segments = Segments(self._folder)
        self._tasks: deque[_Task] = deque()
        self._condition = threading.Condition()
        self._closing = False
        self._thread: threading.Thread | None = None
        self._recent = Recent(_CACHED_BYTES)
        self._state = JournalState(0, 0, 0, 1, 0, None, 0)
        self._waiting = Waiting(self._state, 0)
        self._queued_bytes = 0

    @property
    def stream(self) -> str:
        """Identity of this journal, kept over restarts."""
        return self._segments.stream

    # -- life -----------------------------------------------------------------------------------------

    def open(self) -> None:
        """Open or create the files and start the writing thread.

        Raises
        ------
        PermanentError
            A file is of a newer format, damaged, or not of a journal.
        TransientError
            The files cannot be opened now.
        """
        try:
            self._segments.open()
            held = self._segments.totals(self._segments.first - 1, self._segments.last)
        except OSError as exc:
            raise TransientError(f"the journal {self._folder} cannot be opened: {exc}") from exc
        self._state = JournalState(
            entries=held.entries,
            rows=held.rows,
            bytes=held.bytes,
            first=self._segments.first,
            last=self._segments.last,
            oldest=held.oldest,
            newest=self._segments.newest,
        )
        self._waiting = Waiting(self._state, self.options.max_age_s / _AGE_STEPS)
        self._closing = False
        self._thread = threading.Thread(target=self._run, name="journal", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Write what was appended, stop the thread and close the files."""
        with self._condition:
            self._closing = True
            self._condition.notify_all()
        if self._thread is not None:
            self._thread.join()
            self._thread = None
        self._segments.close()
        self._recent.clear()

    # -- writing --------------------------------------------------------------------------------------

    def append(self, batch: SampleBatch, account: bytes = b"") -> Future[int]:
        """Queue a batch; see `archiver.ports.Journal.append`."""
        received = int(batch.receive_time[0]) if batch.num_rows else now()
        task = _Task(batch, Entry(batch.num_rows, received, account, encode(batch)))
        task.future.set_running_or_notify_cancel()  # nobody may cancel it: it will be durable
        with self._condition:
            held, age_s = self._state.bytes + self._queued_bytes, self._waiting.of_oldest(self._state)
            full = self.options.why_full(held, task.entry.size, age_s)
            if full or self._closing:
                task.future.set_exception(BackpressureError(full or "the archive is shutting down", 1.0))
                return task.future
            self._queued_bytes += task.entry.size
            self._tasks.append(task)
            self._condition.notify_all()
        return task.future

    def trim(self, through: int) -> None:
        """Forget entries up to and including an offset; done when it returns."""
        with self._condition:
            through = min(through, self._state.last)
            if through < self._state.first:
                return
        try:
            self._segments.trim(through)
            with self._condition:
                held = self._segments.totals(through, self._state.last)
                self._state = replace(
                    self._state,
                    entries=held.entries,
                    rows=held.rows,
                    bytes=held.bytes,
                    first=through + 1,
                    oldest=held.oldest,
                )
                self._recent.forget_before(through + 1)
        except OSError as exc:
            raise _translate(exc, self._folder) from exc

    def fullness(self) -> float:
        """Return how full it is as a share of its bounds, of size or age, whichever is nearer."""
        with self._condition:
            age_s = self._waiting.of_oldest(self._state)
            return self.options.share(self._state.bytes, age_s)

    def overfull(self) -> bool:
        """Whether the policy is to drop the oldest entries, and the journal is within a tenth of a bound."""
        return self.options.drops(self.fullness())

    def _run(self) -> None:
        while True:
            with self._condition:
                self._condition.wait_for(lambda: self._tasks or self._closing)
                tasks = self._next_group()
                if not tasks:
                    break
            self._write(tasks)

    def _next_group(self) -> list[_Task]:
        """Take what waits, up to a size."""
        tasks: list[_Task] = []
        size = 0
        while self._tasks and size < _GROUP_BYTES:
            tasks.append(self._tasks.popleft())
            size += tasks[-1].entry.size
        return tasks

    def _write(self, tasks: list[_Task]) -> None:
        """Write a group in one frame; if it fails as a whole, each task alone, so that one cannot sink others."""
        try:
            self._segments.append([task.entry for task in tasks])
        except Exception as exc:  # noqa: BLE001 - whoever waits must hear of it, and the next ones must be served
            self._refuse(tasks, exc)
            return
        self._publish(tasks)

    def _refuse(self, tasks: list[_Task], exc: Exception) -> None:
        if len(tasks) > 1:
            for task in tasks:
                self._write([task])
            return
        with self._condition:
            self._queued_bytes -= tasks[0].entry.size
        tasks[0].future.set_exception(_translate(exc, self._folder))

    def _publish(self, tasks: list[_Task]) -> None:
        """Let lanes and whoever waits know what is durable now."""
        with self._condition:
            state = self._state
            first = state.last + 1
            for offset, task in enumerate(tasks, first):
                self._queued_bytes -= task.entry.size
                self._waiting.note(offset)
                self._recent.add(JournalEntry(offset, task.batch), task.entry.size)
            self._state = JournalState(
                entries=state.entries + len(tasks),
                rows=state.rows + sum(task.entry.rows for task in tasks),
                bytes=state.bytes + sum(task.entry.size for task in tasks),
                first=state.first,
                last=state.last + len(tasks),
                oldest=tasks[0].entry.received if state.oldest is None else state.oldest,
                newest=max(state.newest, *(task.entry.received for task in tasks)),
            )
            self._condition.notify_all()
        for offset, task in enumerate(tasks, first):
            task.future.set_result(offset)

    # -- reading --------------------------------------------------------------------------------------

    def read(self, after: int, rows: int) -> list[JournalEntry]:
        """Return entries after an offset; see `archiver.ports.Journal.read`."""
        with self._condition:
            after, last = max(after, self._state.first - 1), self._state.last
            if after >= last:
                return []
            if (recent := self._recent.after(after)) is not None:
                return run_of(recent, rows)
        try:
            stored = self._segments.read(after)
            found = ((JournalEntry(at, decode(entry.payload)), entry.size) for at, entry in stored if at <= last)
            return run_of(found, rows)
        except OSError as exc:
            raise _translate(exc, self._folder) from exc

    def rows_after(self, after: int) -> int:
        """Return how many samples lie after an offset."""
        with self._condition:
            after = max(after, self._state.first - 1)
            if after >= self._state.last:
                return 0
            if (recent := self._recent.after(after)) is not None:
                return sum(entry.batch.num_rows for entry, _ in recent)
            last = self._state.last
        try:
            return self._segments.totals(after, last).rows
        except FileNotFoundError:  # trimmed meanwhile
            return self.rows_after(after)

    def accounts(self, after: int) -> list[tuple[int, bytes]]:
        """Return the non-empty accounts after an offset, with their offsets."""
        with self._condition:
            after, last = max(after, self._state.first - 1), self._state.last
        return [found for found in self._segments.accounts(after) if found[0] <= last]

    def wait(self, after: int, timeout_s: float) -> bool:
        """Wait until there is an entry after an offset; return whether there is."""
        with self._condition:
            self._condition.wait_for(lambda: self._state.last > after or self._closing, timeout_s)
            return self._state.last > after

    def state(self) -> JournalState:
        """Return how full it is."""
        return self._state


def _translate(exc: Exception, folder: Path) -> ForebayError:
    """Turn any error into one of ours: a full disk and a lack of memory pass."""
    if isinstance(exc, ForebayError):
        return exc
    text = str(exc) or type(exc).__name__
    if isinstance(exc, OSError) and exc.errno in _PASSING:
        return BackpressureError(f"the journal {folder} cannot grow ({text}): free space on its disk", 5.0)
    if isinstance(exc, OSError | MemoryError):
        return BackpressureError(f"the journal {folder} cannot be used now: {text}", 1.0)
    _LOG.error("the journal %s: unexpected error", folder, exc_info=exc)
    return PermanentError(f"the journal {folder} cannot take this: {type(exc).__name__}: {text}")
