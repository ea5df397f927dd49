"""Some of several elements agree: k of n."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np

from analytics.events.expressions import Expression
from analytics.events.holding import Held, hold, initial
from analytics.events.judging import truth_at
from analytics.events.operator import Edges, Told
from analytics.events.rows import Floats, Int64s, Rows
from analytics.events.signals.members import Members

SINGLE = "value"
"""What an element is called in the expression that says for what it votes."""


@dataclass(frozen=True)
class Votes:
    """What is remembered.

    Parameters
    ----------
    held : tuple of Held
        What each element holds: a row per slot.
    members : Members
        How each of them votes: 1 for it, 0 against it, 0.5 if that is unknown.
    """

    held: tuple[Held, ...] = field(default_factory=lambda: initial(1))
    members: Members = field(default_factory=Members)


@dataclass(frozen=True)
class Vote:
    """A signal: true when enough of an instance's elements vote for it, by their latest samples.

    False when too few would be left, were all for it that are unknown; else it is unknown.

    Parameters
    ----------
    when : Expression
        True of an element that votes for it; the element is called `value`.
    at_least : int
        So many votes.
    """

    when: Expression
    at_least: int

    def initial(self) -> Votes:
        """Return the state before the first sample: nobody has a vote."""
        return Votes()

    def advance(self, state: Votes, rows: Rows, known: Int64s) -> Told:
        """Take samples in; see `Signal.advance`. The value of an edge is the number of votes for it."""
        held, votes = self._votes(state.held, rows)
        members, truth, favour = state.members, np.zeros(len(rows), np.int8), np.zeros(len(rows))
        for after, part, table in members.tables(rows, votes, len(known)):
            members = after
            favour[part] = np.count_nonzero(table == 1, axis=1)
            possible = np.count_nonzero(table > 0, axis=1)
            truth[part] = np.where(favour[part] >= self.at_least, 1, np.where(possible < self.at_least, -1, 0))
        return Told(Votes(held, members), Edges(rows.key, rows.time, truth, favour))

    def _votes(self, held: tuple[Held, ...], rows: Rows) -> tuple[tuple[Held, ...], Floats]:
        """Return what each element holds, and how that of each row votes."""
        order = np.argsort(rows.slot, kind="stable")
        single = replace(rows, key=rows.slot, input=np.zeros(len(rows), np.int16)).take(order)
        held, seen = hold(held, single, int(rows.slot.max(initial=-1)) + 1)
        truth = truth_at(self.when, {SINGLE: seen[0]}, single.time)
        votes = np.empty(len(rows))
        votes[order] = (truth + 1) / 2
        return held, votes
