"""Sequences, against a search for every way in which samples can be taken."""

from functools import cache

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from analytics.checks.events.arrivals import arrivals, samples_of
from analytics.checks.events.driver import Arrival, Sample, found, told
from analytics.checks.events.sequences import Search, Stage
from analytics.events.engine import Program
from analytics.events.expressions import Expression, Shape, Wanted
from analytics.events.matching import Inputs, Pattern
from analytics.events.patterns.sequence import OVERFLOW, Sequence, Step

each = Inputs({"value": [Pattern("*")]}, each=True)
pairs = Inputs({"order": [Pattern("{pump}.order")], "feedback": [Pattern("{pump}.feedback")]})
NAMES = ("a", "b", "c", "d")


@cache
def parsed(text, names):
    return Expression.parse(text, dict.fromkeys(names, Shape.NUMBER), Wanted.CONDITION)


def number(sample):
    return sample.value if sample.is_good else None


def compared(sample, other, test):
    first, second = number(sample), number(other)
    return first is not None and second is not None and test(first, second)


MENU = {
    "true": lambda sample, _: True,
    "value > 0.5": lambda sample, _: number(sample) is not None and sample.value > 0.5,
    "value < 1.5": lambda sample, _: number(sample) is not None and sample.value < 1.5,
    "!good": lambda sample, _: not sample.is_good,
}
RELATED = {
    "value > a.value": lambda sample, known: compared(sample, known["a"], float.__gt__),
    "{own}.value == a.value && {own}.time > a.time": lambda sample, known: (
        compared(sample, known["a"], float.__eq__) and sample.time > known["a"].time
    ),
    "!a.good || value < a": lambda sample, known: not known["a"].is_good or compared(sample, known["a"], float.__lt__),
    "has(a.value) && value < 1.5": lambda sample, known: (
        known["a"].is_good and number(sample) is not None and sample.value < 1.5
    ),
}


@st.composite
def sequences(draw, contiguity):
    """The same sequence as steps and as stages."""
    steps, stages, names = [], [], ("value",)
    for place, name in enumerate(NAMES[: draw(st.sampled_from([2, 2, 3, 4]))]):
        menu = {**MENU, **RELATED} if place else MENU
        text = draw(st.sampled_from(list(menu)))
        absent = place > 0 and draw(st.integers(0, 3)) == 0
        least = draw(st.sampled_from([1, 1, 1, 2]))
        most = least if contiguity == "any" else least + draw(st.sampled_from([0, 0, 1, 2]))
        own = (*names, name)
        when = parsed(text.replace("{own}", name), own)
        steps.append(Step(name, when, absent, least, most))
        stages.append(Stage(name, menu[text], absent, least, most))
        if not absent:
            names = own
    return steps, stages


samples = samples_of(["a", "b"], [0.0, 1.0, 1.0, 2.0, 2.0, 3.0, None], 16)


@pytest.mark.parametrize("contiguity", ["next", "strict", "any"])
@given(samples, st.integers(1, 16), st.integers(0, 5), st.data())
def test_every_match_is_found(contiguity, samples, within, lateness, data):
    steps, stages = data.draw(sequences(contiguity))
    after_match = data.draw(st.sampled_from(["past_last", "to_next", "no_skip", "to_first"]))
    taken = [stage.name for stage in stages if not stage.absent]
    resume = data.draw(st.sampled_from(taken[1:])) if after_match == "to_first" and len(taken) > 1 else None
    assume(resume or after_match != "to_first")
    every = data.draw(st.integers(0, 4)) > 0
    search = Search(stages, within, contiguity, after_match, resume, every)
    mine = samples[:14] if contiguity == "any" else samples
    operator = Sequence(
        ("value",), steps, within, contiguity=contiguity, after_match=after_match, resume=resume, every=every
    )
    program = Program("sequence", each, operator, lateness)
    expected = told(program, search.found, mine)
    assert found(program, data.draw(arrivals(mine, lateness))) == expected


def at_once(samples):
    return [Arrival(samples, [sample.time for sample in samples], samples[-1].time)]


