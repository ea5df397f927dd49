"""What is committed: one string in one point, so that it changes as a whole.

InfluxDB has no transactions. Each write has a number, which all its points carry, and counts from the moment on that
the state says so. What a write left that failed has a number that never counts.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from archiver.model import ConfigurationError, Interval

VERSION = 1
RESERVED_AT_ONCE = 2**20


@dataclass(frozen=True, slots=True)
class Extent:
    """Number of samples, and first and last source time (ns)."""

    rows: int
    first: int
    last: int

    def joined(self, other: Extent) -> Extent:
        """Return the extent of both."""
        return Extent(self.rows + other.rows, min(self.first, other.first), max(self.last, other.last))


@dataclass(frozen=True)
class State:
    """What is committed.

    Parameters
    ----------
    committed : int
        Number of the last write that counts.
    reserved : int
        Numbers after the last commit and up to this one may have been used by writes that failed.
    aborted : tuple of (int, int)
        Ranges of numbers, both ends included, that don't count although they lie below `committed`.
    offsets : mapping of stream to int
        Journal positions.
    groups : mapping of name to Extent
        What each group holds.
    """

    committed: int = 0
    reserved: int = 0
    aborted: tuple[tuple[int, int], ...] = ()
    offsets: Mapping[str, int] = field(default_factory=dict)
    groups: Mapping[str, Extent] = field(default_factory=dict)

    @classmethod
    def parse(cls, text: str) -> State:
        """Return the state of a text.

        Raises
        ------
        ConfigurationError
            A newer version wrote it.
        """
        given = json.loads(text)
        if given["layout"] > VERSION:
            raise ConfigurationError(
                [f"database: its layout is version {given['layout']}, this forebay knows {VERSION}; upgrade forebay"]
            )
        return cls(
            given["committed"],
            given["reserved"],
            tuple((first, last) for first, last in given["aborted"]),
            given["offsets"],
            {name: Extent(*extent) for name, extent in given["groups"].items()},
        )

    def text(self) -> str:
        """Return the text of the state, in ASCII."""
        groups = {name: [extent.rows, extent.first, extent.last] for name, extent in self.groups.items()}
        document = {
            "layout": VERSION,
            "committed": self.committed,
            "reserved": self.reserved,
            "aborted": self.aborted,
            "offsets": dict(self.offsets),
            "groups": groups,
        }
        return json.dumps(document, separators=(",", ":"))

    def with_commit(self, number: int) -> State:
        """Return the state after a write; the numbers that it skipped never count."""
        aborted = self.aborted
        if number > self.committed + 1:
            aborted = (*aborted, (self.committed + 1, number - 1))
        return replace(self, committed=number, reserved=max(self.reserved, number), aborted=aborted)

    def counts(self, writes: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Return which numbers of writes count."""
        result: NDArray[np.bool_] = writes <= self.committed
        if self.aborted:
            firsts, lasts = np.array(self.aborted, np.int64).T
            place = np.searchsorted(firsts, writes, "right") - 1
            result &= (place < 0) | (writes > lasts[np.maximum(place, 0)])
        return result

    def condition(self) -> str:
        """Return the InfluxQL condition that the number of a point counts."""
        parts = [f'"write" <= {self.committed}']
        parts += [f'("write" < {first} OR "write" > {last})' for first, last in self.aborted]
        return " AND ".join(parts)


@dataclass(frozen=True, slots=True)
class SegmentRecord:
    """A segment as it is stored: what it holds since a write, and what it held before that.

    Until that write counts, what it held before is true.
    """

    interval: Interval
    write: int
    after: Extent
    before: Extent | None

    @classmethod
    def parse(cls, text: str) -> SegmentRecord:
        """Return the record of a text."""
        given = json.loads(text)
        before = given["before"]
        interval = Interval(given["start"], given["end"])
        return cls(interval, given["write"], Extent(*given["after"]), before and Extent(*before))

    def text(self) -> str:
        """Return the text of the record."""
        extents = {
            "after": [self.after.rows, self.after.first, self.after.last],
            "before": self.before and [self.before.rows, self.before.first, self.before.last],
        }
        start, end = self.interval.start, self.interval.end
        return json.dumps({"start": start, "end": end, "write": self.write, **extents}, separators=(",", ":"))

    def held(self, state: State) -> Extent | None:
        """Return what the segment holds as of a state."""
        return self.after if state.counts(np.array([self.write]))[0] else self.before
