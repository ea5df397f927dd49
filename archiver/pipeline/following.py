"""Samples as they are acknowledged, for somebody who watches; each reads the journal at a pace of his own."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from archiver.model import SampleBatch
from archiver.pipeline.catalog import Catalog
from archiver.ports import Journal

_ROWS = 20_000


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


class Follower:
    """Reads on in the journal: what was acknowledged of some elements, before smoothing, under their present names.

    A reader that is slower than the backends finds a gap where the journal was trimmed; nobody waits for him.

    Parameters
    ----------
    journal : Journal
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
        journal: Journal,
        catalog: Catalog,
        patterns: Sequence[str],
        after: int | None = None,
        allowed: Callable[[str], bool] = lambda name: True,
    ) -> None:
        self._journal = journal
        self._catalog = catalog
        self._patterns = tuple(patterns)
        self._match = re.compile("|".join(map(fnmatch.translate, patterns)) or "(?!)").match
        self._allowed = allowed
        self.offset = journal.state().last if after is None else after

    def read(self) -> SampleBatch | Gap | None:
        """Return what came next, in the order of its arrival; None when there is nothing more by now."""
        while True:
            state = self._journal.state()
            if state.first > self.offset + 1:
                gap, self.offset = Gap(self.offset + 1, state.first - 1), state.first - 1
                return gap
            entries = self._journal.read(self.offset, _ROWS)
            if not entries:
                return None
            if entries[0].offset > self.offset + 1:  # it was trimmed just now
                continue
            self.offset = entries[-1].offset
            rows = self._chosen(SampleBatch.concat([entry.batch for entry in entries]))
            if rows.num_rows:
                return rows

    def wants(self, name: str) -> bool:
        """Return whether samples of an element, by its present name, are given."""
        aliases = self._catalog.aliases()
        named = any(aliases.get(pattern, pattern) == name for pattern in self._patterns)
        return (named or bool(self._match(name))) and self._allowed(name)

    def _chosen(self, batch: SampleBatch) -> SampleBatch:
        batch = self._catalog.canonical(batch)
        wanted = np.fromiter(map(self.wants, batch.elements), bool, len(batch.elements))
        return batch.filter(wanted[batch.codes])
