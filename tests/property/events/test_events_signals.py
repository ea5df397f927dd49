"""Signals, against references that go from sample to sample."""

import math

from hypothesis import given
from hypothesis import strategies as st

from analytics.checks.events import signals as reference
from analytics.checks.events.arrivals import arrivals, samples_of
from analytics.checks.events.driver import Arrival, Sample, found, told
from analytics.events.engine import Program
from analytics.events.event import SUPPRESSED, UNSUPPRESSED
from analytics.events.expressions import Expression, Shape, Wanted
from analytics.events.latch import Latch
from analytics.events.matching import Inputs, Pattern
from analytics.events.signals.condition import Condition
from analytics.events.signals.deviation import Deviation
from analytics.events.signals.rate import Rate
from analytics.events.signals.stale import Stale
from analytics.events.signals.suppression import Suppression
from analytics.events.signals.threshold import Band, Threshold
from analytics.events.signals.unchanged import Unchanged
from analytics.events.signals.vote import Vote
from archiver.model import Status

NAMES = ("inlet", "outlet", "mode")
VALUES = (0.0, 0.5, 1.0, 1.0, 2.5, 4.0, -3.0, None, math.nan, math.inf)
each = Inputs({"value": [Pattern("*")]}, each=True)
devices = Inputs(
    {
        "inlet": [Pattern("{device}.in")],
        "outlet": [Pattern("{device}.out*")],
        "mode": [Pattern("mode"), Pattern("A.in")],
    }
)
elements = ("A.in", "A.out", "A.out2", "B.in", "B.out", "mode")
singles = samples_of(["a", "b"], VALUES, statuses=(0, 0, 0, int(Status.AUT_INV)))
several = samples_of(elements, VALUES, statuses=(0, 0, 0, 0, int(Status.AUT_INV)))
lateness = st.integers(0, 6)
delays = st.integers(0, 4)
limits = st.sampled_from([None, 0.0, 1.0, 2.0])


def checked(data, inputs, operator, late, samples, expected):
    program = Program("rule", inputs, operator, late)
    assert found(program, data.draw(arrivals(samples, late))) == told(program, expected, samples)


def latched(data, inputs, signal, late, samples, said, on_delay=0, off_delay=0):
    def expected(mine):
        return reference.latched(said(mine), on_delay, off_delay, whole=late > 0)

    checked(data, inputs, Latch(signal, on_delay, off_delay), late, samples, expected)


def parsed(text, names=("value",)):
    return Expression.parse(text, dict.fromkeys(names, Shape.NUMBER), Wanted.CONDITION)


def compared(name, limit):
    """What `name > limit` is of what is held."""

    def condition(held):
        value = reference.number(held.get(name))
        return None if value is None else value > limit

    return condition


@given(singles, limits, limits, st.sampled_from([0.0, 0.5, 2.0]), delays, delays, lateness, st.data())
def test_threshold(samples, above, below, hysteresis, on_delay, off_delay, late, data):
    def said(mine):
        return reference.threshold(mine, above, below, hysteresis)

    latched(data, each, Threshold(Band(above, below, hysteresis)), late, samples, said, on_delay, off_delay)


@given(several, st.booleans(), delays, delays, lateness, st.data())
def test_condition_of_several_inputs_one_of_them_common(samples, has_until, on_delay, off_delay, late, data):
    when, until = parsed("inlet > outlet || mode > 1.0", NAMES), parsed("mode > 0.2", NAMES) if has_until else None

    def higher(held):
        inlet, outlet, mode = (reference.number(held.get(name)) for name in NAMES)
        known = [
            None if inlet is None or outlet is None else inlet > outlet,
            None if mode is None else mode > 1.0,
        ]
        return True if True in known else None if None in known else False

    def said(mine):
        return reference.condition(mine, NAMES, higher, compared("mode", 0.2) if has_until else None)

    latched(data, devices, Condition(NAMES, when, until), late, samples, said, on_delay, off_delay)


@given(several, st.sampled_from([1e8, 5e8, 1e9]), limits, st.integers(0, 8), lateness, st.data())
def test_rate(samples, rises, falls, over, late, data):
    falls = None if falls is None else falls * 1e8

    def said(mine):
        return reference.rate(mine, rises, falls, over)

    latched(data, devices, Rate(rises, falls, over), late, samples, said)


def test_there_is_no_rate_within_an_instant():
    samples = [Sample("a", 0, 0.0), Sample("a", 10, 1.0), Sample("a", 10, 5.0, 1), Sample("a", 11, 9.0)]
    program = Program("rate", each, Latch(Rate(rises=1e9)))
    events = found(program, [Arrival([sample], [sample.time], sample.time) for sample in samples])
    assert [event.time for event in events] == [11]


@given(several, st.sampled_from([0.0, 0.5, 1.5]), st.sampled_from([0.0, 0.5]), delays, lateness, st.data())
def test_deviation(samples, more_than, hysteresis, on_delay, late, data):
    def said(mine):
        return reference.deviation(mine, more_than, hysteresis)

    latched(data, devices, Deviation(more_than, hysteresis), late, samples, said, on_delay)


@given(several, st.integers(1, 3), delays, lateness, st.data())
def test_vote(samples, at_least, off_delay, late, data):
    def favours(sample):
        return compared("value", 0.7)({"value": sample})

    def said(mine):
        return reference.vote(mine, favours, at_least)

    latched(data, devices, Vote(parsed("value > 0.7"), at_least), late, samples, said, 0, off_delay)


@given(several, st.integers(1, 12), delays, lateness, st.data())
def test_stale(samples, after, on_delay, late, data):
    def said(mine):
        return reference.stale(mine, after)

    latched(data, devices, Stale(after), late, samples, said, on_delay)


@given(
    samples_of(elements, (0.0, 0.0, 0.5, 1.5, None, "open", "shut"), statuses=(0, 0, 0, int(Status.AUT_INV))),
    st.integers(1, 12),
    lateness,
    st.data(),
)
def test_unchanged(samples, after, late, data):
    def said(mine):
        return reference.unchanged(mine, after, 0.0)

    latched(data, devices, Unchanged(after), late, samples, said)


@given(several, st.integers(1, 12), st.sampled_from([0.5, 1.0, 3.0]), lateness, st.data())
def test_unchanged_within_a_tolerance(samples, after, tolerance, late, data):
    def said(mine):
        return reference.unchanged(mine, after, tolerance)

    latched(data, devices, Unchanged(after, tolerance), late, samples, said)


@given(several, delays, lateness, st.data())
def test_suppression(samples, on_delay, late, data):
    rule = Latch(Condition(NAMES, parsed("inlet > 0.7", NAMES)), on_delay)
    by = Condition(NAMES, parsed("mode > 0.2", NAMES))

    def expected(mine):
        found = reference.condition(mine, NAMES, compared("inlet", 0.7))
        hides = reference.condition(mine, NAMES, compared("mode", 0.2))
        return reference.suppressed(
            reference.latched(found, on_delay, whole=late > 0),
            reference.latched(hides, whole=late > 0, kinds=(SUPPRESSED, UNSUPPRESSED)),
        )

    checked(data, devices, Suppression(rule, by), late, samples, expected)
