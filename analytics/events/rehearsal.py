"""What rules would have found in the past: a dry run over samples that are archived."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from analytics.events.engine import Engine
from analytics.events.event import Event
from archiver.model import Interval, SampleBatch
from archiver.model.time import NANOSECONDS

Read = Callable[[Interval, int], SampleBatch]
"""Gives the samples of the rules' elements in an interval, and so many before it of each."""

_FIRST_NS = 6 * 3600 * NANOSECONDS
_ROWS = 500_000
_GROWTH = 8


def rehearse(engine: Engine, read: Read, interval: Interval) -> Iterator[Event]:
    """Yield the events of an interval, as if every sample had come at its own time.

    What held before the interval counts: what had come by then does not come again in it, but goes.

    Parameters
    ----------
    engine : Engine
        One that has seen no sample.
    read : Read
    interval : Interval
        One piece of it after the other is in memory, some hundred thousand samples each.
    """
    state = engine.initial()
    start, length, before = interval.start, _FIRST_NS, 1
    latest = max((program.lateness for program in engine.programs), default=0)
    while start < interval.end:
        end = min(start + length, interval.end)
        batch = _as_they_came(read(Interval(start, end), before))
        state, events = engine.advance(state, batch, end)
        if end == interval.end:
            state, rest = engine.advance(state, SampleBatch.empty(), end + latest)
            events += rest
        yield from (event for event in events if interval.start <= event.time < interval.end)
        start, before = end, 0
        length = min(length * _GROWTH, max(1, length * _ROWS // max(1, len(batch))))


def _as_they_came(batch: SampleBatch) -> SampleBatch:
    """Return samples in order of time, received when they were made."""
    ordered = batch.take(np.argsort(batch.source_time, kind="stable"))
    return SampleBatch.from_columns(
        ordered.column("element"),
        ordered.source_time,
        {kind: ordered.values(kind) for kind in ordered.kinds},
        status=ordered.status,
        sequence=ordered.sequence,
        receive_time=ordered.source_time,
    )
