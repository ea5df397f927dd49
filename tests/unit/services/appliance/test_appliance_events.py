"""Samples as events: severities, gaps that become fields of what comes next, and kinds."""

import itertools
import math

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from archiver.model import Kind, SampleBatch, Status
from archiver.model.alarm import COMM, DISABLE, INVALID, UDF, alarm_of, status_of
from archiver.model.status import is_bad
from services.appliance.events import LOST, REGAINED, EventReader

S = 10**9


def read(*batches):
    reader = EventReader()
    return [event for batch in batches for event in reader.read(batch)]


def batch(rows, kind=Kind.FLOAT):
    times, values, status = zip(*rows, strict=True)
    column = pa.array(values, kind.arrow_type)
    bits = np.array([int(bit) for bit in status], np.uint64)
    return SampleBatch.from_columns("A", [time * S for time in times], column, status=bits, kind=kind)


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 31)), min_size=1))
def test_severity_and_alarm_status_are_kept_in_the_status(pairs):
    severities, alarms = zip(*pairs, strict=True)
    status = status_of(severities, alarms)
    severity, alarm = alarm_of(status)
    assert severity.tolist() == list(severities)
    assert alarm.tolist() == [number if grade else 0 for grade, number in pairs]
    assert is_bad(status).tolist() == [grade == INVALID for grade in severities]


@pytest.mark.parametrize(
    ("status", "wanted"),
    [
        (Status.ACTIVE, (0, 0)),
        (1 << 51, (0, 0)),  # a user bit of somebody else
        (Status.AUT_INV, (INVALID, UDF)),
        (Status.OUT_PRANGE, (INVALID, UDF)),
        (Status.AUT_INV | Status.AUT_DEFAULT, (0, 0)),
        (Status.DISCONNECTED, (INVALID, COMM)),
        (Status.PAUSED, (INVALID, DISABLE)),
        (Status.UNCHANGED, (0, 0)),
    ],
)
def test_what_other_systems_say_has_a_severity(status, wanted):
    severity, alarm = alarm_of(np.array([int(status)], np.uint64))
    assert (severity[0], alarm[0]) == wanted


def test_samples_without_a_gap_are_passed_on_as_they_are():
    (event,) = read(batch([(1, 1.0, 0), (2, 2.0, 0)]))
    assert (event.kind, event.fields) == (Kind.FLOAT, {})
    assert event.value.to_pylist() == [1.0, 2.0]


def test_a_gap_becomes_fields_of_the_next_sample():
    rows = [(1, 1.0, 0), (2, None, Status.DISCONNECTED), (3, None, Status.PAUSED), (5, 5.0, 0), (6, 6.0, 0)]
    (event,) = read(batch(rows))
    assert event.time.tolist() == [1 * S, 5 * S, 6 * S]
    assert event.fields[LOST].to_pylist() == [None, "2", None]
    assert event.fields[REGAINED].to_pylist() == [None, "5", None]
    assert event.reconnected().tolist() == [False, True, False]


@given(st.lists(st.booleans(), min_size=1, max_size=20), st.lists(st.integers(0, 20), max_size=4))
def test_gaps_are_the_same_in_whatever_batches(gaps, edges):
    rows = [(i, None, Status.DISCONNECTED) if gap else (i, float(i), 0) for i, gap in enumerate(gaps)]
    bounds = sorted({0, len(rows), *(edge % (len(rows) + 1) for edge in edges)})
    parts = [batch(rows[start:end]) for start, end in itertools.pairwise(bounds)]
    found = [
        (time // S, lost)
        for event in read(*parts)
        for time, lost in zip(
            event.time.tolist(), event.fields[LOST].to_pylist() if LOST in event.fields else [None] * 99, strict=False
        )
    ]
    wanted, since = [], None
    for i, gap in enumerate(gaps):
        if gap:
            since = i if since is None else since
        else:
            wanted.append((i, None if since is None else str(since)))
            since = None
    assert found == wanted


def test_a_sample_that_has_no_value_is_nan_and_invalid():
    (event,) = read(batch([(1, 1.0, 0), (2, None, 0)]))
    assert math.isnan(event.value[1].as_py())
    assert (event.severity.tolist(), event.status.tolist()) == ([0, INVALID], [0, UDF])


def test_runs_of_a_kind_are_events_of_their_own():
    numbers, texts = batch([(1, 1.0, 0), (2, 2.0, 0)]), batch([(3, "c", 0)], Kind.TEXT)
    assert [event.kind for event in read(SampleBatch.concat([numbers, texts]))] == [Kind.FLOAT, Kind.TEXT]
    states = batch([(1, 3, 0), (2, None, 0)], Kind.INT)
    assert [(event.kind, event.num_rows) for event in read(states)] == [(Kind.INT, 1), (Kind.FLOAT, 1)]


def test_booleans_are_states():
    (event,) = read(batch([(1, True, 0), (2, False, 0)], Kind.BOOL))
    assert (event.kind, event.value.to_pylist()) == (Kind.ENUM, [1, 0])
    (event,) = read(batch([(1, [True, False], 0)], Kind.BOOLS))
    assert (event.kind, event.value.to_pylist()) == (Kind.ENUMS, [[1, 0]])


def test_choosing_rows_keeps_their_fields():
    (event,) = read(batch([(1, None, Status.DISCONNECTED), (2, 2.0, 0), (3, 3.0, 0)]))
    assert event.take(np.array([1, 0])).fields[LOST].to_pylist() == [None, "1"]
    assert event.slice(0, 1).fields[LOST].to_pylist() == ["1"]


@pytest.mark.parametrize(
    ("kind", "value", "number"),
    [
        (Kind.UINT, 2**63, 2.0**63),
        (Kind.ENUM, 3, 3.0),
        (Kind.FLOATS, [2.5, 9.0], 2.5),
        (Kind.INTS, [], math.nan),
    ],
)
def test_values_as_numbers(kind, value, number):
    (event,) = read(batch([(1, value, 0)], kind))
    assert event.numbers().tolist() == pytest.approx([number], nan_ok=True)


def test_text_has_no_numbers():
    (event,) = read(batch([(1, "a", 0)], Kind.TEXT))
    assert event.numbers() is None
