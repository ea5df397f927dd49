"""Which of several conditions came first."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from analytics.events.expressions import Expression
from analytics.events.judging import Conditions, Judged
from analytics.events.latch import Latch, Latched
from analytics.events.operator import Edges, Step, Told
from analytics.events.rows import Floats, Int64s, Rows, grown


@dataclass(frozen=True)
class First:
    """What is remembered of each instance.

    Parameters
    ----------
    judged : Judged
    number : ndarray of float64
        The condition that came first since none held; NaN before there was one.
    """

    judged: Judged
    number: Floats = field(default_factory=lambda: np.empty(0, np.float64))


@dataclass(frozen=True)
class _FirstOf:
    """A signal: true while any condition holds; its value is the number of the one that came first."""

    conditions: Conditions

    def initial(self) -> First:
        return First(self.conditions.initial())

    def advance(self, state: First, rows: Rows, known: Int64s) -> Told:
        judged, truths, before = self.conditions.advance(state.judged, rows, len(known))
        number = grown(state.number, len(known), np.nan).copy()
        there, was = (truths > 0).any(axis=1), (before > 0).any(axis=1)
        came = np.flatnonzero(there & ~was)
        starts = rows.starts()
        keys = rows.key[starts]
        fresh = np.full(len(rows), -1)
        fresh[came] = came
        last = np.maximum.accumulate(fresh)
        sizes = np.diff(starts, append=len(rows))
        value, mine = np.repeat(number[keys], sizes), last >= np.repeat(starts, sizes)
        value[mine] = (truths > 0).argmax(axis=1)[last[mine]]
        number[keys] = value[starts + sizes - 1]
        edges = Edges(rows.key, rows.time, np.where(there, 1, -1).astype(np.int8), value)
        return Told(First(judged, number), edges)


class FirstOut:
    """An operator: it came with the first of several conditions, whose name is the value, and is gone with the last.

    Of conditions that begin to hold at the same sample, the first of those as given came first; where the instants of
    a rule are whole, so of those that begin at the same instant. A condition that is unknown is as it was.

    Parameters
    ----------
    names : tuple of str
        Inputs, as the expressions call them.
    conditions : mapping of str to Expression
    on_delay, off_delay : int
        How long any of them must hold before it came, and none before it is gone, ns.
    """

    def __init__(
        self, names: tuple[str, ...], conditions: Mapping[str, Expression], on_delay: int = 0, off_delay: int = 0
    ) -> None:
        self._called = tuple(conditions)
        self._latch = Latch(_FirstOf(Conditions(names, tuple(conditions.values()))), on_delay, off_delay)

    def initial(self) -> Latched:
        """Return the state before the first sample: none of them holds."""
        return self._latch.initial()

    def advance(self, state: Latched, rows: Rows, known: Int64s) -> Step:
        """Take samples in; see `Operator.advance`."""
        step = self._latch.advance(state, rows, known)
        found = [one._replace(value=self._name(one.value)) for one in step.found]
        return Step(step.state, found, step.due, step.reached)

    def _name(self, value: Any) -> str:
        return self._called[int(value)]
