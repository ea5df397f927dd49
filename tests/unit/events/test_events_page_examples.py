"""The example rules of the page, on samples of which one knows what is to be found."""

import math
import re
import tomllib
from pathlib import Path

import numpy as np
import pytest

from analytics.checks.events.driver import Arrival, Sample, found
from analytics.events.rules.loading import parse
from analytics.events.rules.programs import program_of
from archiver.model import Status

PAGE = (Path(__file__).parents[3] / "docs/reference/rules.md").read_text()
RULES = {
    rule.name: rule
    for block in re.findall(r"```toml\n(\[\[rules\]\].*?)```", PAGE, re.S)
    for rule in parse(tomllib.loads(block))
}
SECOND = 1_000_000_000
MINUTE = 60 * SECOND


def run(name, samples):
    """The events of a rule of the page, its samples coming a few at a time as they are made."""
    samples = sorted(samples, key=lambda sample: sample.time)
    parts = [samples[place : place + 7] for place in range(0, len(samples), 7)]
    return found(program_of(RULES[name]), [Arrival(part, [one.time for one in part], part[-1].time) for part in parts])


def test_each_minute_the_mean_of_five():
    samples = [Sample("plant:COOLING:T1", 20 * SECOND * place, float(place * place % 17)) for place in range(36)]
    events = run("five-minutes", samples)
    assert [event.time // MINUTE for event in events] == list(range(1, 17))
    for event in events:
        window = [sample.value for sample in samples if event.time - 5 * MINUTE <= sample.time < event.time]
        assert event.value == pytest.approx(np.mean(window), rel=1e-12)
        assert event.attributes["samples"] == len(window)


def test_a_and_then_a_larger_b():
    pressures = [1e-7, 2e-6, 1.5e-6, 3e-6, 1e-7, 4e-6, 5e-7, 5e-6]
    times = [0, 1, 2, 3, 4, 20, 21, 31]  # the last but two and the last are 11 minutes apart
    samples = [
        Sample("plant:VACUUM:PRESSURE", minute * MINUTE, value) for minute, value in zip(times, pressures, strict=True)
    ]
    (event,) = run("two-jumps", samples)
    assert (event.time, event.value) == (3 * MINUTE, 3e-6)
    assert {name: step["value"] for name, step in event.attributes.items()} == {"a": 2e-6, "b": 3e-6}


@pytest.mark.parametrize(("step_ms", "kinds"), [(100, []), (99, ["came", "gone"])])
def test_more_than_a_hundred_changes_in_ten_seconds(step_ms, kinds):
    """Ten changes a second are a hundred in ten seconds, and no more."""
    samples = [Sample("plant:VALVE1", place * step_ms * SECOND // 1000, float(place % 2)) for place in range(300)]
    assert [event.kind for event in run("chatter", samples)] == kinds


def test_two_of_three_oxygen_sensors():
    def sample(sector, number, second, value, status=0):
        return Sample(f"tunnel:{sector}:OXYGEN{number}", second * SECOND, value, 0, status)

    samples = [sample(sector, number, 0, 20.9) for sector in ("S1", "S2") for number in (1, 2, 3)]
    samples += [
        sample("S1", 1, 10, 19.4),
        sample("S2", 1, 11, 19.5),
        sample("S1", 2, 20, 18.0, int(Status.AUT_INV)),
        sample("S1", 3, 30, 19.0),
        sample("S1", 3, 40, 19.6),  # whether the second one votes is unknown: it stays
        sample("S1", 2, 50, 20.0),
    ]
    events = run("oxygen-vote", samples)
    assert [(event.key, event.kind, event.time // SECOND) for event in events] == [
        ("S1", "came", 30),
        ("S1", "gone", 50),
    ]


def test_a_cryogenic_level_that_oscillates():
    """A swing of 6 % in two minutes turns ten times in ten; ripple of 1 %, and a drift, do not turn."""
    times = np.arange(0, 40 * MINUTE, 5 * SECOND)
    noise = np.random.default_rng(7).uniform(-0.5, 0.5, len(times))
    swings = np.where((times >= 10 * MINUTE) & (times < 25 * MINUTE), 3 * np.sin(times / MINUTE * math.pi), 0)
    level = 60 + times / MINUTE / 10 + noise + swings
    samples = [Sample("cryo:Q1:LEVEL", time, value) for time, value in zip(times.tolist(), level.tolist(), strict=True)]
    came, gone = run("level-swings", samples)
    assert (came.kind, came.value, gone.kind) == ("came", 7.0, "gone")
    assert 10 * MINUTE < came.time < 20 * MINUTE
    assert 25 * MINUTE < gone.time < 35 * MINUTE
