"""Count, mean, variance, extremes and last value of bins, however long a bin is: parts of it are joined.

References
----------
Chan, Golub, LeVeque, Updating formulae and a pairwise algorithm for computing sample variances, 1979.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
from numpy.typing import NDArray

from archiver.model.time import NANOSECONDS
from services.appliance.events import Floats
from services.appliance.operators.bins import Summary
from services.appliance.operators.rows import Rows

MEAN, SQUARES, LEAST, GREATEST, COUNT, LAST, HELD, FIRST, FIRST_S, LAST_S = range(10)
"""Columns of the values: mean, sum of the squared deviations from it, extremes, count; last value and its severity.

Then the first value, and the times of the first and the last sample in whole seconds. NaN does not count; where nothing
does, the figures are NaN.
"""


def moments(stream: Iterable[Rows]) -> Iterator[Summary]:
    """Yield what is known of each bin that has samples, in order; the columns of its values are those above."""
    held: Summary | None = None
    for rows in stream:
        summary = _of(rows)
        if held is not None and held.number[0] == summary.number[0]:
            summary = Summary.concat([_joined(held, summary.rows(slice(0, 1))), summary.rows(slice(1, None))])
        elif held is not None:
            yield held
        if len(summary.number) > 1:
            yield summary.rows(slice(0, -1))
        held = summary.rows(slice(-1, None))
    if held is not None:
        yield held


def variance(values: Floats) -> Floats:
    """Return the variance of each bin as that of a sample (over n - 1), 0 of a single value."""
    return values[:, SQUARES] / np.maximum(values[:, COUNT] - 1, 1)


@np.errstate(all="ignore")
def _of(rows: Rows) -> Summary:
    starts = rows.starts
    counts = np.diff(np.append(starts, len(rows.bin)))
    ends = starts + counts - 1
    known = ~np.isnan(rows.value)
    number = np.add.reduceat(known, starts, dtype=np.int64)
    total = np.add.reduceat(np.where(known, rows.value, 0.0), starts)
    mean = np.where(number > 0, total / np.maximum(number, 1), np.nan)
    deviation = np.where(known, rows.value - np.repeat(mean, counts), 0.0)
    squares = np.where(number > 0, np.add.reduceat(deviation**2, starts), np.nan)
    last = _last_known(rows.value, known, starts)
    values = np.column_stack(
        (
            mean,
            squares,
            np.fmin.reduceat(rows.value, starts),
            np.fmax.reduceat(rows.value, starts),
            number,
            last,
            rows.severity[ends],
            rows.value[starts],
            rows.time[starts] // NANOSECONDS,
            rows.time[ends] // NANOSECONDS,
        )
    )
    severity = np.maximum.reduceat(rows.severity, starts)
    return Summary(rows.bin[starts], values, severity, np.logical_or.reduceat(rows.reconnected, starts))


def _last_known(value: Floats, known: NDArray[np.bool_], starts: NDArray[np.int64]) -> Floats:
    places = np.where(known, np.arange(len(value)), -1)
    last = np.maximum.reduceat(places, starts)
    return np.where(last >= 0, value[np.maximum(last, 0)], np.nan)


@np.errstate(all="ignore")
def _joined(first: Summary, second: Summary) -> Summary:
    """Return two parts of one bin as one."""
    a, b = first.values[0], second.values[0]
    count = a[COUNT] + b[COUNT]
    values = b.copy() if not a[COUNT] else a.copy()
    if a[COUNT] and b[COUNT]:
        difference = b[MEAN] - a[MEAN]
        values[MEAN] = a[MEAN] + difference * b[COUNT] / count
        values[SQUARES] = a[SQUARES] + b[SQUARES] + difference**2 * a[COUNT] * b[COUNT] / count
        values[LEAST], values[GREATEST] = np.fmin(a[LEAST], b[LEAST]), np.fmax(a[GREATEST], b[GREATEST])
        values[LAST] = b[LAST]
    values[COUNT], values[[FIRST, FIRST_S]], values[[HELD, LAST_S]] = count, a[[FIRST, FIRST_S]], b[[HELD, LAST_S]]
    return Summary(
        second.number,
        values[None, :],
        np.maximum(first.severity, second.severity),
        first.reconnected | second.reconnected,
    )
