"""Samples came, but the value stayed."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from analytics.events.operator import Edges, Told
from analytics.events.rows import BEFORE_ALL, Floats, Int32s, Int64s, Mask, Rows, Texts, grown
from analytics.events.series import ends


def _none(dtype: Any) -> Any:
    return field(default_factory=lambda: np.empty(0, dtype))


@dataclass(frozen=True)
class Stayed:
    """What is remembered.

    Parameters
    ----------
    since : ndarray of int64
        Per instance: when an element of it changed last, ns; `BEFORE_ALL` before its first good sample.
    seen : ndarray of bool
        Per slot: whether it had a good sample.
    number, text : ndarray, text optional
        Per slot: what it has been since it changed.
    """

    since: Int64s = _none(np.int64)
    seen: Mask = _none(bool)
    number: Floats = _none(np.float64)
    text: Texts | None = None


@dataclass(frozen=True)
class Unchanged:
    """A signal: true at a good sample by which no element of its instance has changed for a while; else false.

    Parameters
    ----------
    after : int
        How long, ns.
    tolerance : float
        A number that differs by no more from what it was when it changed last has not changed.
    """

    after: int
    tolerance: float = 0.0

    def initial(self) -> Stayed:
        """Return the state before the first sample."""
        return Stayed()

    def advance(self, state: Stayed, rows: Rows, known: Int64s) -> Told:
        """Take samples in; see `Signal.advance`."""
        changed, state = self._changes(state, rows)
        since = grown(state.since, len(known), BEFORE_ALL).copy()
        starts = rows.starts()
        begin = np.repeat(starts, np.diff(starts, append=len(rows)))
        last = np.maximum.accumulate(np.where(changed, np.arange(len(rows)), -1))
        at = np.where(last >= begin, rows.time[last], since[rows.key])
        long = rows.good & (at != BEFORE_ALL)
        long[long] = rows.time[long] - at[long] >= self.after
        truth = np.where(rows.good, np.where(long, 1, -1), 0).astype(np.int8)
        last_rows = ends(rows.key)
        since[rows.key[last_rows]] = at[last_rows]
        value = np.where(rows.good, rows.number, np.nan)
        return Told(Stayed(since, state.seen, state.number, state.text), Edges(rows.key, rows.time, truth, value))

    def _changes(self, state: Stayed, rows: Rows) -> tuple[Mask, Stayed]:
        """Return at which rows an element changed, and what each of them has been since."""
        changed = np.zeros(len(rows), bool)
        places = np.flatnonzero(rows.good)
        if not len(places):
            return changed, state
        places = places[np.argsort(rows.slot[places], kind="stable")]
        slots = rows.slot[places]
        count = int(slots[-1]) + 1
        number, seen = grown(state.number, count, np.nan).copy(), grown(state.seen, count, False).copy()
        last = ends(slots)
        firsts = np.append(0, last[:-1] + 1)
        differs = self._differs(rows.number[places], slots, number)
        text = state.text
        if rows.text is not None or text is not None:
            text = grown(np.full(len(state.number), None, object) if text is None else text, count, None).copy()
            said = np.full(len(slots), None, object) if rows.text is None else rows.text[places]
            before = np.roll(said, 1)
            before[firsts] = text[slots[firsts]]
            differs |= said != before
            text[slots[last]] = said[last]
        differs[firsts] |= ~seen[slots[firsts]]
        changed[places] = differs
        seen[slots] = True
        return changed, Stayed(state.since, seen, number, text)

    def _differs(self, values: Floats, slots: Int32s, number: Floats) -> Mask:
        """Return where a number has changed; `number` becomes what each element has been since."""
        if self.tolerance:
            return self._differs_by_more(values, slots, number)
        last = ends(slots)
        firsts = np.append(0, last[:-1] + 1)
        before = np.append(np.nan, values[:-1])
        before[firsts] = number[slots[firsts]]
        number[slots[last]] = values[last]
        differs: Mask = (values != before) & ~(np.isnan(values) & np.isnan(before))
        return differs

    def _differs_by_more(self, values: Floats, slots: Int32s, number: Floats) -> Mask:
        # each value is compared with one that depends on the comparison before: one by one, and quickest over lists
        reference, differs = number.tolist(), []
        for value, slot in zip(values.tolist(), slots.tolist(), strict=True):
            before = reference[slot]
            moved = value == value and value != before and not abs(value - before) <= self.tolerance
            if moved:
                reference[slot] = value
            differs.append(moved)
        number[:] = reference
        return np.array(differs, bool)
