"""Every state times every action, from tables; what is late, repeated or illegal; who is shown what."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import pytest

from analytics.alarms.actions import (
    Acknowledge,
    Comment,
    Expire,
    Reset,
    ReturnToService,
    Shelve,
    Signal,
    Suppress,
    TakeOutOfService,
    Unshelve,
    Unsuppress,
)
from analytics.alarms.alarm import Alarm, State, alarm_id
from analytics.alarms.classes import DEFAULT_CLASSES, Acknowledgement, AlarmClass, classes_of
from analytics.alarms.life import IllegalActionError, step
from analytics.alarms.transition import Change, Effect
from analytics.events.event import CAME, GONE, HAPPENED, Event
from archiver.model import InvalidInputError

HOUR = 3_600_000_000_000
CODES = {
    "N": State.NORMAL,
    "AU": State.ACTIVE_UNACKNOWLEDGED,
    "AA": State.ACTIVE_ACKNOWLEDGED,
    "RU": State.RETURNED_UNACKNOWLEDGED,
    "L": State.LATCHED,
}
# What becomes of a condition; = nothing, ! illegal
SHOWN = """
              came gone happened acknowledge reset
none          N    AA   =    N        !           !
none          AA   =    N    =        !           !
came          N    AU   =    RU       !           !
came          AU   =    RU   =        AA          !
came          AA   =    N    =        !           !
came          RU   AU   =    RU       N           !
came_and_gone N    AU   =    RU       !           !
came_and_gone AU   =    RU   =        AA          !
came_and_gone AA   =    RU   =        !           !
came_and_gone RU   AU   =    RU       N           !
latched       N    AU   =    RU       !           !
latched       AU   =    RU   =        AA          !
latched       AA   =    L    =        !           !
latched       RU   AU   =    RU       L           !
latched       L    AU   =    RU       !           N
"""
# The same where something hides it by now: what only took place hidden is not acknowledged
HIDDEN = """
              came gone happened acknowledge reset
none          N    AA   =    N        !           !
none          AA   =    N    =        !           !
came          N    AU   =    N        !           !
came          AU   =    RU   =        AA          !
came          AA   =    N    =        !           !
came          RU   AU   =    N        N           !
came_and_gone N    AU   =    N        !           !
came_and_gone AU   =    RU   =        AA          !
came_and_gone AA   =    N    =        !           !
came_and_gone RU   AU   =    N        N           !
latched       N    AU   =    L        !           !
latched       AU   =    RU   =        AA          !
latched       AA   =    L    =        !           !
latched       RU   AU   =    L        L           !
latched       L    AU   =    L        !           N
"""
# What becomes of shelving; - it stays
SHELVING = """
         shelve  shelve_once unshelve expire
