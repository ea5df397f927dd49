"""Samples of several elements put side by side at common times: which sample of an element counts at which time."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from archiver.model import InvalidInputError, Kind, SampleBatch, parse_duration
from archiver.model.batch import Int64s, Mask
from archiver.query.comparison import good
from archiver.query.partials import native

ByKind = dict[Kind, pa.Array]


class Match(StrEnum):
    """Which sample of an element counts at a time.

    `LAST` is the last one at or before it. `NEAREST` is the one closest to it, of two equally close ones the earlier.
    `LINEAR` is the point on the line between the float before and the float after it, where both are good; what is no
    float is given as `LAST` gives it. Of several samples at one instant the last in sequence counts.
    """

    LAST = "last"
    NEAREST = "nearest"
    LINEAR = "linear"


@dataclass(frozen=True, slots=True)
class Join:
    """How the samples of elements come to stand in one row.

    Parameters
    ----------
    match : Match
    tolerance_ns : int, optional
        How far, in time, a sample may be from the row; for `LINEAR` both neighbours. `LAST` does without: then a
        value holds until the next one.
    step_ns : int
        Rows at the multiples of this since the epoch.
    times_of : str, optional
        Rows at the times of the samples of this element. With neither, at those of all elements.

    Raises
    ------
    InvalidInputError
    """

    match: Match = Match.LAST
    tolerance_ns: int | None = None
    step_ns: int = 0
    times_of: str | None = None

    def __post_init__(self) -> None:
        checks = (
            (
                self.match is not Match.LAST and self.tolerance_ns is None,
                f"{self.match} needs a tolerance: how far a sample may be from the row, such as 5s",
            ),
            (self.tolerance_ns is not None and self.tolerance_ns < 0, "a tolerance is zero or more"),
            (self.step_ns < 0, "a step is more than zero"),
            (
                bool(self.step_ns) and self.times_of is not None,
                "both a step and an element give the times; leave out one",
            ),
        )
        for wrong, message in checks:
            if wrong:
                raise InvalidInputError(f"the elements cannot be put side by side: {message}")

    @classmethod
    def parse(cls, match: str, tolerance: str = "", step: str = "", times_of: str = "") -> Join | None:
        """Return the join that texts say, durations as `parse_duration` reads them; None when there is no match.

        Raises
        ------
        InvalidInputError
            One of them cannot be read, or is given without a match.

        Examples
        --------
        >>> Join.parse("nearest", "5s").tolerance_ns
        5000000000
        """
        if not match:
            given = {"tolerance": tolerance, "step": step, "times of an element": times_of}
            idle = next((name for name, text in given.items() if text), None)
            if idle is not None:
                raise InvalidInputError(f"a {idle} is of a wide table: say which (wide = {', '.join(Match)})")
            return None
        if match not in list(Match):
            raise InvalidInputError(f"wide = {match!r}; it is one of {', '.join(Match)}")
        if step and not parse_duration(step):
            raise InvalidInputError(f"step = {step!r}; it is more than zero")
        within = parse_duration(tolerance) if tolerance else None
        return cls(Match(match), within, parse_duration(step) if step else 0, times_of or None)

    @property
    def ahead_ns(self) -> int:
        """How far behind its time a row looks for samples."""
        return 0 if self.match is Match.LAST else self.tolerance_ns or 0


@dataclass(frozen=True)
class Column:
    """What one element has at some times: values of which at most one is set, and a status; null where nothing is."""

    values: ByKind
    status: pa.Array

    @property
    def kinds(self) -> tuple[Kind, ...]:
        """Kinds that have a value in there."""
        return tuple(kind for kind, array in self.values.items() if array.null_count < len(array))

    def slice(self, offset: int, length: int) -> Column:
        """Return a run of rows."""
        return Column(
            {k: array.slice(offset, length) for k, array in self.values.items()}, self.status.slice(offset, length)
        )


def align(samples: SampleBatch, times: Int64s, join: Join) -> Column:
    """Return what an element has at some times.

    Parameters
    ----------
    samples : SampleBatch
        Of this element, in order of time, one of each instant: from the last one at or before the first time to the
        first one after the last time, as far as there are.
    times : ndarray of int64
        ns, ascending.

    Examples
    --------
    >>> samples = SampleBatch.from_columns("a", [0, 10], [1.0, 2.0])
    >>> align(samples, np.array([4, 6, 99]), Join(Match.NEAREST, tolerance_ns=5)).values[Kind.FLOAT].to_pylist()
    [1.0, 2.0, None]
    """
    known = samples.source_time
    if not len(known):
        return Column({}, pa.nulls(len(times), pa.uint64()))
    before = _last(known, times)
    if join.match is Match.LAST:
        return _taken(samples, np.where(_near(known, before, times, join), before, -1))
    after = before + 1
    exact = (before >= 0) & (known[np.maximum(before, 0)] == times)
    has_before, has_after = _near(known, before, times, join), _near(known, after, times, join)
    if join.match is Match.NEAREST:
        later = has_after & ~(has_before & _is_earlier(known, before, after, times))
        return _taken(samples, np.where(later, after, np.where(has_before, before, -1)))
    return _line(samples, times, before, exact, has_before, has_after)


def _last(known: Int64s, times: Int64s) -> Int64s:
    """Return the row of the last known time at or before each time, -1 where there is none; both ascend."""
    if len(known) * 4 > len(times):
        return np.searchsorted(known, times, "right") - 1
    starts = np.searchsorted(times, known, "left")
    return np.repeat(np.arange(-1, len(known)), np.diff(starts, prepend=0, append=len(times)))


def _near(known: Int64s, rows: Int64s, times: Int64s, join: Join) -> Mask:
    """Return where there is a sample of these rows and it lies within the tolerance."""
    there = (rows >= 0) & (rows < len(known))
    if join.tolerance_ns is None:
        return there
    return there & (_distance(known[np.clip(rows, 0, len(known) - 1)], times) <= np.uint64(join.tolerance_ns))


def _distance(one: Int64s, other: Int64s) -> NDArray[np.uint64]:
    """Return the time between instants; uint64 holds any difference of two int64."""
    return (np.maximum(one, other) - np.minimum(one, other)).view(np.uint64)


def _is_earlier(known: Int64s, before: Int64s, after: Int64s, times: Int64s) -> Mask:
    last = len(known) - 1
    result: Mask = _distance(known[np.clip(before, 0, last)], times) <= _distance(known[np.clip(after, 0, last)], times)
    return result


def _taken(samples: SampleBatch, rows: Int64s) -> Column:
    """Return the samples of some rows, nothing where the row is -1."""
    nothing = rows < 0
    indices = pa.array(rows, mask=nothing) if nothing.any() else pa.array(rows)
    values = {kind: samples.values(kind).take(indices) for kind in samples.kinds}
    return Column(values, samples.column("status").take(indices))


def _line(
    samples: SampleBatch, times: Int64s, before: Int64s, exact: Mask, has_before: Mask, has_after: Mask
) -> Column:
    """Return the points on the lines between samples; where there is no line, the status of both ends says why."""
    last = samples.num_rows - 1
    one, other = np.clip(before, 0, last), np.clip(before + 1, 0, last)
    is_float = samples.kind_codes == Kind.FLOAT
    held = exact | (has_before & ~is_float[one])
    between = has_before & has_after & ~held
    is_end = good(samples) & is_float
    drawn = between & is_end[one] & is_end[other]
    kept = _taken(samples, np.where(held, before, -1))
    if not between.any():
        return kept
    status = native(kept.status)
    status = np.where(between, samples.status[one] | samples.status[other], status)
    values = dict(kept.values)
    if drawn.any():
        known, number = samples.source_time, native(samples.values(Kind.FLOAT))
        points = _points(known[one], number[one], known[other], number[other], times)
        of_samples: Any = values[Kind.FLOAT]
        points = np.where(drawn, points, native(of_samples))
        values[Kind.FLOAT] = pa.array(points, mask=~drawn & ~of_samples.is_valid().to_numpy(zero_copy_only=False))
    return Column(values, pa.array(status, mask=~between & ~held))


def _points(
    t0: Int64s, v0: NDArray[np.float64], t1: Int64s, v1: NDArray[np.float64], times: Int64s
) -> NDArray[np.float64]:
    """Return the values on lines; never outside of their ends."""
    with np.errstate(invalid="ignore", over="ignore", divide="ignore"):
        whole = _distance(t0, t1).astype(np.float64)
        line = v0 * (_distance(times, t1) / whole) + v1 * (_distance(t0, times) / whole)
        result: NDArray[np.float64] = np.clip(line, np.minimum(v0, v1), np.maximum(v0, v1))
    return result
