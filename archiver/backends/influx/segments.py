"""The segments of a group: which there are, which samples belong to which, and what they hold."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable

import numpy as np

from archiver.backends.influx import layout
from archiver.backends.influx.state import Extent, SegmentRecord, State
from archiver.model import Interval
from archiver.model.batch import Int64s
from archiver.model.time import MAX_TIME, MIN_TIME


class Segments:
    """The segments of a group that hold samples as of a state.

    Parameters
    ----------
    records : iterable of SegmentRecord
        Oldest first.
    state : State
    """

    def __init__(self, records: Iterable[SegmentRecord], state: State) -> None:
        self.extents: list[tuple[Interval, Extent]] = []
        for record in records:
            extent = record.held(state)
            if extent is not None:
                self.extents.append((record.interval, extent))

    def grown(self, source_time: Int64s, length: int, write: int) -> list[SegmentRecord]:
        """Return the records of the segments that some samples belong to, those samples counted in.

        Parameters
        ----------
        source_time : ndarray of int64
        length : int
            Of a segment that is made, ns; it is shorter where it would overlap another.
        write : int
            Number of the write that stores the samples.
        """
        only, before = self._of(int(source_time.min()), length)
        if int(source_time.max()) in only:
            return [_counted(only, before, source_time, write)]
        rest, found = np.sort(source_time), []
        while len(rest):
            interval, before = self._of(int(rest[0]), length)
            ours = rest[: np.searchsorted(rest, interval.end)]
            found.append(_counted(interval, before, ours, write))
            rest = rest[len(ours) :]
        return found

    def put(self, records: Iterable[SegmentRecord]) -> None:
        """Take records as committed."""
        held = {interval.start: (interval, extent) for interval, extent in self.extents}
        held |= {record.interval.start: (record.interval, record.after) for record in records}
        self.extents = [held[start] for start in sorted(held)]

    def _of(self, time: int, length: int) -> tuple[Interval, Extent | None]:
        """Return the segment that an instant belongs to, and what it holds; None for one that is to be made."""
        place = bisect_right(self.extents, time, key=lambda held: held[0].start)
        if place and time in self.extents[place - 1][0]:
            return self.extents[place - 1]
        number = int(np.clip(time, layout.FIRST_TIME, layout.LAST_TIME)) // length
        start, end = number * length, (number + 1) * length
        start = MIN_TIME if start <= layout.FIRST_TIME else start
        end = MAX_TIME if end > layout.LAST_TIME else end
        if place:
            start = max(start, self.extents[place - 1][0].end)
        if place < len(self.extents):
            end = min(end, self.extents[place][0].start)
        return Interval(start, end), None


def _counted(interval: Interval, before: Extent | None, source_time: Int64s, write: int) -> SegmentRecord:
    extent = Extent(len(source_time), int(source_time.min()), int(source_time.max()))
    return SegmentRecord(interval, write, before.joined(extent) if before else extent, before)


def point_time(interval: Interval) -> int:
    """Return where the point of a segment lies."""
    return max(interval.start, layout.FIRST_TIME)
