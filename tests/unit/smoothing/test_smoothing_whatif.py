"""What-if: counts, and errors that can be worked out by hand."""

import math

import numpy as np
import pytest

from archiver.model import Kind, SampleBatch, Smoothing, SmoothingKind
from archiver.smoothing.whatif import what_if

VALUE = Smoothing(SmoothingKind.VALUE, tolerance=1.0)
DOOR = Smoothing(SmoothingKind.SWINGING_DOOR, tolerance=1.0)


def test_counts_bytes_and_errors_of_holding_the_last_value():
    batches = [
        SampleBatch.from_columns("a", [0, 1, 2, 3], [0.0, 0.5, 1.0, 2.5]),
        SampleBatch.from_columns("b", [0, 1], [7.0, 7.0]),
    ]
    a, b, total = what_if(batches, [VALUE], bytes_per_sample=10).to_pylist()
    assert (a["element"], a["samples"], a["kept"], a["kept_percent"], a["bytes_saved"]) == ("a", 4, 2, 50.0, 20.0)
    assert a["largest_error"] == 1.0
    assert a["rms_error"] == pytest.approx(math.sqrt((0.5**2 + 1.0**2) / 4))
    assert (b["samples"], b["kept"], b["largest_error"], b["rms_error"]) == (2, 1, 0.0, 0.0)
    assert (total["element"], total["samples"], total["kept"], total["bytes_saved"]) == (None, 6, 3, 30.0)
    assert total["rms_error"] == pytest.approx(math.sqrt((0.5**2 + 1.0**2) / 6))


def test_the_swinging_door_is_measured_against_the_line_over_batches():
    values = [0.0, 1.5, 2.0, 3.0, 4.0]  # the line from 0 to 4: the second is 0.5 above it
    batches = [SampleBatch.from_columns("a", [time], [value]) for time, value in enumerate(values)]
    row, total = what_if(batches, [DOOR]).to_pylist()
    assert (row["samples"], row["kept"], row["largest_error"]) == (5, 2, 0.5)
    assert row["rms_error"] == pytest.approx(math.sqrt(0.25 / 5))
    assert total["largest_error"] == 0.5


@pytest.mark.parametrize(
    "rule", [VALUE, DOOR, Smoothing(SmoothingKind.VALUE, 0.2), Smoothing(SmoothingKind.SWINGING_DOOR, 0.2)]
)
def test_a_noisy_walk_stays_within_the_tolerance_however_it_is_cut(rule):
    random = np.random.default_rng(7)
    time, values = np.arange(3000) * 10**9, np.cumsum(random.normal(0, 0.3, 3000))
    batch = SampleBatch.from_columns(["a", "b", "c"] * 1000, time, values)
    whole = what_if([batch], [rule]).to_pylist()
    parts = what_if([batch.slice(i, 77) for i in range(0, 3000, 77)], [rule]).to_pylist()
    assert [row["kept"] for row in whole] == [row["kept"] for row in parts]
    assert [row["largest_error"] for row in parts] == [row["largest_error"] for row in whole]
    assert 0 < whole[-1]["largest_error"] <= rule.tolerance * (1 + 1e-12)
    assert 0 < whole[-1]["rms_error"] < whole[-1]["largest_error"]
    assert whole[-1]["kept"] < 3000


def test_several_candidates_in_one_pass_over_the_history():
    history = iter([SampleBatch.from_columns("a", [0, 1, 2], [0.0, 0.6, 1.2])])
    table = what_if(history, [Smoothing(), Smoothing(SmoothingKind.VALUE, 0.5), VALUE])
    totals = [row for row in table.to_pylist() if row["element"] is None]
    assert [(row["smoothing"], row["tolerance"], row["kept"]) for row in totals] == [
        ("none", 0.0, 3),
        ("value", 0.5, 3),
        ("value", 1.0, 2),
    ]


def test_integers_beyond_floats_and_values_without_a_distance():
    big = SampleBatch.from_columns("i", [0, 1, 2], [2**63 - 1, 2**63 - 3, -(2**63)], kind=Kind.INT)
    texts = SampleBatch.from_columns("t", [0, 1], ["x", "x"])
    rows = what_if([big, texts], [Smoothing(SmoothingKind.VALUE, 2.0), Smoothing(SmoothingKind.OLD_NEW)]).to_pylist()
    by = {(row["smoothing"], row["element"]): row for row in rows}
    assert (by["value", "i"]["kept"], by["value", "i"]["largest_error"]) == (2, 2.0)
    assert (by["old_new", "t"]["kept"], by["old_new", "t"]["largest_error"], by["old_new", "t"]["rms_error"]) == (
        1,
        None,
        None,
    )


def test_too_soon_before_a_gap_is_measured_against_the_last_value():
    rule = Smoothing(SmoothingKind.SWINGING_DOOR, 1.0, min_interval_ns=10)
    batch = SampleBatch.from_columns("a", [0, 5, 20], [0.0, 3.0, None])
    row = what_if([batch], [rule]).to_pylist()[0]
    assert (row["kept"], row["largest_error"]) == (2, 3.0)


def test_no_history():
    (total,) = what_if([], [VALUE]).to_pylist()
    assert (total["samples"], total["kept"], total["kept_percent"], total["largest_error"]) == (0, 0, 100.0, None)
