"""A sample that comes after its instance was found to be silent counts as late; what it says holds all the same."""

from __future__ import annotations

import pytest

from analytics.events.engine import Engine
from analytics.events.rules.loading import parse_rule
from analytics.events.rules.programs import program_of
from archiver.model import SampleBatch

S = 1_000_000_000


def batch(*samples: tuple[int, float], received: int) -> SampleBatch:
    times, values = zip(*samples, strict=True)
    return SampleBatch.from_columns("T", [time * S for time in times], values, receive_time=received * S)


@pytest.mark.parametrize("lateness", ["0s", "1s"])
def test_what_the_clock_has_overtaken_holds_from_then_on(lateness: str) -> None:
    document = {"name": "hot", "kind": "threshold", "elements": "T", "above": 5.0, "on_delay": "10s"}
    engine = Engine([program_of(parse_rule({**document, "lateness": lateness}))])
    state, events = engine.advance(engine.initial(), batch((0, 7.0), received=0), 0)
    state, events = engine.advance(state, SampleBatch.empty(), 15 * S)
    assert [(event.kind, event.time) for event in events] == [("came", 10 * S)]
    state, events = engine.advance(state, batch((5, 1.0), (6, 2.0), received=16), 16 * S)  # it had been over
    state, more = engine.advance(state, batch((20, 2.0), received=22), 22 * S)
    assert [event.kind for event in [*events, *more]] == ["gone"]
    assert 10 * S <= [*events, *more][0].time <= 10 * S + 2
    assert state.late == 2
    _, again = engine.advance(state, batch((5, 1.0), received=23), 23 * S)
    assert again == []
