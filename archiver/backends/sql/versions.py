"""Versions of a sample that claim the same receive time.

The key of a row is identity and receive time, and versions are ordered by it. The intake never gives two batches one
receive time, but a source that numbers its samples wrongly sends different samples of one identity in one batch. Each
of them is kept: the later one is taken to be received a nanosecond after the earlier.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from archiver.model import SampleBatch
from archiver.model.batch import sort_order


def separated(rows: SampleBatch, existing: SampleBatch) -> SampleBatch:
    """Return the rows with receive times that differ within an identity, from each other and from `existing`.

    Parameters
    ----------
    rows : SampleBatch
        New samples; of equals the later one in the batch came later.
    existing : SampleBatch
        Stored versions of at least every identity in `rows` that has any.
    """
    while True:
        order, tied = _ties(SampleBatch.concat([existing, rows]))
        if not tied.any():
            return rows
        later = np.zeros(existing.num_rows + rows.num_rows, np.int64)
        later[order[tied]] = 1  # stored rows come first among equals, so they are never the later one
        received = pa.array(rows.receive_time + later[existing.num_rows :])
        table = rows.to_arrow()
        rows = SampleBatch(table.set_column(3, table.schema.field(3), received))


def _ties(batch: SampleBatch) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Return the order by identity and receive time, and where a row of that order repeats the one before."""
    names = {name: code for code, name in enumerate(dict.fromkeys(batch.elements))}
    codes = np.array([names[name] for name in batch.elements], np.int32)[batch.codes]
    keys: tuple[NDArray[Any], ...] = (codes, batch.source_time, batch.sequence, batch.receive_time)
    order = sort_order(*keys)
    if order is None:
        order = np.arange(batch.num_rows)
    else:
        keys = tuple(key[order] for key in keys)
    tied = np.zeros(batch.num_rows, bool)
    tied[1:] = np.logical_and.reduce([key[1:] == key[:-1] for key in keys])
    return order, tied
