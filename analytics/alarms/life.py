"""The life of an alarm, as one pure step: `(alarm, action) -> (alarm, transitions)`."""

from __future__ import annotations

from dataclasses import replace
from hashlib import blake2b
from typing import Any, assert_never

from analytics.alarms.actions import (
    Acknowledge,
    Action,
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
from analytics.alarms.alarm import Alarm, Mark, Occurrence, Shelving, State
from analytics.alarms.classes import Acknowledgement
from analytics.alarms.transition import Change, Effect, Transition
from analytics.events.event import CAME, GONE, HAPPENED
from archiver.model import InvalidInputError, format_duration, format_time

Step = tuple[Alarm, tuple[Transition, ...]]
"""An alarm after an action, and what became of it."""


class IllegalActionError(InvalidInputError):
    """The alarm's state does not allow the action; the message says what, why, and what to do."""


def step(alarm: Alarm, action: Action) -> Step:
    """Return an alarm after an action, and its transitions in order; nothing is changed in place.

    An event that is the newest one over again, and a shelving that is not due, change nothing and give no transition.
    An event older than the newest one is told as `Effect.LATE`, one that says how it is already as `Effect.REPEATED`;
    neither changes the alarm's state. A transition that an event made has the event's id: whoever keeps history by id
    keeps it once, however often events come again.

    Raises
    ------
    IllegalActionError
        The state does not allow it.
    InvalidInputError
        The event is of another alarm or of no alarm at all, nobody is named who did it, or no reason is given.

    References
    ----------
    ANSI/ISA-18.2-2016 and IEC 62682, alarm state transition diagram; OPC 10000-9 (Part 9) on the types
    AcknowledgeableConditionType, AlarmConditionType (Reset, Suppress, RemoveFromService), ShelvedStateMachineType.

    Examples
    --------
    >>> from analytics.alarms.classes import DEFAULT_CLASSES
    >>> from analytics.events.event import Event
    >>> alarm = Alarm("hot", "plant:T1", DEFAULT_CLASSES["alert"])
    >>> alarm, _ = step(alarm, Signal(Event("hot", "plant:T1", CAME, 10)))
    >>> alarm, _ = step(alarm, Signal(Event("hot", "plant:T1", GONE, 20)))
    >>> alarm.state.value
    'returned_unacknowledged'
    >>> alarm, (transition,) = step(alarm, Acknowledge(30, "ann"))
    >>> transition.before.value, transition.after.value
    ('returned_unacknowledged', 'normal')
    """
    match action:
        case Signal():
            return _signal(alarm, action)
        case Acknowledge():
            return _acknowledge(alarm, action)
        case Reset():
            return _reset(alarm, action)
        case Shelve():
            return _shelve(alarm, action)
        case Unshelve():
            return _unshelve(alarm, action)
        case Expire():
            return _expire(alarm, action)
        case Suppress() | Unsuppress():
            return _design(alarm, action)
        case TakeOutOfService() | ReturnToService():
            return _service(alarm, action)
        case Comment():
            return _comment(alarm, action)
        case _:
            assert_never(action)


def _signal(alarm: Alarm, action: Signal) -> Step:
    event = action.event
    if (event.rule, event.key) != (alarm.rule, alarm.key):
        raise InvalidInputError(f"an event of {event.rule!r} at {event.key!r} is none of the alarm {alarm.name}")
    if event.kind not in (CAME, GONE, HAPPENED):
        raise InvalidInputError(
            f"an event {event.kind!r} of {event.rule!r} is no alarm's: alarms are made by {CAME}, {GONE} and {HAPPENED}"
        )
    change, place = Change(event.kind), (event.time, event.ordinal)
    told: dict[str, Any] = {"id": event.id, "time": event.time}
    if alarm.newest is not None and place <= alarm.newest:
        late = _transition(alarm, alarm, change, effect=Effect.LATE, **told)
        return alarm, () if place == alarm.newest else (late,)
    if alarm.active is not (event.kind == GONE):
        after = replace(alarm, newest=place, revision=alarm.revision + 1)
        return after, (_transition(alarm, after, change, effect=Effect.REPEATED, **told),)
    shown = not alarm.hidden
    occurrence = _came(alarm, action, shown) if event.kind == CAME else _gone(alarm, action, shown)
    after = replace(alarm, occurrence=occurrence, newest=place, revision=alarm.revision + 1)
    annunciated = shown and event.kind != GONE
    first = _transition(alarm, after, change, occurrence=occurrence.id, annunciated=annunciated, **told)
    if event.kind == CAME or after.shelving is None or not after.shelving.one_shot:
        return after, (first,)
    last, more = _show(after, replace(after, shelving=None), Change.UNSHELVED, Mark(event.time))
    return last, (first, *more)


def _came(alarm: Alarm, action: Signal, shown: bool) -> Occurrence:
    event = action.event
    return Occurrence(
        event.id,
        alarm.alarm_class,
        event.time,
        shown,
        value=event.value,
        text=action.text,
        attributes=dict(event.attributes),
    )


def _gone(alarm: Alarm, action: Signal, shown: bool) -> Occurrence:
    """Return what went; what has no length came with it."""
    event = action.event
    before = _came(alarm, action, shown) if event.kind == HAPPENED else alarm.occurrence
    assert before is not None
    return replace(before, gone=event.time, gone_event=event.id, gone_shown=shown)


def _acknowledge(alarm: Alarm, action: Acknowledge) -> Step:
    mark, occurrence = _marked(alarm, action, "acknowledged"), alarm.occurrence
    if occurrence is None:
        raise _illegal(alarm, "acknowledged", "it has never come", "there is nothing to do")
    if action.occurrence and action.occurrence != occurrence.id:
        raise _illegal(alarm, "acknowledged", f"it came again at {format_time(occurrence.came)}", "look at it anew")
    if not (occurrence.owes_came or occurrence.owes_gone):
        raise _illegal(alarm, "acknowledged", *_why_nothing_is_owed(occurrence))
    after = replace(
        occurrence,
        came_acknowledged=mark if occurrence.owes_came else occurrence.came_acknowledged,
        gone_acknowledged=mark if occurrence.owes_gone else occurrence.gone_acknowledged,
        comment=mark.comment or occurrence.comment,
    )
    return _done(alarm, replace(alarm, occurrence=after), Change.ACKNOWLEDGED, mark)


def _why_nothing_is_owed(occurrence: Occurrence) -> tuple[str, str]:
    if occurrence.alarm_class.acknowledgement is Acknowledgement.NONE:
        return f"alarms of class {occurrence.alarm_class.name!r} need none", "there is nothing to do"
    mark = occurrence.gone_acknowledged or occurrence.came_acknowledged
    why = "it came and went unseen" if mark is None else f"{mark.user} has, at {format_time(mark.time)}"
    return why, "reset it" if occurrence.condition is State.LATCHED else "there is nothing to do"


def _reset(alarm: Alarm, action: Reset) -> Step:
    mark, occurrence = _marked(alarm, action, "reset"), alarm.occurrence
    if occurrence is None or alarm.condition is not State.LATCHED:
        why, fix = {
            State.ACTIVE_UNACKNOWLEDGED: ("its condition still holds", "acknowledge it, and wait until it has gone"),
            State.ACTIVE_ACKNOWLEDGED: ("its condition still holds", "wait until it has gone"),
            State.RETURNED_UNACKNOWLEDGED: ("it is not acknowledged", "acknowledge it first"),
        }.get(alarm.condition, ("it is normal", "there is nothing to do"))
        raise _illegal(alarm, "reset", why, fix)
    after = replace(occurrence, reset=mark, comment=mark.comment or occurrence.comment)
    return _done(alarm, replace(alarm, occurrence=after), Change.RESET, mark)


def _shelve(alarm: Alarm, action: Shelve) -> Step:
    mark = _reasoned(alarm, action, "shelved")
    longest = alarm.alarm_class.longest_shelving_ns
    duration = longest if action.duration_ns is None else action.duration_ns
    if alarm.shelving is not None:
        told = f"{alarm.shelving.mark.user} has, until {format_time(alarm.shelving.until)}"
        raise _illegal(alarm, "shelved", told, "unshelve it first")
    if not longest:
        why = f"alarms of class {alarm.alarm_class.name!r} never are"
        raise _illegal(alarm, "shelved", why, "take it out of service if it is worked on")
    if not 0 < duration <= longest:
        asked = f"{format_duration(duration)}" if duration >= 0 else f"{duration} ns"
        raise InvalidInputError(
            f"{alarm.name} cannot be shelved for {asked}: its class {alarm.alarm_class.name!r} allows"
            f" more than nothing and at most {format_duration(longest)}; give a duration within that"
        )
    shelving = Shelving(mark, action.time + duration, action.duration_ns is None)
    return _done(alarm, replace(alarm, shelving=shelving), Change.SHELVED, mark, until=shelving.until)


def _unshelve(alarm: Alarm, action: Unshelve) -> Step:
    mark = _marked(alarm, action, "unshelved")
    if alarm.shelving is None:
        raise _illegal(alarm, "unshelved", "it is not shelved", _what_hides(alarm))
    return _show(alarm, replace(alarm, shelving=None), Change.UNSHELVED, mark)


def _expire(alarm: Alarm, action: Expire) -> Step:
    if alarm.shelving is None or action.time < alarm.shelving.until:
        return alarm, ()
    return _show(alarm, replace(alarm, shelving=None), Change.EXPIRED, Mark(action.time))


def _design(alarm: Alarm, action: Suppress | Unsuppress) -> Step:
    if isinstance(action, Suppress):
        if not action.reason.strip():
            raise InvalidInputError(f"{alarm.name} cannot be suppressed without a reason: name what suppresses it")
        if alarm.suppression is not None:
            why = f"it has been since {format_time(alarm.suppression.time)}: {alarm.suppression.comment}"
            raise _illegal(alarm, "suppressed", why, "there is nothing to do")
        mark = Mark(action.time, action.user, action.reason)
        return _done(alarm, replace(alarm, suppression=mark), Change.SUPPRESSED, mark)
    if alarm.suppression is None:
        raise _illegal(alarm, "unsuppressed", "it is not suppressed", _what_hides(alarm))
    mark = Mark(action.time, action.user, action.comment)
    return _show(alarm, replace(alarm, suppression=None), Change.UNSUPPRESSED, mark)


def _service(alarm: Alarm, action: TakeOutOfService | ReturnToService) -> Step:
    if isinstance(action, TakeOutOfService):
        mark = _reasoned(alarm, action, "taken out of service")
        if alarm.out_of_service is not None:
            told = f"{alarm.out_of_service.user} has, at {format_time(alarm.out_of_service.time)}"
            raise _illegal(alarm, "taken out of service", told, "there is nothing to do")
        return _done(alarm, replace(alarm, out_of_service=mark), Change.OUT_OF_SERVICE, mark)
    mark = _marked(alarm, action, "returned to service")
    if alarm.out_of_service is None:
        raise _illegal(alarm, "returned to service", "it is in service", _what_hides(alarm))
    return _show(alarm, replace(alarm, out_of_service=None), Change.IN_SERVICE, mark)


def _comment(alarm: Alarm, action: Comment) -> Step:
    mark = _marked(alarm, action, "commented")
    if not mark.comment.strip():
        raise InvalidInputError(f"a comment on {alarm.name} says nothing: write one")
    occurrence = alarm.occurrence and replace(alarm.occurrence, comment=mark.comment)
    return _done(alarm, replace(alarm, occurrence=occurrence), Change.COMMENTED, mark)


def _show(before: Alarm, after: Alarm, change: Change, mark: Mark) -> Step:
    """End what hid it: an occurrence that is active and was not seen is seen for the first time."""
    occurrence, news = after.occurrence, False
    if occurrence is not None and not after.hidden:
        news = occurrence.active and not occurrence.came_shown and occurrence.came_acknowledged is None
        after = replace(after, occurrence=replace(occurrence, came_shown=occurrence.came_shown or news))
    return _done(before, after, change, mark, annunciated=news)


def _done(before: Alarm, after: Alarm, change: Change, mark: Mark, **more: Any) -> Step:
    after = replace(after, revision=before.revision + 1)
    name = f"{after.id}\x00{after.revision}".encode()
    told = {"id": blake2b(name, digest_size=16).hexdigest(), "time": mark.time, **more}
    if after.occurrence is not None and (before.condition is not State.NORMAL or change is Change.COMMENTED):
        told["occurrence"] = after.occurrence.id
    return after, (_transition(before, after, change, user=mark.user, comment=mark.comment, **told),)


def _transition(before: Alarm, after: Alarm, change: Change, **more: Any) -> Transition:
    occurrence = after.occurrence if more.get("occurrence") else None
    alarm_class = after.alarm_class if occurrence is None else occurrence.alarm_class
    return Transition(
        alarm=after.id,
        rule=after.rule,
        key=after.key,
        position=after.position,
        alarm_class=alarm_class.name,
        priority=alarm_class.priority,
        change=change,
        before=before.state,
        after=after.state,
        condition=after.condition,
        **{"effect": Effect.APPLIED, **more},
    )


def _marked(alarm: Alarm, action: Any, done: str) -> Mark:
    if not action.user.strip():
        raise InvalidInputError(f"{alarm.name} cannot be {done} by nobody: say who does it")
    return Mark(action.time, action.user, getattr(action, "comment", ""))


def _reasoned(alarm: Alarm, action: Shelve | TakeOutOfService, done: str) -> Mark:
    mark = _marked(alarm, action, done)
    if not action.reason.strip():
        raise InvalidInputError(f"{alarm.name} cannot be {done} without a reason: say why")
    return replace(mark, comment=action.reason)


def _illegal(alarm: Alarm, done: str, why: str, fix: str) -> IllegalActionError:
    return IllegalActionError(f"{alarm.name} cannot be {done}: {why}; {fix}")


def _what_hides(alarm: Alarm) -> str:
    told = {
        State.SHELVED: "it is shelved: unshelve it",
        State.SUPPRESSED: "it is suppressed by design: its logic unsuppresses it",
        State.OUT_OF_SERVICE: "it is out of service: return it to service",
    }
    return told.get(alarm.state, "there is nothing to do")
