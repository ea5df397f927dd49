"""Alarms and their history as plain values."""

from __future__ import annotations

from typing import Any

import pyarrow as pa

from analytics.alarms.alarm import Alarm, Mark
from archiver.model import format_time
from services.events.store import HISTORY


def alarm_row(alarm: Alarm) -> dict[str, Any]:
    """Return an alarm as it is now, times as ISO-8601."""
    occurrence = alarm.occurrence
    row: dict[str, Any] = {
        "id": alarm.id,
        "rule": alarm.rule,
        "key": alarm.key,
        "state": alarm.state.value,
        "condition": alarm.condition.value,
        "active": alarm.active,
        "class": alarm.alarm_class.name,
        "priority": alarm.alarm_class.priority,
        "occurrence": None,
        "text": "",
        "value": None,
        "came": None,
        "gone": None,
        "acknowledged": None,
        "comment": "",
        "shelved": None,
        "suppressed": _mark(alarm.suppression),
        "out_of_service": _mark(alarm.out_of_service),
        "revision": alarm.revision,
    }
    if occurrence is not None:
        row |= {
            "class": occurrence.alarm_class.name,
            "priority": occurrence.alarm_class.priority,
            "occurrence": occurrence.id,
            "text": occurrence.text,
            "value": occurrence.value,
            "came": format_time(occurrence.came),
            "gone": None if occurrence.gone is None else format_time(occurrence.gone),
            "acknowledged": _mark(occurrence.gone_acknowledged or occurrence.came_acknowledged),
            "comment": occurrence.comment,
            "attributes": dict(occurrence.attributes),
        }
    if alarm.shelving is not None:
        until = {"until": format_time(alarm.shelving.until), "one_shot": alarm.shelving.one_shot}
        row["shelved"] = {**(_mark(alarm.shelving.mark) or {}), **until}
    return row


def history_rows(history: pa.Table) -> list[dict[str, Any]]:
    """Return transitions (`HISTORY`) as plain values."""
    rows: list[dict[str, Any]] = history.select(HISTORY.names).to_pylist()
    for row in rows:
        row["time"] = format_time(row["time"])
        row["until"] = None if row["until"] is None else format_time(row["until"])
        row["class"] = row.pop("alarm_class")
    return rows


def _mark(mark: Mark | None) -> dict[str, Any] | None:
    return None if mark is None else {"time": format_time(mark.time), "user": mark.user, "comment": mark.comment}
