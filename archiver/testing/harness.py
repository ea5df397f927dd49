"""How the contract suites get at a plug-in: a new one in an empty place, the same place again, and what lies there."""

from __future__ import annotations

import itertools
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol

from archiver.model import ArchiveGroup
from archiver.model.time import DAY_NS
from archiver.ports import Backend, BackendContext, Journal

GROUPS = {
    "g1": ArchiveGroup("g1", ("*",), ("backend",), segment_ns=DAY_NS),
    "g2": ArchiveGroup("g2", ("*",), ("backend",), segment_ns=DAY_NS),
}
"""The groups that the suites write to; a backend may also be given others."""

RawCount = Callable[[BackendContext, Mapping[str, Any]], int]
"""Count the stored samples, versions included, from what the backend was told, without the backend."""


class BackendHarness(Protocol):
    """What the suites need of a kind of backend."""

    def create(self) -> Backend:
        """Return a new backend, open, in an empty place, for `GROUPS`."""

    def reopen(self, backend: Backend) -> Backend:
        """Close a backend and return a new instance, open, on the same place: a restart."""

    def discard(self, backend: Backend) -> None:
        """Close a backend and remove what it left."""

    def close(self) -> None:
        """Discard every backend that is still there."""

    def raw_count(self, backend: Backend) -> int | None:
        """Count the stored samples, versions included, without asking the backend; None where it cannot be."""


class PluginHarness:
    """Harness of a backend that keeps everything in its data directory, or where its options say.

    Parameters
    ----------
    plugin : type
        The class behind the entry point.
    root : Path
        An empty directory; each backend gets a data directory of its own in it.
    options : callable, optional
        Gives the table of options for the n-th place, each time another; no options when left out.
    raw_count : callable, optional
        See `RawCount`.
    remove : callable, optional
        Removes what the options of a place name outside the data directory, such as a database schema.
    """

    def __init__(
        self,
        plugin: Any,
        root: Path,
        options: Callable[[int], Mapping[str, Any]] = lambda _: {},
        raw_count: RawCount | None = None,
        remove: Callable[[Mapping[str, Any]], None] = lambda _: None,
    ) -> None:
        self._plugin = plugin
        self._root = root
        self._options = options
        self._raw_count = raw_count
        self._remove = remove
        self._numbers = itertools.count()
        self._places: dict[int, tuple[Backend, BackendContext, Mapping[str, Any]]] = {}

    def create(self) -> Backend:
        """Return a new backend, open, in an empty place."""
        number = next(self._numbers)
        directory = self._root / str(number)
        directory.mkdir(parents=True)
        return self._open(BackendContext("backend", directory, GROUPS), self._options(number))

    def reopen(self, backend: Backend) -> Backend:
        """Close a backend and return a new instance on the same place."""
        backend.close()
        _, context, options = self._places.pop(id(backend))
        return self._open(context, options)

    def discard(self, backend: Backend) -> None:
        """Close a backend and remove what it left."""
        backend.close()
        _, context, options = self._places.pop(id(backend))
        shutil.rmtree(context.directory)
        self._remove(options)

    def close(self) -> None:
        """Discard every backend that is still there."""
        for backend, _, _ in list(self._places.values()):
            self.discard(backend)

    def raw_count(self, backend: Backend) -> int | None:
        """Count the stored samples without asking the backend."""
        _, context, options = self._places[id(backend)]
        return None if self._raw_count is None else self._raw_count(context, options)

    def _open(self, context: BackendContext, options: Mapping[str, Any]) -> Backend:
        backend: Backend = self._plugin(context, self._plugin.Options.model_validate(options))
        self._places[id(backend)] = backend, context, options
        backend.open()
        return backend


class VolatileHarness(PluginHarness):
    """Harness of a backend that keeps its samples in the instance: a restart closes and opens that one."""

    def reopen(self, backend: Backend) -> Backend:
        """Close and open the same instance."""
        backend.close()
        backend.open()
        return backend


class JournalHarness(Protocol):
    """What the suite needs of a kind of journal."""

    def create(self, max_bytes: int | None = None) -> Journal:
        """Return a new journal, open, in an empty place; one that is full at about so many bytes, if given."""

    def reopen(self, journal: Journal) -> Journal:
        """Close a journal and return a new instance, open, on the same place."""

    def after_crash(self, journal: Journal) -> Journal | None:
        """Return a new instance, open, on what is durable at this moment; None where that cannot be had."""

    def close(self) -> None:
        """Close every journal that is still open."""


class DirectoryJournalHarness:
    """Harness of a journal that keeps everything in its directory.

    Parameters
    ----------
    plugin : type
        The class behind the entry point.
    root : Path
        An empty directory; each journal gets one of its own in it.
    bounded : callable
        Gives the table of options for a journal that is full at about so many bytes.
    """

    def __init__(self, plugin: Any, root: Path, bounded: Callable[[int], Mapping[str, Any]]) -> None:
        self._plugin = plugin
        self._root = root
        self._bounded = bounded
        self._numbers = itertools.count()
        self._places: dict[int, tuple[Journal, Path, Mapping[str, Any]]] = {}

    def create(self, max_bytes: int | None = None) -> Journal:
        """Return a new journal, open, in an empty place."""
        return self._open(self._directory(), {} if max_bytes is None else self._bounded(max_bytes))

    def reopen(self, journal: Journal) -> Journal:
        """Close a journal and return a new instance on the same place."""
        journal.close()
        _, directory, options = self._places.pop(id(journal))
        return self._open(directory, options)

    def after_crash(self, journal: Journal) -> Journal | None:
        """Return a new instance on a copy of the files as they are now."""
        _, directory, options = self._places[id(journal)]
        copy = self._directory()
        shutil.copytree(directory, copy, dirs_exist_ok=True)
        return self._open(copy, options)

    def close(self) -> None:
        """Close every journal that is still open."""
        for journal, _, _ in self._places.values():
            journal.close()

    def _directory(self) -> Path:
        directory = self._root / str(next(self._numbers))
        directory.mkdir(parents=True)
        return directory

    def _open(self, directory: Path, options: Mapping[str, Any]) -> Journal:
        journal: Journal = self._plugin(directory, self._plugin.Options.model_validate(options))
        self._places[id(journal)] = journal, directory, options
        journal.open()
        return journal
