"""The newest sample of every element, kept ready."""

from __future__ import annotations

import logging
import threading
from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from archiver.model import Kind, SampleBatch
from archiver.model.batch import Int32s, Mask, sort_order
from archiver.model.identity import duplicates

_LOG = logging.getLogger(__name__)
_PENDING_ROWS = 200_000
_PENDING_BYTES = 128 * 2**20
_OF_ANY_SIZE = frozenset(kind for kind in Kind if kind.is_list or kind in (Kind.TEXT, Kind.BINARY))


class Latest:
    """A row per element, updated with every batch that the journal has taken.

    Batches are reduced to the last rows of each element at once, and joined when somebody asks. Of the newest sample
    all versions are kept, so that a resend of one that was corrected is recognised.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._rows = SampleBatch.empty()
        self._pending: list[SampleBatch] = []
        self._pending_rows = 0
        self._pending_bytes = 0
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
            self._offset = offset
            self._keep(rows)

    def update(self, last: SampleBatch, offset: int) -> None:
        """Take a journal entry into account, of which `versions_of_last` left these; late ones change nothing."""
        size = sum(last.values(kind).nbytes for kind in _OF_ANY_SIZE.intersection(last.kinds))
        with self._lock:
            if offset > self._offset:
                self._ahead.add(offset)  # entries may be announced out of order
            while self._offset + 1 in self._ahead:
                self._offset += 1
                self._ahead.remove(self._offset)
            self._pending.append(last)
            self._pending_rows += last.num_rows
            self._pending_bytes += size
            if self._pending_rows > _PENDING_ROWS or self._pending_bytes > _PENDING_BYTES:
                self._try_to_join()

    def get(self, names: Sequence[str] | None = None) -> SampleBatch:
        """Return the newest sample of each name that has one, or of all elements; ordered by name."""
        with self._lock:
            self._join()
            rows, index = self._rows, self._index
        if names is None:
            return last_of_each(rows)
        found = sorted({name for name in names if name in index})
        return rows.take([index[name] for name in found]).compacted()

    def versions(self) -> SampleBatch:
        """Return every version of the newest sample of each element: what `reset` begins with."""
        with self._lock:
            self._join()
            return self._rows

    def _try_to_join(self) -> None:
        """Join, unless it is more than a column can hold: who asks is told so, and what comes in comes in."""
        try:
            self._join()
        except pa.ArrowInvalid as exc:
            _LOG.error("the latest values cannot be joined: %s; it is tried again", exc)
            self._pending_rows = self._pending_bytes = 0  # when as much has come once more

    def _join(self) -> None:
        if not self._pending:
            return
        self._keep(SampleBatch.concat([self._rows, *self._pending]))
        self._pending, self._pending_rows, self._pending_bytes = [], 0, 0

    def _keep(self, rows: SampleBatch) -> None:
        rows = versions_of_last(rows).sorted()
        if (rows.codes[1:] == rows.codes[:-1]).any():
            rows = rows.filter(~duplicates(rows, SampleBatch.empty()))
        names = rows.elements
        self._rows = rows
        self._index = {names[code]: row for row, code in enumerate(rows.codes.tolist())}  # its last version counts


def last_of_each(batch: SampleBatch) -> SampleBatch:
    """Return the valid sample with the greatest source time of each element in a batch, ordered by element code."""
    if batch.num_rows < 2:
        return batch
    order = sort_order(batch.codes, batch.source_time, batch.sequence, batch.receive_time)
    codes = batch.codes if order is None else batch.codes[order]
    ends = np.flatnonzero(np.append(codes[1:] != codes[:-1], True))
    return batch.take(ends if order is None else order[ends])


def versions_of_last(batch: SampleBatch) -> SampleBatch:
    """Return the sample with the greatest source time and sequence of each element, in all its versions."""
    if batch.num_rows < 2:
        return batch
    rows = np.flatnonzero(_is_greatest(batch.codes, batch.source_time))
    if (sequence := batch.sequence[rows]).any():
        rows = rows[_is_greatest(batch.codes[rows], sequence)]
    return batch.take(rows)


def _is_greatest(codes: Int32s, key: NDArray[Any]) -> Mask:
    """Where a key is the greatest among those of the same code."""
    top = np.full(int(codes.max()) + 1, np.iinfo(key.dtype).min, key.dtype)
    np.maximum.at(top, codes, key)
    result: Mask = key == top[codes]
    return result
