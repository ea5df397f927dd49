"""What is drawn over a plot: when a source was not there, when an answer lacks something, when a backend is behind."""

from __future__ import annotations

from contextlib import closing
from typing import Any

import pyarrow as pa

from archiver.asking import BackendState
from archiver.model import Interval
from archiver.model.holding import Cause
from archiver.model.time import NANOSECONDS, now
from archiver.query import Query
from services.common.security import View

COLUMNS = pa.schema(
    [("time", pa.int64()), ("timeEnd", pa.int64()), ("title", pa.utf8()), ("text", pa.utf8()), ("tags", pa.utf8())]
)
_FEWEST_POINTS = 10
_MILLISECOND = 1_000_000
_FINE = ("running", "starting")


def marks(view: View, elements: list[str], interval: Interval) -> list[dict[str, Any]]:
    """Return what to draw in an interval: of some elements, and of the backends as they are now; by time."""
    rows = _of_elements(view, elements, interval) if elements else []
    rows += [_of_backend(state) for state in view.backend_states() if state.lane.state not in _FINE]
    start, end = (time // _MILLISECOND for time in (interval.start, interval.end))
    inside = [row for row in rows if row["time"] < end and row["timeEnd"] >= start]
    return sorted(inside, key=lambda row: (row["time"], row["title"]))


def _of_elements(view: View, elements: list[str], interval: Interval) -> list[dict[str, Any]]:
    with closing(view.query(Query(tuple(elements), interval, points=_FEWEST_POINTS))) as answer:
        for _ in answer.rows:
            pass  # what is missing is known when all was read
        missing = [one for one in answer.missing if one.cause is not Cause.UNKNOWN]
    return [
        _row(
            one.interval.start,
            one.interval.end,
            ", ".join(one.elements) or one.backend or "archive",
            one.reason,
            str(one.cause),
        )
        for one in missing
    ]


def _of_backend(state: BackendState) -> dict[str, Any]:
    time = now()
    since = time - round(state.lane.oldest_unflushed_s * NANOSECONDS)
    told = state.lane.last_error or "it was stopped" if state.lane.state == "paused" else state.lane.last_error
    return _row(since, time, f"backend {state.name} is {state.lane.state}", told, f"backend,{state.lane.state}")


def _row(start: int, end: int, title: str, text: str, tags: str) -> dict[str, Any]:
    times = {"time": start // _MILLISECOND, "timeEnd": end // _MILLISECOND}
    return {**times, "title": title, "text": text, "tags": tags}
