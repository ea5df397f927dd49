"""What a backend holds of an element, as far as is known without asking it: stretches of time, and what lacks why."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from archiver.model.time import Interval


class Cause(StrEnum):
    """Why something is missing; stable, for programs to decide by. The reason beside it is for people."""

    BACKEND_DOWN = "backend-down"
    RETENTION = "retention"
    BY_HAND = "dropped-by-hand"
    DROPPED = "dropped-from-journal"
    LOST = "backend-lost-it"
    DEAD_LETTERED = "dead-lettered"
    NOT_YET = "stored-since-later"
    NO_LONGER = "stored-until-earlier"
    REMOVED = "backend-removed"
    PASSED_ON = "passed-on"
    NOT_STORED = "not-stored-there"
    SMOOTHED = "smoothed"
    NO_RANGE = "no-range"
    UNKNOWN = "unknown-element"
    DISCONNECTED = "source-disconnected"


@dataclass(frozen=True, slots=True)
class Lack:
    """A stretch of source time of which a backend does not have everything that was acknowledged."""

    interval: Interval
    cause: Cause
    reason: str


@dataclass(frozen=True, slots=True)
class Holding:
    """What one backend holds of one element.

    Parameters
    ----------
    backend : str
    exact : tuple of Interval
        Where it has every sample that was acknowledged; sorted, apart from each other.
    thinned : tuple of Interval
        Where it has what a smoothing left of them, and not more.
    lacks : tuple of Lack
        What it does not have, and why.
    configured : bool
        Whether it can be asked at all; one that was taken out of the configuration cannot.
    """

    backend: str
    exact: tuple[Interval, ...]
    thinned: tuple[Interval, ...] = ()
    lacks: tuple[Lack, ...] = ()
    configured: bool = True

    def is_exact(self, interval: Interval) -> bool:
        """Return whether everything of an interval is held."""
        return covers(self.exact, interval)

    def is_thinned(self, interval: Interval) -> bool:
        """Return whether everything of an interval is held, some of it as a smoothing left it."""
        return covers(union([*self.exact, *self.thinned]), interval)

    def lacking(self, interval: Interval) -> list[Lack]:
        """Return what lacks in an interval, cut to it."""
        found = [(lack, lack.interval.intersect(interval)) for lack in self.lacks]
        return [Lack(shared, lack.cause, lack.reason) for lack, shared in found if shared is not None]

    def edges(self) -> set[int]:
        """Return the instants at which something changes, ns."""
        intervals = [*self.exact, *self.thinned, *(lack.interval for lack in self.lacks)]
        return {edge for interval in intervals for edge in (interval.start, interval.end)}


def union(intervals: Iterable[Interval]) -> list[Interval]:
    """Return intervals in order, those that meet as one, empty ones left out.

    Examples
    --------
    >>> union([Interval(5, 9), Interval(0, 5), Interval(20, 20)])
    [Interval(start=0, end=9)]
    """
    result: list[Interval] = []
    for interval in sorted(intervals, key=lambda it: it.start):
        if interval.start == interval.end:
            continue
        if result and interval.start <= result[-1].end:
            result[-1] = Interval(result[-1].start, max(result[-1].end, interval.end))
        else:
            result.append(interval)
    return result


def without(intervals: Sequence[Interval], cut: Interval) -> list[Interval]:
    """Return what of some intervals lies outside of another one.

    Examples
    --------
    >>> without([Interval(0, 10)], Interval(3, 5))
    [Interval(start=0, end=3), Interval(start=5, end=10)]
    """
    result: list[Interval] = []
    for interval in intervals:
        if interval.intersect(cut) is None:
            result.append(interval)
            continue
        sides = ((interval.start, cut.start), (cut.end, interval.end))
        result += [Interval(start, end) for start, end in sides if start < end]
    return result


def covers(intervals: Sequence[Interval], wanted: Interval) -> bool:
    """Return whether one of some intervals that are apart from each other contains another one."""
    return any(interval.start <= wanted.start and wanted.end <= interval.end for interval in intervals)
