"""What each kind stores, case by case; the properties are in tests/property."""

import math

import numpy as np
import pyarrow as pa
import pytest

from archiver.model import Kind, SampleBatch, Smoothing, SmoothingKind, Status
from archiver.smoothing import RULES, Smoother

K = SmoothingKind


def smoothed(rule, values, times=None, **columns):
    """Return the row numbers stored and held, and the rule by row number discarded."""
    count = len(values)
    times = np.arange(count) if times is None else times
    batch = SampleBatch.from_columns("a", times, values, receive_time=np.arange(count), **columns)
    smoother = Smoother(rule)
    result = smoother.apply(batch)
    stored = result.stored.receive_time.tolist() + smoother.held().receive_time.tolist()
    rules = [RULES[rule] for rule in result.rule.tolist()]
    return sorted(stored), dict(zip(result.discarded.receive_time.tolist(), rules, strict=True))


# reference 100.0 at 0; soon and close, soon and far, late and close, late and far
EXPECTED = {
    K.OLD_NEW: ("", "", "", ""),
    K.VALUE: ("value", "", "value", ""),
    K.VALUE_RELATIVE: ("value_relative", "", "value_relative", ""),
    K.TIME: ("time", "time", "", ""),
    K.TIME_AND_VALUE: ("time_and_value", "", "", ""),
    K.TIME_OR_VALUE: ("time_or_value", "time", "value", ""),
    K.TIME_AND_VALUE_RELATIVE: ("time_and_value_relative", "", "", ""),
    K.TIME_OR_VALUE_RELATIVE: ("time_or_value_relative", "time", "value_relative", ""),
}


@pytest.mark.parametrize("kind", EXPECTED)
def test_the_table_of_conditions(kind):
    rule = Smoothing(kind, 1.0, min_interval_ns=10)
    cases = [(5, 100.5), (5, 103.0), (10, 100.5), (10, 103.0)]
    found = tuple(smoothed(rule, [100.0, value], [0, time])[1].get(1, "") for time, value in cases)
    assert found == EXPECTED[kind]


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        (K.OLD_NEW, ("old_new", "", "old_new", "")),
        (K.OLD_NEW_AND_TIME, ("old_new_and_time", "", "", "")),
        (K.OLD_NEW_OR_TIME, ("old_new_or_time", "time", "old_new", "")),
    ],
)
@pytest.mark.parametrize(
    ("value_kind", "same", "other"),
    [
        (Kind.FLOAT, 1.0, 1.0 + 2**-52),
        (Kind.INT, 2**63 - 1, 2**63 - 2),
        (Kind.UINT, 2**64 - 1, 2**64 - 2),
        (Kind.BOOL, True, False),
        (Kind.ENUM, 1, 2),
        (Kind.TEXT, "a", "b"),
        (Kind.BINARY, b"a", b""),
        (Kind.FLOATS, [1.0, 2.0], [1.0, 2.5]),
        (Kind.BOOLS, [True], [True, False]),
        (Kind.TEXTS, ["ab", ""], ["a", "b"]),
    ],
)
def test_old_new_of_every_kind_of_value(kind, expected, value_kind, same, other):
    rule = Smoothing(kind, min_interval_ns=10)
    cases = [(5, same), (5, other), (10, same), (10, other)]
    found = tuple(
        smoothed(rule, pa.array([same, value], value_kind.arrow_type), [0, time], kind=value_kind)[1].get(1, "")
        for time, value in cases
    )
    assert found == expected


@pytest.mark.parametrize("kind", [K.VALUE, K.VALUE_RELATIVE, K.SWINGING_DOOR])
def test_a_tolerance_does_not_apply_to_states_and_texts(kind):
    rule = Smoothing(kind, 1000.0)
    assert smoothed(rule, [1, 1, 2, 2], kind=Kind.ENUM)[0] == [0, 2]
    assert smoothed(rule, [True, True, False])[0] == [0, 2]
    assert smoothed(rule, ["a", "a", "b"])[0] == [0, 1, 2]
    assert smoothed(rule, pa.array([[1.0], [1.0]]))[0] == [0, 1]


def test_differences_of_integers_are_exact():
    top = 2**63 - 1
    assert smoothed(Smoothing(K.VALUE, 2.0), [top, top - 2, top - 3], kind=Kind.INT)[0] == [0, 2]
    assert smoothed(Smoothing(K.VALUE, 1e19), [top, -top - 1], kind=Kind.INT)[0] == [0, 1]
    assert smoothed(Smoothing(K.VALUE, 2.0**64), [top, -top - 1], kind=Kind.INT)[0] == [0]
    assert smoothed(Smoothing(K.VALUE, 1.5), pa.array([0, 1, 2], pa.uint64()))[0] == [0, 2]


def test_a_relative_tolerance_is_of_the_last_archived_value():
    rule = Smoothing(K.VALUE_RELATIVE, 10.0)
    assert smoothed(rule, [100.0, 110.0, 111.0, 100.0, 99.0])[0] == [0, 2, 4]
    assert smoothed(rule, [-100, -110, -111])[0] == [0, 2]
    assert smoothed(rule, [0.0, 1e-300, 0.0])[0] == [0, 1, 2]


