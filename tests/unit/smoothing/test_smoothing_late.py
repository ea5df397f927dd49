"""Late samples are judged by their archived neighbours, so that a resend leaves the archive as it is."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from archiver.model import SampleBatch, Smoothing, SmoothingKind, Status
from archiver.smoothing import RULES, Smoother, judge_late

VALUE = Smoothing(SmoothingKind.VALUE, tolerance=1.0)
DOOR = Smoothing(SmoothingKind.SWINGING_DOOR, tolerance=1.0)
ARCHIVED = SampleBatch.from_columns(["a", "a", "b"], [0, 100, 50], [0.0, 10.0, 5.0])


def judged(smoothing: Smoothing, late: SampleBatch, archived: SampleBatch = ARCHIVED) -> list[str]:
    discard, rule = judge_late(smoothing, late, archived)
    return [RULES[r] if d else "stored" for d, r in zip(discard.tolist(), rule.tolist(), strict=True)]


def test_a_step_kind_goes_on_from_the_archived_sample_before():
    times, values = [50, 60, 70, 150, 60, 40, 5], [0.9, 1.1, 1.9, 9.5, 5.0, 5.0, 1.0]
    late = SampleBatch.from_columns(["a", "a", "a", "a", "b", "b", "c"], times, values)
    assert judged(VALUE, late) == ["value", "stored", "value", "value", "value", "stored", "stored"]


def test_the_door_goes_on_from_one_neighbour_to_the_other():
    late = SampleBatch.from_columns(["a", "a", "b"], [50, 150, 60], [5.9, 10.0, 5.0])
    assert judged(DOOR, late) == ["swinging_door", "stored", "stored"]
    assert judged(DOOR, SampleBatch.from_columns("a", [50], [6.1])) == ["stored"]


@pytest.mark.parametrize("smoothing", [Smoothing(SmoothingKind.VALUE, tolerance=0.5), DOOR])
def test_an_edge_that_comes_late_keeps_both_its_sides(smoothing: Smoothing):
    archived = SampleBatch.from_columns("a", [0, 100], [0.0, 5.0])
    late = SampleBatch.from_columns("a", [30, 10, 20], [0.1, 10.0, 0.2])
    kept = [fate == "stored" for fate in judged(smoothing, late, archived)]
    assert kept[1:] == [True, True]


@pytest.mark.parametrize("smoothing", [VALUE, DOOR])
def test_a_sample_at_the_time_of_an_archived_one_is_left_to_the_backend(smoothing: Smoothing):
    assert judged(smoothing, SampleBatch.from_columns("a", [0, 100], [0.0, 10.5])) == ["stored", "stored"]


@pytest.mark.parametrize("smoothing", [VALUE, DOOR])
def test_another_status_or_no_number_is_stored(smoothing: Smoothing):
    odd = SampleBatch.from_columns("a", [50], [5.0 if smoothing is DOOR else 0.0], status=int(Status.OUT_RANGE))
    assert judged(smoothing, odd) == ["stored"]
    assert judged(smoothing, SampleBatch.from_columns("a", [50, 51], [float("nan"), None])) == ["stored", "stored"]


def test_nothing_archived_nothing_discarded():
    assert judged(VALUE, SampleBatch.from_columns("a", [1], [1.0]), SampleBatch.empty()) == ["stored"]


@pytest.mark.parametrize(
    "smoothing",
    [
        VALUE,
        DOOR,
        Smoothing(SmoothingKind.OLD_NEW),
        Smoothing(SmoothingKind.TIME, min_interval_ns=3),
        Smoothing(SmoothingKind.VALUE_RELATIVE, tolerance=20.0, heartbeat_ns=7),
    ],
    ids=lambda s: s.kind,
)
@given(data=st.data())
def test_what_is_sent_again_ends_as_it_did_before(smoothing: Smoothing, data: st.DataObject):
    values = data.draw(st.lists(st.integers(-40, 40).map(lambda n: n / 10), min_size=2, max_size=40))
    names = [data.draw(st.sampled_from("ab")) for _ in values]
    batch = SampleBatch.from_columns(names, np.arange(len(values)) * 2, values)
    smoother = Smoother(smoothing)
    stored = smoother.apply(batch).stored
    held = smoother.held()
    again = smoother.apply(batch)
    late = again.stored.filter(again.late)
    assert late.num_rows == again.stored.num_rows
    archived = SampleBatch.concat([stored, held])
    discard, _ = judge_late(smoothing, late, archived)
    kept = {(row[0], row[1]) for row in late.filter(~discard).to_pylist()}
    assert kept == {(row[0], row[1]) for row in archived.to_pylist()}
