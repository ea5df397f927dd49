"""What comes late, twice, or in any order, and what is common to instances that come up later."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analytics.checks.events.driver import Arrival, Sample, batch_as_it_came, found, told
from analytics.checks.events.signals import condition, latched, number
from analytics.events.coding import encode
from analytics.events.engine import Engine, Program
from analytics.events.expressions import Expression, Shape, Wanted
from analytics.events.latch import Latch
from analytics.events.matching import Inputs, Pattern
from analytics.events.signals.condition import Condition
from analytics.events.signals.stale import Stale
from analytics.events.signals.threshold import Band, Threshold

NAMES = ("temperature", "mode")
devices = Inputs({"temperature": [Pattern("{device}.t*")], "mode": [Pattern("mode")]})
ELEMENTS = ("A.t", "A.t2", "B.t", "mode")
elements = st.sampled_from(ELEMENTS)
values = st.sampled_from([0.0, 1.0, 2.0])
hot = Expression.parse("temperature > 0.5 && mode > 0.5", dict.fromkeys(NAMES, Shape.NUMBER), Wanted.CONDITION)
rule = Latch(Condition(NAMES, hot))
unsorted = st.lists(
    st.tuples(elements, st.integers(0, 30), values, st.integers(0, 2)).map(lambda each: Sample(*each)),
    min_size=5,
    max_size=40,
)


def is_hot(held):
    both = [number(held.get(name)) for name in NAMES]
    lower = [value is not None and value <= 0.5 for value in both]
    return False if any(lower) else None if None in both else True


def run(program, samples, sizes):
    """Everything that comes of samples that are received when the newest of all was made, in batches of some sizes."""
    engine, place, events = Engine([program]), 0, []
    state = engine.initial()
    newest = np.maximum.accumulate([sample.time for sample in samples]).tolist() if samples else []
    for size in [*sizes, len(samples)]:
        part = slice(place, place + size)
        place += size
        if newest[part]:
            state, more = engine.advance(state, batch_as_it_came(samples[part], newest[part]), newest[part][-1])
            events += more
    state, more = engine.advance(state, batch_as_it_came([], []), 10**6)
    return engine, state, sorted(events + more, key=lambda event: event.order)


def came_in_time(samples, lateness):
    """The samples that are neither late nor repeated for an instance, and how many are; in order of arrival."""
    late, again, kept, newest, seen = 0, 0, [], -1, set()
    for sample in samples:
        if newest - sample.time > lateness:
            late += 1
            continue
        newest = max(newest, sample.time)
        identity = sample.element, sample.time, sample.sequence
        behind = not lateness and any((*identity[:2], sequence) in seen for sequence in range(sample.sequence + 1, 3))
        if identity in seen or behind:
            again += 1
            continue
        seen.add(identity)
        kept.append(sample)
    return kept, late, again


@given(unsorted, st.integers(0, 12), st.lists(st.integers(1, 9), max_size=8))
def test_late_and_repeated_samples_are_left_out_and_counted(samples, lateness, sizes):
    one = Inputs({"temperature": [Pattern("?.t*"), Pattern("mode")]})
    program = Program("rule", one, Latch(Threshold(Band(above=0.5))), lateness)
    _, state, events = run(program, samples, sizes)
    kept, late, again = came_in_time(samples, lateness)
    assert (state.late, state.repeated) == (late, again)
    ordered = sorted(
        kept, key=lambda sample: (sample.time, sample.element, sample.sequence) if lateness else sample.time
    )
    said = condition(ordered, NAMES[:1], lambda held: (number(held["temperature"]) or 0.0) > 0.5)
    expected = latched(said, whole=lateness > 0)
    assert [(event.kind, event.time, event.value) for event in events] == [each[:3] for each in expected]


@given(unsorted, st.integers(0, 12), st.lists(st.integers(1, 9), max_size=8))
def test_late_or_not_the_batches_make_no_difference(samples, lateness, sizes):
    program = Program("rule", Inputs({"value": [Pattern("*")]}), Latch(Stale(4), 1), lateness)
    results = [run(program, samples, each) for each in ([], sizes, [1] * len(samples))]
    assert results[0][2] == results[1][2] == results[2][2]
    assert len({(state.late, state.repeated) for _, state, _ in results}) == 1


@given(
    st.lists(st.tuples(elements, st.integers(0, 12), values).map(lambda each: Sample(*each)), min_size=8, max_size=40),
    st.data(),
)
def test_without_a_lateness_what_comes_first_counts_first(samples, data):
    """Of one instant, too; an instance that comes up later knows what is common to all by then."""
    samples = sorted(samples, key=lambda sample: sample.time)
    program = Program("rule", devices, rule)
    whole = run(program, samples, [])[2]
    assert run(program, samples, [1] * len(samples))[2] == whole
    assert run(program, samples, data.draw(st.lists(st.integers(1, 9), max_size=8)))[2] == whole


@given(unsorted, st.lists(st.integers(1, 9), max_size=8))
def test_common_samples_are_told_from_the_first_sample_of_an_instance_on(samples, sizes):
    samples = list({sample[:2]: sample for sample in samples if sample.sequence == 0}.values())
    program = Program("rule", devices, rule, 30)

    def reference(mine):
        return latched(condition(mine, NAMES, is_hot), whole=True)

    assert run(program, samples, sizes)[2] == told(program, reference, samples)


def test_a_device_that_comes_up_while_the_mode_has_long_been_on():
    samples = [Sample("mode", 0, 1.0), Sample("A.t", 50, 1.0), Sample("mode", 60, 0.0), Sample("B.t", 70, 1.0)]
    events = found(Program("rule", devices, rule, 5), [Arrival([each], [each.time], each.time) for each in samples])
    assert [(event.key, event.kind, event.time) for event in events] == [("A", "came", 50), ("A", "gone", 60)]


def test_what_was_common_before_an_instance_began_is_not_told_for_it():
    """The mode was on from 10 to 20, and is on when B begins; A sees all of it."""
    on = Expression.parse("mode > 0.5", dict.fromkeys(NAMES, Shape.NUMBER), Wanted.CONDITION)
    program = Program("rule", devices, Latch(Condition(NAMES, on)), 30)
    modes = [Sample("mode", time, value) for time, value in ((10, 1.0), (20, 0.0), (25, 1.0))]
    samples = [Sample("A.t", 0, 0.0), *modes, Sample("B.t", 30, 0.0), Sample("mode", 40, 0.0)]
    events = found(program, [Arrival([each], [each.time], each.time) for each in samples])
    assert [(event.key, event.time) for event in events] == [
        ("A", 10),
        ("A", 20),
        ("A", 25),
        ("B", 25),
        ("A", 40),
        ("B", 40),
    ]


def test_what_was_common_right_before_counts_though_newer_samples_came_first():
    samples = [Sample("mode", 0, 1.0), Sample("mode", 50, 0.0), Sample("A.t", 47, 1.0), Sample("A.t", 60, 0.0)]
    events = found(
        Program("rule", devices, rule, 5),
        [Arrival([each], [at], at) for each, at in zip(samples, (0, 50, 51, 60), strict=True)],
    )
    assert [(event.key, event.kind, event.time) for event in events] == [("A", "came", 47), ("A", "gone", 50)]


def test_common_samples_that_wait_for_an_instance_are_held_once():
    """B comes up with a sample that is late, and never has another one."""
    engine = Engine([Program("rule", devices, rule, 5)])
    state = engine.initial()
    for time in range(100, 200):
        samples = [Sample("mode", time, float(time % 2)), *([Sample("B.t", 10, 1.0)] if time == 150 else [])]
        state, events = engine.advance(state, batch_as_it_came(samples, [time] * len(samples)), time)
        assert not events
    assert state.late == 1
    assert len(state.rules["rule"].order.pending) <= 7


def test_a_tick_alone_brings_what_is_due_and_no_earlier():
    engine = Engine([Program("stale", Inputs({"value": [Pattern("*")]}, each=True), Latch(Stale(10)))])
    state, events = engine.advance(engine.initial(), batch_as_it_came([Sample("a", 100, 1.0)], [1000]), 1000)
    nothing = batch_as_it_came([], [])
    early, none = engine.advance(state, nothing, 1009)
    assert (events, none) == ([], [])
    assert encode(early) == encode(state)
    _, events = engine.advance(early, nothing, 1010)
    assert [(event.kind, event.time) for event in events] == [("came", 110)]
    late, _ = engine.advance(state, nothing, 1015)
    late, _ = engine.advance(late, batch_as_it_came([Sample("a", 109, 1.0)], [1016]), 1016)
    assert late.late == 1, "it was told that there was no sample until 110"


@pytest.mark.parametrize("lateness", [0, 3])
def test_each_sample_of_an_instant_counts_only_without_a_lateness(lateness):
    program = Program("rule", Inputs({"v": [Pattern("?")]}), Latch(Threshold(Band(above=0.5))), lateness)
    samples = [Sample("a", 10, 1.0), Sample("b", 10, 0.0)]
    events = found(program, [Arrival(samples, [10, 10], 10)])
    assert [event.kind for event in events] == ([] if lateness else ["came", "gone"])
