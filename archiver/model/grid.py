"""Buckets of time: equal ones aligned to the epoch in UTC, or one that is the whole interval."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from archiver.model import Interval
from archiver.model.batch import Int64s
from archiver.model.time import MAX_TIME, MIN_TIME


@dataclass(frozen=True)
class Grid:
    """The buckets that an interval touches, numbered from 0.

    Parameters
    ----------
    interval : Interval
        What is asked; the first and last bucket may reach beyond it, and then are only partly filled.
    bucket_ns : int
        0 makes the interval itself the only bucket.
    """

    interval: Interval
    bucket_ns: int

    @cached_property
    def count(self) -> int:
        """Number of buckets."""
        if self.interval.start == self.interval.end:
            return 0
        return -(-self.interval.end // self.bucket_ns) - self._first if self.bucket_ns else 1

    @property
    def _first(self) -> int:
        return self.interval.start // self.bucket_ns

    def numbers(self, times: Int64s) -> Int64s:
        """Return the bucket of each time in the interval."""
        return times // self.bucket_ns - self._first if self.bucket_ns else np.zeros(len(times), np.int64)

    def starts(self, numbers: Int64s) -> Int64s:
        """Return where buckets start, ns."""
        if not self.bucket_ns:
            return np.full(len(numbers), self.interval.start)
        earliest = max(self._first * self.bucket_ns, MIN_TIME)
        return np.where(numbers == 0, earliest, (numbers + self._first) * self.bucket_ns)

    def ends(self, numbers: Int64s) -> Int64s:
        """Return where buckets end, ns."""
        if not self.bucket_ns:
            return np.full(len(numbers), self.interval.end)
        latest = min((self._first + self.count) * self.bucket_ns, MAX_TIME)
        return np.where(numbers == self.count - 1, latest, (numbers + self._first + 1) * self.bucket_ns)