@pytest.mark.parametrize("kind", [k for k in K if k is not K.NONE])
def test_null_nan_and_infinity_are_states_of_their_own(kind):
    rule = Smoothing(kind, 1e6, min_interval_ns=100)
    values = pa.array([1.0, math.nan, None, math.inf, -math.inf, 1.0], from_pandas=False)
    assert smoothed(rule, values)[0] == [0, 1, 2, 3, 4, 5]
    for value in (math.nan, math.inf, None):
        stored, rules = smoothed(rule, pa.array([1.0, value, value, 1.0], from_pandas=False))
        assert stored == [0, 1, 3]
        assert list(rules) == [2]


@pytest.mark.parametrize("kind", [k for k in K if k is not K.NONE])
def test_status_changes_pass_as_the_mask_says_and_gaps_always(kind):
    rule = Smoothing(kind, 1e6, min_interval_ns=100, status_mask=1)
    status = [0, 2, 3, 3, 2, 2 | Status.DISCONNECTED, 2 | Status.PAUSED, 2, 2]
    stored, _ = smoothed(rule, [1.0] * 9, status=np.array(status, np.uint64))
    assert stored == [0, 2, 4, 5, 6, 7]


def test_what_the_door_holds_before_a_status_change_is_stored_as_well():
    status = np.array([0, 0, 0, 1, 1, 1], np.uint64)
    assert smoothed(Smoothing(K.SWINGING_DOOR, 1.0), [1.0] * 6, status=status)[0] == [0, 2, 3, 5]


def test_a_change_of_kind_is_stored():
    values = {Kind.FLOAT: pa.array([1.0, None, 1.0]), Kind.INT: pa.array([None, 1, None])}
    times = [0, 1, 2]
    batch = SampleBatch.from_columns("a", times, values)
    assert Smoother(Smoothing(K.VALUE, 5.0)).apply(batch).stored.num_rows == 3


@pytest.mark.parametrize("kind", [k for k in K if k is not K.NONE])
def test_the_longest_silence(kind):
    rule = Smoothing(kind, 1e6, min_interval_ns=10**6, heartbeat_ns=10)
    stored, _ = smoothed(rule, [1.0] * 5, [0, 5, 9, 10, 15])
    assert stored == [0, 3]


@pytest.mark.parametrize("kind", [k for k in K if k is not K.NONE])
def test_late_samples_are_stored_and_change_nothing(kind):
    rule = Smoothing(kind, 1.0, min_interval_ns=5)
    plain = Smoother(rule)
    disturbed = Smoother(rule)
    for time, value in [(10, 1.0), (12, 1.1), (20, 1.2), (30, 9.0), (31, 9.1)]:
        sample = SampleBatch.from_columns("a", [time], [value])
        late = SampleBatch.from_columns("a", [time - 3, time, -5], [700.0, 800.0, 900.0])
        assert disturbed.apply(sample).stored == plain.apply(sample).stored
        assert disturbed.apply(late).stored == late
    assert disturbed.dump() == plain.dump()


def test_the_next_of_the_same_time_is_stored_and_becomes_the_reference():
    rule = Smoothing(K.VALUE, 1.0)
    stored, _ = smoothed(rule, [0.0, 0.1, 5.0, 0.2, 5.5], [0, 0, 0, 0, 1], sequence=[0, 1, 2, 1, 0])
    assert stored == [0, 1, 2, 3]


def test_none_gives_the_batch_itself():
    batch = SampleBatch.from_columns("a", [0, 1], [1.0, 1.0])
    result = Smoother(Smoothing()).apply(batch)
    assert result.stored is batch
    assert (result.discarded.num_rows, len(result.rule)) == (0, 0)


def test_the_door_keeps_the_corners():
    values = [0.0, 1.0, 2.0, 3.0, 3.0, 3.0, 3.0, 0.0]
    stored, rules = smoothed(Smoothing(K.SWINGING_DOOR, 0.1), values)
    assert stored == [0, 3, 6, 7]
    assert set(rules.values()) == {"swinging_door"}


def test_the_door_does_not_let_a_curve_creep_away():
    # each step is small, yet from the first to the last the line would miss the middle
    values = [0.1 * i * i for i in range(20)]
    stored, _ = smoothed(Smoothing(K.SWINGING_DOOR, 0.3), values)
    lines = np.interp(np.arange(20), stored, [values[i] for i in stored])
    assert np.abs(lines - values).max() <= 0.3
    assert len(stored) < 12


def test_the_door_with_a_shortest_interval_leaves_out_what_comes_too_soon():
    rule = Smoothing(K.SWINGING_DOOR, 0.1, min_interval_ns=10)
    stored, rules = smoothed(rule, [0.0, 50.0, 0.0, 9.0, 0.0], [0, 5, 20, 25, 40])
    assert stored == [0, 2, 4]
    assert rules == {1: "time", 3: "time"}


def test_columns_that_a_filter_left_behind_change_nothing():
    columns = {Kind.FLOAT: pa.array([1.0, 2.0, None]), Kind.INT: pa.array([None, None, 3])}
    batch = SampleBatch.from_columns(["A", "A", "B"], [1, 2, 3], columns)
    floats = batch.filter(batch.mask_elements(["A"]))
    assert floats.kinds == (Kind.FLOAT, Kind.INT)
    result = Smoother(Smoothing(SmoothingKind.VALUE, 0.5)).apply(floats)
    assert result.stored.values(Kind.FLOAT).to_pylist() == [1.0, 2.0]
