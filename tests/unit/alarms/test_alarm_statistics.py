"""Statistics by hand, and against a reference that looks at one alarm after the other."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analytics.alarms.actions import Signal, Suppress, Unsuppress
from analytics.alarms.alarm import Alarm
from analytics.alarms.classes import DEFAULT_CLASSES
from analytics.alarms.floods import STANDARD, TEN_MINUTES_NS, Bounds, Flood, Watch, floods, watch
from analytics.alarms.life import step
from analytics.alarms.statistics import (
    HOUR_NS,
    TARGETS,
    chattering,
    fleeting,
    floods_by_position,
    most_frequent,
    performance,
    priorities,
    rates,
    standing,
)
from analytics.alarms.transition import SCHEMA, to_table
from analytics.events.event import CAME, GONE, HAPPENED, Event
from archiver.model import Interval
from archiver.model.time import DAY_NS

S = 1_000_000_000
MINUTE = 60 * S
DAY = Interval(0, DAY_NS)
NONE = to_table([])


def lived(spans, name: str = "alert", position: str = "", extra=()):
    """Transitions of alarms that came and went: `spans` are key, came, gone (None: still active, "": no length)."""
    alarms, told = {}, []
    signals = []
    for key, came, gone in spans:
        if gone == "":
            signals.append((came, 0, key, HAPPENED))
            continue
        signals += [(came, 0, key, CAME)] + ([] if gone is None else [(gone, 1, key, GONE)])
    for time, order, key, kind in sorted(signals):
        alarm = alarms.get(key, Alarm("hot", key, DEFAULT_CLASSES[name], position))
        for action in [action for action in extra if action.time < time]:
            alarm, done = step(alarm, action)
            told += done
        extra = [action for action in extra if action.time >= time]
        alarms[key], done = step(alarm, Signal(Event("hot", key, kind, time, order)))
        told += done
    return to_table(told)


def keys(table):
    return table["key"].to_pylist()


def test_rates_count_what_was_shown_in_each_period():
    history = lived([("a", 0, 1), ("a", 9 * MINUTE, None), ("b", 10 * MINUTE, 11 * MINUTE), ("c", 39 * MINUTE, "")])
    found = rates(history, Interval(0, 35 * MINUTE))
    assert found.to_pydict() == {"start": [0, 600 * S, 1200 * S, 1800 * S], "alarms": [2, 1, 0, 0]}
    assert rates(history, Interval(0, HOUR_NS), HOUR_NS)["alarms"].to_pylist() == [4]
    assert rates(NONE, Interval(5, 5)).num_rows == 0


def test_what_came_hidden_counts_when_it_is_shown_and_never_otherwise():
    hidden = lived([("a", 5 * MINUTE, 6 * MINUTE)], extra=[Suppress(1, "stopped")])
    assert rates(hidden, Interval(0, HOUR_NS), HOUR_NS)["alarms"].to_pylist() == [0]
    alarm, told = Alarm("hot", "a", DEFAULT_CLASSES["alert"]), []
    for action in (Suppress(1, "stopped"), Signal(Event("hot", "a", CAME, 2)), Unsuppress(30 * MINUTE)):
        alarm, done = step(alarm, action)
        told += done
    assert rates(to_table(told), Interval(0, 40 * MINUTE))["alarms"].to_pylist() == [0, 0, 0, 1]


def test_a_flood_begins_with_the_eleventh_and_ends_with_less_than_five():
    times = np.arange(11) * 30 * S
    assert floods(times[:10], DAY_NS) == []
    (flood,) = floods(times, DAY_NS)
    assert flood == Flood(300 * S, 6 * 30 * S + TEN_MINUTES_NS, 11, 11)
    assert floods(times, 500 * S) == [Flood(300 * S, None, 11, 11)]
    between = np.append(times, [700 * S, 790 * S])  # keeps the window at five and more for longer
    assert [flood.end for flood in floods(between, DAY_NS)] == [9 * 30 * S + TEN_MINUTES_NS - 30 * S]
    assert floods(np.empty(0, np.int64), DAY_NS) == []


def obvious_floods(times, until, bounds):
    """One instant after the other."""
    found, flood = [], None
    for now in range(until + 1):
        held = sum(now - bounds.window_ns < time <= now for time in times)
        if flood is None and held > bounds.above:
            flood = [now, None, 0, 0]
        if flood is not None:
            flood[3] = max(flood[3], held)
            flood[2] = sum(flood[0] - bounds.window_ns < time <= now for time in times)
            if held < bounds.below:
                found.append(Flood(flood[0], now, *flood[2:4]))
                flood = None
    return found + ([] if flood is None else [Flood(flood[0], None, *flood[2:4])])


TIMES = st.lists(st.integers(0, 60), max_size=40).map(lambda times: np.array(times, np.int64))
SMALL = st.builds(Bounds, st.integers(1, 12), st.just(4), st.integers(1, 4))


@given(TIMES, st.integers(0, 90), SMALL)
def test_floods_are_those_of_looking_at_every_instant(times, until, bounds):
    assert floods(times, until, bounds) == obvious_floods(times.tolist(), until, bounds)


@given(TIMES, st.lists(st.integers(0, 80), max_size=6).map(sorted), SMALL)
def test_watching_tells_the_same_floods_as_they_begin_and_end(times, clocks, bounds):
    state, told = Watch(-1), []
    for clock in [*clocks, 100]:
        before = (state.clock, state.times.tolist())
        new = times[(times > state.clock) & (times <= clock)]
        after, found = watch(state, new, clock, bounds)
        assert (state.clock, state.times.tolist()) == before
        state, told = after, told + found
    whole = floods(times, 100, bounds)
    assert [flood for flood in told if flood.end is not None] == [flood for flood in whole if flood.end is not None]
    assert [flood.start for flood in told if flood.end is None] == [flood.start for flood in whole]
    assert all(time > 100 - bounds.window_ns for time in state.times.tolist()) or whole[-1].end is None


def test_an_alarm_that_is_told_late_counts_from_now_on():
    state, told = watch(Watch(0), np.arange(1, 11) * S, 60 * S)
    assert told == []
    state, told = watch(state, np.array([5 * S]), 61 * S)
    assert told == [Flood(60 * S + 1, None, 11, 11)]
    state, told = watch(state, np.empty(0, np.int64), DAY_NS)
    assert [(flood.start, flood.alarms) for flood in told] == [(60 * S + 1, 11)]
    assert state.times.tolist() == []


def test_floods_are_of_operator_positions():
    spans = [(f"k{number}", number * S, None) for number in range(12)]
    east, west = lived(spans, position="east"), lived(spans[:9], position="west")
    found = floods_by_position(pa.concat_tables([east, west]), Interval(0, HOUR_NS))
    assert [(name, len(some)) for name, some in found.items()] == [("east", 1), ("west", 0)]


def test_standing_is_what_has_been_active_for_longer_than_a_day():
    history = lived([("old", 5, None), ("older", 1, None), ("new", DAY_NS, None), ("over", 2, 3), ("edge", 10, None)])
    found = standing(history, DAY_NS + 10)
    assert keys(found) == ["older", "old"]
    assert (found["since"].to_pylist(), found["for_ns"].to_pylist()) == ([1, 5], [DAY_NS + 9, DAY_NS + 5])
    assert keys(standing(history, 2, 0)) == ["older"]
    assert standing(NONE, 0).num_rows == 0


def test_chattering_comes_three_times_in_less_than_a_minute():
    fast = [("fast", at * S, at * S + 1) for at in (0, 100, 110, 159, 160, 169)]
    slow = [("slow", at * 30 * S, at * 30 * S + 1) for at in range(9)]
    found = chattering(lived([*fast, *slow]), DAY)
    assert found.to_pydict() | {"alarm": 0} == {
        "alarm": 0, "rule": ["hot"], "key": ["fast"], "first": [100 * S], "bursts": [3], "alarms": [6],
    }  # fmt: skip
    assert keys(chattering(lived([*fast, *slow]), DAY, within_ns=MINUTE + 1)) == ["slow", "fast"]
    assert chattering(NONE, DAY).num_rows == 0


def test_fleeting_is_gone_within_seconds():
    history = lived([("a", 0, 5 * S - 1), ("a", 10 * S, 11 * S), ("b", 0, 5 * S), ("c", 0, None), ("d", 3, "")])
    found = fleeting(history, DAY)
    assert (keys(found), found["alarms"].to_pylist(), found["shortest_ns"].to_pylist()) == (["a"], [2], [S])
    assert fleeting(NONE, DAY).num_rows == 0


def test_the_most_frequent_and_their_share():
    history = lived([(key, n * S, n * S + 1) for n, key in enumerate("abacab")])
    found = most_frequent(history, DAY, 2)
    assert (keys(found), found["alarms"].to_pylist()) == (["a", "b"], [3, 2])
    assert found["share"].to_pylist() == [0.5, pytest.approx(1 / 3)]
    assert found["together"].to_pylist() == [0.5, pytest.approx(5 / 6)]
    assert most_frequent(NONE, DAY).num_rows == 0


def test_priorities_are_those_of_what_was_shown():
    low, high = lived([("a", n, None) for n in range(1)], "warning"), lived([("b", 5, None), ("c", 6, None)], "danger")
    found = priorities(pa.concat_tables([low, high]), DAY)
    assert found.to_pylist() == [
        {"alarm_class": "danger", "priority": 80, "alarms": 2, "share": pytest.approx(2 / 3)},
        {"alarm_class": "warning", "priority": 40, "alarms": 1, "share": pytest.approx(1 / 3)},
    ]


def test_the_figures_of_a_day():
    busy = [(f"k{n}", n * S, n * S + 10 * S) for n in range(12)]
    found = performance(lived([*busy, ("long", 20 * MINUTE, None)]), Interval(0, 2 * DAY_NS))
    assert found == {
        "alarms": 13, "per_day": 6.5, "per_hour": pytest.approx(13 / 48), "per_10_minutes": pytest.approx(13 / 288),
        "most_in_10_minutes": 12, "hours_over_30": 0.0, "periods_over_10": pytest.approx(1 / 288),
        "floods": 1, "flooded": pytest.approx(597 * S / (2 * DAY_NS)), "top_10": pytest.approx(10 / 13),
        "chattering": 0, "fleeting": 0, "standing": 1,
    }  # fmt: skip
    assert TARGETS.keys() <= found.keys()
    assert performance(NONE, DAY) == dict.fromkeys(found, 0)
    assert Bounds(TEN_MINUTES_NS, 10, 5) == STANDARD


SPANS = st.lists(
    st.tuples(st.sampled_from("abc"), st.integers(0, 200), st.integers(1, 20)),
    max_size=40,
    unique_by=lambda one: one[1],
)


def in_turn(drawn):
    """Spans of one alarm that do not overlap."""
    end, spans = Counter(), []
    for key, came, length in sorted(drawn, key=lambda one: one[1]):
        if came > end[key]:
            spans.append((key, came * S, (came + length) * S))
            end[key] = came + length
    return spans


@given(SPANS.map(in_turn), st.integers(0, 60), st.integers(2, 4), st.integers(1, 60))
def test_columns_say_what_one_alarm_after_the_other_says(spans, start, times, within):
    history, interval = lived(spans), Interval(start * S, 150 * S)
    inside = [span for span in spans if span[1] in interval]
    counts = Counter(key for key, *_ in inside)
    assert dict(zip(keys(most_frequent(history, interval)), counts.values(), strict=False)).keys() == counts.keys()
    assert sum(rates(history, interval, 7 * S)["alarms"].to_pylist()) == len(inside)
    bursts = Counter()
    for key in counts:
        own = [came for name, came, _ in inside if name == key]
        bursts[key] = sum(sum(now - within * S < came <= now for came in own) >= times for now in own)
    found = chattering(history, interval, times, within * S)
    assert dict(zip(keys(found), found["bursts"].to_pylist(), strict=True)) == {k: n for k, n in bursts.items() if n}
    short = Counter(key for key, came, gone in inside if gone - came < 5 * S)
    found = fleeting(history, interval)
    assert dict(zip(keys(found), found["alarms"].to_pylist(), strict=True)) == short
    open_at = [(key, came) for key, came, gone in spans if came <= 100 * S < gone and 100 * S - came > 3 * S]
    found = standing(history, 100 * S, 3 * S)
    assert sorted(zip(keys(found), found["since"].to_pylist(), strict=True)) == sorted(open_at)


def test_history_is_columns_named_as_the_fields():
    assert NONE.schema.equals(SCHEMA)
