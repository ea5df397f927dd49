"""One process per data directory."""

from __future__ import annotations

import fcntl
import json
import os
from pathlib import Path
from typing import Any, TextIO

from archiver.model import PermanentError, TransientError


class DirectoryInUseError(TransientError):
    """Another process works on this data `directory`; `info` is what it said about itself."""

    def __init__(self, message: str, info: dict[str, Any], directory: Path) -> None:
        super().__init__(message)
        self.info = info
        self.directory = directory


class DirectoryLock:
    """One process per data directory; the lock file says which, and where it answers."""

    def __init__(self, directory: Path) -> None:
        self._path = directory / "lock"
        self._file: TextIO | None = None

    def acquire(self) -> None:
        """Take the lock.

        Raises
        ------
        DirectoryInUseError
            Somebody holds it.
        PermanentError
            The directory cannot be made or written to.
        """
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            file = self._path.open("a+", encoding="utf-8")
        except OSError as exc:
            raise PermanentError(f"the data directory {self._path.parent} cannot be used: {exc.strerror}") from exc
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as exc:
            file.seek(0)
            info = json.loads(file.read() or "{}")
            file.close()
            directory = self._path.parent
            text = f"{directory} is in use by another forebay (process {info.get('pid', '?')})"
            raise DirectoryInUseError(text, info, directory) from exc
        self._file = file
        self.announce({})

    def announce(self, info: dict[str, Any]) -> None:
        """Tell other processes about this one, such as its address."""
        if self._file is None:
            return
        self._file.seek(0)
        self._file.truncate()
        json.dump({"pid": os.getpid(), **info}, self._file)
        self._file.flush()

    def release(self) -> None:
        """Give the lock back."""
        if self._file is not None:
            self._file.close()
            self._file = None
