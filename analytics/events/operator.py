"""What makes events of samples: an operator, whose steps are pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from analytics.events.rows import Floats, Int32s, Int64s, Rows

S = TypeVar("S")


class Found(NamedTuple):
    """What an operator found: an event, but for the rule and its place among others of the same time.

    Parameters
    ----------
    key : int
        Number of the instance.
    kind : str
    time : int
        ns.
    value : float or str, optional
    attributes : mapping of str to JSON value
    """

    key: int
    kind: str
    time: int
    value: float | str | None = None
    attributes: Mapping[str, Any] = {}


@dataclass(frozen=True)
class Step:
    """What came of one step of an operator.

    Parameters
    ----------
    state
        As after the step.
    found : list of Found
        In order of time for each instance.
    due : ndarray of int64, optional
        Per instance: when something comes due if no sample comes before, ns; `NEVER` for nothing.
    reached : ndarray of int64, optional
        Per instance: until when time has passed without a sample, ns, as something came due: a sample that is older
        has come too late.
    """

    state: Any
    found: list[Found] = field(default_factory=list)
    due: Int64s | None = None
    reached: Int64s | None = None


class Operator(Protocol):
    """Makes events of the samples of all instances of a rule at once.

    States are trees of frozen dataclasses, tuples, dicts with keys of text, numpy arrays and plain values; arrays have
    a row per instance and grow as instances come up. A state is never changed: a step makes another one.
    """

    def initial(self) -> Any:
        """Return the state before the first sample."""

    def advance(self, state: Any, rows: Rows, known: Int64s) -> Step:
        """Take samples in, and what is due by then.

        Parameters
        ----------
        state
            As `initial` or the step before gave it.
        rows : Rows
            By instance, time, element and sequence; none older than what was given for its instance before.
        known : ndarray of int64
            Per instance: no more samples come that are older, ns. What is due by then comes due after the rows; what
            is due at the time of a row or earlier comes due before the row.
        """


@dataclass(frozen=True)
class Edges:
    """Where a truth is told: columns of equal length, by instance and time.

    Parameters
    ----------
    key : ndarray of int32
    time : ndarray of int64
    truth : ndarray of int8
        1 where it begins to hold or holds, -1 where it does not, 0 where it stays as it was.
    value : ndarray of float64
        The value that says so, NaN for none.
    """

    key: Int32s
    time: Int64s
    truth: NDArray[np.int8]
    value: Floats


@dataclass(frozen=True)
class Told:
    """What came of one step of a signal: its state, the edges, and `due` and `reached` as in `Step`."""

    state: Any
    edges: Edges
    due: Int64s | None = None
    reached: Int64s | None = None


class Signal(Protocol):
    """Tells of each instance when something is true; `Latch` makes it come and go. Pure, as an `Operator`."""

    def initial(self) -> Any:
        """Return the state before the first sample."""

    def advance(self, state: Any, rows: Rows, known: Int64s) -> Told:
        """Take samples in; see `Operator.advance`."""
