"""Something that was not followed by what has to follow."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from analytics.events.event import HAPPENED
from analytics.events.expressions import Expression
from analytics.events.judging import Conditions, Judged, Truths
from analytics.events.operator import Found, Step
from analytics.events.rows import BEFORE_ALL, NEVER, Floats, Int32s, Int64s, Mask, Rows
from archiver.model import format_time


def _none(dtype: Any) -> Any:
    return field(default_factory=lambda: np.empty(0, dtype))


@dataclass(frozen=True)
class Awaited:
    """What is remembered.

    Parameters
    ----------
    judged : Judged
    key : ndarray of int32
    since : ndarray of int64
    value : ndarray of float64
        What began and was not followed by now: the instance, when, and the value then; by time for each instance.
    """

    judged: Judged
    key: Int32s = _none(np.int32)
    since: Int64s = _none(np.int64)
    value: Floats = _none(np.float64)


class Absence:
    """An operator: one condition began to hold, and for so long after it another one did not.

    Each time the first one begins to hold is looked at for itself. The other one has followed if it holds then, or at
    any sample until `within` later, that instant included. Otherwise it happened that it did not, at the end of that
    time.

    Parameters
    ----------
    names : tuple of str
        Inputs, as the expressions call them.
    when, expect : Expression
    within : int
        ns.
    """

    def __init__(self, names: tuple[str, ...], when: Expression, expect: Expression, within: int) -> None:
        self._conditions = Conditions(names, (when, expect))
        self._within = within

    def initial(self) -> Awaited:
        """Return the state before the first sample."""
        return Awaited(self._conditions.initial())

    def advance(self, state: Awaited, rows: Rows, known: Int64s) -> Step:
        """Take samples in; see `Operator.advance`."""
        judged, truths, before = self._conditions.advance(state.judged, rows, len(known))
        begins = _beginnings(truths, before)
        value = np.where(rows.good, rows.number, np.nan)
        key, since = np.append(state.key, rows.key[begins]), np.append(state.since, rows.time[begins])
        value = np.append(state.value, value[begins])
        follows = _next(truths[:, 1] > 0, rows)
        starts, first = rows.starts(), np.full(len(known), NEVER)
        first[rows.key[starts]] = follows[starts]
        end = since + self._within
        misses = np.append(first[state.key], follows[begins]) > end
        lost = misses & (end < known[key])
        waits = misses & ~lost
        order = np.flatnonzero(lost)[np.lexsort((since[lost], key[lost]))]
        columns = (column[order].tolist() for column in (key, end, since, value))
        found = [_told(*told) for told in zip(*columns, strict=True)]
        due, reached = np.full(len(known), NEVER), np.full(len(known), BEFORE_ALL)
        np.minimum.at(due, key[waits], end[waits] + 1)
        np.maximum.at(reached, key[lost], end[lost] + 1)
        return Step(Awaited(judged, key[waits], since[waits], value[waits]), found, due, reached)


def _beginnings(truths: Truths, before: Truths) -> Mask:
    """Return where the first condition begins to hold, and the second does not hold."""
    result: Mask = (truths[:, 0] > 0) & (before[:, 0] <= 0) & (truths[:, 1] <= 0)
    return result


def _told(key: int, end: int, since: int, value: float) -> Found:
    return Found(key, HAPPENED, end, None if np.isnan(value) else value, {"since": format_time(since)})


def _next(follows: Mask, rows: Rows) -> Int64s:
    """Return the time of the first row, from each one on, at which it follows in the same instance; else `NEVER`."""
    places = np.minimum.accumulate(np.where(follows, np.arange(len(rows)), len(rows))[::-1])[::-1]
    result = np.full(len(rows), NEVER)
    there = places < len(rows)
    there[there] = rows.key[places[there]] == rows.key[there]
    result[there] = rows.time[places[there]]
    return result
