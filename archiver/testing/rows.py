"""Samples as tuples, one by one: for tests, where a difference must be readable and every bit counts."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from archiver.model import Kind, SampleBatch


class Row(NamedTuple):
    """One sample, as `SampleBatch.to_pylist` gives it."""

    element: str
    source_time: int
    sequence: int
    receive_time: int
    status: int
    kind: Kind
    value: Any

    @property
    def identity(self) -> tuple[str, int, int]:
        """What makes two samples versions of one."""
        return self.element, self.source_time, self.sequence

    @property
    def order(self) -> tuple[str, int, int, int]:
        """What samples are sorted by."""
        return self.element, self.source_time, self.sequence, self.receive_time

    @property
    def content(self) -> tuple[int, Kind, Any]:
        """What makes two versions the same."""
        return self.status, self.kind, self.value


def rows_of(*batches: SampleBatch) -> list[Row]:
    """Return the samples of batches, floats as their eight bytes: two rows are equal just when every bit is."""
    return [row._replace(value=_bits(row.value)) for batch in batches for row in map(Row._make, batch.to_pylist())]


def batch_of(rows: Iterable[Sequence[Any]]) -> SampleBatch:
    """Return samples given as tuples as a batch, in their order."""
    given = [Row(*row) for row in rows]
    values = {
        kind: pa.array([row.value if row.kind is kind else None for row in given], kind.arrow_type)
        for kind in {row.kind for row in given} - {Kind.NONE}
    }
    return SampleBatch.from_columns(
        [row.element for row in given],
        [row.source_time for row in given],
        values,
        sequence=[row.sequence for row in given],
        receive_time=[row.receive_time for row in given],
        status=[row.status for row in given],
    )


def unambiguous(batch: SampleBatch) -> SampleBatch:
    """Return a batch without the samples that share identity and receive time with an earlier one of it.

    Which of two such versions is the newest nobody can say.
    """
    seen = dict.fromkeys(row[:4] for row in batch.to_pylist())
    keep = np.array([seen.pop(row[:4], True) is None for row in batch.to_pylist()], bool)
    return batch.filter(keep)


def _bits(value: Any) -> Any:
    if isinstance(value, float):
        return struct.pack(">d", value)
    return tuple(map(_bits, value)) if isinstance(value, list) else value