def steps_of(names, *texts):
    offered, steps = tuple(names), []
    for text in texts:
        name, when = text.split(": ")
        absent, name = name.startswith("!"), name.lstrip("!")
        offered = (*offered, name)
        steps.append(Step(name, parsed(when, offered), absent))
    return steps


def test_a_then_a_larger_b():
    """A value above 5, and one that is larger within 10 ns; the smaller one between them is skipped."""
    steps = steps_of(["value"], "a: value > 5.0", "b: b.value > a.value")
    values = [1.0, 6.0, 5.5, 7.0, 8.0, 9.0]
    samples = [Sample("x", 2 * place, value) for place, value in enumerate(values)]
    events = found(Program("larger", each, Sequence(("value",), steps, 10)), at_once(samples))
    assert [(event.time, event.value, event.attributes["a"]["value"]) for event in events] == [
        (6, 7.0, 6.0),
        (10, 9.0, 8.0),
    ]
    everything = Sequence(("value",), steps, 10, contiguity="any", after_match="no_skip")
    events = found(Program("larger", each, everything), at_once(samples))
    assert [(event.attributes["a"]["value"], event.value) for event in events] == [
        *[(6.0, 7.0), (5.5, 7.0)],
        *[(6.0, 8.0), (5.5, 8.0), (7.0, 8.0)],
        *[(6.0, 9.0), (5.5, 9.0), (7.0, 9.0), (8.0, 9.0)],
    ]


@pytest.mark.parametrize(
    ("contiguity", "after_match", "expected"),
    [
        ("next", "past_last", ["67"]),
        ("next", "to_next", ["67", "57", "78"]),
        ("any", "no_skip", ["67", "57", "68", "58", "78"]),
        ("strict", "past_last", ["57"]),
    ],
)
def test_as_the_page_has_it(contiguity, after_match, expected):
    steps = steps_of(["value"], "a: value > 4.0", "b: value > a.value")
    sequence = Sequence(("value",), steps, 100, contiguity=contiguity, after_match=after_match)
    samples = [Sample("x", time, value) for time, value in enumerate([6.0, 5.0, 7.0, 8.0])]
    events = found(Program("page", each, sequence), at_once(samples))
    assert [f"{event.attributes['a']['value']:.0f}{event.value:.0f}" for event in events] == expected


def test_an_order_without_an_answer_before_the_next():
    """A sample is one of the inputs that a condition names: what another one still holds is no sample."""
    steps = steps_of(["order", "feedback"], "a: order > 0.5", "!c: feedback > 0.5", "b: order < 0.5")
    sequence = Sequence(("order", "feedback"), steps, 100)
    samples = [
        Sample("P.order", 0, 1.0),
        Sample("P.feedback", 3, 1.0),
        Sample("P.order", 10, 0.0),
        Sample("P.order", 20, 1.0),
        Sample("P.feedback", 25, 0.0),
        Sample("P.order", 30, 0.0),
    ]
    events = found(Program("unanswered", pairs, sequence), at_once(samples))
    assert [(event.key, event.time) for event in events] == [("P", 30)]


@pytest.mark.parametrize("size", [1, 7, 100])
def test_too_many_partial_matches_are_told(size):
    steps = steps_of(["value"], "a: value > 0.5", "b: value < 0.5")
    sequence = Sequence(("value",), steps, 10**6, after_match="no_skip", most=10)
    samples = [Sample("x", time, 1.0) for time in range(25)]
    samples += [Sample("x", 30, 0.0), *(Sample("x", 31 + time, 1.0) for time in range(11)), Sample("x", 50, 0.0)]
    parts = [samples[place : place + size] for place in range(0, len(samples), size)]
    program = Program("many", each, sequence)
    events = found(program, [Arrival(part, [one.time for one in part], part[-1].time, True) for part in parts])
    assert [event.time for event in events if event.kind == OVERFLOW] == [10, 41]
    matches = [event for event in events if event.kind == "happened"]
    assert [event.time for event in matches] == [30] * 10 + [50] * 10
    assert matches[0].attributes["a"]["time"] == "1970-01-01T00:00:00.000000015Z"
