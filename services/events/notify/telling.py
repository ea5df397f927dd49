"""What of an alarm's life is told: from its transitions to notices."""

from __future__ import annotations

from collections.abc import Mapping

from analytics.alarms.alarm import Alarm, Occurrence
from analytics.alarms.transition import Change, Effect, Transition
from services.events.notify.notice import ACKNOWLEDGED, CAME, GONE, SHELVED, Notice

_HIDES = frozenset({Change.SHELVED, Change.SUPPRESSED, Change.OUT_OF_SERVICE})
_SHOWS = frozenset({Change.UNSHELVED, Change.EXPIRED, Change.UNSUPPRESSED, Change.IN_SERVICE})


def notice_of(
    transition: Transition, alarm: Alarm, labels: Mapping[str, str] | None = None, link: str = ""
) -> Notice | None:
    """Return what there is to tell of a transition; None where there is nothing.

    Told is what an operator is shown, and what becomes of that: it came, was acknowledged, has gone, was hidden
    (shelved, suppressed, taken out of service) or is to be seen again. What comes and goes hidden is not told.

    Parameters
    ----------
    transition : Transition
    alarm : Alarm
        After the step that made it.
    labels : mapping of str to str, optional
        What else the alarm is known by; its operator position is with them.
    link : str
        Where a person sees more of it.
    """
    occurrence = alarm.occurrence
    if occurrence is None or transition.occurrence != occurrence.id or transition.effect is not Effect.APPLIED:
        return None
    state = _state(transition, alarm, occurrence)
    if state is None:
        return None
    position = {"position": alarm.position} if alarm.position else {}
    return Notice(
        alarm=alarm.id,
        occurrence=occurrence.id,
        state=state,
        time=transition.time,
        since=occurrence.came,
        stands=occurrence.active and not alarm.hidden,
        rule=alarm.rule,
        key=alarm.key,
        alarm_class=transition.alarm_class,
        priority=transition.priority,
        text=occurrence.text,
        value=occurrence.value,
        labels={**position, **(labels or {})},
        link=link,
        by=transition.user,
        comment=transition.comment,
    )


def _state(transition: Transition, alarm: Alarm, occurrence: Occurrence) -> str | None:
    match transition.change:
        case Change.CAME | Change.HAPPENED:
            return CAME if transition.annunciated else None
        case Change.GONE:
            return GONE
        case Change.ACKNOWLEDGED:
            return None if alarm.hidden else ACKNOWLEDGED
        case change if change in _HIDES:
            return SHELVED if occurrence.active else None
        case change if change in _SHOWS and occurrence.active and not alarm.hidden:
            return CAME if occurrence.came_acknowledged is None else ACKNOWLEDGED
    return None
