"""The rows of a body while it is decoded: columns that both paths write, and the batch made of them."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from archiver.model import Kind, SampleBatch, schema_of
from archiver.sources.line_protocol.grammar import Value

_VIEWS = {Kind.FLOAT: np.float64, Kind.INT: np.int64, Kind.UINT: np.uint64}
_TYPES = (np.int32, np.uint8, np.int64, np.int64, np.uint64)


CODES, KINDS, BITS, TIMES, STATUSES = range(5)


class Names(NamedTuple):
    """Names of elements in the order of their codes, for Arrow and for Python; neither is ever changed."""

    arrow: pa.Array
    texts: list[str]


class Columns:
    """Rows of element code, kind, value bits, source time and status; texts beside them.

    Parameters
    ----------
    capacity : int
        Rows that there is room for at first.

    Attributes
    ----------
    rows : tuple of arrays (int32, uint8, int64, int64, uint64), each of shape (capacity,)
        Code, kind, value (its 64 bits; for a text its number), source time, status bits.
    count : int
        Rows in use.
    """

    def __init__(self, capacity: int) -> None:
        self.rows: tuple[Any, ...] = tuple(np.empty(capacity, dtype) for dtype in _TYPES)
        self.count = 0
        self._texts: list[str] = []

    def add(self, code: int, kind: Kind, value: Value | None, time: int, status: int) -> None:
        """Append a row; makes room for as many again when there is none."""
        row = self.count
        if row == len(self.rows[CODES]):
            self.rows = tuple(np.concatenate([column, np.empty_like(column)]) for column in self.rows)
        self.rows[CODES][row], self.rows[KINDS][row] = code, kind
        self.rows[TIMES][row], self.rows[STATUSES][row] = time, status
        if isinstance(value, str):
            self.rows[BITS][row] = len(self._texts)
            self._texts.append(value)
        elif value is not None:
            self.rows[BITS].view(_VIEWS.get(kind, np.int64))[row] = value
        self.count += 1

    def batch(self, names: Names, receive_time: int) -> SampleBatch:
        """Return the rows as a batch; codes index `names`, of which only those in use go into the batch."""
        count = self.count
        if not count:
            return SampleBatch.empty()
        codes, kinds, _, times, statuses = (column[:count] for column in self.rows)
        used = np.bincount(codes, minlength=len(names.texts)) > 0
        if not used.all():
            codes, names = _in_use(codes, names, used)
        held = [Kind(kind) for kind in np.flatnonzero(np.bincount(kinds)).tolist() if kind]
        base = (times, np.zeros(count, np.int32), np.full(count, receive_time), statuses)
        columns = [
            pa.DictionaryArray.from_arrays(pa.array(codes), names.arrow, safe=False),
            *(pa.array(column) for column in base),
            *(self._values(kind, kinds) for kind in held),
        ]
        return SampleBatch(pa.RecordBatch.from_arrays(columns, schema=schema_of(held)), names.texts)

    def _values(self, kind: Kind, kinds: Any) -> pa.Array:
        bits = self.rows[BITS][: self.count]
        others = kinds != kind
        mask = others if others.any() else None
        if kind is Kind.TEXT:
            return pa.array(self._texts, pa.utf8()).take(pa.array(bits, mask=mask))
        values = bits != 0 if kind is Kind.BOOL else bits.view(_VIEWS[kind])
        return pa.array(values, mask=mask, from_pandas=False)


def _in_use(codes: Any, names: Names, used: Any) -> tuple[Any, Names]:
    """Return codes and names without those that are not used."""
    kept = np.flatnonzero(used)
    rank = np.empty(len(used), np.int32)
    rank[kept] = np.arange(len(kept), dtype=np.int32)
    return rank[codes], Names(names.arrow.take(pa.array(kept)), [names.texts[code] for code in kept.tolist()])
