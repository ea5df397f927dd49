"""How the alarm system does in an interval, as plain values."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pyarrow as pa

from analytics.alarms import statistics
from analytics.alarms.alarm import Alarm
from analytics.alarms.floods import Flood
from archiver.model import Interval, format_time
from services.events.listing import counts_of


def figures(history: pa.Table, interval: Interval, alarms: Iterable[Alarm]) -> dict[str, Any]:
    """Return the statistics of ISA-18.2 and IEC 62682 of an interval.

    Parameters
    ----------
    history : pyarrow.Table
        Transitions, until the end of the interval; those before it tell what stood at its start.
    interval : Interval
    alarms : iterable of Alarm
        As they are now.
    """
    floods = statistics.floods_by_position(history, interval)
    return {
        "start": format_time(interval.start),
        "end": format_time(interval.end),
        "now": counts_of(alarms),
        "performance": statistics.performance(history, interval),
        "rates": _rows(statistics.rates(history, interval)),
        "floods": [_flood(position, flood) for position, found in floods.items() for flood in found],
        "standing": _rows(statistics.standing(history, interval.end)),
        "chattering": _rows(statistics.chattering(history, interval)),
        "fleeting": _rows(statistics.fleeting(history, interval)),
        "most_frequent": _rows(statistics.most_frequent(history, interval)),
        "priorities": _rows(statistics.priorities(history, interval)),
    }


def _flood(position: str, flood: Flood) -> dict[str, Any]:
    end = None if flood.end is None else format_time(flood.end)
    return {
        "position": position,
        "start": format_time(flood.start),
        "end": end,
        "alarms": flood.alarms,
        "peak": flood.peak,
    }


def _rows(table: pa.Table) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = table.to_pylist()
    times = [name for name in table.column_names if name in ("start", "first", "since")]
    return [{**row, **{name: format_time(row[name]) for name in times}} for row in rows]
