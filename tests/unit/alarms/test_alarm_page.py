"""The page about alarms says what they do: its example runs, and its table is what the step does."""

import doctest
import re
from pathlib import Path

from analytics.alarms.actions import Acknowledge, Reset, Signal
from analytics.alarms.alarm import Alarm
from analytics.alarms.classes import Acknowledgement, AlarmClass
from analytics.alarms.life import IllegalActionError, step
from analytics.events.event import CAME, GONE, HAPPENED, Event

PAGE = Path(__file__).parents[3] / "docs" / "explanation" / "alarms.md"
NAMES = {
    "normal": "normal",
    "active, unack.": "active_unacknowledged",
    "active, ack.": "active_acknowledged",
    "returned, unack.": "returned_unacknowledged",
    "latched": "latched",
}


def signal(kind: str, time: int) -> Signal:
    return Signal(Event("hot", "T1", kind, time))


ACTIONS = (signal(CAME, 9), signal(GONE, 9), signal(HAPPENED, 9), Acknowledge(9, "ann"), Reset(9, "ann"))
LIVES = (
    [],
    [signal(CAME, 1)],
    [signal(CAME, 1), Acknowledge(2, "ann")],
    [signal(CAME, 1), signal(GONE, 3)],
    [signal(CAME, 1), Acknowledge(2, "ann"), signal(GONE, 3)],
)


def lived(policy: str, actions) -> Alarm:
    alarm = Alarm("hot", "T1", AlarmClass("trip", 70, Acknowledgement(policy)))
    for action in actions:
        alarm, _ = step(alarm, action)
    return alarm


def in_state(policy: str, state: str) -> Alarm:
    lives = [life for life in LIVES if policy != "none" or not any(isinstance(one, Acknowledge) for one in life)]
    return next(alarm for alarm in (lived(policy, life) for life in lives) if alarm.state == state)


def told(alarm: Alarm, action) -> str:
    try:
        after, transitions = step(alarm, action)
    except IllegalActionError:
        return "–"  # noqa: RUF001
    return "=" if transitions[0].effect == "repeated" else after.state.value


def test_its_example_runs():
    result = doctest.testfile(str(PAGE), module_relative=False)
    assert result.attempted > 5
    assert not result.failed


def test_its_table_is_what_the_step_does():
    lines = PAGE.read_text(encoding="utf-8").split("| policy | state | came |")[1].split("\n\n")[0].splitlines()[2:]
    policies, seen = [], 0
    for line in lines:
        named, state, *cells = (cell.strip() for cell in line.strip("|").split("|"))
        policies = re.findall(r"`(\w+)`", named) or policies
        for policy in policies:
            alarm = in_state(policy, NAMES[state])
            for cell, action in zip(cells, ACTIONS, strict=True):
                usual, _, own = cell.partition(f"; `{policy}`: ")
                wanted = (own or usual).split(";")[0]
                assert told(alarm, action) == NAMES.get(wanted, wanted), (policy, state, action)
                seen += 1
    assert seen == 5 * (2 + 3 * 3 + 1 + 1 + 2)
