"""An expression is true."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from analytics.events.expressions import Expression
from analytics.events.holding import Held, hold, initial
from analytics.events.judging import truth_at
from analytics.events.operator import Edges, Told
from analytics.events.rows import Int64s, Rows


@dataclass(frozen=True)
class Condition:
    """A signal: true when an expression is, of what the inputs hold at each sample.

    Parameters
    ----------
    names : tuple of str
        Inputs, as the expressions call them.
    when : Expression
    until : Expression, optional
        False when this is true, and `when` is not; left out: when the other is false.
    """

    names: tuple[str, ...]
    when: Expression
    until: Expression | None = None

    def initial(self) -> tuple[Held, ...]:
        """Return the state before the first sample: the inputs hold nothing."""
        return initial(len(self.names))

    def advance(self, state: tuple[Held, ...], rows: Rows, known: Int64s) -> Told:
        """Take samples in; see `Signal.advance`."""
        state, seen = hold(state, rows, len(known))
        by_name = dict(zip(self.names, seen, strict=True))
        truth = truth_at(self.when, by_name, rows.time)
        if self.until is not None:
            ends = truth_at(self.until, by_name, rows.time) > 0
            truth = np.where(truth > 0, 1, np.where(ends, -1, 0)).astype(np.int8)
        return Told(state, Edges(rows.key, rows.time, truth, np.where(rows.good, rows.number, np.nan)))
