"""Makes a truth come and go: with hysteresis, and after it held for a while."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from analytics.events.event import CAME, GONE
from analytics.events.operator import Edges, Found, Signal, Step
from analytics.events.rows import NEVER, Floats, Int64s, Mask, Rows, grown
from archiver.model import format_time


def _none(dtype: Any) -> Any:
    return field(default_factory=lambda: np.empty(0, dtype))


@dataclass(frozen=True)
class Latched:
    """What a latch remembers of each instance.

    Parameters
    ----------
    signal
        State of the signal.
    holds, active : ndarray of bool
        The truth as it was told last, and whether the event that it came was given.
    since : ndarray of int64
        When the truth was last told anew, ns.
    due : ndarray of int64
        When that comes or goes, `NEVER` if nothing is on its way.
    value : ndarray of float64
        The value that told it.
    """

    signal: Any
    holds: Mask = _none(bool)
    active: Mask = _none(bool)
    since: Int64s = _none(np.int64)
    due: Int64s = _none(np.int64)
    value: Floats = _none(np.float64)


@dataclass(frozen=True)
class Latch:
    """An operator: came and gone of a signal.

    Parameters
    ----------
    signal : Signal
    on_delay, off_delay : int
        How long it must be true without a break before it came, and not true before it is gone, ns.
    kinds : tuple of str
        Of the event that it came, and of that that it is gone.
    """

    signal: Signal
    on_delay: int = 0
    off_delay: int = 0
    kinds: tuple[str, str] = (CAME, GONE)

    def initial(self) -> Latched:
        """Return the state before the first sample: nothing is true."""
        return Latched(self.signal.initial())

    def advance(self, state: Latched, rows: Rows, known: Int64s) -> Step:
        """Take samples in; see `Operator.advance`."""
        told = self.signal.advance(state.signal, rows, known)
        count = len(known)
        columns = _Columns(
            grown(state.holds, count, False).copy(),
            grown(state.active, count, False).copy(),
            grown(state.since, count, 0).copy(),
            grown(state.due, count, NEVER).copy(),
            grown(state.value, count, np.nan).copy(),
        )
        reached = np.full(count, np.iinfo(np.int64).min) if told.reached is None else told.reached.copy()
        found: list[Found] = []
        for key, time, truth, value in _changes(told.edges, columns.holds, whole=rows.whole):
            if columns.due[key] <= time:
                found.append(self._fire(columns, key))
            found.extend(self._told(columns, key, time, truth, value))
        for key in np.flatnonzero(columns.due <= known).tolist():
            reached[key] = max(reached[key], columns.due[key])
            found.append(self._fire(columns, key))
        due = columns.due if told.due is None else np.minimum(columns.due, grown(told.due, count, NEVER))
        after = Latched(told.state, columns.holds, columns.active, columns.since, columns.due, columns.value)
        return Step(after, found, due, reached)

    def _told(self, columns: _Columns, key: int, time: int, truth: bool, value: float) -> Iterator[Found]:
        columns.holds[key], columns.since[key], columns.value[key] = truth, time, value
        if columns.active[key] == truth:  # it was on its way, and turned back
            columns.due[key] = NEVER
            return
        delay = self.on_delay if truth else self.off_delay
        columns.due[key] = time + delay
        if not delay:
            yield self._fire(columns, key)

    def _fire(self, columns: _Columns, key: int) -> Found:
        """What was on its way comes or goes."""
        time, since, value = int(columns.due[key]), int(columns.since[key]), float(columns.value[key])
        columns.due[key], columns.active[key] = NEVER, columns.holds[key]
        attributes = {"since": format_time(since)} if since != time else {}
        kind = self.kinds[0] if columns.active[key] else self.kinds[1]
        return Found(key, kind, time, None if np.isnan(value) else value, attributes)


@dataclass
class _Columns:
    """Copies that a step works on."""

    holds: Mask
    active: Mask
    since: Int64s
    due: Int64s
    value: Floats


def _changes(edges: Edges, holds: Mask, *, whole: bool) -> list[tuple[int, int, bool, float]]:
    """Return instance, time, truth and value where a truth is told that differs from the one before.

    Of what is said at one instant the last counts, if it is `whole`.
    """
    told = edges.truth != 0
    if whole:
        told &= (np.diff(edges.key, append=-1) != 0) | (np.diff(edges.time, append=0) != 0)
    places = np.flatnonzero(told)
    if not len(places):
        return []
    keys, truths = edges.key[places], edges.truth[places] > 0
    before: NDArray[np.bool_] = np.append(False, truths[:-1])
    first = np.diff(keys, prepend=-1) != 0
    before[first] = holds[keys[first]]
    at = places[truths != before]
    return list(
        zip(
            edges.key[at].tolist(),
            edges.time[at].tolist(),
            (edges.truth[at] > 0).tolist(),
            edges.value[at].tolist(),
            strict=True,
        )
    )
