"""The segments of a group: which times they span, and how much is in each."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np

from archiver.model import Interval
from archiver.model.batch import Int64s
from archiver.model.time import MAX_TIME, MIN_TIME


@dataclass(frozen=True, slots=True)
class Extent:
    """A segment: its interval, number of rows, first and last source time (ns; None while it is empty).

    An interval that ends at the end of time holds that instant too.
    """

    interval: Interval
    rows: int = 0
    first: int | None = None
    last: int | None = None

    def holding(self, times: Int64s) -> Extent:
        """Return the segment with samples of these times added."""
        low, high = int(times.min()), int(times.max())
        first = low if self.first is None else min(self.first, low)
        last = high if self.last is None else max(self.last, high)
        return replace(self, rows=self.rows + len(times), first=first, last=last)


class Segments:
    """The segments of one group, ordered by time; they do not overlap.

    Parameters
    ----------
    extents : iterable of Extent
        As stored.
    """

    def __init__(self, extents: Iterable[Extent] = ()) -> None:
        self.extents = sorted(extents, key=lambda extent: extent.interval.start)

    def missing(self, times: Int64s, length: int) -> list[Interval]:
        """Return the segments that must be made before samples of these times can be stored, in order.

        They are multiples of `length` (ns) since the epoch, cut where a segment of another length is already, and
        one more after the newest time, so that it is there before it is needed.
        """
        if not len(times):
            return []
        held = Segments(self.extents)
        made = held._cover(np.sort(times[held._index(times) < 0]), length)
        ahead = np.array([held._at(int(times.max())).interval.end])
        return made + (held._cover(ahead, length) if ahead[0] < MAX_TIME and held._index(ahead)[0] < 0 else [])

    def add(self, extent: Extent) -> None:
        """Take in a segment, in place of one with the same start."""
        starts = [known.interval.start for known in self.extents]
        index = bisect_right(starts, extent.interval.start)
        if index and starts[index - 1] == extent.interval.start:
            self.extents[index - 1] = extent
        else:
            self.extents.insert(index, extent)

    def grown(self, times: Int64s) -> list[Extent]:
        """Return the segments that samples of these times fall into, with them added."""
        index = self._index(times)
        numbers = np.flatnonzero(np.bincount(index)).tolist()
        return [self.extents[number].holding(times[index == number]) for number in numbers]

    def _index(self, times: Int64s) -> Int64s:
        """Return the number of each time's segment, -1 where there is none."""
        if not self.extents:
            return np.full(len(times), -1, np.int64)
        starts = np.array([extent.interval.start for extent in self.extents], np.int64)
        ends = np.array([extent.interval.end for extent in self.extents], np.int64)
        index = np.searchsorted(starts, times, "right") - 1
        inside = (index >= 0) & ((times < ends[index]) | (ends[index] == MAX_TIME))
        return np.where(inside, index, -1)

    def _at(self, time: int) -> Extent:
        return self.extents[int(self._index(np.array([time], np.int64))[0])]

    def _cover(self, times: Int64s, length: int) -> list[Interval]:
        """Make segments for sorted times; those that have one are passed over."""
        made = []
        while len(times):
            interval = self._gap(int(times[0]), length)
            self.add(Extent(interval))
            made.append(interval)
            times = times[np.searchsorted(times, interval.end) :] if interval.end < MAX_TIME else times[:0]
        return made

    def _gap(self, time: int, length: int) -> Interval:
        start = max(time // length * length, MIN_TIME)
        end = min(time // length * length + length, MAX_TIME)
        for extent in self.extents:
            if extent.interval.end <= time:
                start = max(start, extent.interval.end)
            else:
                end = min(end, extent.interval.start)
                break
        return Interval(start, end)
