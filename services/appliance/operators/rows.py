"""Events as numbers in bins, and the runs of rows that lie in one bin."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from archiver.model.batch import Int64s
from services.appliance.events import Events, Floats
from services.appliance.operators.bins import Bins


@dataclass(frozen=True)
class Rows:
    """Samples as numbers: bin, time (ns), value, severity, and whether a connection was regained."""

    bin: Int64s
    time: Int64s
    value: Floats
    severity: NDArray[np.uint8]
    reconnected: NDArray[np.bool_]

    @classmethod
    def of(cls, events: Events, bins: Bins) -> Rows | None:
        """Return the events as numbers; None of text, and where there are none."""
        value = events.numbers()
        if value is None or not len(value):
            return None
        return cls(bins.numbers(events.time), events.time, value, events.severity, events.reconnected())

    @classmethod
    def concat(cls, parts: list[Rows]) -> Rows:
        """Return rows that follow each other as one."""
        names = cls.__dataclass_fields__
        return cls(*(np.concatenate([getattr(part, name) for part in parts]) for name in names))

    def slice(self, start: int, stop: int) -> Rows:
        """Return the rows from one to before another."""
        names = self.__dataclass_fields__
        return Rows(*(getattr(self, name)[start:stop] for name in names))

    @property
    def starts(self) -> NDArray[np.int64]:
        """The row at which each bin begins."""
        return np.append(0, np.flatnonzero(self.bin[1:] != self.bin[:-1]) + 1)


def numeric(stream: Iterator[Events], bins: Bins) -> Iterator[Rows]:
    """Yield events as numbers in bins; text has none."""
    for events in stream:
        rows = Rows.of(events, bins)
        if rows is not None:
            yield rows
