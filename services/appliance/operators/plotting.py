"""Operators that thin samples for a plot: what the data browsers of control rooms ask for."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import chain

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from archiver.model import Kind
from archiver.model.time import NANOSECONDS
from services.appliance.events import Events, Floats
from services.appliance.operators.bins import Bins, Empty, Summary, filled
from services.appliance.operators.moments import (
    COUNT,
    FIRST,
    FIRST_S,
    GREATEST,
    HELD,
    LAST,
    LAST_S,
    LEAST,
    MEAN,
    moments,
    variance,
)
from services.appliance.operators.rows import numeric

Stream = Iterator[Events]
_CHANGED = "connectionChange"
_QUARTERS = (0.0, 0.25, 0.5, 0.75)
_LEVELS = (MEAN, LEAST, GREATEST)


def optimized(stream: Stream, start: int, end: int, points: int, *, last: bool, empty: Empty | None) -> Stream:
    """Yield the samples themselves where there are at most so many; else mean, deviation, extremes, count per bin.

    Parameters
    ----------
    points : int
        About so many bins are made of the interval.
    last : bool
        Give the last value of a bin as well.
    empty : callable, optional
        Says what an empty bin is like; they are left out without.
    """
    held: list[Events] = []
    rows = 0
    for events in stream:
        held.append(events)
        rows += events.num_rows
        if rows > points:
            break
    else:
        yield from held
        return
    seconds = max(1, (end // NANOSECONDS - start // NANOSECONDS) // points)
    bins = Bins(start, end, seconds)
    summaries = moments(numeric(chain(held, stream), bins))
    dense = summaries if empty is None else filled(summaries, bins.last, empty)
    for summary in dense:
        shown = statistics(summary.values)
        yield of_summary(replace(summary, values=shown if last else shown[:, :-1]), bins)


def statistics(values: Floats) -> Floats:
    """Return mean, standard deviation, least, greatest, count and last value of bins of `moments`."""
    spread = np.sqrt(variance(values))
    return np.column_stack((values[:, MEAN], spread, values[:, [LEAST, GREATEST, COUNT, LAST]]))


def of_summary(summary: Summary, bins: Bins) -> Events:
    """Return what is said of bins as events in their middle."""
    rows, width = summary.values.shape
    flat = pa.array(summary.values.reshape(-1))
    one = width == 1
    offsets = pa.array(np.arange(0, (rows + 1) * width, width, dtype=np.int32))
    value = flat if one else pa.ListArray.from_arrays(offsets, flat)
    kind, status = Kind.FLOAT if one else Kind.FLOATS, np.zeros(rows, np.uint8)
    return Events(kind, bins.centres(summary.number), value, summary.severity, status, _changes(summary.reconnected))


def held_value(summary: Summary) -> Summary:
    """Return what an empty bin is like: the last value, held all the time; no deviation, no sample."""
    values = np.zeros_like(summary.values)
    values[:, _LEVELS] = summary.values[:, [LAST]]
    values[:, LAST], values[:, HELD] = summary.values[:, LAST], summary.values[:, HELD]
    severity = summary.values[:, HELD].astype(np.uint8)
    return Summary(summary.number, values, severity, np.zeros(len(severity), bool))


def caplotbinning(stream: Stream, bins: Bins) -> Stream:
    """Yield of each bin its first, least, greatest and last value, a quarter of it apart; of two samples just these.

    Times are whole seconds; the severity is that of the bin.
    """
    for summary in moments(numeric(stream, bins)):
        values = summary.values
        many, seconds = values[:, COUNT] > 2, values[:, [FIRST_S, FIRST_S, LAST_S, LAST_S]].astype(np.int64)
        apart = summary.number[:, None] * bins.seconds + (np.array(_QUARTERS) * bins.seconds).astype(np.int64)
        seconds[many] = apart[many]
        given = np.column_stack((np.ones(len(many), bool), many, many, many | (values[:, LAST_S] > values[:, FIRST_S])))
        row = np.nonzero(given)[0]
        figures = pa.array(values[:, [FIRST, LEAST, GREATEST, LAST]][given])
        status, changes = np.zeros(len(row), np.uint8), _changes(summary.reconnected[row])
        yield Events(Kind.FLOAT, seconds[given] * NANOSECONDS, figures, summary.severity[row], status, changes)


def _changes(reconnected: NDArray[np.bool_]) -> dict[str, pa.Array]:
    """Return the field that says where a connection was regained."""
    if not reconnected.any():
        return {}
    return {_CHANGED: pa.array(np.where(reconnected, "true", ""), pa.utf8(), mask=~reconnected)}
