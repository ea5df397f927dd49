"""What is counted: which samples of an instance, one by one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from analytics.events.expressions import Expression
from analytics.events.holding import Held, hold, initial
from analytics.events.judging import feeds, truth_at
from analytics.events.rows import Mask, Rows


class Occurrences(Protocol):
    """Tells which samples count; pure, as an `Operator`."""

    def initial(self) -> Any:
        """Return the state before the first sample."""

    def advance(self, state: Any, rows: Rows, count: int) -> tuple[Any, Mask]:
        """Return the state after some rows, and which of them count.

        Parameters
        ----------
        state
            As `initial` or the step before gave it; stays as it is.
        rows : Rows
            By instance, time, element and sequence.
        count : int
            Number of instances.
        """


class EverySample:
    """Every sample counts, whatever it says."""

    def initial(self) -> None:
        """Return nothing."""

    def advance(self, state: None, rows: Rows, count: int) -> tuple[None, Mask]:
        """Return that all of them count; see `Occurrences.advance`."""
        return state, np.ones(len(rows), bool)


@dataclass(frozen=True)
class Whenever:
    """Samples that count: of the inputs that a condition looks at, those at which it holds.

    Parameters
    ----------
    names : tuple of str
        Inputs, as expressions call them.
    condition : Expression
    """

    names: tuple[str, ...]
    condition: Expression

    def initial(self) -> tuple[Held, ...]:
        """Return the state before the first sample."""
        return initial(len(self.names))

    def advance(self, state: tuple[Held, ...], rows: Rows, count: int) -> tuple[tuple[Held, ...], Mask]:
        """Return the samples at which the condition holds; see `Occurrences.advance`."""
        if not len(rows):
            return state, np.zeros(0, bool)
        held, seen = hold(state, rows, count)
        truths = truth_at(self.condition, dict(zip(self.names, seen, strict=True)), rows.time)
        return held, (truths > 0) & feeds(self.condition, self.names, rows)
