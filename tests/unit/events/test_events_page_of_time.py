"""The page about event time runs, and its numbers are those of the engine."""

import doctest
import re
from dataclasses import replace
from pathlib import Path

from analytics.events.engine import Engine
from analytics.events.rules.loading import parse_rule
from analytics.events.rules.programs import program_of
from archiver.model import SampleBatch

PAGE = Path(__file__).parents[3] / "docs/explanation/event-time.md"
SECOND = 1_000_000_000


def nanoseconds(text):
    return round(float(text) * SECOND)


def test_the_example_runs():
    failed, tried = doctest.testfile(str(PAGE), module_relative=False)
    assert tried
    assert not failed


def test_until_when_the_instance_is_known():
    table = re.findall(r"^\| ([\d.]+) \| (.+?) \| ?([\d.]*) \| ([\d.]+) \| (.+) \|$", PAGE.read_text(), re.M)
    rule = parse_rule(
        {
            "name": "clogged",
            "kind": "condition",
            "when": "inlet - outlet > 5.0",
            "on_delay": "10s",
            "lateness": "2s",
            "inputs": {"inlet": "{pump}:IN", "outlet": "{pump}:OUT"},
        }
    )
    engine = Engine([program_of(rule)])
    state, late, found = engine.initial(), 0, []
    assert len(table) == 8
    for received, said, time, known, what in table:
        batch = SampleBatch.empty()
        if time:
            element, value = said.split(" = ")
            batch = SampleBatch.from_columns(
                element, [nanoseconds(time)], [float(value)], receive_time=nanoseconds(received)
            )
        state, events = engine.advance(state, batch, nanoseconds(received))
        order = replace(state.rules["clogged"].order, clock=nanoseconds(received))
        assert (int(order.known(2 * SECOND)[0]) + 1) == nanoseconds(known), received
        assert (order.late > late) == ("*late*" in what)
        assert bool(events) == ("**came**" in what)
        late, found = order.late, found + events
    assert [event.time for event in found] == [113 * SECOND]
