"""The newest sample of every element, kept ready."""

from __future__ import annotations

import threading
from collections.abc import Sequence

import numpy as np

from archiver.model import SampleBatch
from archiver.model.batch import sort_order

_PENDING_ROWS = 200_000


class Latest:
    """A row per element, updated with every batch that the journal has taken.

    Batches are reduced to the last row of each element at once, and joined when somebody asks.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._rows = SampleBatch.empty()
        self._pending: list[SampleBatch] = []
        self._pending_rows = 0
        self._index: dict[str, int] = {}
        self._offset = 0
        self._ahead: set[int] = set()

    @property
    def offset(self) -> int:
        """Journal offset up to which every batch was taken into account."""
        return self._offset

    def reset(self, rows: SampleBatch, offset: int) -> None:
        """Begin with the rows of a snapshot that was taken at a journal offset."""
        with self._lock:
            self._rows, self._offset = last_of_each(rows), offset
            self._reindex()

    def update(self, batch: SampleBatch, offset: int) -> None:
        """Take the samples of a journal entry into account; late ones change nothing."""
        last = last_of_each(batch)
        with self._lock:
            self._ahead.add(offset)  # entries may be announced out of order
            while self._offset + 1 in self._ahead:
                self._offset += 1
                self._ahead.remove(self._offset)
            self._pending.append(last)
            self._pending_rows += last.num_rows
            if self._pending_rows > _PENDING_ROWS:
                self._join()

    def get(self, names: Sequence[str] | None = None) -> SampleBatch:
        """Return the newest sample of each name that has one, or of all elements; ordered by name."""
        with self._lock:
            self._join()
            rows, index = self._rows, self._index
        if names is None:
            return rows
        found = sorted({name for name in names if name in index})
        return rows.take([index[name] for name in found]).compacted()

    def _join(self) -> None:
        if not self._pending:
            return
        self._rows = last_of_each(SampleBatch.concat([self._rows, *self._pending]))
        self._pending, self._pending_rows = [], 0
        self._reindex()

    def _reindex(self) -> None:
        self._rows = self._rows.sorted()
        names = self._rows.elements
        self._index = {names[code]: row for row, code in enumerate(self._rows.codes.tolist())}


def last_of_each(batch: SampleBatch) -> SampleBatch:
    """Return the valid sample with the greatest source time of each element in a batch."""
    if batch.num_rows < 2:
        return batch
    order = sort_order(batch.codes, batch.source_time, batch.sequence, batch.receive_time)
    codes = batch.codes if order is None else batch.codes[order]
    ends = np.flatnonzero(np.append(codes[1:] != codes[:-1], True))
    return batch.take(ends if order is None else order[ends])
