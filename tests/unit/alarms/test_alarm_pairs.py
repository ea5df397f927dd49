"""Pairs as users of WinCC OA read them, alarms as a store keeps them, and what the package may import."""

from __future__ import annotations

import ast
import json
import sys
from dataclasses import replace
from pathlib import Path

import pytest

import analytics.alarms
from analytics.alarms.actions import Acknowledge, Comment, Shelve, Signal, Suppress, TakeOutOfService
from analytics.alarms.alarm import Alarm
from analytics.alarms.classes import Acknowledgement, AlarmClass
from analytics.alarms.encoding import decode_alarm, decode_occurrence, encode
from analytics.alarms.life import step
from analytics.alarms.pairs import pair
from analytics.events.event import CAME, GONE, HAPPENED, Event
from archiver.model import format_time


def event(kind: str, time: int) -> Event:
    return Event("hot", "plant:T1", kind, time, value=91.5, attributes={"limit": 90.0})


def lived(policy: str, *actions) -> Alarm:
    alarm = Alarm("hot", "plant:T1", AlarmClass("trip", 70, Acknowledgement(policy)))
    for action in actions:
        alarm, _ = step(alarm, action)
    return alarm


CAME_AT, GONE_AT = Signal(event(CAME, 1), "too hot"), Signal(event(GONE, 3))


def test_what_has_come_is_one_row_and_gets_a_partner_when_it_goes():
    alarm = lived("came", CAME_AT, Comment(2, "ann", "looking"))
    (row,) = pair(alarm, alarm.occurrence)
    assert row == {
        "id": event(CAME, 1).id, "partner": None, "time": format_time(1), "direction": "came",
        "ack_state": "owed", "ack_time": None, "ack_user": "", "ackable": True,
        "alarm": alarm.id, "rule": "hot", "key": "plant:T1", "occurrence": event(CAME, 1).id,
        "came_time": format_time(1), "gone_time": None, "prior": 70, "class": "trip", "text": "too hot", "value": 91.5,
        "visible": True, "obsolete": False, "act_state": "active_unacknowledged", "comment": "looking",
    }  # fmt: skip
    alarm, _ = step(alarm, GONE_AT)
    came, gone = pair(alarm, alarm.occurrence)
    assert (came["partner"], gone["partner"]) == (gone["id"], came["id"]) == (event(GONE, 3).id, event(CAME, 1).id)
    assert (gone["direction"], gone["time"], came["gone_time"]) == ("gone", format_time(3), format_time(3))
    assert came.keys() == gone.keys()


@pytest.mark.parametrize(
    ("policy", "states"),
    [
        ("none", [("none needed", "none needed")] * 2),
        ("came", [("owed", "owed"), ("acknowledged", "acknowledged")]),
        ("came_and_gone", [("owed", "owed"), ("acknowledged", "acknowledged")]),
        ("latched", [("owed", "owed"), ("acknowledged", "acknowledged")]),
    ],
)
def test_both_rows_say_what_is_owed(policy, states):
    alarm = lived(policy, CAME_AT, GONE_AT)
    assert tuple(row["ack_state"] for row in pair(alarm, alarm.occurrence)) == states[0]
    if policy != "none":
        alarm, _ = step(alarm, Acknowledge(5, "ann"))
        rows = pair(alarm, alarm.occurrence)
        assert {(row["ack_time"], row["ack_user"], row["ackable"]) for row in rows} == {(format_time(5), "ann", False)}
    assert tuple(row["ack_state"] for row in pair(alarm, alarm.occurrence)) == states[1]


def test_each_of_a_pair_is_acknowledged_by_itself_where_the_class_says_so():
    alarm = lived("came_and_gone", CAME_AT, Acknowledge(2, "ann"), GONE_AT)
    assert [(row["ack_state"], row["ackable"]) for row in pair(alarm, alarm.occurrence)] == [
        ("acknowledged", False),
        ("owed", True),
    ]


def test_a_pair_that_nobody_answered_before_it_came_again_is_obsolete():
    before = lived("came", CAME_AT, GONE_AT)
    alarm, _ = step(before, Signal(event(CAME, 9)))
    old = pair(alarm, before.occurrence)
    assert {(row["obsolete"], row["ackable"], row["ack_state"], row["act_state"]) for row in old} == {
        (True, False, "owed", "")
    }
    assert not any(row["obsolete"] for row in pair(alarm, alarm.occurrence))


def test_what_is_hidden_or_was_never_shown_is_not_visible():
    alarm = lived("came", CAME_AT, Suppress(2, "stopped"))
    assert not pair(alarm, alarm.occurrence)[0]["visible"]
    unseen = lived("came", Suppress(0, "stopped"), CAME_AT)
    assert not pair(replace(unseen, suppression=None), unseen.occurrence)[0]["visible"]


def test_what_has_no_length_is_one_row():
    alarm = lived("came_and_gone", Signal(event(HAPPENED, 4)))
    (row,) = pair(alarm, alarm.occurrence)
    assert (row["came_time"], row["gone_time"], row["partner"]) == (format_time(4), format_time(4), None)
    assert (row["ack_state"], row["act_state"]) == ("owed", "returned_unacknowledged")


def test_an_alarm_is_the_same_after_json():
    alarm = lived("latched", CAME_AT, Acknowledge(2, "ann"), GONE_AT, Shelve(4, "bob", "noisy"))
    alarm, _ = step(alarm, Suppress(5, "stopped"))
    alarm, _ = step(alarm, TakeOutOfService(6, "cid", "test"))
    assert decode_alarm(json.loads(json.dumps(encode(alarm)))) == alarm
    assert decode_occurrence(json.loads(json.dumps(encode(alarm.occurrence)))) == alarm.occurrence
    assert decode_alarm(encode(lived("none"))) == lived("none")


def test_alarms_import_events_and_the_model_only():
    allowed = {"analytics.alarms", "analytics.events.event", "archiver.model", "numpy", "pyarrow"}
    foreign = set()
    for path in Path(analytics.alarms.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            names += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            foreign |= {name for name in names if name.split(".")[0] not in sys.stdlib_module_names}
    assert {name for name in foreign if not any(f"{name}.".startswith(f"{one}.") for one in allowed)} == set()
