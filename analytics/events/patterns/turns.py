"""Where a value turns round: what makes an oscillation, without noise and without a set point."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from analytics.events.judging import filled, shifted
from analytics.events.rows import Floats, Int64s, Mask, Rows, grown


def _none(dtype: Any) -> Any:
    return field(default_factory=lambda: np.empty(0, dtype))


@dataclass(frozen=True)
class Turning:
    """What is remembered of each element, a row per slot.

    Parameters
    ----------
    low, high : ndarray of float64
        It moved down when it is below `low`, and up when it is above `high` by more than the least turn: apart until
        it moved for the first time, and then the same.
    direction : ndarray of int8
        Of its last move: 1 up, -1 down, 0 before it moved.
    """

    low: Floats = _none(np.float64)
    high: Floats = _none(np.float64)
    direction: NDArray[np.int8] = _none(np.int8)


@dataclass(frozen=True)
class Turns:
    """Samples at which a value has turned: it comes back from its last extreme by more than `by`.

    Turns back and forth by less are noise, and do not count. Each element of an instance turns by itself; what is not
    good, or no number, is left out.

    Parameters
    ----------
    by : float
        At least 0.

    References
    ----------
    The rainflow filter of fatigue analysis, ASTM E1049, as the play operator of M. Brokate and J. Sprekels, Hysteresis
    and Phase Transitions, Springer 1996: what is remembered of a path x(1), …, x(i) is
    p(i) = min(max(p(i-1), x(i) - by), x(i)). That is one clamp after the other; two in a row are a clamp again, so all
    of them are made at once, in as many rounds as the path's length has binary digits.
    """

    by: float

    def initial(self) -> Turning:
        """Return the state before the first sample."""
        return Turning()

    def advance(self, state: Turning, rows: Rows, count: int) -> tuple[Turning, Mask]:
        """Return the samples at which a value has turned; see `Occurrences.advance`."""
        turned = np.zeros(len(rows), bool)
        places = np.flatnonzero(rows.good & ~np.isnan(rows.number))
        if not len(places):
            return state, turned
        places = places[np.argsort(rows.slot[places], kind="stable")]
        slots, values = rows.slot[places], rows.number[places]
        size = int(slots[-1]) + 1
        low, high = grown(state.low, size, -np.inf).copy(), grown(state.high, size, np.inf).copy()
        direction = grown(state.direction, size, 0).copy()
        starts = np.flatnonzero(np.diff(slots, prepend=-1))
        own = slots[starts]
        lows, highs = _clamped(values - self.by, values, starts, low[own], high[own])
        before_low, before_high = shifted(lows, starts, low[own]), shifted(highs, starts, high[own])
        moves = (values - self.by > before_high).astype(np.int8) - (values < before_low)
        heading = shifted(filled(moves, starts, direction[own]), starts, direction[own])
        turned[places] = moves * heading < 0
        ends = np.append(starts[1:], len(slots)) - 1
        low[own], high[own] = lows[ends], highs[ends]
        direction[own] = np.where(moves[ends] != 0, moves[ends], heading[ends])
        return Turning(low, high, direction), turned


def _clamped(low: Floats, high: Floats, starts: Int64s, first_low: Floats, first_high: Floats) -> tuple[Floats, Floats]:
    """Return what remains of the range that each group begins with, after each of its rows clamped it."""
    low, high = low.copy(), high.copy()
    begin = np.repeat(starts, np.diff(starts, append=len(low)))
    low[starts], high[starts] = _then(first_low, first_high, low[starts], high[starts])
    place, distance = np.arange(len(low)) - begin, 1
    longest = int(place.max()) + 1
    while distance < longest:
        later = np.flatnonzero(place >= distance)
        earlier = later - distance
        low[later], high[later] = _then(low[earlier], high[earlier], low[later], high[later])
        distance *= 2
    return low, high


def _then(low: Floats, high: Floats, least: Floats, most: Floats) -> tuple[Floats, Floats]:
    """Return a range, or what a clamp to it gives, clamped to another."""
    return np.minimum(np.maximum(low, least), most), np.minimum(np.maximum(high, least), most)
