"""What of an alarm's life is told, and as what."""

from __future__ import annotations

from dataclasses import replace

import pytest

from analytics.alarms.actions import Acknowledge, Comment, Expire, Reset, Shelve, Signal, Suppress, Unshelve, Unsuppress
from analytics.alarms.alarm import Alarm
from analytics.alarms.classes import DEFAULT_CLASSES, Acknowledgement, AlarmClass
from analytics.alarms.life import step
from analytics.events.event import CAME, GONE, HAPPENED, Event
from services.events.notify import notice_of

ALERT = DEFAULT_CLASSES["alert"]


def told(*actions, alarm_class=ALERT):
    """Return state and `stands` of the notices of a life."""
    return [(notice.state, notice.stands) for notice in notices(*actions, alarm_class=alarm_class)]


def notices(*actions, alarm_class=ALERT):
    alarm, found = Alarm("hot", "plant:T1", alarm_class, position="control room"), []
    for action in actions:
        alarm, transitions = step(alarm, action)
        found += [notice_of(transition, alarm, {"area": "north"}, "https://x/") for transition in transitions]
    return [notice for notice in found if notice is not None]


def came(time):
    return Signal(Event("hot", "plant:T1", CAME, time, value=92.5), text="T1 is hot")


def gone(time):
    return Signal(Event("hot", "plant:T1", GONE, time))


def test_a_plain_life():
    assert told(came(1), Acknowledge(2, "ann"), gone(3)) == [("came", True), ("acknowledged", True), ("gone", False)]
    assert told(came(1), gone(2), Acknowledge(3, "ann")) == [("came", True), ("gone", False), ("acknowledged", False)]


def test_what_is_said_of_it():
    first, second = notices(came(1), Acknowledge(2, "ann", comment="on my way"))
    assert (first.rule, first.key, first.alarm_class, first.priority) == ("hot", "plant:T1", "alert", 60)
    assert (first.text, first.value, first.time, first.since) == ("T1 is hot", 92.5, 1, 1)
    assert first.labels == {"position": "control room", "area": "north"}
    assert first.link == "https://x/"
    assert (second.by, second.comment, second.time, second.since) == ("ann", "on my way", 2, 1)
    assert (second.alarm, second.occurrence, second.labels) == (first.alarm, first.occurrence, first.labels)
    assert second.id != first.id


def test_each_coming_is_an_occurrence_of_its_own():
    found = notices(came(1), gone(2), came(3))
    assert found[0].occurrence == found[1].occurrence != found[2].occurrence


def test_what_has_no_length():
    assert told(Signal(Event("hot", "plant:T1", HAPPENED, 1))) == [("came", False)]


def test_shelving_hides_and_shows():
    shelved = Shelve(2, "ann", "noisy", 100)
    assert told(came(1), shelved, Unshelve(3, "ann")) == [("came", True), ("shelved", False), ("came", True)]
    assert told(came(1), shelved, Expire(200)) == [("came", True), ("shelved", False), ("came", True)]
    assert told(came(1), shelved, gone(3)) == [("came", True), ("shelved", False), ("gone", False)]
    seen = told(came(1), Acknowledge(2, "ann"), replace(shelved, time=3), Unshelve(4, "ann"))
    assert seen[2:] == [("shelved", False), ("acknowledged", True)]


def test_what_comes_and_goes_hidden_is_not_told_as_coming():
    shelved = Shelve(0, "ann", "noisy", 100)
    assert ("came", True) not in told(shelved, came(1), gone(2))
    assert told(Suppress(0, reason="off"), came(1), Unsuppress(2)) == [("came", True)]


@pytest.mark.parametrize(
    "more", [(Comment(2, "ann", "hm"),), (came(0),), (Signal(Event("hot", "plant:T1", CAME, 5)),)], ids=str
)
def test_what_changes_nothing_is_not_told(more):
    assert told(came(1), *more) == [("came", True)]


def test_a_reset_is_not_told():
    latched = AlarmClass("trip", 100, Acknowledgement.LATCHED)
    assert told(came(1), gone(2), Acknowledge(3, "ann"), Reset(4, "ann"), alarm_class=latched)[2:] == [
        ("acknowledged", False)
    ]
