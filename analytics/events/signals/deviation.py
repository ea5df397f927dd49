"""The values of one instance lie apart."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from analytics.events.operator import Edges, Told
from analytics.events.rows import Int64s, Rows
from analytics.events.signals.members import Members
from analytics.events.signals.threshold import Band


@dataclass(frozen=True)
class Deviation:
    """A signal: true when the greatest and the least of the latest values of an instance's elements lie apart.

    What is not good takes no part; it is unknown when less than two do.

    Parameters
    ----------
    more_than : float
    hysteresis : float
        By how much less than that it is false again.
    """

    more_than: float
    hysteresis: float = 0.0

    def initial(self) -> Members:
        """Return the state before the first sample: no element says anything."""
        return Members()

    def advance(self, state: Members, rows: Rows, known: Int64s) -> Told:
        """Take samples in; see `Signal.advance`. The value of an edge is the distance."""
        distance = np.full(len(rows), np.nan)
        said = np.where(rows.good, rows.number, np.nan)
        for after, part, table in state.tables(rows, said, len(known)):
            state = after
            several = np.count_nonzero(~np.isnan(table), axis=1) > 1
            with np.errstate(invalid="ignore"):  # infinite ones of one sign are no distance apart that is known
                distance[part][several] = np.nanmax(table[several], axis=1) - np.nanmin(table[several], axis=1)
        truth = Band(above=self.more_than, hysteresis=self.hysteresis).truth(distance)
        return Told(state, Edges(rows.key, rows.time, truth, distance))
