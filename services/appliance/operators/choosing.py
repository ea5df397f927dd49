"""Operators that give some of the samples as they are: the first or last of a bin, each n-th, those beyond a band."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain, pairwise

import numpy as np
import pyarrow as pa

from archiver.model import Kind, LimitError
from services.appliance.events import LOST, Events
from services.appliance.operators.bins import Bins, spread
from services.appliance.operators.moments import COUNT, MEAN, moments, variance
from services.appliance.operators.rows import Rows
from services.appliance.operators.whole import MOST_ROWS

Stream = Iterator[Events]


def first_of_bins(stream: Stream, bins: Bins) -> Stream:
    """Yield the first sample of each bin that has any."""
    before = None
    for events in stream:
        number = bins.numbers(events.time)
        opens = np.append(True, number[1:] != number[:-1])
        if len(number):
            opens[0] = number[0] != before
            before = int(number[-1])
        yield events.take(np.flatnonzero(opens[: len(number)]))


def last_of_bins(stream: Stream, bins: Bins) -> Stream:
    """Yield the last sample of each bin that has any."""
    held: Events | None = None
    for events in stream:
        if not events.num_rows:
            yield events
            continue
        number = bins.numbers(events.time)
        if held is not None and bins.numbers(held.time)[0] != number[0]:
            yield held
        yield events.take(np.flatnonzero(number[1:] != number[:-1]))
        held = events.slice(events.num_rows - 1, events.num_rows)
    if held is not None:
        yield held


def held_on(stream: Stream, bins: Bins) -> Stream:
    """Yield a sample per bin of a stream that has one in some: in the middle of its bin, and again until the next."""
    held: Events | None = None
    for events in stream:
        if not events.num_rows:
            continue
        number = bins.numbers(events.time)
        if held is not None:
            yield from _held(held, bins, int(number[0]))
        yield from _held(events.slice(0, events.num_rows - 1), bins, int(number[-1]))
        held = events.slice(events.num_rows - 1, events.num_rows)
    if held is not None:
        yield from _held(held, bins, bins.last + 1)


def _held(events: Events, bins: Bins, until: int) -> Stream:
    for rows, numbers in spread(bins.numbers(events.time), until):
        yield events.take(rows).at(bins.centres(numbers))


def nth(stream: Stream, start: int, step: int) -> Stream:
    """Yield each `step`-th sample from the start on, beginning with the first."""
    seen = 0
    for events in stream:
        inside = np.flatnonzero(events.time >= start)
        yield events.take(inside[-seen % step :: step])
        seen += len(inside)


def count(stream: Stream, start: int) -> Stream:
    """Yield one sample, at the start, whose value is how many samples there are from then on."""
    total = sum(int(np.count_nonzero(events.time >= start)) for events in stream)
    nothing = np.zeros(1, np.uint8)
    yield Events(Kind.INT, np.array([start]), pa.array([total], pa.int64()), nothing, nothing)


def dead_band(stream: Stream, band: float) -> Stream:
    """Yield samples whose value is further than a band from the one before that was given.

    A sample of another severity, at a regained connection, or next to NaN or an infinity, is given in any case; so is
    text that changes.
    """
    last: tuple[float, int, bool] | None = None
    for events in stream:
        value = events.numbers()
        if value is None:
            yield events
            continue
        lost = LOST in events.fields and events.fields[LOST].is_valid().to_pylist()
        changed = lost or [False] * events.num_rows
        kept = []
        for row, sample in enumerate(zip(value.tolist(), events.severity.tolist(), changed, strict=True)):
            # `not <=`: of a difference that is no number, all are given
            if last is None or sample[1:] != last[1:] or not abs(sample[0] - last[0]) <= band:
                kept.append(row)
                last = sample
        yield events.take(np.array(kept, np.int64))


def flyers(stream: Stream, bins: Bins, deviations: float, *, ignored: bool) -> Stream:
    """Yield the samples further than so many standard deviations from the mean of their bin; `ignored`: the others."""
    for held in _whole(stream, bins):
        rows = [Rows.of(events, bins) for events in held]
        (summary,) = moments(part for part in rows if part is not None)
        if not summary.values[0, COUNT]:
            continue
        reach = deviations * float(np.sqrt(variance(summary.values)[0]))
        for events in held:
            value = events.numbers()
            assert value is not None, "text was left out"
            distance = np.abs(value - summary.values[0, MEAN])
            yield events.take(np.flatnonzero(distance <= reach if ignored else distance > reach))


def _whole(stream: Stream, bins: Bins) -> Iterator[list[Events]]:
    """Yield all samples of a bin after another."""
    held: list[Events] = []
    number = None
    numeric = (events for events in stream if events.num_rows and events.numbers() is not None)
    for events in chain.from_iterable(_parts(events, bins) for events in numeric):
        this = int(bins.numbers(events.time)[0])
        if held and this != number:
            yield held
            held = []
        number = this
        held.append(events)
        if sum(part.num_rows for part in held) > MOST_ROWS:
            raise LimitError(
                f"a bin has more than {MOST_ROWS} samples, and all are needed at once: ask for shorter bins"
            )
    if held:
        yield held


def _parts(events: Events, bins: Bins) -> Stream:
    number = bins.numbers(events.time)
    edges = [0, *(np.flatnonzero(number[1:] != number[:-1]) + 1).tolist(), len(number)]
    return (events.slice(start, end) for start, end in pairwise(edges))
