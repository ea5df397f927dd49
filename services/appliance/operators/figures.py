"""Operators that give a figure per bin: mean, deviation, median, … of the samples in it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace

import numpy as np
import pyarrow as pa

from archiver.model import Kind
from archiver.query import text
from services.appliance.events import Events, Floats
from services.appliance.operators import whole
from services.appliance.operators.bins import Bins, Summary, filled
from services.appliance.operators.moments import COUNT, GREATEST, LEAST, MEAN, SQUARES, moments, variance
from services.appliance.operators.plotting import of_summary, statistics
from services.appliance.operators.rows import numeric

Figure = Callable[[Floats], Floats]
"""Makes figures (a column or more) of the values of `moments`."""


def _column(index: int) -> Figure:
    return lambda values: values[:, [index]]


def _deviation(values: Floats) -> Floats:
    return np.sqrt(variance(values))[:, None]


def _population_variance(values: Floats) -> Floats:
    return (values[:, SQUARES] / np.where(values[:, COUNT] > 0, values[:, COUNT], np.nan))[:, None]


def _jitter(values: Floats) -> Floats:
    with np.errstate(all="ignore"):
        return _deviation(values) / values[:, [MEAN]]


FIGURES: Mapping[str, Figure] = {
    "mean": _column(MEAN),
    "min": _column(LEAST),
    "max": _column(GREATEST),
    "count": _column(COUNT),
    "std": _deviation,
    "variance": lambda values: variance(values)[:, None],
    "popvariance": _population_variance,
    "jitter": _jitter,
    "stats": lambda values: statistics(values)[:, :-1],
    "errorbar": _column(MEAN),
}
"""Figures of which parts of a bin can be joined."""

WHOLE: Mapping[str, whole.Statistic] = {
    "median": whole.median,
    "skewness": whole.skewness,
    "kurtosis": whole.kurtosis,
    "linear": whole.linear,
    "loess": whole.loess,
}
"""Figures for which all samples of a bin are needed at once."""


def figures(name: str, stream: Iterator[Events], bins: Bins, *, fill: bool) -> Iterator[Events]:
    """Yield a figure per bin, of the empty ones that of the bin before (a count of 0) or, without `fill`, none."""
    rows = numeric(stream, bins)
    summaries = whole.summaries(rows, bins, WHOLE[name]) if name in WHOLE else moments(rows)
    shown = filled(summaries, bins.last, _none if name == "count" else _same) if fill else summaries
    for summary in shown:
        values = summary.values if name in WHOLE else FIGURES[name](summary.values)
        events = of_summary(replace(summary, values=values), bins)
        yield _with_deviation(events, summary) if name == "errorbar" else events


def _with_deviation(events: Events, summary: Summary) -> Events:
    deviation = text.csv_values({Kind.FLOAT: pa.array(_deviation(summary.values)[:, 0])})
    return replace(events, fields={"stdz": deviation, **events.fields})


def _same(summary: Summary) -> Summary:
    return summary


def _none(summary: Summary) -> Summary:
    return replace(summary, values=np.zeros_like(summary.values), severity=np.zeros_like(summary.severity))
