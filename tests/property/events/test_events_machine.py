"""State machines, and which of several came first, against models that let time pass in single steps."""

from functools import cache

from hypothesis import given
from hypothesis import strategies as st

from analytics.checks.events.arrivals import arrivals, samples_of
from analytics.checks.events.conditions import looks
from analytics.checks.events.counting import after_delays
from analytics.checks.events.driver import Arrival, Sample, found, told
from analytics.checks.events.states import Move, entered, first_out
from analytics.events.engine import Program
from analytics.events.expressions import Expression, Shape, Wanted
from analytics.events.first_out import FirstOut
from analytics.events.machine import Machine, Transition
from analytics.events.matching import Inputs, Pattern

NAMES = ("order", "feedback")
SHAPES = dict.fromkeys(NAMES, Shape.NUMBER)
TEXTS = ("order > 0.5", "order < 0.5", "feedback > 0.5", "feedback < 0.5 && order > 0.5")
STATES = ("off", "starting", "running")
pairs = Inputs({"order": [Pattern("{pump}.order")], "feedback": [Pattern("{pump}.feedback")]})
samples = samples_of(["A.order", "A.order", "A.feedback", "B.order", "B.feedback"], [0.0, 1.0, 1.0, 2.0, None])


def ends(move):
    """By time alone it goes no circle, in which it would go round for ever."""
    onwards = move.target == STATES[-1] if move.source == "*" else STATES.index(move.source) < STATES.index(move.target)
    return onwards if move.after else move.condition is not None


moves = st.builds(
    Move,
    st.sampled_from([*STATES, "*"]),
    st.sampled_from(STATES),
    st.sampled_from([None, 0, 1, 2, 3]),
    st.sampled_from([0, 0, 1, 2, 5]),
).filter(ends)


@cache
def parsed(text):
    return Expression.parse(text, SHAPES, Wanted.CONDITION)


def good(held, name):
    return held[name].value if name in held and held[name].is_good else None


def order_above(held):
    value = good(held, "order")
    return None if value is None else value > 0.5


def order_below(held):
    value = good(held, "order")
    return None if value is None else value < 0.5


def answered(held):
    value = good(held, "feedback")
    return None if value is None else value > 0.5


def unanswered(held):
    order, answer = order_above(held), answered(held)
    if order is False or answer is True:
        return False
    return None if None in (order, answer) else True


CONDITIONS = (order_above, order_below, answered, unanswered)


@given(samples, st.lists(moves, min_size=1, max_size=5), st.integers(0, 6), st.data())
def test_states_that_are_entered(samples, moves, lateness, data):
    used = [move.condition for move in moves if move.condition is not None]
    places = iter(range(len(used)))
    numbered = [move if move.condition is None else move._replace(condition=next(places)) for move in moves]
    whole = lateness > 0

    def reference(mine):
        seen = list(looks(mine, NAMES, [CONDITIONS[number] for number in used], whole=whole))
        return entered(seen, "off", numbered, whole=whole)

    ways = [
        Transition(
            move.source, move.target, None if move.condition is None else parsed(TEXTS[move.condition]), move.after
        )
        for move in moves
    ]
    program = Program("pump", pairs, Machine(NAMES, "off", ways), lateness)
    expected = told(program, reference, samples)
    assert found(program, data.draw(arrivals(samples, lateness))) == expected


@given(samples, st.integers(0, 5), st.integers(0, 5), st.integers(0, 6), st.data())
def test_which_came_first(samples, on_delay, off_delay, lateness, data):
    called = ("ordered", "answered", "unanswered")
    conditions = dict(zip(called, map(parsed, (TEXTS[0], TEXTS[2], TEXTS[3])), strict=True))
    whole = lateness > 0

    def reference(mine):
        seen = list(looks(mine, NAMES, [CONDITIONS[0], CONDITIONS[2], CONDITIONS[3]], whole=whole))
        return after_delays(first_out(seen, called, whole=whole), on_delay, off_delay)

    program = Program("trip", pairs, FirstOut(NAMES, conditions, on_delay, off_delay), lateness)
    expected = told(program, reference, samples)
    assert found(program, data.draw(arrivals(samples, lateness))) == expected


def test_a_pump_starts_runs_and_fails():
    ways = [
        Transition("off", "starting", parsed("order > 0.5")),
        Transition("starting", "running", parsed("feedback > 0.5")),
        Transition("starting", "failed", after=5),
        Transition("*", "off", parsed("order < 0.5")),
    ]
    samples = [
        Sample("A.order", 1, 1.0),
        Sample("A.feedback", 4, 1.0),
        Sample("A.order", 10, 0.0),
        Sample("A.feedback", 11, 0.0),
        Sample("A.order", 20, 1.0),
        Sample("A.order", 30, 0.0),
    ]
    events = found(
        Program("pump", pairs, Machine(NAMES, "off", ways)), [Arrival(samples, [sample.time for sample in samples], 40)]
    )
    assert [(event.kind, event.time, event.value) for event in events] == [
        ("starting", 1, 1.0),
        ("running", 4, 1.0),
        ("off", 10, 0.0),
        ("starting", 20, 1.0),
        ("failed", 25, None),
        ("off", 30, 0.0),
    ]
    assert events[4].attributes == {"from": "starting", "since": "1970-01-01T00:00:00.000000020Z"}
