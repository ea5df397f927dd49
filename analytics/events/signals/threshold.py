"""The value leaves a band."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from analytics.events.operator import Edges, Told
from analytics.events.rows import Floats, Int64s, Mask, Rows


@dataclass(frozen=True)
class Band:
    """A limit above, one below, or both.

    Parameters
    ----------
    above, below : float, optional
        Outside is what is greater, or less.
    hysteresis : float
        How far back from a limit it is inside again.
    """

    above: float | None = None
    below: float | None = None
    hysteresis: float = 0.0

    def truth(self, value: Floats, known: Mask | None = None) -> NDArray[np.int8]:
        """Return 1 where values are outside, -1 where they are inside, 0 between, where one is NaN, or is not known.

        Examples
        --------
        >>> Band(above=80.0, hysteresis=2.0).truth(np.array([81.0, 80.0, 78.0, np.nan])).tolist()
        [1, 0, -1, 0]
        """
        truth = np.full(len(value), -1, np.int8)
        if self.above is not None:
            truth[value > self.above - self.hysteresis] = 0
        if self.below is not None:
            truth[value < self.below + self.hysteresis] = 0
        if self.above is not None:
            truth[value > self.above] = 1
        if self.below is not None:
            truth[value < self.below] = 1
        truth[np.isnan(value) if known is None else ~known | np.isnan(value)] = 0
        return truth


@dataclass(frozen=True)
class Threshold:
    """A signal: true when a good value leaves a band, false when it is back inside.

    Parameters
    ----------
    band : Band
    """

    band: Band

    def initial(self) -> None:
        """Return the state before the first sample: none, as a sample says all there is to say."""

    def advance(self, state: Any, rows: Rows, known: Int64s) -> Told:
        """Take samples in; see `Signal.advance`."""
        return Told(state, Edges(rows.key, rows.time, self.band.truth(rows.number, rows.good), rows.number))
