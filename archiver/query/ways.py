"""Which way to an aggregate is the shorter one: a backend makes it beside its data, or gives the samples.

A database may take as long for the one as for the other, and which is quicker depends on what is asked and on the
way to it. So both are measured as they happen, and nothing is tried that was not measured.
"""

from __future__ import annotations

import threading
from collections.abc import Collection
from dataclasses import dataclass

_SHARE = 0.5
"""How much a new measurement counts."""
_MANY_ROWS = 10_000
"""Samples from which on a part tells how fast they come."""
_REDUCED_PER_S = 2e7
"""About how many samples a second are aggregated here, once they are read."""
_DOUBT = 1.02
"""By how much the way that is not taken is held for quicker with each time, so that it is measured again some day."""


@dataclass(frozen=True)
class Shape:
    """What is asked for, as far as it decides.

    Parameters
    ----------
    several : bool
        Of more than one element.
    aggregates : frozenset of str
    length : int
        Bits of the length of a bucket in ns: those of about the same length fare alike.
    """

    several: bool
    aggregates: frozenset[str]
    length: int

    @classmethod
    def of(cls, elements: Collection[str], aggregates: Collection[str], bucket_ns: int) -> Shape:
        """Return the shape of a question."""
        return cls(len(elements) > 1, frozenset(aggregates), bucket_ns.bit_length())


class Ways:
    """How many samples a second went each way of late; any thread learns and asks."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._read: dict[tuple[str, bool], float] = {}
        self._made: dict[str, dict[Shape, float]] = {}

    def learn_read(self, backend: str, elements: Collection[str], rows: int, seconds: float) -> None:
        """Take how long a backend took to give the samples of some elements."""
        if rows < _MANY_ROWS or seconds <= 0:
            return
        several = len(elements) > 1
        with self._lock:
            read = self._read[backend, several] = _mixed(self._read.get((backend, several)), rows / seconds)
            made = self._made.get(backend, {})
            for shape, rate in made.items():
                if shape.several == several and rate < _aggregated(read):
                    made[shape] = rate * _DOUBT

    def learn_made(self, backend: str, shape: Shape, rows: int, seconds: float) -> None:
        """Take how long a backend took to aggregate so many samples, those included that had to be read after all."""
        if rows < _MANY_ROWS or seconds <= 0:
            return
        with self._lock:
            made = self._made.setdefault(backend, {})
            made[shape] = _mixed(made.get(shape), rows / seconds)

    def is_read_sooner(self, backend: str, shape: Shape) -> bool:
        """Return whether both ways were measured, and reading the samples takes less time."""
        with self._lock:
            made, read = self._made.get(backend, {}).get(shape), self._read.get((backend, shape.several))
        return made is not None and read is not None and made < _aggregated(read)


def _aggregated(read: float) -> float:
    """Return how many samples a second are read and aggregated here."""
    return 1.0 / (1.0 / read + 1.0 / _REDUCED_PER_S)


def _mixed(old: float | None, new: float) -> float:
    return new if old is None else old + _SHARE * (new - old)
