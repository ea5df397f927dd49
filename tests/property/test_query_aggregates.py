"""Aggregates against an implementation that is slow and obvious, and whatever the batch boundaries."""

import itertools
import math
import statistics

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from archiver.model import Interval, Kind, SampleBatch, Status, partials, reducing
from archiver.model.grid import Grid
from archiver.model.status import BAD
from archiver.query import aggregate as aggregation
from archiver.query.aggregate import aggregate, end_of_holding
from archiver.query.request import AGGREGATES

S = 1_000_000_000
ELEMENTS = ("a", "b", "c")
values = st.one_of(
    st.floats(-1e6, 1e6).map(lambda v: (Kind.FLOAT, v)),
    st.just((Kind.FLOAT, math.nan)),
    st.integers(-(2**63), 2**63 - 1).map(lambda v: (Kind.INT, v)),
    st.integers(0, 2**64 - 1).map(lambda v: (Kind.UINT, v)),
    st.booleans().map(lambda v: (Kind.BOOL, v)),
    st.sampled_from(["", "x"]).map(lambda v: (Kind.TEXT, v)),
    st.integers(0, 3).map(lambda v: (Kind.ENUM, v)),
    st.just((Kind.NONE, None)),
)
statuses = st.sampled_from(
    [0, 0, 0, int(Status.ACTIVE | Status.UNCHANGED), int(Status.EXP_INV), int(Status.OUT_PRANGE),
     int(Status.DISCONNECTED), int(Status.PAUSED)]
)  # fmt: skip
# times are dense, so that buckets hold several samples and some share an instant
rows = st.tuples(st.sampled_from(ELEMENTS), st.integers(-5, 40), values, statuses)


def batch_of(samples):
    columns = {}
    for row, (_, _, (kind, value), _) in enumerate(samples):
        if kind is not Kind.NONE:
            columns.setdefault(kind, [None] * len(samples))[row] = value
    return SampleBatch.from_columns(
        [name for name, *_ in samples],
        [time for _, time, *_ in samples],
        {kind: pa.array(column, kind.arrow_type) for kind, column in columns.items()},
        status=np.array([status for *_, status in samples], np.uint64),
        sequence=np.arange(len(samples), dtype=np.int32),
    )


def is_good(sample):
    _, _, (kind, value), status = sample
    nothing = kind is Kind.NONE or (kind is Kind.FLOAT and math.isnan(value))
    return not nothing and not status & int(BAD | Status.DISCONNECTED | Status.PAUSED)


def is_number(sample):
    return is_good(sample) and sample[2][0] in (Kind.FLOAT, Kind.INT, Kind.UINT, Kind.BOOL)


def expected_bucket(samples, carry, start, end, until):
    """All aggregates of one bucket of one element; `samples` lie in it, `carry` is the sample before or None."""
    good = [s for s in samples if is_good(s)]
    numbers = [s for s in samples if is_number(s)]
    floats = [float(s[2][1]) for s in numbers]
    held = area = 0
    points = [(start, carry), *((s[1], s) for s in samples)]
    for index, (time, sample) in enumerate(points):
        following = points[index + 1][0] if index + 1 < len(points) else end
        length = max(0, min(following, until) - min(time, until))
        if sample is not None and is_number(sample):
            held += length
            area += float(sample[2][1]) * length
    plain = [s[2][1] if len({n[2][0] for n in numbers}) == 1 else float(s[2][1]) for s in numbers]
    return {
        "count": len(samples),
        "good_count": len(good),
        "min": min(plain, default=None),
        "max": max(plain, default=None),
        "mean": statistics.fmean(floats) if floats else None,
        "std": statistics.stdev(floats) if len(floats) > 1 else None,
        "time_weighted_mean": area / held if held else None,
        "integral": area / S if held else None,
        "first": good[0][2][1] if good else None,
        "last": good[-1][2][1] if good else None,
    }


