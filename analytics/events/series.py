"""Places in columns that are in order of a group and of time within it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from analytics.events.rows import Int64s

_MOST = 2**62


def before(group: NDArray[np.int32], time: Int64s, groups: NDArray[np.int32], times: Int64s) -> Int64s:
    """Return where in its group each of some instants stands: the place of the first row that is no older.

    Parameters
    ----------
    group, time : ndarray
        By group and time.
    groups, times : ndarray
        What is asked for; the place is the end of the group, or where it would be, if no row is as new.

    Examples
    --------
    >>> before(np.array([0, 0, 2]), np.array([10, 20, 5]), np.array([0, 0, 1, 2]), np.array([20, 21, 0, 9])).tolist()
    [1, 2, 2, 3]
    """
    if not len(group) or not len(groups):
        return np.zeros(len(groups), np.int64)
    low, high = int(time.min()), int(time.max())
    span = high - low + 2
    if span * (int(max(group[-1], groups.max())) + 1) >= _MOST:
        levels, ranks = np.unique(time, return_inverse=True)
        return before(group, ranks, groups, np.searchsorted(levels, times))
    asked = np.clip(times, low, high + 1) - low
    return np.searchsorted(group * np.int64(span) + (time - low), groups * np.int64(span) + asked)


def ends(group: NDArray[np.int32]) -> Int64s:
    """Return the place of the last row of each group."""
    return np.flatnonzero(np.diff(group, append=-1)) if len(group) else np.empty(0, np.int64)
