"""Samples as they are acknowledged, for somebody who watches; each reads the journal at a pace of his own."""

from __future__ import annotations

import fnmatch
import re
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from archiver.model import SampleBatch
from archiver.pipeline.catalog import Catalog
from archiver.ports import Journal, JournalEntry

_ROWS = 20_000
_HELD_ROWS = 10 * _ROWS


@dataclass(frozen=True, slots=True)
class Gap:
    """Entries of the journal that were trimmed before they were read; the backends have what was in them.

    Parameters
    ----------
    first, last : int
        Offsets.
    """

    first: int
    last: int


class Shared:
    """The newest entries of a journal, read once for all who follow it.

    Parameters
    ----------
    journal : Journal
    """

    def __init__(self, journal: Journal) -> None:
        self.journal = journal
        self._lock = threading.Lock()
        self._entries: OrderedDict[int, JournalEntry] = OrderedDict()
        self._rows = 0

    def read(self, after: int) -> list[JournalEntry]:
        """Return entries after an offset in order, some thousand rows of them; see `Journal.read`."""
        with self._lock:
            held = list(self._held(after))
            if held:
                return held
            read = self.journal.read(after, _ROWS)
            for entry in read:
                if entry.offset not in self._entries:
                    self._entries[entry.offset] = entry
                    self._rows += len(entry.batch)
            while self._rows > _HELD_ROWS and len(self._entries) > 1:
                self._rows -= len(self._entries.popitem(last=False)[1].batch)
            return read

    def _held(self, after: int) -> Iterator[JournalEntry]:
        rows = 0
        while rows < _ROWS and (entry := self._entries.get(after := after + 1)) is not None:
            rows += len(entry.batch)
            yield entry


class Follower:
    """Reads on in the journal: what was acknowledged of some elements, before smoothing, under their present names.

    A reader that is slower than the backends finds a gap where the journal was trimmed; nobody waits for him.

    Parameters
    ----------
    shared : Shared
    catalog : Catalog
    patterns : sequence of str
        Names, aliases or globs; elements that come up later are followed as well.
    after : int, optional
        Offset after which to begin; after the last entry when left out.
    allowed : callable
        Whether samples of an element may be given.
    """

    def __init__(
        self,
        shared: Shared,
        catalog: Catalog,
        patterns: Sequence[str],
        after: int | None = None,
        allowed: Callable[[str], bool] = lambda name: True,
    ) -> None:
        self._shared = shared
        self._catalog = catalog
        self._patterns = tuple(patterns)
        self._match = re.compile("|".join(map(fnmatch.translate, patterns)) or "(?!)").match
        self._allowed = allowed
        self.offset = shared.journal.state().last if after is None else after

    def read(self) -> SampleBatch | Gap | None:
        """Return what came next, in the order of its arrival; None when there is nothing more by now."""
        while True:
            state = self._shared.journal.state()
            if state.first > self.offset + 1:
                gap, self.offset = Gap(self.offset + 1, state.first - 1), state.first - 1
                return gap
            entries = self._shared.read(self.offset)
            if not entries:
                return None
            if entries[0].offset > self.offset + 1:  # it was trimmed just now
                continue
            self.offset = entries[-1].offset
            names = self._names()
            chosen = [self._chosen(entry.batch, names) for entry in entries]
            if rows := [batch for batch in chosen if batch.num_rows]:
                return SampleBatch.concat(rows)

    def wanted(self, elements: Iterable[str]) -> list[str]:
        """Return those of some elements, by their present names, whose samples are given."""
        names = self._names()
        return [name for name in elements if self._wants(name, names)]

    def _names(self) -> set[str]:
        aliases = self._catalog.aliases()
        return {aliases.get(pattern, pattern) for pattern in self._patterns}

    def _wants(self, name: str, names: set[str]) -> bool:
        return (name in names or bool(self._match(name))) and self._allowed(name)

    def _chosen(self, batch: SampleBatch, names: set[str]) -> SampleBatch:
        batch = self._catalog.canonical(batch)
        wanted = np.fromiter((self._wants(name, names) for name in batch.elements), bool, len(batch.elements))
        return batch.filter(wanted[batch.codes]) if wanted.any() else SampleBatch.empty()
