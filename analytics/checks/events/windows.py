"""Aggregates of windows, one by one, each from its samples."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from analytics.checks.events.driver import Sample, Told
from analytics.checks.events.signals import Said, in_band, number
from analytics.events.event import HAPPENED
from archiver.model import format_time


def windows(samples: Sequence[Sample], of: str, size: int, every: int) -> list[tuple[int, float | None, int]]:
    """Return end, number and samples of each window that is told: those with good numbers.

    Of windows without, the first after one with is told where an aggregate of nothing is 0.
    """
    good = [(each.time, value) for each in samples if (value := number(each)) is not None]
    if not good:
        return []
    result: list[tuple[int, float | None, int]] = []
    empty = True
    for place in range((good[0][0] - size) // every, good[-1][0] // every + 2):
        values = [value for time, value in good if place * every <= time < place * every + size]
        if values:
            result.append((place * every + size, _made(of, values), len(values)))
        elif not empty and of in ("count", "sum"):
            result.append((place * every + size, 0.0, 0))
        empty = not values
    return result


def told(samples: Sequence[Sample], of: str, size: int, every: int) -> list[Told]:
    """Return an event for each window that has a number."""
    return [
        Told(HAPPENED, end, value, {"start": format_time(end - size), "samples": count})
        for end, value, count in windows(samples, of, size, every)
        if value is not None
    ]


def beyond(
    samples: Sequence[Sample], of: str, size: int, every: int, above: float | None, below: float | None
) -> list[Said]:
    """Return when the number of a window is outside of a band."""
    return [Said(end, in_band(value, above, below, 0.0), value) for end, value, _ in windows(samples, of, size, every)]


def _made(of: str, values: list[float]) -> float | None:
    """Return the aggregate; sums as numpy makes them, pairwise, so that all bits are the same."""
    column = np.array(values)
    with np.errstate(invalid="ignore"):
        mean = float(column.sum()) / len(values)
        if of == "std":
            if len(values) < 2:
                return None
            found = math.sqrt(float(((column - mean) ** 2).sum()) / (len(values) - 1))
        else:
            found = {
                "mean": mean,
                "sum": float(column.sum()),
                "count": float(len(values)),
                "min": min(values),
                "max": max(values),
                "range": max(values) - min(values),
                "first": values[0],
                "last": values[-1],
            }[of]
    return None if math.isnan(found) else found
