"""What was not followed, against a search through all that came after."""

from hypothesis import given
from hypothesis import strategies as st

from analytics.checks.events.arrivals import arrivals, samples_of
from analytics.checks.events.conditions import absent, looks
from analytics.checks.events.driver import Arrival, Sample, found, told
from analytics.events.engine import Program
from analytics.events.expressions import Expression, Shape, Wanted
from analytics.events.matching import Inputs, Pattern
from analytics.events.patterns.absence import Absence

NAMES = ("order", "feedback")
SHAPES = dict.fromkeys(NAMES, Shape.NUMBER)
pairs = Inputs({"order": [Pattern("{pump}.order")], "feedback": [Pattern("{pump}.feedback")]})
samples = samples_of(["A.order", "A.order", "A.feedback", "B.order", "B.feedback"], [0.0, 1.0, 1.0, 2.0, None])


def above(name, limit):
    def condition(held):
        return held[name].value > limit if name in held and held[name].is_good else None

    return condition


WHEN, EXPECT = (Expression.parse(f"{name} > 0.5", SHAPES, Wanted.CONDITION) for name in NAMES)


def absence(within):
    return Absence(NAMES, WHEN, EXPECT, within)


@given(samples, st.integers(1, 8), st.integers(0, 6), st.data())
def test_what_did_not_follow(samples, within, lateness, data):
    def reference(mine):
        conditions = [above(name, 0.5) for name in NAMES]
        return absent(list(looks(mine, NAMES, conditions, whole=lateness > 0)), within)

    program = Program("no_answer", pairs, absence(within), lateness)
    expected = told(program, reference, samples)
    assert found(program, data.draw(arrivals(samples, lateness))) == expected


def test_a_pump_that_does_not_answer():
    """Started at 0 it answers just in time; started again at 20 it does not."""
    samples = [
        Sample("A.order", 0, 1.0),
        Sample("A.feedback", 5, 1.0),
        Sample("A.order", 10, 0.0),
        Sample("A.feedback", 12, 0.0),
        Sample("A.order", 20, 1.0),
        Sample("A.feedback", 26, 1.0),
    ]
    events = found(Program("no_answer", pairs, absence(5)), [Arrival(samples, [sample.time for sample in samples], 26)])
    assert [(event.key, event.kind, event.time, event.value) for event in events] == [("A", "happened", 25, 1.0)]
