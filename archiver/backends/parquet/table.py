"""All that is known of a table while it is open."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path

import numpy as np

from archiver.backends.parquet import sidecar
from archiver.backends.parquet.compaction import Merger
from archiver.backends.parquet.entry import FileEntry, Names
from archiver.backends.parquet.errors import translated
from archiver.backends.parquet.index import Index
from archiver.backends.parquet.lock import WriterLock
from archiver.backends.parquet.log import DeltaLog
from archiver.backends.parquet.query import Reader
from archiver.backends.parquet.reading import DataFiles
from archiver.backends.parquet.writing import WrittenFile
from archiver.model.time import MAX_TIME
from archiver.ports import Position

KEPT_BYTES = 2**26
"""How much of what readers had decoded is kept for the next one."""


class Table:
    """What is known of a table from one `open` to the next: the numbers of one never meet the names of another.

    Parameters
    ----------
    root : Path
        The table.
    committing : context manager
        A lock, held while log and index change.
    lock : WriterLock, optional
        For the one that writes; without it, the table follows what that one commits.
    """

    def __init__(self, root: Path, committing: AbstractContextManager[bool], lock: WriterLock | None = None) -> None:
        self.root = root
        self.names = Names()
        self.index = Index(self.names)
        self.log = DeltaLog(root)
        self.reader = Reader(self.index, DataFiles(root, KEPT_BYTES), self.follow)
        self.merger = Merger(root, self.names, DataFiles(root))
        self._committing, self._lock = committing, lock

    def open(self) -> None:
        """Take the lock, roll a torn last commit back, and load the index; a reader does the last only."""
        if self._lock is None:
            self._load()
            return
        self._lock.acquire()
        try:
            self.log.create()
            self._load()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Give the lock back; nothing can be committed any more."""
        if self._lock is not None:
            self._lock.release()

    def commit(
        self, added: Sequence[WrittenFile], removed: Sequence[FileEntry] = (), position: Position | None = None
    ) -> None:
        """Change the table by one commit, if the lock is still held: see `DeltaLog.commit`."""
        assert self._lock is not None, "a reader commits nothing"
        self._lock.check()
        self.log.commit([file.entry for file in added], removed, position)
        self.index.change(added, [entry.path for entry in removed])

    def follow(self) -> None:
        """See what the writing process has committed since; the writer itself knows."""
        if self._lock is not None:
            return
        with self._committing, translated("reading", self.root):
            for _ in range(5):
                if not self.log.refresh():
                    return
                try:
                    self._load_index()
                    return
                except FileNotFoundError:  # compacted again since
                    continue

    def elements(self) -> list[str]:
        """Return the names of all elements that have a sample, sorted."""
        ids = [np.unique(entry.pieces.ids) for entry in self.index.snapshot.entries]
        return sorted(self.names.names(np.unique(np.concatenate(ids)))) if ids else []

    def _load(self) -> None:
        self.log.load()
        self._load_index()

    def _load_index(self) -> None:
        known = {entry.path for entry in self.index.snapshot.entries}
        added = [
            sidecar.load(self.root, path, partition, self.names)
            for path, partition in self.log.files.items()
            if path not in known
        ]
        self.index.change(added, known - self.log.files.keys())
        for group in list(self.index.latest):  # what the writer dropped is older than all that is left
            left = [entry.first for entry in self.index.snapshot.of_group(group)]
            self.index.forget_before(group, min(left, default=MAX_TIME))
