"""Makes a truth come and go: with hysteresis, and after it held for a while."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from analytics.events.event import CAME, GONE
from analytics.events.operator import Edges, Found, Signal, Step
from analytics.events.rows import BEFORE_ALL, NEVER, Floats, Int64s, Mask, Rows, grown
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
        holds, due = grown(state.holds, count, False), grown(state.due, count, NEVER)
        changes = _changes(told.edges, holds, whole=rows.whole)
        active, since = grown(state.active, count, False), grown(state.since, count, 0)
        value = grown(state.value, count, np.nan)
        found, reached = list[Found](), told.reached
        if changes or (due <= known).any():
            holds, active, since, due, value = (each.copy() for each in (holds, active, since, due, value))
            columns = _Columns(holds, active, since, due, value)
            for change in changes:
                if due[change.key] <= change.time:
                    found.append(self._fire(columns, change.key))
                found.extend(self._told(columns, change))
            reached = np.full(count, BEFORE_ALL) if reached is None else reached.copy()
            for key in np.flatnonzero(due <= known).tolist():
                reached[key] = max(reached[key], due[key])
                found.append(self._fire(columns, key))
        after = Latched(told.state, holds, active, since, due, value)
        return Step(after, found, due if told.due is None else np.minimum(due, told.due), reached)

    def _told(self, columns: _Columns, change: _Change) -> Iterator[Found]:
        key, time, truth, value = change
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


class _Change(NamedTuple):
    """The truth of an instance as it is told anew."""

    key: int
    time: int
    truth: bool
    value: float


def _changes(edges: Edges, holds: Mask, *, whole: bool) -> list[_Change]:
    """Return where a truth differs from what was told before; if it is `whole`, the last of an instant counts."""
    told = edges.truth != 0
    if whole:
        told &= (np.diff(edges.key, append=-1) != 0) | (np.diff(edges.time, append=0) != 0)
    keys, truths = edges.key, edges.truth > 0
    places = None
    if not told.all():
        places = told.nonzero()[0]
        keys, truths = keys[places], truths[places]
    if not len(keys):
        return []
    differs = holds[keys] != truths
    same = keys[1:] == keys[:-1]
    np.not_equal(truths[1:], truths[:-1], out=differs[1:], where=same)
    at = differs.nonzero()[0]
    if not len(at):
        return []
    at = at if places is None else places[at]
    columns = edges.key[at], edges.time[at], edges.truth[at] > 0, edges.value[at]
    return [_Change(*each) for each in zip(*(column.tolist() for column in columns), strict=True)]