open     shelved once        !        -
shelved  !       !           open     open
once     !       !           open     open
"""


def rows(table: str) -> dict[tuple[str, str], dict[str, str]]:
    head, *lines = table.strip().splitlines()
    names = head.split()
    return {(line.split()[0], line.split()[1]): dict(zip(names, line.split()[2:], strict=True)) for line in lines}


def alarm_class(policy: str) -> AlarmClass:
    return AlarmClass("trip", 70, Acknowledgement(policy), longest_shelving_ns=HOUR)


def event(kind: str, time: int, ordinal: int = 0) -> Event:
    return Event("hot", "plant:T1", kind, time, ordinal, value=91.5, attributes={"limit": 90})


ACTIONS = {
    "came": Signal(event(CAME, 100), "too hot"),
    "gone": Signal(event(GONE, 100)),
    "happened": Signal(event(HAPPENED, 100)),
    "acknowledge": Acknowledge(100, "ann"),
    "reset": Reset(100, "ann"),
    "shelve": Shelve(100, "bob", "noisy", HOUR // 2),
    "shelve_once": Shelve(100, "bob", "noisy"),
    "unshelve": Unshelve(100, "bob"),
    "expire_early": Expire(49 + HOUR),
    "expire": Expire(50 + HOUR),
    "suppress": Suppress(100, "pump stopped"),
    "unsuppress": Unsuppress(100),
    "take_out": TakeOutOfService(100, "cid", "calibration"),
    "return": ReturnToService(100, "cid"),
    "comment": Comment(100, "dee", "seen"),
}
WAYS = {
    "N": [],
    "AU": [Signal(event(CAME, 1))],
    "AA": [Signal(event(CAME, 1)), Acknowledge(2, "ann")],
    "RU": [Signal(event(CAME, 1)), Signal(event(GONE, 3))],
    "L": [Signal(event(CAME, 1)), Acknowledge(2, "ann"), Signal(event(GONE, 3))],
}


def lead(alarm: Alarm, actions) -> Alarm:
    for action in actions:
        alarm, _ = step(alarm, action)
    return alarm


def in_condition(policy: str, code: str) -> Alarm:
    way = [action for action in WAYS[code] if policy != "none" or not isinstance(action, Acknowledge)]
    alarm = lead(Alarm("hot", "plant:T1", alarm_class(policy)), way)
    assert alarm.condition is CODES[code]
    return alarm


def covered(alarm: Alarm, shelving: str, suppressed: bool, out: bool) -> Alarm:
    actions = [] if shelving == "open" else [Shelve(50, "bob", "noisy", HOUR if shelving == "shelved" else None)]
    actions += [Suppress(50, "pump stopped")] if suppressed else []
    actions += [TakeOutOfService(50, "cid", "calibration")] if out else []
    return lead(alarm, actions)


def shown_as(alarm: Alarm, shelving: str, suppressed: bool, out: bool) -> State:
    if out:
        return State.OUT_OF_SERVICE
    if suppressed:
        return State.SUPPRESSED
    return alarm.condition if shelving == "open" else State.SHELVED


def cover_of(alarm: Alarm) -> tuple[str, bool, bool]:
    shelving = "open" if alarm.shelving is None else "once" if alarm.shelving.one_shot else "shelved"
    return shelving, alarm.suppression is not None, alarm.out_of_service is not None


def expected_cover(cover: tuple[str, bool, bool], name: str, ended: bool) -> tuple[str, bool, bool] | None:
    """None is illegal."""
    shelving, suppressed, out = cover
    if name in ("suppress", "unsuppress"):
        wanted = name == "suppress"
        return None if suppressed is wanted else (shelving, wanted, out)
    if name in ("take_out", "return"):
        wanted = name == "take_out"
        return None if out is wanted else (shelving, suppressed, wanted)
    head, *lines = (line.split() for line in SHELVING.strip().splitlines())
    word = {line[0]: dict(zip(head, line[1:], strict=True)) for line in lines}[shelving].get(name, "-")
    if ended and shelving == "once":
        word = "open"
    return None if word == "!" else (shelving if word == "-" else word, suppressed, out)


COMBINATIONS = list(product(("open", "shelved", "once"), (False, True), (False, True)))


@pytest.mark.parametrize("cover", COMBINATIONS, ids=lambda cover: "-".join(map(str, cover)))
@pytest.mark.parametrize(("policy", "code"), rows(SHOWN))
def test_every_state_and_every_action(policy, code, cover):
    before = covered(in_condition(policy, code), *cover)
    assert before.state is shown_as(before, *cover)
    table = rows(SHOWN if before.state is before.condition else HIDDEN)[policy, code]
    for name, action in ACTIONS.items():
        word = table.get(name, "=")
        ended = name in ("gone", "happened") and word not in "=!"
        cover_after = expected_cover(cover, name, ended)
        if word == "!" or cover_after is None:
            with pytest.raises(IllegalActionError, match=r"hot of plant:T1 cannot be .*: .*; .*"):
                step(before, action)
            continue
        after, transitions = step(before, action)
        assert after.condition is (before.condition if word == "=" else CODES[word]), name
        assert cover_of(after) == cover_after, name
        assert after.state is shown_as(after, *cover_after), name
        silent = name == "expire_early" or (name, cover[0]) == ("expire", "open")
        repeated = name in ("came", "gone", "happened") and word == "="
        effects = [] if silent else [Effect.REPEATED if repeated else Effect.APPLIED]
        assert [told.effect for told in transitions] == effects * (2 if ended and cover[0] == "once" else 1), name
        assert after.revision == before.revision + len(transitions)
        if transitions:
            assert transitions[0].before is before.state
            assert transitions[-1].after is after.state
            assert transitions[-1].condition is after.condition


def plain(policy: str = "came") -> Alarm:
    return Alarm("hot", "plant:T1", alarm_class(policy))


def test_an_event_again_changes_nothing_and_tells_nothing():
    alarm = lead(plain(), [Signal(event(CAME, 5))])
    assert step(alarm, Signal(event(CAME, 5))) == (alarm, ())


@pytest.mark.parametrize("kind", [CAME, GONE, HAPPENED])
@pytest.mark.parametrize("place", [(4, 0), (5, 0)])
def test_what_is_older_is_told_once_and_changes_nothing(kind, place):
    alarm = lead(plain(), [Signal(event(CAME, 5, 1))])
    after, (told,) = step(alarm, Signal(event(kind, *place)))
    assert after == alarm
    assert (told.effect, told.change, told.id) == (Effect.LATE, Change(kind), event(kind, *place).id)
    assert step(alarm, Signal(event(kind, *place))) == (alarm, (told,))


def test_events_of_one_instant_follow_each_other_by_ordinal():
    alarm = lead(plain("none"), [Signal(event(CAME, 5, 0)), Signal(event(GONE, 5, 1))])
    assert alarm.condition is State.NORMAL
    assert alarm.occurrence.gone == 5


def test_gone_before_its_came_stays_gone():
    alarm, (told,) = step(plain(), Signal(event(GONE, 9)))
    assert told.effect is Effect.REPEATED
    assert lead(alarm, [Signal(event(CAME, 5))]).state is State.NORMAL


def test_an_occurrence_is_what_came_and_went():
    alarm = lead(plain("came_and_gone"), [ACTIONS["came"], Acknowledge(101, "ann", "on it"), Signal(event(GONE, 102))])
    alarm, (told,) = step(alarm, Acknowledge(103, "bob", occurrence=alarm.occurrence.id))
    found = alarm.occurrence
    assert (found.id, found.gone_event) == (event(CAME, 100).id, event(GONE, 102).id)
    assert (found.came, found.gone, found.text, found.value, found.attributes) == (
        (100, 102, "too hot", 91.5, {"limit": 90})
    )
    assert (found.came_acknowledged.user, found.gone_acknowledged.user, found.comment) == ("ann", "bob", "on it")
    assert (told.occurrence, told.user, told.time) == (found.id, "bob", 103)


def test_one_acknowledgement_afterwards_is_both():
    alarm = lead(plain("came_and_gone"), [ACTIONS["came"], Signal(event(GONE, 102)), Acknowledge(103, "bob")])
    assert alarm.occurrence.came_acknowledged == alarm.occurrence.gone_acknowledged
    assert alarm.state is State.NORMAL


def test_nobody_acknowledges_what_he_has_not_seen():
    alarm = lead(plain(), [Signal(event(CAME, 1)), Signal(event(GONE, 2)), Signal(event(CAME, 3))])
    with pytest.raises(IllegalActionError, match=r"came again at 1970-01-01T00:00:00.000000003Z; look at it anew"):
        step(alarm, Acknowledge(4, "ann", occurrence=event(CAME, 1).id))


def test_what_came_hidden_is_announced_when_it_is_shown():
    alarm = lead(plain(), [Shelve(1, "bob", "noisy", HOUR), TakeOutOfService(1, "cid", "test")])
    alarm, (came,) = step(alarm, Signal(event(CAME, 2)))
    alarm, (unshelved,) = step(alarm, Unshelve(3, "bob"))
    assert (came.annunciated, unshelved.annunciated, unshelved.after) == (False, False, State.OUT_OF_SERVICE)
    alarm, (returned,) = step(alarm, ReturnToService(4, "cid"))
    assert (returned.annunciated, returned.occurrence) == (True, came.occurrence)
    alarm = lead(alarm, [Suppress(5, "stopped")])
    alarm, (again,) = step(alarm, Unsuppress(6))
    assert not again.annunciated


def test_what_was_acknowledged_hidden_is_not_announced():
    alarm = lead(plain(), [Suppress(1, "stopped"), Signal(event(CAME, 2)), Acknowledge(3, "ann")])
    after, (told,) = step(alarm, Unsuppress(4))
    assert (told.annunciated, after.state) == (False, State.ACTIVE_ACKNOWLEDGED)


def test_one_shot_ends_when_it_goes_and_at_the_latest_after_the_longest_of_its_class():
    alarm = lead(plain(), [Shelve(10, "bob", "noisy")])
    assert (alarm.shelving.until, alarm.shelving.one_shot) == (10 + HOUR, True)
    alarm, (told,) = step(alarm, Expire(10 + HOUR))
    assert (told.change, told.user, alarm.shelving) == (Change.EXPIRED, "", None)
    alarm = lead(plain(), [Shelve(10, "bob", "noisy"), Signal(event(CAME, 11))])
    alarm, (gone, ended) = step(alarm, Signal(event(GONE, 12)))
    assert (gone.change, ended.change, ended.time, alarm.state) == (Change.GONE, Change.UNSHELVED, 12, State.NORMAL)
    assert gone.id != ended.id


def test_a_class_that_changes_is_for_the_next_occurrence():
    alarm = lead(plain("latched"), [Signal(event(CAME, 1))])
    alarm = replace(alarm, alarm_class=DEFAULT_CLASSES["information"])
    alarm, (gone,) = step(alarm, Signal(event(GONE, 2)))
    assert (alarm.state, gone.alarm_class, gone.priority) == (State.RETURNED_UNACKNOWLEDGED, "trip", 70)
    alarm, (came,) = step(alarm, Signal(event(CAME, 3)))
    assert (alarm.state, came.alarm_class, came.priority) == (State.ACTIVE_ACKNOWLEDGED, "information", 10)


@pytest.mark.parametrize(
    ("action", "told"),
    [
        (Signal(Event("cold", "plant:T1", CAME, 1)), "'cold' at 'plant:T1' is none of the alarm hot of plant:T1"),
        (Signal(event("opened", 1)), "'opened' of 'hot' is no alarm's: alarms are made by came, gone and happened"),
        (Acknowledge(1, " "), "acknowledged by nobody: say who"),
        (Reset(1, ""), "reset by nobody"),
        (Unshelve(1, ""), "unshelved by nobody"),
        (ReturnToService(1, ""), "returned to service by nobody"),
        (Comment(1, "", "x"), "commented by nobody"),
        (Comment(1, "ann", " "), "says nothing: write one"),
        (Shelve(1, "", "x"), "shelved by nobody"),
        (Shelve(1, "ann", ""), "shelved without a reason: say why"),
        (Shelve(1, "ann", "x", HOUR + 1), "for 1h1ns: its class 'trip' allows more than nothing and at most 1h"),
        (Shelve(1, "ann", "x", 0), "for 0s: its class"),
        (Shelve(1, "ann", "x", -1), "for -1 ns: its class"),
        (TakeOutOfService(1, "ann", " "), "taken out of service without a reason"),
        (Suppress(1, ""), "suppressed without a reason: name what suppresses it"),
    ],
)
def test_what_is_not_said_is_asked_for(action, told):
    with pytest.raises(InvalidInputError, match=told):
        step(plain(), action)


@pytest.mark.parametrize(
    ("ways", "action", "told"),
    [
        ([], Acknowledge(9, "x"), "acknowledged: it has never come; there is nothing to do"),
        (["AA"], Acknowledge(9, "x"), "acknowledged: ann has, at 1970-01-01T00:00:00.000000002Z; there is nothing"),
        (["L"], Acknowledge(9, "x"), "acknowledged: ann has, .*; reset it"),
        (["AU"], Reset(9, "x"), "reset: its condition still holds; acknowledge it, and wait until it has gone"),
        (["AA"], Reset(9, "x"), "reset: its condition still holds; wait until it has gone"),
        (["RU"], Reset(9, "x"), "reset: it is not acknowledged; acknowledge it first"),
        ([], Reset(9, "x"), "reset: it is normal; there is nothing to do"),
        (["shelve"], ACTIONS["shelve"], "shelved: bob has, until 1970-01-01T00:30:00.*; unshelve it first"),
        (["shelve"], Unsuppress(9), "unsuppressed: it is not suppressed; it is shelved: unshelve it"),
        (["suppress"], Suppress(9, "x"), "suppressed: it has been since .*: pump stopped; there is nothing to do"),
        (["suppress"], Unshelve(9, "x"), "unshelved: it is not shelved; it is suppressed by design: its logic"),
        (["take_out"], TakeOutOfService(9, "x", "y"), "out of service: cid has, at .*; there is nothing to do"),
        (["take_out"], Unshelve(9, "x"), "unshelved: it is not shelved; it is out of service: return it to service"),
        ([], ReturnToService(9, "x"), "returned to service: it is in service; there is nothing to do"),
    ],
)
def test_an_error_says_what_and_why_and_what_to_do(ways, action, told):
    alarm = plain("latched")
    for way in ways:
        alarm = lead(alarm, WAYS.get(way) or [ACTIONS[way]])
    with pytest.raises(IllegalActionError, match=told):
        step(alarm, action)


def test_classes_that_need_nothing_or_are_never_shelved_say_so():
    information = Alarm("hot", "plant:T1", DEFAULT_CLASSES["information"])
    with pytest.raises(IllegalActionError, match="alarms of class 'information' need none"):
        step(lead(information, [Signal(event(CAME, 1))]), Acknowledge(2, "ann"))
    firm = Alarm("hot", "plant:T1", AlarmClass("trip", 90, longest_shelving_ns=0))
    with pytest.raises(IllegalActionError, match="class 'trip' never are; take it out of service"):
        step(firm, Shelve(1, "ann", "noisy"))
    unseen = lead(plain("came"), [Suppress(1, "x"), Signal(event(CAME, 2)), Signal(event(GONE, 3)), Unsuppress(4)])
    with pytest.raises(IllegalActionError, match="it came and went unseen"):
        step(unseen, Acknowledge(5, "ann"))


def test_the_default_classes_are_wincc_oas_and_a_site_has_its_own():
    assert {name: c.priority for name, c in DEFAULT_CLASSES.items()} == {
        "information": 10, "advanceAlarm": 20, "warning": 40, "alert": 60, "danger": 80,
    }  # fmt: skip
    assert DEFAULT_CLASSES["information"].acknowledgement is Acknowledgement.NONE
    with pytest.raises(InvalidInputError, match="two alarm classes are named 'trip'"):
        classes_of([AlarmClass("trip", 1), AlarmClass("trip", 2)])
    for wrong in ({"name": ""}, {"priority": 256}, {"priority": -1}, {"longest_shelving_ns": -1}):
        with pytest.raises(InvalidInputError):
            AlarmClass(**{"name": "trip", "priority": 1, **wrong})


def test_an_id_is_stable_and_fits_into_an_address():
    assert alarm_id("hot", "plant/T 1?") == "675acfdbfabbf3a9e66354f99ef7c365"
    assert alarm_id("a", "b\x00c") == alarm_id("a", "b\x00c") != alarm_id("a", "bc")
