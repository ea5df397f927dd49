"""Versions of one sample beside each other: what is stored of late samples, and the next free number."""

from __future__ import annotations

import numpy as np

from archiver.backends.influx.reading import Reader
from archiver.backends.influx.rows import Stored
from archiver.backends.influx.state import State
from archiver.model import Interval, SampleBatch
from archiver.model.batch import Int64s
from archiver.model.time import NANOSECONDS

_FAR = 600 * NANOSECONDS
"""Late samples that lie further apart are looked up apart: a straggler does not fetch all that lies between."""
_MOST_LOOKUPS = 64


def existing_of(reader: Reader, state: State, group: str, late: SampleBatch) -> Stored:
    """Return all stored versions of at least the identities of some samples of a group."""
    found: list[Stored] = []
    if late.num_rows and group in state.groups:
        order = np.argsort(late.source_time, kind="stable")
        gaps = np.diff(late.source_time[order].astype(np.float64))
        far = np.flatnonzero(gaps > _FAR)
        cuts = np.sort(far[np.argsort(-gaps[far])[: _MOST_LOOKUPS - 1]]) + 1
        for rows in np.split(order, cuts):
            times = late.source_time[rows[[0, -1]]].tolist()
            near = late.take(rows)
            found += reader.stored(state, group, near.present(), Interval(times[0], times[1] + 1))
    return Stored.concat(found)


def ordinals(rows: SampleBatch, existing: Stored) -> Int64s:
    """Return the number of each sample among the versions of its identity.

    Parameters
    ----------
    rows : SampleBatch
        Sorted, and none of them known.
    existing : Stored
        All stored versions of their identities, and others.

    Returns
    -------
    ndarray of int64, shape (rows.num_rows,)
        0 for a sample without another version.
    """
    held = existing.batch.num_rows
    if not held and not some_meet(rows):
        return np.zeros(rows.num_rows, np.int64)
    both = SampleBatch.concat([existing.batch, rows])
    order = np.lexsort((np.arange(len(both)), both.sequence, both.source_time, both.codes))
    keys = [column[order] for column in (both.codes, both.source_time, both.sequence)]
    starts = np.ones(len(both), bool)
    starts[1:] = np.any([key[1:] != key[:-1] for key in keys], axis=0)
    if starts.all():
        return np.zeros(rows.num_rows, np.int64)
    run = np.cumsum(starts) - 1
    new = order >= held
    free = np.zeros(int(run[-1]) + 1, np.int64)  # the first free number of each run
    np.maximum.at(free, run[~new], existing.versions[order[~new]] + 1)
    count: Int64s = np.cumsum(new) - new
    rank: Int64s = count - count[np.flatnonzero(starts)][run]
    result = np.empty(rows.num_rows, np.int64)
    result[order[new] - held] = (free[run] + rank)[new]
    return result


def some_meet(rows: SampleBatch, order: Int64s | None = None) -> bool:
    """Whether two samples have one identity; `order` is that of identity, None where they are in it."""
    columns = (rows.source_time, rows.codes, rows.sequence)
    same = np.ones(max(len(rows) - 1, 0), bool)
    for column in columns if order is None else (column[order] for column in columns):
        same &= column[1:] == column[:-1]
        if not same.any():
            return False
    return True
