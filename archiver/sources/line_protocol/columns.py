"""The rows of a body while it is decoded: preallocated columns that both paths write, and the batch made of them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa

from archiver.model import Kind, SampleBatch
from archiver.sources.line_protocol.grammar import Value

_VIEWS = {Kind.FLOAT: np.float64, Kind.INT: np.int64, Kind.UINT: np.uint64}


class Columns:
    """Rows of code, kind, value bits, source time and status; texts beside them.

    Parameters
    ----------
    capacity : int
        Most rows that will be added.
    """

    def __init__(self, capacity: int) -> None:
        self.codes = np.empty(capacity, np.int32)
        self.kinds = np.empty(capacity, np.uint8)
        self.bits = np.empty(capacity, np.int64)
        self.times = np.empty(capacity, np.int64)
        self.statuses = np.empty(capacity, np.uint64)
        self.rows = 0
        self._texts: list[str] = []

    @property
    def arrays(self) -> tuple[Any, ...]:
        """The columns in the order in which the compiled walk takes them."""
        return self.codes, self.kinds, self.bits, self.times, self.statuses

    def add(self, code: int, kind: Kind, value: Value | None, time: int, status: int) -> None:
        """Append a row."""
        row = self.rows
        self.codes[row], self.kinds[row], self.times[row], self.statuses[row] = code, kind, time, status
        if isinstance(value, str):
            self.bits[row] = len(self._texts)
            self._texts.append(value)
        elif value is not None:
            self.bits[row : row + 1].view(_VIEWS.get(kind, np.int64))[0] = value
        self.rows += 1

    def batch(self, names: pa.Array, receive_time: int) -> SampleBatch:
        """Return the rows as a batch; codes index `names`, of which only those in use go into the batch."""
        rows = self.rows
        if not rows:
            return SampleBatch.empty()
        codes = self.codes[:rows]
        used = np.zeros(len(names), bool)
        used[codes] = True
        if not used.all():
            kept = np.flatnonzero(used)
            rank = np.empty(len(names), np.int32)
            rank[kept] = np.arange(len(kept), dtype=np.int32)
            codes, names = rank[codes], names.take(pa.array(kept))
        kinds = self.kinds[:rows]
        return SampleBatch.from_columns(
            pa.DictionaryArray.from_arrays(pa.array(codes), names),
            self.times[:rows],
            {Kind(kind): self._values(Kind(kind), kinds) for kind in np.flatnonzero(np.bincount(kinds)) if kind},
            status=self.statuses[:rows],
            receive_time=receive_time,
        )

    def _values(self, kind: Kind, kinds: Any) -> pa.Array:
        bits = self.bits[: self.rows]
        others = kinds != kind
        mask = others if others.any() else None
        if kind is Kind.TEXT:
            return pa.array(self._texts, pa.utf8()).take(pa.array(bits, mask=mask))
        values = bits != 0 if kind is Kind.BOOL else bits.view(_VIEWS[kind])
        return pa.array(values, mask=mask, from_pandas=False)
