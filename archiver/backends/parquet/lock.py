"""The lock of the one process that writes a table."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from typing import TextIO

from archiver.model import TransientError, disk

_FILE = "_forebay/lock"


class WriterLock:
    """Held by the one object, in whatever process, that may commit to a table.

    Parameters
    ----------
    root : Path
        The table.
    name : str
        Of the backend, for messages.
    """

    def __init__(self, root: Path, name: str) -> None:
        self._root, self._name = root, name
        self._file: TextIO | None = None

    def acquire(self) -> None:
        """Take the lock.

        Raises
        ------
        TransientError
            Somebody else holds it.
        """
        path = self._root / _FILE
        disk.make_folder(path.parent)
        file = path.open("a+", encoding="utf-8")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as exc:
            file.seek(0)
            owner = file.read().strip() or "unknown"
            file.close()
            raise TransientError(
                f"backend {self._name!r}: the table {self._root} is being written by process {owner}; "
                "stop that one, or open this one read-only"
            ) from exc
        self._file = file
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()

    def check(self) -> None:
        """Raise `TransientError` when the lock was given back: somebody else may write by now."""
        if self._file is None:
            raise TransientError(f"backend {self._name!r} is not open: the table {self._root} may have another writer")

    def release(self) -> None:
        """Give it back."""
        if self._file is not None:
            self._file.close()
            self._file = None
