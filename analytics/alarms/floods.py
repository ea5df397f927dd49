"""Alarm floods: more alarms than an operator can take in, found afterwards or as they come."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from archiver.model.time import NANOSECONDS

Int64s = NDArray[np.int64]
TEN_MINUTES_NS = 600 * NANOSECONDS


@dataclass(frozen=True, slots=True)
class Bounds:
    """A flood begins with more than `above` alarms within `window_ns`, and ends with fewer than `below`."""

    window_ns: int = TEN_MINUTES_NS
    above: int = 10
    below: int = 5


STANDARD = Bounds()


@dataclass(frozen=True, slots=True)
class Flood:
    """One flood at an operator position.

    Parameters
    ----------
    start : int
        When the window held too many for the first time, ns.
    end : int or None
        When it held few enough again, ns; None while it lasts.
    alarms : int
        From the beginning of the window that was the first to hold too many.
    peak : int
        The most that a window held.
    """

    start: int
    end: int | None
    alarms: int
    peak: int


def floods(times: Int64s, until: int, bounds: Bounds = STANDARD) -> list[Flood]:
    """Return the floods among the alarms of one operator position, in order.

    With n(t) the number of alarms in the window (t - w, t], a flood begins at the first t at which n(t) > `above`, and
    ends at the first t after that at which n(t) < `below`. The window slides; in fixed periods, of which the standard
    speaks, a flood across the border of two would count as none.

    Parameters
    ----------
    times : ndarray of int64
        When alarms were annunciated, in any order, ns.
    until : int
        Up to when to judge, ns; a flood that lasts then has no end.
    bounds : Bounds

    References
    ----------
    ANSI/ISA-18.2-2016 and IEC 62682, clause 16 (monitoring and assessment): a flood begins when there are more than 10
    alarms in 10 minutes per operator position, and ends when there are fewer than 5. EEMUA 191, on alarm floods.

    Examples
    --------
    >>> minute = 60 * NANOSECONDS
    >>> (flood,) = floods(np.arange(12) * minute // 2, 100 * minute)
    >>> flood.start // minute, flood.end / minute, flood.alarms, flood.peak
    (5, 13.5, 12, 12)
    """
    known = np.sort(times[times <= until])
    points = np.unique(np.concatenate([known, known + bounds.window_ns]))  # n changes nowhere else
    points = points[points <= until]
    if not len(points):
        return []
    counts = _up_to(known, points) - _up_to(known, points - bounds.window_ns)
    verdicts = np.where(counts > bounds.above, 1, np.where(counts < bounds.below, -1, 0))
    verdicts[0] = verdicts[0] or -1
    places = np.maximum.accumulate(np.where(verdicts != 0, np.arange(len(points)), 0))
    turns = np.flatnonzero(np.diff(verdicts[places] > 0, prepend=False))  # begins and ends take turns
    peaks = np.maximum.reduceat(counts, turns)[::2] if len(turns) else counts[:0]
    starts, ends = points[turns[::2]], points[turns[1::2]]
    alarms = _up_to(known, np.append(ends, [until] * (len(starts) - len(ends)))) - _up_to(
        known, starts - bounds.window_ns
    )
    last = [None] * (len(starts) - len(ends))
    found = zip(starts.tolist(), [*ends.tolist(), *last], alarms.tolist(), peaks.tolist(), strict=True)
    return [Flood(*flood) for flood in found]


def _up_to(times: Int64s, points: Int64s) -> Int64s:
    """Return how many times there are up to each point."""
    return np.searchsorted(times, points, "right")


@dataclass(frozen=True, slots=True)
class Watch:
    """What is remembered of one operator position, to tell floods as they begin and end.

    Parameters
    ----------
    clock : int
        Up to when it has been judged, ns.
    times : ndarray of int64
        Of the alarms that still count, ascending, ns.
    """

    clock: int
    times: Int64s = field(default_factory=lambda: np.empty(0, np.int64))


def watch(state: Watch, times: Int64s, clock: int, bounds: Bounds = STANDARD) -> tuple[Watch, list[Flood]]:
    """Take in alarms, and the time; the given state stays as it is.

    Parameters
    ----------
    state : Watch
    times : ndarray of int64
        When further alarms were annunciated, ns. One that is not later than what was judged counts as right after it:
        what was told stays true.
    clock : int
        Up to when to judge, ns.
    bounds : Bounds

    Returns
    -------
    state : Watch
    floods : list of Flood
        One without an end has begun, one with an end has ended; in order.
    """
    known = np.concatenate([state.times, np.maximum(times, state.clock + 1)])
    found = floods(known, clock, bounds)
    told = list[Flood]()
    for flood in found:
        if flood.start > state.clock:
            (begun,) = floods(known, flood.start, bounds)[-1:]
            told.append(begun)
        if flood.end is not None and flood.end > state.clock:
            told.append(flood)
    lasting = bool(found) and found[-1].end is None
    since = (found[-1].start if lasting else clock) - bounds.window_ns
    return Watch(clock, np.sort(known[known > since])), told
