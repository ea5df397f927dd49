"""Figures of a bin for which all of its samples are needed at once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import numpy as np

from archiver.model import LimitError
from archiver.model.time import NANOSECONDS
from services.appliance.events import Floats
from services.appliance.operators.bins import Bins, Summary
from services.appliance.operators.rows import Rows

MOST_ROWS = 20_000_000
"""Samples of one bin that are held."""

Statistic = Callable[[Floats, Floats, float], float]
"""Makes a figure of the values of a bin, their times and the time of its middle (s, from the first sample on)."""


def whole(stream: Iterable[Rows]) -> Iterator[Rows]:
    """Yield rows such that no bin is in two of them.

    Raises
    ------
    LimitError
        A bin has more than `MOST_ROWS` samples.
    """
    held: list[Rows] = []
    for rows in stream:
        start = int(rows.starts[-1])
        if held and rows.bin[0] != held[-1].bin[-1]:
            yield Rows.concat(held)
            held = []
        if start:
            yield Rows.concat([*held, rows.slice(0, start)])
            held = []
        held.append(rows.slice(start, len(rows.bin)))
        if sum(len(part.bin) for part in held) > MOST_ROWS:
            raise LimitError(
                f"a bin has more than {MOST_ROWS} samples, and all are needed at once: ask for shorter bins"
            )
    if held:
        yield Rows.concat(held)


def summaries(stream: Iterable[Rows], bins: Bins, statistic: Statistic) -> Iterator[Summary]:
    """Yield a figure of each bin that has samples; NaN does not count, and of nothing else it is NaN."""
    for rows in whole(stream):
        starts = rows.starts
        severity = np.maximum.reduceat(rows.severity, starts)
        reconnected = np.logical_or.reduceat(rows.reconnected, starts)
        yield Summary(rows.bin[starts], _figures(rows, bins, statistic), severity, reconnected)


@np.errstate(all="ignore")
def _figures(rows: Rows, bins: Bins, statistic: Statistic) -> Floats:
    starts = rows.starts
    middles = (bins.centres(rows.bin[starts]) - rows.time[starts]) / NANOSECONDS
    figures = np.full((len(starts), 1), np.nan)
    ends = np.append(starts[1:], len(rows.bin))
    for index, (start, end) in enumerate(zip(starts.tolist(), ends.tolist(), strict=True)):
        value = rows.value[start:end]
        known = ~np.isnan(value)
        if known.any():
            seconds = (rows.time[start:end][known] - rows.time[start]) / NANOSECONDS
            figures[index] = statistic(value[known], seconds, middles[index])
    return figures


def median(value: Floats, seconds: Floats, middle: float) -> float:
    """Return the median."""
    return float(np.median(value))


def skewness(value: Floats, seconds: Floats, middle: float) -> float:
    """Return the skewness of a sample (adjusted Fisher-Pearson); NaN of fewer than three values."""
    n = len(value)
    if n < 3:
        return np.nan
    deviation = value - value.mean()
    return float(n / ((n - 1) * (n - 2)) * np.sum((deviation / value.std(ddof=1)) ** 3))


def kurtosis(value: Floats, seconds: Floats, middle: float) -> float:
    """Return the excess kurtosis of a sample, unbiased for the normal distribution; NaN of fewer than four values."""
    n = len(value)
    if n < 4:
        return np.nan
    fourth = float(np.sum(((value - value.mean()) / value.std(ddof=1)) ** 4))
    return n * (n + 1) / ((n - 1) * (n - 2) * (n - 3)) * fourth - 3 * (n - 1) ** 2 / ((n - 2) * (n - 3))


def linear(value: Floats, seconds: Floats, middle: float) -> float:
    """Return the value in the middle, on the line between its neighbours; the first where it has but one."""
    if not seconds[0] <= middle <= seconds[-1]:
        return float(value[0])
    return float(np.interp(middle, seconds, value))


def _local(value: Floats, seconds: Floats, at: float, robust: Floats, count: int) -> float:
    """Return the line through the nearest `count` samples, weighted by nearness, at an instant."""
    distance = np.abs(seconds - at)
    near = np.argpartition(distance, count - 1)[:count]
    reach = distance[near].max() * 1.001 or 1.0
    weight = (1 - (distance[near] / reach) ** 3) ** 3 * robust[near]
    total = weight.sum()
    if total <= 0:
        return float(np.mean(value[near]))
    time, level = (weight @ seconds[near]) / total, (weight @ value[near]) / total
    spread = weight @ (seconds[near] - time) ** 2
    slope = weight @ ((seconds[near] - time) * (value[near] - level)) / spread if spread > 0 else 0.0
    return float(level + slope * (at - time))


def loess(value: Floats, seconds: Floats, middle: float) -> float:
    """Return the value in the middle by locally weighted, robust regression; the first where it lies outside.

    Raises
    ------
    LimitError
        There are more than `_MOST_LOESS` samples: its time grows with the square of their number.

    References
    ----------
    Cleveland, Robust locally weighted regression and smoothing scatterplots, 1979; span 0.3, two robust iterations.
    """
    if len(value) > _MOST_LOESS:
        raise LimitError(f"loess of more than {_MOST_LOESS} samples in a bin: ask for shorter bins, or for linear")
    if len(value) < 3 or not seconds[0] <= middle <= seconds[-1]:
        return float(value[0])
    count = max(2, int(_SPAN * len(value)))
    robust = np.ones(len(value))
    for _ in range(_ITERATIONS):
        smooth = np.array([_local(value, seconds, at, robust, count) for at in seconds.tolist()])
        residual = np.abs(value - smooth)
        scale = 6 * float(np.median(residual))
        if scale <= 0:
            break
        robust = np.where(residual < scale, (1 - np.minimum(residual / scale, 1) ** 2) ** 2, 0.0)
    return _local(value, seconds, middle, robust, count)


_SPAN, _ITERATIONS, _MOST_LOESS = 0.3, 2, 5_000
