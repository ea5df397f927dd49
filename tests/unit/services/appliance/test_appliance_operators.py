"""Operators: the numbers that plain Python makes, whatever batches samples come in; and what is wrong elsewhere."""

import math
import statistics
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from archiver.model import Kind, LimitError, NotFoundError
from services.appliance.events import LOST, REGAINED, Events
from services.appliance.operators import operator_of
from services.appliance.operators import whole as whole_module
from services.appliance.operators.figures import FIGURES, WHOLE

S = 10**9
VALUES = st.floats(-1e6, 1e6) | st.just(math.nan)
ROWS = st.lists(st.tuples(st.integers(-30, 199), VALUES, st.integers(0, 3)), min_size=1, max_size=40)


def events(rows, kind=Kind.FLOAT, **fields):
    times, values, severities = zip(*rows, strict=True)
    seconds = np.array([round(time * S) for time in times], np.int64)
    severity = np.array(severities, np.uint8)
    return Events(kind, seconds, pa.array(values, kind.arrow_type), severity, np.zeros(len(rows), np.uint8), fields)


def cut(part, edges):
    bounds = sorted({0, part.num_rows, *(edge % (part.num_rows + 1) for edge in edges)})
    return [part.slice(start, end) for start, end in pairwise(bounds)]


def run(text, parts, start=0, end=200):
    """Return (seconds, value, severity) of each sample that an operator gives."""
    given_events = operator_of(text).run(iter(parts), start * S, end * S)
    return [
        (time / S, value, severity)
        for part in given_events
        for time, value, severity in zip(
            part.time.tolist(), part.value.to_pylist(), part.severity.tolist(), strict=True
        )
    ]


def usable(rows):
    """Samples in order, one per time, of which at most one lies before the start."""
    by_time = dict(sorted((time, (time, value, severity)) for time, value, severity in rows))
    before = [row for time, row in by_time.items() if time < 0][-1:]
    return before + [row for time, row in by_time.items() if time >= 0]


