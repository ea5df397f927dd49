"""Came/gone pairs as users of WinCC OA know them: two rows, each the partner of the other."""

from __future__ import annotations

from typing import Any

from analytics.alarms.alarm import Alarm, Mark, Occurrence, State
from analytics.alarms.classes import Acknowledgement
from archiver.model import format_time

NONE_NEEDED, OWED, ACKNOWLEDGED = "none needed", "owed", "acknowledged"
"""States of acknowledgement of a row."""


def pair(alarm: Alarm, occurrence: Occurrence) -> tuple[dict[str, Any], ...]:
    """Return an occurrence as the row with which it came, and the one with which it went, if it has.

    Parameters
    ----------
    alarm : Alarm
        As it is now.
    occurrence : Occurrence
        Its newest, or an earlier one.

    Returns
    -------
    tuple of dict
        Plain values, times as ISO-8601 or None; what has no length is one row. Of a row itself: `time`, `direction`
        (came, gone), `partner` (id of the other row), `ack_state` (none needed, owed, acknowledged), `ack_time`,
        `ack_user`, `ackable` (it can be acknowledged now). Of both: `came_time`, `gone_time`, `prior`, `class`, `text`,
        `value`, `comment`, `visible` (the operator was shown it, and nothing hides it now), `obsolete` (the alarm came
        again before this was acknowledged or reset: it can no longer be), `act_state` (the alarm's state while this is
        its newest occurrence, else empty).

    References
    ----------
    WinCC OA documentation, ``_alert_hdl``: attributes of alerts.
    """
    newest = alarm.occurrence is not None and alarm.occurrence.id == occurrence.id
    shared = {
        "alarm": alarm.id,
        "rule": alarm.rule,
        "key": alarm.key,
        "occurrence": occurrence.id,
        "came_time": format_time(occurrence.came),
        "gone_time": None if occurrence.gone is None else format_time(occurrence.gone),
        "prior": occurrence.alarm_class.priority,
        "class": occurrence.alarm_class.name,
        "text": occurrence.text,
        "value": occurrence.value,
        "visible": occurrence.came_shown and not (newest and alarm.hidden),
        "obsolete": not newest and occurrence.condition is not State.NORMAL,
        "act_state": alarm.state.value if newest else "",
        "comment": occurrence.comment,
    }
    came = _row("came", occurrence.owes_came, occurrence.came_acknowledged, newest)
    came |= {"id": occurrence.id, "partner": None, "time": shared["came_time"]}
    if occurrence.gone is None or occurrence.gone_event == occurrence.id:
        return ({**came, **shared},)
    gone = _row("gone", occurrence.owes_came, occurrence.came_acknowledged, newest)  # it is the pair's
    if occurrence.alarm_class.acknowledgement is Acknowledgement.CAME_AND_GONE:
        gone = _row("gone", occurrence.owes_gone, occurrence.gone_acknowledged, newest)
    gone |= {"id": occurrence.gone_event, "partner": occurrence.id, "time": shared["gone_time"]}
    return {**came, **shared, "partner": occurrence.gone_event}, {**gone, **shared}


def _row(direction: str, owed: bool, mark: Mark | None, newest: bool) -> dict[str, Any]:
    state = OWED if owed else NONE_NEEDED if mark is None else ACKNOWLEDGED
    return {
        "direction": direction,
        "ack_state": state,
        "ack_time": None if mark is None else format_time(mark.time),
        "ack_user": "" if mark is None else mark.user,
        "ackable": owed and newest,
    }