def expected(samples, interval, bucket, now):
    until = max(min(interval.end, now), interval.start)
    result = []
    for element in ELEMENTS:
        mine = [s for s in samples if s[0] == element and s[1] < interval.end]
        if not mine:
            continue
        first, last = (interval.start, interval.end) if not bucket else (
            interval.start // bucket * bucket, -(-interval.end // bucket) * bucket)  # fmt: skip
        for left in range(first, last, bucket or last - first):
            right = left + (bucket or last - first)
            start = max(left, interval.start)
            inside = [s for s in mine if start <= s[1] < min(right, interval.end)]
            before = [s for s in mine if s[1] < start]
            numbers = expected_bucket(inside, before[-1] if before else None, start, right, until)
            result.append((element, left, right, numbers))
    return result


def results(batches, carry, grid, now, names=AGGREGATES):
    def before(names):
        return carry.filter(carry.mask_elements(names))

    found = []
    until = end_of_holding(grid.interval, now)
    cells = reducing.reduced(iter(batches), ELEMENTS, grid, names, until)
    for buckets in aggregate(cells, before, ELEMENTS, grid, names, until):
        for row in range(buckets.num_rows):
            numbers = {name: column[row].as_py() for name, column in buckets.numbers.items()}
            for name, by_kind in buckets.typed.items():
                set_ = [a[row].as_py() for a in by_kind.values() if a[row].is_valid]
                assert len(set_) <= 1
                numbers[name] = set_[0] if set_ else None
            found.append((buckets.element[row].as_py(), int(buckets.start[row]), int(buckets.end[row]), numbers))
    return found


def split(samples, interval):
    """What is read: the samples of the interval, and the last one before it of each element."""
    inside = batch_of([s for s in samples if s[1] in interval])
    last = {s[0]: s for s in samples if s[1] < interval.start}
    return inside, batch_of([last[name] for name in sorted(last)])


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch):
    monkeypatch.setattr(partials, "BLOCK", 3)
    monkeypatch.setattr(reducing, "FLUSH_ROWS", 5)
    monkeypatch.setattr(aggregation, "_PIECE", 4)


cases = st.tuples(
    st.lists(rows, max_size=30).map(lambda found: sorted(found, key=lambda s: s[:2])),
    st.integers(-3, 20),
    st.integers(1, 20),
    st.sampled_from([0, 1, 3, 7, 50]),
    st.sampled_from([-10, 12, 10**6]),
)


NAN = ("a", 0, (Kind.FLOAT, math.nan), 0)


@given(cases)
@example(([("a", 0, (Kind.FLOAT, 0.0), 0), NAN], 0, 1, 0, -10))
@example(([("a", 0, (Kind.INT, 2**63 - 1), 0), ("a", 1, (Kind.INT, 2**63 - 2), 0), NAN], 0, 5, 0, 12))
def test_query_aggregates_are_those_of_the_definition(case):
    samples, start, length, bucket, now = case
    interval = Interval(start, start + length)
    inside, carry = split(samples, interval)
    found = results([inside] if inside.num_rows else [], carry, Grid(interval, bucket), now)
    wanted = expected(samples, interval, bucket, now)
    assert [row[:3] for row in found] == [row[:3] for row in wanted]
    for (*place, numbers), (*_, reference) in zip(found, wanted, strict=True):
        for name in AGGREGATES:
            close = name in ("mean", "std", "time_weighted_mean", "integral")
            if close and reference[name] is not None:
                scale = max([abs(float(s[2][1])) for s in samples if is_number(s)])
                tolerance = 1e-9 * scale * (length / S if name == "integral" else 1)
                assert numbers[name] == pytest.approx(reference[name], rel=1e-9, abs=tolerance), (place, name)
            else:
                assert numbers[name] == reference[name], (place, name)
                assert type(numbers[name]) is type(reference[name]), (place, name)


@given(cases, st.lists(st.integers(0, 30), max_size=6))
def test_query_aggregates_do_not_depend_on_batch_boundaries(case, cuts):
    samples, start, length, bucket, now = case
    interval = Interval(start, start + length)
    inside, carry = split(samples, interval)
    edges = [0, *sorted(cut for cut in set(cuts) if 0 < cut < inside.num_rows), inside.num_rows]
    batches = [inside.slice(a, b - a) for a, b in itertools.pairwise(edges) if b > a]
    grid = Grid(interval, bucket)
    whole = [inside] if inside.num_rows else []
    assert results(batches, carry, grid, now) == results(whole, carry, grid, now)


@given(cases)
def test_query_aggregates_are_the_same_alone_and_together(case):
    samples, start, length, bucket, now = case
    interval = Interval(start, start + length)
    inside, carry = split(samples, interval)
    batches, grid = [inside] if inside.num_rows else [], Grid(interval, bucket)
    together = results(batches, carry, grid, now)
    for name in AGGREGATES:
        alone = results(batches, carry, grid, now, (name,))
        assert [row[3][name] for row in alone] == [row[3][name] for row in together]
