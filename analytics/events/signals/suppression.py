"""A rule that is suppressed while a second condition is true."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from analytics.events.event import SUPPRESSED, UNSUPPRESSED
from analytics.events.latch import Latch
from analytics.events.operator import Found, Operator, Signal, Step
from analytics.events.rows import Int64s, Rows


@dataclass(frozen=True)
class Both:
    """What is remembered: the states of the rule, and of what suppresses it."""

    rule: Any
    by: Any


class Suppression:
    """An operator: what another one finds, and when that begins and ends to be suppressed by design.

    What is found meanwhile is found all the same: what it means that it is suppressed is the alarm's business.

    Parameters
    ----------
    rule : Operator
    by : Signal
        Suppresses while it is true.
    """

    def __init__(self, rule: Operator, by: Signal) -> None:
        self._rule = rule
        self._by = Latch(by, kinds=(SUPPRESSED, UNSUPPRESSED))

    def initial(self) -> Both:
        """Return the state before the first sample: nothing is suppressed."""
        return Both(self._rule.initial(), self._by.initial())

    def advance(self, state: Both, rows: Rows, known: Int64s) -> Step:
        """Take samples in; see `Operator.advance`."""
        rule, by = self._rule.advance(state.rule, rows, known), self._by.advance(state.by, rows, known)
        due, reached = _either(np.minimum, rule.due, by.due), _either(np.maximum, rule.reached, by.reached)
        # stable: of one time and instance each stays in its own order; the engine numbers the two apart
        found = sorted([*by.found, *rule.found], key=_time) if by.found else rule.found
        return Step(Both(rule.state, by.state), found, due, reached)


def _time(found: Found) -> int:
    return found.time


def _either(choose: np.ufunc, one: Int64s | None, other: Int64s | None) -> Int64s | None:
    """Return the chosen one of two times of each instance."""
    if one is None or other is None:
        return other if one is None else one
    result: Int64s = choose(one, other)
    return result
