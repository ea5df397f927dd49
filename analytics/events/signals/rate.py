"""The value rises or falls too fast."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from analytics.events.operator import Edges, Told
from analytics.events.rows import Floats, Int32s, Int64s, Rows
from analytics.events.series import before, ends
from archiver.model.time import NANOSECONDS


def _none(dtype: Any) -> Any:
    return field(default_factory=lambda: np.empty(0, dtype))


@dataclass(frozen=True)
class Past:
    """Good samples that are looked back at, by slot and time.

    Parameters
    ----------
    slot : ndarray of int32
    time : ndarray of int64
        ns.
    number : ndarray of float64
    """

    slot: Int32s = _none(np.int32)
    time: Int64s = _none(np.int64)
    number: Floats = _none(np.float64)


@dataclass(frozen=True)
class Rate:
    """A signal: true when an element rises or falls by too much in a second.

    Samples that are not good are left out. Unknown at a sample that has none to be compared with.

    Parameters
    ----------
    rises, falls : float, optional
        True when it does by more than that in a second.
    over : int
        The value is compared with what it was that long before, ns: with the last sample that is so old. 0 compares it
        with the sample before, if that is older.
    """

    rises: float | None = None
    falls: float | None = None
    over: int = 0

    def initial(self) -> Past:
        """Return the state before the first sample."""
        return Past()

    def advance(self, state: Past, rows: Rows, known: Int64s) -> Told:
        """Take samples in; see `Signal.advance`. The value of an edge is the rate: per second, negative if it falls."""
        mine = np.flatnonzero(rows.good & ~np.isnan(rows.number))
        told = np.full(len(rows), np.nan)
        if len(mine):
            slot = np.concatenate([state.slot, rows.slot[mine]])
            order = np.argsort(slot, kind="stable")  # what was kept is no newer than what is new
            slot = slot[order]
            time = np.concatenate([state.time, rows.time[mine]])[order]
            number = np.concatenate([state.number, rows.number[mine]])[order]
            rate = self._rates(slot, time, number)
            told[mine] = rate[np.argsort(order)[len(state.slot) :]]
            kept = self._kept(slot, time)
            state = Past(slot[kept], time[kept], number[kept])
        return Told(state, Edges(rows.key, rows.time, self._truth(told), told))

    def _rates(self, slot: Int32s, time: Int64s, number: Floats) -> Floats:
        """Return how fast each sample rises, per second; NaN where that is unknown."""
        at = np.arange(len(slot)) - 1 if not self.over else before(slot, time, slot, time - self.over + 1) - 1
        known = (at >= 0) & (slot[at] == slot)
        if not self.over:
            known &= time[at] < time
        rate = np.full(len(slot), np.nan)
        here, then = np.flatnonzero(known), at[known]
        passed = self.over or time[here] - time[then]
        with np.errstate(invalid="ignore", over="ignore"):
            rate[here] = (number[here] - number[then]) / (passed / NANOSECONDS)
        return rate

    def _kept(self, slot: Int32s, time: Int64s) -> Int64s:
        """Return what later samples may be compared with."""
        last = ends(slot)
        if not self.over:
            return last
        oldest = np.maximum(before(slot, time, slot[last], time[last] - self.over + 1) - 1, np.append(0, last[:-1] + 1))
        kept = np.zeros(len(slot) + 1, np.int64)
        kept[oldest] += 1
        kept[last + 1] -= 1
        return np.flatnonzero(np.cumsum(kept[:-1]))

    def _truth(self, rate: Floats) -> NDArray[np.int8]:
        fast = np.zeros(len(rate), bool)
        if self.rises is not None:
            fast |= rate > self.rises
        if self.falls is not None:
            fast |= rate < -self.falls
        return np.where(np.isnan(rate), 0, np.where(fast, 1, -1)).astype(np.int8)