def bins_of(rows, seconds):
    bins = {}
    for time, value, severity in rows:
        bins.setdefault(-1 if time < 0 else time // seconds, []).append((time, value, severity))
    return bins


def mean(values):
    return math.fsum(values) / len(values) if values else math.nan


def variance(values):
    if not values:
        return math.nan
    return statistics.variance(values) if len(values) > 1 else 0.0


PLAIN = {
    "mean": mean,
    "min": lambda values: min(values, default=math.nan),
    "max": lambda values: max(values, default=math.nan),
    "count": len,
    "std": lambda values: math.sqrt(variance(values)) if values else math.nan,
    "variance": variance,
    "popvariance": lambda values: statistics.pvariance(values) if values else math.nan,
    "median": lambda values: statistics.median(values) if values else math.nan,
    "errorbar": mean,
}


@pytest.mark.parametrize("name", PLAIN)
@given(ROWS, st.lists(st.integers(0, 40), max_size=4), st.sampled_from([7, 60]))
def test_a_figure_is_that_of_the_samples_in_its_bin(name, rows, edges, seconds):
    rows = usable(rows)
    found = run(f"{name}Sample_{seconds}", cut(events(rows), edges))
    bins = bins_of(rows, seconds)
    half = 0.5 if seconds % 2 else 0
    assert [time for time, _, _ in found] == [number * seconds + seconds // 2 + half for number in bins]
    for (_, value, severity), samples in zip(found, bins.values(), strict=True):
        wanted = PLAIN[name]([value for _, value, _ in samples if not math.isnan(value)])
        scale = max((abs(value) for _, value, _ in samples if not math.isnan(value)), default=0)
        tolerance = scale * scale if "variance" in name else scale
        assert value == pytest.approx(wanted, rel=1e-9, abs=1e-7 * max(1, tolerance), nan_ok=True)
        assert severity == max(severity for *_, severity in samples)


@pytest.mark.parametrize("name", [*FIGURES, *WHOLE, "firstFill", "lastFill", "optimized", "nth", "deadBand", "flyers"])
@given(ROWS, st.lists(st.integers(0, 40), max_size=4))
def test_batches_make_no_difference(name, rows, edges):
    rows = usable(rows)
    whole, parts = run(f"{name}_7", [events(rows)]), run(f"{name}_7", cut(events(rows), edges))
    assert [row[::2] for row in parts] == [row[::2] for row in whole]
    for (_, a, _), (_, b, _) in zip(whole, parts, strict=True):
        pairs = zip(a, b, strict=True) if isinstance(a, list) else [(a, b)]
        for one, other in pairs:
            assert one == pytest.approx(other, rel=1e-6, abs=1e-3, nan_ok=True)


@given(ROWS)
def test_filled_bins_have_no_gap_and_end_with_the_end(rows):
    rows = usable(rows)
    found = run("mean_7", [events(rows)])
    times = [time for time, _, _ in found]
    first = -1 if rows[0][0] < 0 else rows[0][0] // 7
    assert times == [number * 7 + 3.5 for number in range(first, 200 // 7 + 1)]
    filled = bins_of(rows, 7)
    for number, ((_, before, severity_before), (_, value, severity)) in enumerate(pairwise(found), first + 1):
        if number not in filled:
            assert (value, severity) == (pytest.approx(before, nan_ok=True), severity_before)


def test_a_count_of_nothing_is_0():
    found = run("count_60", [events([(10, 1.0, 2), (130, 1.0, 1)])])
    assert [(value, severity) for _, value, severity in found] == [(1.0, 2), (0.0, 0), (1.0, 1), (0.0, 0)]


# -- optimized --------------------------------------------------------------------------------------


def test_optimized_says_what_held_in_bins_without_samples():
    """Issue 111 of the appliance: there the mean of the bin before is repeated, its count as well."""
    rows = [(time, 40.0 - time, 1 if time == 2 else 0) for time in range(36)]
    found = run("optimized_5", [events(rows)])
    assert [time for time, _, _ in found] == [20, 60, 100, 140, 180, 220]
    assert found[0][1] == pytest.approx([22.5, statistics.stdev(range(36)), 5.0, 40.0, 36.0])
    assert found[0][2] == 1
    assert [(value, severity) for _, value, severity in found[1:]] == [([5.0, 0.0, 5.0, 5.0, 0.0], 0)] * 5


@given(ROWS, st.integers(1, 12), st.lists(st.integers(0, 40), max_size=4))
def test_optimized_is_in_order_and_says_nothing_twice(rows, points, edges):
    """Issue 324 of the appliance: there the sample before the start comes again, and anywhere."""
    rows = usable(rows)
    found = run(f"optimized_{points}", cut(events(rows), edges))
    times = [time for time, _, _ in found]
    assert times == sorted(set(times))
    if len(rows) <= points:
        assert times == [time for time, _, _ in rows]
    else:
        known = sum(not math.isnan(value) for _, value, _ in rows)
        assert sum(value[4] for _, value, _ in found) == known


def test_optimized_with_the_last_sample_has_it_as_sixth_value():
    rows = [(time, float(time), 0) for time in range(60)]
    found = run("optimLastSample_2", [events(rows)])
    assert [value[5] for _, value, _ in found] == [59.0, 59.0, 59.0]
    assert [value[4] for _, value, _ in found] == [60.0, 0.0, 0.0]


def test_optimized_of_few_texts_gives_them_and_of_many_nothing():
    rows = [(time, str(time), 0) for time in range(5)]
    assert [value for _, value, _ in run("optimized_5", [events(rows, Kind.TEXT)])] == list("01234")
    assert run("optimized_4", [events(rows, Kind.TEXT)]) == []


# -- those that choose ------------------------------------------------------------------------------


@given(ROWS, st.lists(st.integers(0, 40), max_size=4))
def test_the_first_and_the_last_of_each_bin(rows, edges):
    rows = usable(rows)
    bins = bins_of(rows, 7).values()
    for name, place in (("firstSample", 0), ("lastSample", -1)):
        found = run(f"{name}_7", cut(events(rows), edges))
        assert [time for time, _, _ in found] == [samples[place][0] for samples in bins]


def test_held_samples_keep_their_kind_and_severity():
    rows = [(3, "a", 1), (70, "b", 2)]
    found = run("lastFill_60", [events(rows, Kind.TEXT)])
    assert found == [(30.0, "a", 1), (90.0, "b", 2), (150.0, "b", 2), (210.0, "b", 2)]


def test_every_nth_from_the_start_on():
    rows = [(time, float(time), 0) for time in range(-1, 10)]
    for edges in ([], [1, 2, 3], [4, 5, 9]):
        assert [value for _, value, _ in run("nth_4", cut(events(rows), edges))] == [0.0, 4.0, 8.0]
    assert run("ncount", cut(events(rows), [3])) == [(0.0, 10, 0)]


def test_the_dead_band_is_around_the_sample_that_was_given_last():
    rows = [(0, 1.0, 0), (1, 1.5, 0), (2, 2.0, 0), (3, 2.6, 0), (4, 2.7, 1), (5, 2.7, 0), (6, math.nan, 0), (7, 2.7, 0)]
    for edges in ([], [2, 4], [1, 3, 5]):
        found = run("deadBand_1.0", cut(events(rows), edges))
        assert [time for time, _, _ in found] == [0, 3, 4, 5, 6, 7]


def test_a_regained_connection_is_always_given_and_marks_its_bin():
    fields = {name: pa.array([None, None, "5"], pa.utf8()) for name in (LOST, REGAINED)}
    part = events([(0, 1.0, 0), (1, 1.0, 0), (2, 1.0, 0)], **fields)
    assert [time for time, _, _ in run("deadBand", [part])] == [0, 2]
    (figures,) = operator_of("meanSample_60").run(iter([part]), 0, 100 * S)
    assert figures.fields["connectionChange"].to_pylist() == ["true"]
    dense = next(operator_of("mean_60").run(iter([part]), 0, 100 * S))
    assert dense.fields["connectionChange"].to_pylist() == ["true", None]


def test_flyers_are_far_from_the_mean_of_their_bin():
    rows = [(time, 100.0 if time == 31 else 1.0 + time % 2, 0) for time in range(60)]
    assert [time for time, _, _ in run("flyers_60", cut(events(rows), [9, 33]))] == [31]
    assert len(run("ignoreflyers_60", cut(events(rows), [9, 33]))) == 59
    assert run("flyers_60_20", [events(rows)]) == []


def test_a_plot_by_bins_has_first_least_greatest_and_last():
    rows = [(0, 5.0, 0), (10, 1.0, 2), (20, 9.0, 0), (30, 6.0, 0), (61, 4.0, 0), (70, 3.0, 0), (130, 8.0, 1)]
    found = run("caplotbinning_60", cut(events(rows), [2, 5]))
    assert found[:4] == [(0, 5.0, 2), (15, 1.0, 2), (30, 9.0, 2), (45, 6.0, 2)]
    assert found[4:] == [(61, 4.0, 0), (70, 3.0, 0), (130, 8.0, 1)]


# -- those over a whole bin -------------------------------------------------------------------------


def test_linear_is_on_the_line_at_the_middle_or_the_first():
    assert run("linearSample_60", [events([(20, 10.0, 0), (40, 30.0, 0)])]) == [(30.0, 20.0, 0)]
    assert run("linearSample_60", [events([(2, 7.0, 0), (4, 30.0, 0)])]) == [(30.0, 7.0, 0)]


def test_loess_follows_a_line_and_passes_over_a_flyer():
    line = [(float(time), 2.0 * time + 1, 0) for time in range(60)]
    assert run("loessSample_60", [events(line)])[0][1] == pytest.approx(61.0)
    line[28] = (28.0, 1e6, 0)
    assert run("loessSample_60", [events(line)])[0][1] == pytest.approx(61.0, abs=5)


def test_skewness_and_kurtosis():
    values = [1.0, 2.0, 3.0, 4.0, 10.0]  # as a spreadsheet says
    rows = [(time, value, 0) for time, value in enumerate(values)]
    assert run("skewnessSample_60", [events(rows)])[0][1] == pytest.approx(1.697056, abs=1e-6)
    assert run("kurtosisSample_60", [events(rows)])[0][1] == pytest.approx(3.152, abs=1e-6)
    assert math.isnan(run("skewnessSample_60", [events(rows[:2])])[0][1])
    assert math.isnan(run("kurtosisSample_60", [events(rows[:3])])[0][1])


def test_arrays_count_by_their_first_item_and_text_not_at_all():
    waves = events([(0, [1.0, 9.0], 0), (1, [3.0], 0), (2, [], 0)], Kind.FLOATS)
    assert run("meanSample_60", [waves]) == [(30.0, 2.0, 0)]
    assert run("mean_60", [events([(0, "a", 0)], Kind.TEXT)]) == []


# -- names and bounds -------------------------------------------------------------------------------


@pytest.mark.parametrize("text", ["mean_abc", "mean_60.5", "mean_0", "mean_-5", "nth_x", "deadBand_x", "optimized_0"])
def test_a_bad_argument_is_not_found(text):
    with pytest.raises(NotFoundError, match="argument"):
        operator_of(text).run(iter(()), 0, S)


@pytest.mark.parametrize("text", ["bogus", "bogus_60", "rms", "Sample", "", "firstFillX"])
def test_there_is_no_such_operator(text):
    assert operator_of(text) is None


def test_too_many_bins_are_refused():
    with pytest.raises(LimitError, match="longer bins"):
        operator_of("mean_1").run(iter(()), 0, 10**8 * S)  # at once, before anything is read
    with pytest.raises(LimitError, match="fewer"):
        operator_of("optimized_20000000").run(iter(()), 0, S)


def test_a_bin_that_does_not_fit_is_refused(monkeypatch):
    monkeypatch.setattr(whole_module, "MOST_ROWS", 10)
    rows = [(time, 1.0, 0) for time in range(60)]
    with pytest.raises(LimitError, match="at once"):
        run("median_60", cut(events(rows), [5, 20]))
    assert run("meanSample_60", cut(events(rows), [5, 20])) == [(30.0, 1.0, 0)]
