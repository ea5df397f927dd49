"""Alarms and their occurrences as plain values, and back: what a store keeps."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from analytics.alarms.alarm import Alarm, Mark, Occurrence, Shelving
from analytics.alarms.classes import Acknowledgement, AlarmClass

_FIELDS = {
    kind: tuple(field.name for field in fields(kind)) for kind in (Alarm, AlarmClass, Mark, Occurrence, Shelving)
}


def encode(value: Alarm | Occurrence) -> dict[str, Any]:
    """Return an alarm or an occurrence as JSON values; attributes are shared with it."""
    return _plain(value)


def _plain(value: Any) -> dict[str, Any]:  # several times as fast as asdict, which copies what nobody changes
    found = {name: getattr(value, name) for name in _FIELDS[type(value)]}
    return {name: _plain(held) if type(held) in _FIELDS else held for name, held in found.items()}


def decode_alarm(plain: Mapping[str, Any]) -> Alarm:
    """Return the alarm that `encode` was given.

    Examples
    --------
    >>> import json
    >>> alarm = Alarm("hot", "plant:T1", AlarmClass("alert", 60), newest=(7, 0))
    >>> decode_alarm(json.loads(json.dumps(encode(alarm)))) == alarm
    True
    """
    occurrence, shelving, newest = plain["occurrence"], plain["shelving"], plain["newest"]
    made: dict[str, Any] = {
        "alarm_class": _class(plain["alarm_class"]),
        "occurrence": occurrence and decode_occurrence(occurrence),
        "shelving": shelving and Shelving(**{**shelving, "mark": Mark(**shelving["mark"])}),
        "suppression": _mark(plain["suppression"]),
        "out_of_service": _mark(plain["out_of_service"]),
        "newest": newest and tuple(newest),
    }
    return Alarm(**{**plain, **made})


def decode_occurrence(plain: Mapping[str, Any]) -> Occurrence:
    """Return the occurrence that `encode` was given."""
    marks = {name: _mark(plain[name]) for name in ("came_acknowledged", "gone_acknowledged", "reset")}
    return Occurrence(**{**plain, **marks, "alarm_class": _class(plain["alarm_class"])})


def _class(plain: Mapping[str, Any]) -> AlarmClass:
    return AlarmClass(**{**plain, "acknowledgement": Acknowledgement(plain["acknowledgement"])})


def _mark(plain: Mapping[str, Any] | None) -> Mark | None:
    return None if plain is None else Mark(**plain)
