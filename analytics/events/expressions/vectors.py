"""What a part of an expression is at each row: the values, and where they are unknown.

Where nothing is unknown no mask is kept, and constants are scalars that numpy spreads. What a vector holds where it is
unknown means nothing.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from analytics.events.expressions.columns import Floats, Held
from archiver.model.batch import Mask
from archiver.model.time import NANOSECONDS

Unknown = Mask | np.bool_ | None
"""Where something is not known; None for nowhere."""


class Truth(NamedTuple):
    """What holds: certainly, and possibly; unknown is what is possible and not sure.

    Parameters
    ----------
    sure, possible : ndarray of bool
        The same object where nothing is unknown.
    """

    sure: Any
    possible: Any

    @classmethod
    def of(cls, holds: Any, unknown: Unknown) -> Truth:
        """Return where something holds, but for where that is unknown."""
        return cls(holds, holds) if unknown is None else cls(holds > unknown, holds | unknown)

    @property
    def unknown(self) -> Unknown:
        """Where it is not known."""
        return None if self.sure is self.possible else self.possible > self.sure


class Numbers(NamedTuple):
    """Floats; `may_be_nan` where arithmetic may have made one that is no number, which is unknown."""

    values: Any
    unknown: Unknown = None
    may_be_nan: bool = False

    def settled(self) -> Unknown:
        """Return where it is unknown, with what is no number."""
        if not self.may_be_nan or not np.isnan(np.minimum.reduce(self.values, axis=None, initial=np.inf)):
            return self.unknown
        return either(self.unknown, np.isnan(self.values))


class Wholes(NamedTuple):
    """Integers of 64 bits, with or without sign; instants and durations in ns."""

    values: Any
    unknown: Unknown = None


def either(first: Unknown, second: Unknown) -> Unknown:
    """Return where one of two is unknown."""
    if first is None:
        return second
    return first if second is None else first | second


def numbers(vector: Held | Wholes | Numbers) -> Numbers:
    """Return something as floats; integers beyond 2^53 as the nearest ones."""
    if isinstance(vector, Numbers):
        return vector
    if isinstance(vector, Wholes):
        return Numbers(np.asarray(vector.values, np.float64)[()], vector.unknown)
    if vector.number is None:
        return Numbers(np.float64(np.nan), vector.unknown, may_be_nan=True)
    return Numbers(vector.number, vector.unknown, may_be_nan=vector.text is not None)


def seconds(vector: Wholes) -> Numbers:
    """Return durations in seconds."""
    return Numbers(vector.values / np.float64(NANOSECONDS), vector.unknown)


def truth(vector: Held | Truth) -> Truth:
    """Return something as a condition: a number holds while it is not 0."""
    if isinstance(vector, Truth):
        return vector
    found = numbers(vector)
    return Truth.of(found.values != 0, found.settled())


def told(found: Truth, count: int) -> NDArray[np.int8]:
    """Return what a condition is at each of `count` rows: 1 it holds, -1 it does not, 0 unknown."""
    sure = _column(found.sure, count).view(np.int8)
    possible = sure if found.sure is found.possible else _column(found.possible, count).view(np.int8)
    result: NDArray[np.int8] = sure + possible
    result -= 1
    return result


def spread(found: Numbers, count: int) -> tuple[Floats, Mask]:
    """Return numbers and where they are known, at each of `count` rows; NaN where they are not."""
    unknown = found.settled()
    if unknown is None:
        return _column(found.values, count), np.ones(count, bool)
    known: Mask = ~_column(unknown, count)
    return np.where(known, found.values, np.nan), known


def _column(values: Any, count: int) -> NDArray[Any]:
    """Return values as a column: a constant, and only that, is repeated."""
    return values if np.ndim(values) else np.full(count, values)
