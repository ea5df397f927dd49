"""Counting in a sliding window, and the turns of a value, sample by sample."""

from __future__ import annotations

import math
from collections.abc import Sequence

from analytics.checks.events.driver import Sample, Told
from analytics.events.event import CAME, GONE
from archiver.model import format_time


def counted(times: Sequence[int], more_than: int, within: int) -> list[Told]:
    """Return when there were more than so many in (t - within, t], and when no more.

    The number changes only at an occurrence, and when one gets as old as the window: it is looked at there.

    Parameters
    ----------
    times : sequence of int
        What happened, ns, ascending.
    """

    def number(time: int) -> int:
        return sum(time - within < each <= time for each in times)

    result: list[Told] = []
    active = False
    for time in sorted({*times, *(each + within for each in times)}):
        if (number(time) > more_than) != active:
            active = not active
            result.append(Told(CAME if active else GONE, time, float(more_than + 1 if active else number(time))))
    return result


def turns(samples: Sequence[Sample], by: float) -> list[int]:
    """Return the times at which a value of one element turned by more than `by`."""
    result: list[int] = []
    direction, highest, lowest = 0, -math.inf, math.inf
    for sample in samples:
        if not sample.is_good or isinstance(sample.value, str):
            continue
        value = float(sample.value or 0.0)
        if direction >= 0 and value < highest - by:
            if direction > 0:
                result.append(sample.time)
            direction, highest, lowest = -1, value, value
        elif direction <= 0 and value - by > lowest:
            if direction < 0:
                result.append(sample.time)
            direction, highest, lowest = 1, value, value
        highest, lowest = max(highest, value), min(lowest, value)
    return result


def after_delays(told: Sequence[Told], on_delay: int, off_delay: int) -> list[Told]:
    """Return what is left of came and gone when each of them has to last: what turns back before is not told.

    Parameters
    ----------
    told : sequence of Told
        Came and gone by turns.
    on_delay, off_delay : int
        ns.
    """
    result: list[Told] = []
    active = False
    for place, edge in enumerate(told):
        came = edge.kind == CAME
        due = edge.time + (on_delay if came else off_delay)
        next_time = told[place + 1].time if place + 1 < len(told) else None
        if came != active and (next_time is None or due <= next_time):
            attributes: dict[str, object] = {"since": format_time(edge.time)} if due != edge.time else {}
            result.append(Told(edge.kind, due, edge.value, attributes))
            active = came
    return result
