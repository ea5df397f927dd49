"""Samples of several elements put side by side at common times: which sample of an element counts at which time."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from archiver.model import InvalidInputError, Kind, SampleBatch, parse_duration
from archiver.model.batch import Int64s, Mask
from archiver.model.partials import native
from archiver.query.comparison import good

ByKind = dict[Kind, pa.Array]
_FLAT = (Kind.FLOAT, Kind.INT, Kind.UINT, Kind.ENUM)


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
            given = {"a tolerance": tolerance, "a step": step, "an element for the times": times_of}
            idle = next((name for name, text in given.items() if text), None)
            if idle is not None:
                raise InvalidInputError(f"{idle} is of a wide table: say which (wide = {', '.join(Match)})")
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
    if not samples.num_rows:
        return Column({}, pa.nulls(len(times), pa.uint64()))
    around = _Around.of(samples.source_time, times, join)
    if join.match is Match.LINEAR:
        return _line(samples, around)
    if join.match is Match.NEAREST:
        later = around.has_after & ~(around.has_before & (around.since <= around.until))
        return _taken(samples, np.where(later, around.after, around.before), later | around.has_before)
    return _taken(samples, around.before, around.has_before)


@dataclass(frozen=True)
class _Around:
    """The samples before (or at) and after some times: their rows, how far away they are (ns), and whether they count.

    Where there is no such sample, the row is that of another one, and the distance means nothing.
    """

    before: Int64s
    after: Int64s
    since: NDArray[np.uint64]
    until: NDArray[np.uint64]
    has_before: Mask
    has_after: Mask

    @classmethod
    def of(cls, known: Int64s, times: Int64s, join: Join) -> _Around:
        rows = _last(known, times)
        before = np.maximum(rows, 0)
        since = (times - known[before]).view(np.uint64)  # holds any difference of two int64
        has_before = (rows >= 0) & _within(since, join)
        if join.match is Match.LAST:
            return cls(before, before, since, since, has_before, has_before)
        after = np.minimum(rows + 1, len(known) - 1)
        until = (known[after] - times).view(np.uint64)
        return cls(before, after, since, until, has_before, (rows < len(known) - 1) & _within(until, join))


def _within(distance: NDArray[np.uint64], join: Join) -> Mask | bool:
    return True if join.tolerance_ns is None else distance <= np.uint64(join.tolerance_ns)


def _last(known: Int64s, times: Int64s) -> Int64s:
    """Return the row of the last known time at or before each time, -1 where there is none; both ascend."""
    if len(known) * 4 > len(times):
        return np.searchsorted(known, times, "right") - 1
    starts = np.searchsorted(times, known, "left")
    return np.repeat(np.arange(-1, len(known)), np.diff(starts, prepend=0, append=len(times)))


def _taken(samples: SampleBatch, rows: Int64s, there: Mask) -> Column:
    """Return the samples of some rows, nothing where there is none."""
    nothing = None if there.all() else ~there
    indices = pa.array(rows, mask=nothing)
    values: ByKind = {}
    for kind in samples.kinds:
        array = samples.values(kind)
        if kind in _FLAT and not array.null_count:
            values[kind] = pa.array(array.to_numpy()[rows], mask=nothing)  # numpy takes by row much faster than Arrow
        else:
            values[kind] = array.take(indices)
    return Column(values, pa.array(samples.status[rows], mask=nothing))


def _line(samples: SampleBatch, around: _Around) -> Column:
    """Return the points on the lines between samples; where there is no line, the status of both ends says why."""
    one, other = around.before, around.after
    is_float = samples.kind_codes == Kind.FLOAT
    is_end = is_float & good(samples)
    begins_float, status = is_float[one], samples.status[one]
    held = around.has_before & ((around.since == 0) | ~begins_float)
    between = around.has_before & around.has_after & ~held
    drawn = between & is_end[one] & is_end[other]
    if samples.status.any():
        status = np.where(between, status | samples.status[other], status)
    values = {}
    if is_float.any():
        number = native(samples.values(Kind.FLOAT))
        points = np.where(drawn, _points(number[one], number[other], around), number[one])
        values[Kind.FLOAT] = pa.array(points, mask=~(drawn | (held & begins_float)))
    if len(samples.kinds) > len(values):
        steps = _taken(samples, one, held & ~begins_float)
        values |= {kind: array for kind, array in steps.values.items() if kind is not Kind.FLOAT}
    return Column(values, pa.array(status, mask=~(between | held)))


def _points(v0: NDArray[np.float64], v1: NDArray[np.float64], around: _Around) -> NDArray[np.float64]:
    """Return the values on lines; never outside of their ends."""
    with np.errstate(invalid="ignore", over="ignore", divide="ignore"):
        whole = around.since + around.until
        line = v0 * (around.until / whole) + v1 * (around.since / whole)
        result: NDArray[np.float64] = np.clip(line, np.minimum(v0, v1), np.maximum(v0, v1))
    return result
