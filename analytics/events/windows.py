"""Numbers made of the samples of a while, again and again: tumbling and sliding windows.

A window is [k · every, k · every + size), counted from 1970-01-01 UTC, and is told at its end, when no more of its
samples can come. It is computed once, of its good numbers in order: so its number is the same to the last bit, whatever
batches they came in.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from analytics.events.event import HAPPENED
from analytics.events.operator import Edges, Found, Step, Told
from analytics.events.rows import BEFORE_ALL, NEVER, Floats, Int32s, Int64s, Mask, Rows, grown
from analytics.events.series import before
from analytics.events.signals.threshold import Band
from archiver.model import format_time


def _none(dtype: Any) -> Any:
    return field(default_factory=lambda: np.empty(0, dtype))


@dataclass(frozen=True)
class Open:
    """What is remembered: the samples of windows that are not over.

    Parameters
    ----------
    key : ndarray of int32
    time : ndarray of int64
        ns; by instance and time.
    number : ndarray of float64
    told : ndarray of int64
        Per instance: end of the last window that was told, ns; `BEFORE_ALL` for none.
    empty : ndarray of bool
        Per instance: whether that was told to be empty.
    """

    key: Int32s = _none(np.int32)
    time: Int64s = _none(np.int64)
    number: Floats = _none(np.float64)
    told: Int64s = _none(np.int64)
    empty: Mask = _none(bool)


@dataclass(frozen=True)
class Closed:
    """Windows that are over, by instance and time.

    Parameters
    ----------
    state : Open
        As after the step.
    key : ndarray of int32
    end : ndarray of int64
        ns.
    value : ndarray of float64
        NaN where too few samples make no number.
    samples : ndarray of int64
        Good numbers in it.
    due, reached : ndarray of int64
        As in `Step`.
    """

    state: Open
    key: Int32s
    end: Int64s
    value: Floats
    samples: Int64s
    due: Int64s
    reached: Int64s


@dataclass(frozen=True)
class Windows:
    """Aggregates of the good numbers of each instance.

    A window without any makes no number; but its count, and its sum, are told to be 0, once until there are samples.

    Parameters
    ----------
    of : str
        What is made: mean, min, max, sum, count, std (of a sample: n - 1), first, last or range.
    size : int
        Length of a window, ns.
    every : int
        From the begin of one to that of the next, ns.
    """

    of: str
    size: int
    every: int

    def initial(self) -> Open:
        """Return the state before the first sample."""
        return Open()

    def advance(self, state: Open, rows: Rows, known: Int64s) -> Closed:
        """Take samples in, and tell of windows that ended by then; see `Operator.advance`."""
        count = len(known)
        told, empty = grown(state.told, count, BEFORE_ALL), grown(state.empty, count, True)
        key, time, number = self._joined(state, rows)
        first, last = (time - self.size) // self.every + 1, time // self.every
        owner, place = self._over(key, first, last, told, known)
        begin = place * self.every
        low, high = before(key, time, owner, begin), before(key, time, owner, begin + self.size)
        value = _MAKE[self.of](number, low, high) if len(low) else np.empty(0)
        closed = Closed(state, owner, begin + self.size, value, high - low, told, told)
        if self.of in _OF_NONE:
            closed = self._with_empty(closed, told, empty, known)
        told, empty = told.copy(), empty.copy()
        told[closed.key], empty[closed.key] = closed.end, closed.samples == 0
        kept = (last * self.every + self.size > known[key]) & (first <= last)
        after = Open(key[kept], time[kept], number[kept], told, empty)
        due = self._due(after, first[kept], known)
        return replace(closed, state=after, due=due, reached=told)

    def _joined(self, state: Open, rows: Rows) -> tuple[Int32s, Int64s, Floats]:
        """Return what is remembered and what is new, by instance and time."""
        mine = np.flatnonzero(rows.good & ~np.isnan(rows.number))
        if not len(mine):
            return state.key, state.time, state.number
        key = np.concatenate([state.key, rows.key[mine]])
        time = np.concatenate([state.time, rows.time[mine]])
        number = np.concatenate([state.number, rows.number[mine]])
        order = np.argsort(key, kind="stable")  # what was kept is no newer than what is new
        return key[order], time[order], number[order]

    def _over(self, key: Int32s, first: Int64s, last: Int64s, told: Int64s, known: Int64s) -> tuple[Int32s, Int64s]:
        """Return instance and number of the windows that have samples, and are over and not told."""
        following = np.append(0, last[:-1])[: len(last)] + 1  # what the sample before has is not told again
        low = np.where(np.diff(key, prepend=-1) == 0, np.maximum(first, following), first)
        since = np.where(told == BEFORE_ALL, 0, told)
        low = np.where(told[key] == BEFORE_ALL, low, np.maximum(low, (since[key] - self.size) // self.every + 1))
        many = np.maximum(np.minimum(last, (known[key] - self.size) // self.every) - low + 1, 0)
        within = np.arange(many.sum()) - np.repeat(np.cumsum(many) - many, many)
        return np.repeat(key, many), np.repeat(low, many) + within

    def _with_empty(self, closed: Closed, told: Int64s, empty: Mask, known: Int64s) -> Closed:
        """Return them with the first empty one after each that is not, if it is over."""
        begun = np.flatnonzero(~empty).astype(np.int32)
        key, end = np.append(begun, closed.key), np.append(told[begun], closed.end)
        order = np.argsort(key, kind="stable")
        key, end = key[order], end[order] + self.every
        following = np.where(np.diff(key, append=-1) == 0, np.append(end[1:] - self.every, 0)[: len(end)], NEVER)
        gap = (end < following) & (end <= known[key])
        key, end = key[gap], end[gap]
        keys, ends = np.append(closed.key, key), np.append(closed.end, end)
        order = np.lexsort((ends, keys))
        value, samples = np.append(closed.value, np.zeros(len(key))), np.append(closed.samples, np.zeros(len(key), int))
        return replace(closed, key=keys[order], end=ends[order], value=value[order], samples=samples[order])

    def _due(self, state: Open, first: Int64s, known: Int64s) -> Int64s:
        """Return when the next window of each instance ends that has samples, or is to be told to have none."""
        due = np.full(len(known), NEVER)
        starts = np.flatnonzero(np.diff(state.key, prepend=-1))
        if len(starts):
            keys = state.key[starts]
            due[keys] = np.maximum(first[starts], (known[keys] - self.size) // self.every + 1) * self.every + self.size
        if self.of in _OF_NONE:
            waits = np.flatnonzero(~state.empty)
            due[waits] = np.minimum(due[waits], state.told[waits] + self.every)
        return due


class Aggregate:
    """An operator: an event for each window, with its number.

    Parameters
    ----------
    windows : Windows
    """

    def __init__(self, windows: Windows) -> None:
        self._windows = windows

    def initial(self) -> Open:
        """Return the state before the first sample."""
        return self._windows.initial()

    def advance(self, state: Open, rows: Rows, known: Int64s) -> Step:
        """Take samples in; see `Operator.advance`."""
        closed = self._windows.advance(state, rows, known)
        found = [
            Found(key, HAPPENED, end, value, {"start": format_time(end - self._windows.size), "samples": samples})
            for key, end, value, samples in zip(
                closed.key.tolist(), closed.end.tolist(), closed.value.tolist(), closed.samples.tolist(), strict=True
            )
            if value == value
        ]
        return Step(closed.state, found, closed.due, closed.reached)


class Beyond:
    """A signal: true when the number of a window leaves a band, false when it is back inside.

    Parameters
    ----------
    windows : Windows
    band : Band
    """

    def __init__(self, windows: Windows, band: Band) -> None:
        self._windows, self._band = windows, band

    def initial(self) -> Open:
        """Return the state before the first sample."""
        return self._windows.initial()

    def advance(self, state: Open, rows: Rows, known: Int64s) -> Told:
        """Take samples in; see `Signal.advance`."""
        closed = self._windows.advance(state, rows, known)
        edges = Edges(closed.key, closed.end, self._band.truth(closed.value), closed.value)
        return Told(closed.state, edges, closed.due, closed.reached)


def _reduced(ufunc: np.ufunc, number: Floats, low: Int64s, high: Int64s) -> Floats:
    """Return the reduction of each [low, high), none of them empty; they may overlap."""
    pairs = np.stack([low, high], axis=1).ravel()
    with np.errstate(invalid="ignore", over="ignore"):
        result: Floats = ufunc.reduceat(np.append(number, 0.0), pairs)[::2]
    return result


def _sum(number: Floats, low: Int64s, high: Int64s) -> Floats:
    return _reduced(np.add, number, low, high)


def _mean(number: Floats, low: Int64s, high: Int64s) -> Floats:
    return _sum(number, low, high) / (high - low)


def _range(number: Floats, low: Int64s, high: Int64s) -> Floats:
    with np.errstate(invalid="ignore", over="ignore"):
        return _reduced(np.maximum, number, low, high) - _reduced(np.minimum, number, low, high)


def _std(number: Floats, low: Int64s, high: Int64s) -> Floats:
    """Return the deviation from the mean, in two passes; each window has samples of its own, as they overlap."""
    mean, result = _mean(number, low, high), np.full(len(low), np.nan)
    step = max(1, _CELLS // int((high - low).max()))
    with np.errstate(invalid="ignore", over="ignore"):
        for begin in range(0, len(low), step):
            lows, many = low[begin : begin + step], (high - low)[begin : begin + step]
            starts = np.cumsum(many) - many
            at = np.arange(many.sum()) - np.repeat(starts - lows, many)
            squares = (number[at] - np.repeat(mean[begin : begin + step], many)) ** 2
            total = _sum(squares, starts, starts + many)
            result[begin : begin + step] = np.sqrt(np.where(many > 1, total, np.nan) / np.maximum(many - 1, 1))
    return result


_CELLS = 1_000_000
_OF_NONE = ("count", "sum")
"""What is 0 of no samples."""
_MAKE: dict[str, Callable[[Floats, Int64s, Int64s], Floats]] = {
    "mean": _mean,
    "min": lambda number, low, high: _reduced(np.minimum, number, low, high),
    "max": lambda number, low, high: _reduced(np.maximum, number, low, high),
    "sum": _sum,
    "count": lambda number, low, high: (high - low).astype(np.float64),
    "std": _std,
    "first": lambda number, low, high: number[low],
    "last": lambda number, low, high: number[high - 1],
    "range": _range,
}
