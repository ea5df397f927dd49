"""The audit log: who changed what, from where, and what came of it; only ever appended to, and synced."""

from __future__ import annotations

import fcntl
import json
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from archiver.model import PermanentError, TransientError, format_time
from archiver.model.disk import sync
from archiver.model.time import now
from archiver.security.chain import DIRECTORY, FIRST, HEAD, Record, files_of, parse, seal
from archiver.security.files import PRIVATE, give_to_owner, replace_file
from archiver.security.roles import Caller

_LARGEST = 16 * 2**20
_TAIL = 2**20  # a record is shorter
_LONGEST_TEXT, _MOST_ITEMS = 1000, 30
BEGUN, DONE = "begun", "done"


class AuditLog:
    """The audit log of a data directory; several processes may append to it.

    Parameters
    ----------
    data : Path
        The data directory; the log is made with the first record.
    largest : int
        Bytes of a file from which on the next record begins another one; the chain goes on.
    clock : callable
        Gives ns since the epoch.
    """

    def __init__(self, data: Path, largest: int = _LARGEST, clock: Callable[[], int] = now) -> None:
        self._directory = data / DIRECTORY
        self._largest = largest
        self._clock = clock
        self._lock = threading.Lock()
        self._end: tuple[Path, int] | None = None
        self._number, self._hash = 0, FIRST

    def record(self, caller: Caller, action: str, result: str = DONE, **what: Any) -> Record:
        """Append a record; it is durable when this returns.

        Parameters
        ----------
        action : str
            What was done, such as ``copy``.
        result : str
            ``done``, ``begun``, or why not.
        **what
            To what: plain values.

        Raises
        ------
        TransientError
            It cannot be written: what it is about is not to be done.
        """
        try:
            with self._lock, self._alone():
                return self._append(caller, action, result, what)
        except OSError as exc:
            raise TransientError(f"the audit log cannot be written, so nothing is done: {exc}") from exc

    @contextmanager
    def change(self, caller: Caller, action: str, **what: Any) -> Iterator[None]:
        """Record that a change begins, and what came of it at the end of the block.

        Without the first record there is no change; without the second one nobody knows how it ended.
        """
        self.record(caller, action, BEGUN, **what)
        try:
            yield
        except BaseException as exc:
            self.record(caller, action, f"failed: {exc}"[:500], **what)
            raise
        self.record(caller, action, DONE, **what)

    def _append(self, caller: Caller, action: str, result: str, what: dict[str, Any]) -> Record:
        path, size = self._find_end()
        record = seal(
            {
                "number": self._number + 1,
                "time": format_time(self._clock()),
                "actor": caller.principal.name,
                "origin": caller.origin,
                "request": caller.request,
                "action": action,
                "what": _bounded(what),
                "result": _bounded(result),
                "previous": self._hash,
            }
        )
        line = json.dumps(record).encode() + b"\n"
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, PRIVATE)
        with os.fdopen(descriptor, "ab") as file:
            file.write(line)
            file.flush()
            os.fsync(file.fileno())
        if not size:
            give_to_owner(path)
            sync(self._directory)
        self._end, self._number, self._hash = (path, size + len(line)), record["number"], record["hash"]
        head = {"number": record["number"], "hash": record["hash"]}
        replace_file(self._directory / HEAD, json.dumps(head).encode(), synced=False)
        return record

    def _find_end(self) -> tuple[Path, int]:
        """Return the file that the next record goes to and its size; know the record before it."""
        files = files_of(self._directory)
        path = files[-1] if files else self._directory / "000001.jsonl"
        size = path.stat().st_size if files else 0
        if self._end != (path, size):  # the first time, or another process has appended
            size = self._read_end(files)
        if size < self._largest:
            return path, size
        return self._directory / f"{int(path.stem) + 1:06}.jsonl", 0

    def _read_end(self, files: list[Path]) -> int:
        """Know the last record; return the size of its file, without what a power cut left half written."""
        self._number, self._hash = 0, FIRST
        for file in reversed(files):
            size = file.stat().st_size
            with file.open("r+b") as end:
                end.seek(max(0, size - _TAIL))
                *lines, rest = end.read().split(b"\n")
                if rest:  # never acknowledged
                    size -= len(rest)
                    end.truncate(size)
            if size:
                record = parse(lines[-1]) if lines else None
                if record is None:
                    raise PermanentError(f"{file} does not end with a record: see `forebay audit verify`, and mend it")
                self._number, self._hash = record["number"], record["hash"]
                return size if file == files[-1] else 0
        return 0

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Keep other processes from appending."""
        if not self._directory.exists():
            self._directory.mkdir(parents=True, exist_ok=True, mode=0o700)
            give_to_owner(self._directory)
        lock = self._directory / "lock"
        descriptor = os.open(lock, os.O_WRONLY | os.O_CREAT, PRIVATE)
        try:
            give_to_owner(lock)
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)


def _bounded(value: Any) -> Any:
    """Return plain values, cut where they are long: whoever asks decides on them, and the log is for people."""
    if isinstance(value, str):
        return value if len(value) <= _LONGEST_TEXT else f"{value[:_LONGEST_TEXT]}…"
    if isinstance(value, list | tuple):
        return [*map(_bounded, value[:_MOST_ITEMS]), *(["…"] if len(value) > _MOST_ITEMS else [])]
    if isinstance(value, dict):
        return {_bounded(name): _bounded(item) for name, item in list(value.items())[:_MOST_ITEMS]}
    return value
