"""The rows of a body while it is decoded: preallocated columns that both paths write, and the batch made of them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa

from archiver.model import Kind, SampleBatch
from archiver.sources.line_protocol.grammar import Value

_VIEWS = {Kind.FLOAT: np.float64, Kind.INT: np.int64, Kind.UINT: np.uint64}


CODES, KINDS, BITS, TIMES, STATUSES = range(5)


class Columns:
    """Rows of element code, kind, value bits, source time and status; texts beside them.

    Parameters
    ----------
    capacity : int
        Most rows that will be added.

    Attributes
    ----------
    rows : int64 array of shape (5, capacity)
        Code, kind, value (its 64 bits; for a text its number), source time, status bits.
    count : int
        Rows in use.
    """

    def __init__(self, capacity: int) -> None:
        self.rows = np.empty((5, capacity), np.int64)
        self.count = 0
        self._texts: list[str] = []

    def add(self, code: int, kind: Kind, value: Value | None, time: int, status: int) -> None:
        """Append a row."""
        row = self.count
        self.rows[CODES, row], self.rows[KINDS, row], self.rows[TIMES, row] = code, kind, time
        self.rows[STATUSES].view(np.uint64)[row] = status
        if isinstance(value, str):
            self.rows[BITS, row] = len(self._texts)
            self._texts.append(value)
        elif value is not None:
            self.rows[BITS].view(_VIEWS.get(kind, np.int64))[row] = value
        self.count += 1

    def batch(self, names: pa.Array, receive_time: int) -> SampleBatch:
        """Return the rows as a batch; codes index `names`, of which only those in use go into the batch."""
        if not self.count:
            return SampleBatch.empty()
        rows = self.rows[:, : self.count]
        codes = rows[CODES].astype(np.int32)
        used = np.zeros(len(names), bool)
        used[codes] = True
        if not used.all():
            kept = np.flatnonzero(used)
            rank = np.empty(len(names), np.int32)
            rank[kept] = np.arange(len(kept), dtype=np.int32)
            codes, names = rank[codes], names.take(pa.array(kept))
        kinds = rows[KINDS]
        return SampleBatch.from_columns(
            pa.DictionaryArray.from_arrays(pa.array(codes), names),
            rows[TIMES],
            {
                Kind(kind): self._values(Kind(kind), kinds)
                for kind in np.flatnonzero(np.bincount(kinds)).tolist()
                if kind
            },
            status=rows[STATUSES].view(np.uint64),
            receive_time=receive_time,
        )

    def _values(self, kind: Kind, kinds: Any) -> pa.Array:
        bits = self.rows[BITS, : self.count]
        others = kinds != kind
        mask = others if others.any() else None
        if kind is Kind.TEXT:
            return pa.array(self._texts, pa.utf8()).take(pa.array(bits, mask=mask))
        values = bits != 0 if kind is Kind.BOOL else bits.view(_VIEWS[kind])
        return pa.array(values, mask=mask, from_pandas=False)
