"""Counting in a sliding window, against a count at every instant at which it may change."""

import math
from itertools import pairwise

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from analytics.checks.events.arrivals import arrivals, samples_of
from analytics.checks.events.counting import after_delays, counted, turns
from analytics.checks.events.driver import Arrival, Sample, found, told
from analytics.events.engine import Program
from analytics.events.expressions import Expression, Shape, Wanted
from analytics.events.latch import Latch
from analytics.events.matching import Inputs, Pattern
from analytics.events.patterns.count import Count
from analytics.events.patterns.occurrences import EverySample, Whenever
from analytics.events.patterns.turns import Turns
from archiver.model import Status

VALUES = [0.0, 1.0, 2.0, 2.5, 4.0, -3.0, None, math.nan, math.inf, "open"]
samples = samples_of(["a", "b"], VALUES, statuses=[0, 0, 0, 0, int(Status.AUT_INV)])
each = Inputs({"value": [Pattern("*")]}, each=True)
CHANGED = Expression.parse("value != value.previous", {"value": Shape.NUMBER}, Wanted.CONDITION)


def checked(program, reference, samples, data):
    expected = told(program, reference, samples)
    assert found(program, data.draw(arrivals(samples, program.lateness))) == expected
    return expected


@given(
    samples, st.integers(0, 3), st.integers(1, 8), st.integers(0, 4), st.integers(0, 4), st.integers(0, 6), st.data()
)
def test_as_many_as_there_are(samples, more_than, within, on_delay, off_delay, lateness, data):
    count = Count(EverySample(), more_than, within)

    def reference(mine):
        return after_delays(counted([sample.time for sample in mine], more_than, within), on_delay, off_delay)

    checked(Program("often", each, Latch(count, on_delay, off_delay), lateness), reference, samples, data)


@given(samples, st.integers(0, 2), st.integers(1, 8), st.integers(0, 6), st.data())
def test_changes(samples, more_than, within, lateness, data):

    def reference(mine):
        pairs = [(before, at) for before, at in pairwise(mine) if before.is_good and at.is_good]
        changes = [at.time for before, at in pairs if before.value != "open" and at.value != before.value]
        return counted(changes, more_than, within)

    count = Count(Whenever(("value",), CHANGED), more_than, within)
    checked(Program("changes", each, Latch(count), lateness), reference, samples, data)


@given(
    samples, st.sampled_from([0.0, 0.5, 1.0, 2.0]), st.integers(0, 2), st.integers(1, 12), st.integers(0, 6), st.data()
)
def test_turns(samples, by, more_than, within, lateness, data):
    def reference(mine):
        return counted(turns(mine, by), more_than, within)

    checked(Program("swings", each, Latch(Count(Turns(by), more_than, within)), lateness), reference, samples, data)


@given(st.lists(st.integers(-20, 20), max_size=200), st.integers(0, 8))
def test_turns_of_a_long_path(path, by):
    samples = [Sample("a", time, value / 4) for time, value in enumerate(path)]
    program = Program("turns", each, Latch(Count(Turns(by / 4), 0, 1)))
    events = [event.time for event in found(program, at_once(samples)) if event.kind == "came"]
    turned = turns(samples, by / 4)
    assert events == [time for time in turned if time - 1 not in turned]


def at_once(samples):
    return [Arrival(samples, [sample.time for sample in samples], len(samples))] if samples else []


def test_more_than_a_hundred_changes_in_ten_seconds():
    """A value that toggles ten times a second does not come, one that does so a little faster does."""
    second = 1_000_000_000
    program = Program("chatter", each, Latch(Count(Whenever(("value",), CHANGED), 100, 10 * second)))
    for step, expected in ((100_000_000, []), (99_000_000, [("came", 101), ("gone", 101 + 1)])):
        times = np.arange(300) * step
        samples = [Sample("a", int(time), float(place % 2)) for place, time in enumerate(times)]
        events = found(program, at_once(samples))
        assert [event.kind for event in events] == [kind for kind, _ in expected]
        if expected:
            came, gone = events
            assert (came.time, came.value) == (times[101], 101.0)
            assert (gone.time, gone.value) == (times[299 - 100] + 10 * second, 100.0)
