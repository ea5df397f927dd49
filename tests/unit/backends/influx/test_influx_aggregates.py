"""Buckets that InfluxDB computes, beside those of the same samples here."""

import math

import numpy as np
import pytest

from archiver.model import Interval, Kind, NotFoundError, Status
from archiver.testing.backend_suite.base import batch, sample

HOUR = 3_600_000_000_000
WHOLE = Interval(-HOUR, 3 * HOUR)


@pytest.fixture
def backend(opening):
    backend = opening()
    random = np.random.default_rng(1)
    rows = [
        sample(int(time), float(value), element=name, status=int(status))
        for name in ("a", "b %,=")
        for time, value, status in zip(
            np.unique(random.integers(-HOUR, 3 * HOUR, 500)),
            random.normal(size=500),
            random.choice([0, 0, int(Status.EXP_INV), int(Status.UNCHANGED), 1 << 40], 500),
            strict=False,
        )
    ]
    odd = [
        sample(5, 1.0, element="corrected"),
        sample(5, math.inf, element="infinite"),
        sample(5, 1, element="integer", kind=Kind.INT),
        sample(5, 1.0, element="twice"),
        sample(5, 2.0, element="twice", sequence=1),
        sample(5, None, element="nothing"),
    ]
    backend.write({"g1": batch(*rows, *odd)})
    backend.write({"g1": batch(sample(5, 2.0, element="corrected", received=2))})
    backend.rows = rows
    return backend


def expected(rows, start: int, end: int) -> list[float]:
    good = [row.value for row in rows if start <= row.source_time < end and not row.status & Status.EXP_INV]
    return [len(good), min(good), max(good), np.mean(good), np.sum(good), good[0], good[-1]] if good else []


@pytest.mark.parametrize("interval", [WHOLE, Interval(-HOUR + 7, 2 * HOUR + 7)], ids=["whole", "cut"])
@pytest.mark.parametrize("bucket_ns", [HOUR // 6, 7 * HOUR, 0])
def test_buckets(backend, interval: Interval, bucket_ns: int):
    table, unfit = backend.bucketed("g1", ["b %,=", "a", "nothing"], interval, bucket_ns)
    assert unfit == []
    found = {(row["element"], row["start"]): list(row.values())[2:] for row in table.to_pylist()}
    wanted = {}
    for name in ("a", "b %,="):
        rows = [row for row in backend.rows if row.element == name]
        first = interval.start // bucket_ns * bucket_ns if bucket_ns else interval.start
        for start in range(first, interval.end, bucket_ns or interval.end - interval.start):
            end = start + bucket_ns if bucket_ns else interval.end
            if numbers := expected(rows, max(start, interval.start), min(end, interval.end)):
                wanted[name, start] = numbers
    assert list(found) == sorted(wanted)
    for place, numbers in wanted.items():
        np.testing.assert_allclose(found[place], numbers, rtol=1e-12)


def test_elements_that_must_be_read(backend):
    """And only in intervals where that is so."""
    names = ["corrected", "infinite", "integer", "twice", "a"]
    table, unfit = backend.bucketed("g1", names, Interval(0, 10), 0)
    assert unfit == ["corrected", "infinite", "integer", "twice"]
    assert set(table.column("element").to_pylist()) <= {"a"}
    assert backend.bucketed("g1", names, Interval(6, 10), 0)[1] == []


def test_an_unknown_group(backend):
    with pytest.raises(NotFoundError, match="nothing of group 'g7'"):
        backend.bucketed("g7", ["a"], WHOLE, 0)
