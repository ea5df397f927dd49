"""Which alarms a list shows, and in which order."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from analytics.alarms.alarm import Alarm, State
from archiver.model.near import did_you_mean
from services.common.errors import BadParameterError

_TESTS: dict[str, Callable[[Alarm], bool]] = {
    "active": lambda alarm: alarm.active,
    "standing": lambda alarm: alarm.state is not State.NORMAL,
}
_OWED = (State.ACTIVE_UNACKNOWLEDGED, State.RETURNED_UNACKNOWLEDGED)


def listed(alarms: Iterable[Alarm], states: Sequence[str] = ()) -> list[Alarm]:
    """Return alarms: those that are owed something first, then the active, then the most urgent, then the newest.

    Parameters
    ----------
    alarms : iterable of Alarm
    states : sequence of str
        A state; ``active``: its condition holds; ``standing``: it is not normal. Any of them is enough; none is all.

    Raises
    ------
    BadParameterError
        There is no such state.
    """
    tests = [_test(name) for name in states]
    chosen = (alarm for alarm in alarms if not tests or any(test(alarm) for test in tests))
    return sorted(chosen, key=_urgency)


def counts_of(alarms: Iterable[Alarm]) -> dict[str, int]:
    """Return how many alarms are in each state."""
    counts = {state.value: 0 for state in State}
    for alarm in alarms:
        counts[alarm.state.value] += 1
    return counts


def _urgency(alarm: Alarm) -> tuple[bool, bool, int, int, str]:
    occurrence = alarm.occurrence
    came = 0 if occurrence is None else occurrence.came
    return alarm.state not in _OWED, not alarm.active, -alarm.alarm_class.priority, -came, alarm.id


def _test(name: str) -> Callable[[Alarm], bool]:
    if name in _TESTS:
        return _TESTS[name]
    known = [*_TESTS, *(state.value for state in State)]
    if name not in known:
        fix = did_you_mean(name, known, f"there are: {', '.join(known)}")
        raise BadParameterError("state", name, f"no such state; {fix}")
    return lambda alarm: alarm.state.value == name
