"""Buckets that InfluxDB makes, beside those of the same samples made here, and what it leaves."""

import math

import numpy as np
import pytest

from archiver.backends.influx.layout import LARGEST
from archiver.model import Interval, Kind, Status
from archiver.model.grid import Grid
from archiver.query import Query, execute
from archiver.testing.backend_suite.aggregation import Samples
from archiver.testing.backend_suite.base import batch, sample

HOUR = 3_600_000_000_000
NEVER = 2**62
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
            random.choice([0, 0, int(Status.EXP_INV), int(Status.UNCHANGED), 1 << 40, 1 << 63], 500),
            strict=False,
        )
    ]
    rows += [sample(HOUR, None, element=name) for name in ("nothing", "b %,=")]
    backend.write({"g1": batch(*rows)})
    return backend


def asked(backend, names, interval, bucket_ns, aggregates):
    query = Query(tuple(names), interval, backend="it", aggregates=aggregates, bucket_ns=bucket_ns)
    answer = execute(query, {"it": backend}, now=NEVER)
    return answer.table().to_pylist(), all(part.aggregated for part in answer.parts if part.rows)


def left(backend, names, interval=WHOLE, aggregates=("count",), bucket_ns=0):
    answers = backend.aggregate(sorted(names), Grid(interval, bucket_ns), frozenset(aggregates), NEVER)
    return [name for answer in answers for name in answer.left]


@pytest.mark.parametrize("interval", [WHOLE, Interval(-HOUR + 7, 2 * HOUR + 7)], ids=["whole", "cut"])
@pytest.mark.parametrize("bucket_ns", [HOUR // 6, 7 * HOUR, 0])
def test_buckets(backend, interval: Interval, bucket_ns: int):
    """All of them at once; also of bad samples, gaps, and samples without a value."""
    everything = ("count", "good_count", "min", "max", "mean", "first", "last")
    assert backend.aggregates == set(everything)
    names = ["b %,=", "a", "nothing", "unknown"]
    made, by_it = asked(backend, names, interval, bucket_ns, everything)
    read, by_samples = asked(Samples(backend), names, interval, bucket_ns, everything)
    assert (by_it, by_samples) == (True, False)
    assert left(backend, names, interval, everything, bucket_ns) == []
    means = [[row.pop("mean") for row in rows] for rows in (made, read)]
    assert made == read
    assert {row["element"] for row in made} == {"a", "b %,=", "nothing"}
    for one, other in zip(*means, strict=True):
        assert one is other is None or one == pytest.approx(other, rel=1e-12, abs=1e-13)


@pytest.mark.parametrize(
    ("kind", "values", "of"),
    [
        (Kind.FLOAT, [math.nan, 1.0], {"count", "first", "min", "mean"}),
        (Kind.FLOAT, [math.inf, 1.0], {"count", "first", "min", "mean"}),
        (Kind.FLOAT, [-0.0, 1.0], {"count", "first", "min", "mean"}),
        (Kind.FLOAT, [2 * LARGEST, 1.0], {"count", "first", "min", "mean"}),
        (Kind.FLOAT, [LARGEST, -LARGEST], set()),
        (Kind.INT, [2**53, 2], {"mean"}),
        (Kind.INT, [-(2**63), 2], {"mean"}),
        (Kind.INT, [2**51, -3], set()),
        (Kind.UINT, [2**63, 2], {"min", "mean"}),
        (Kind.UINT, [2**51, 2], set()),
        (Kind.BOOL, [True, False], {"mean"}),
        (Kind.TEXT, ["x", "a, \"b' "], set()),
        (Kind.TEXT, ["x", "a\nb"], {"first"}),
        (Kind.BINARY, [b"x", b""], {"first"}),
        (Kind.FLOATS, [[1.0], []], {"first"}),
        (Kind.ENUM, [3, 1], set()),
    ],
)
def test_values_that_must_be_read(opening, kind, values, of):
    """And only for what cannot be told of them; what can, is the same."""
    backend = opening()
    backend.write({"g1": batch(*(sample(n, value, kind=kind) for n, value in enumerate(values)))})
    for aggregate in ("count", "first", "min", "mean"):
        assert bool(left(backend, ["a"], aggregates=(aggregate,))) == (aggregate in of), aggregate
        made, _ = asked(backend, ["a"], WHOLE, 0, (aggregate,))
        read, _ = asked(Samples(backend), ["a"], WHOLE, 0, (aggregate,))
        assert list(map(repr, made)) == list(map(repr, read))


def test_samples_that_must_be_read(backend):
    """And only in intervals where they are."""
    names = ["corrected", "twice", "far", "off", "paused", "kinds", "plain"]
    rows = [sample(5, 1.0, element=name) for name in names]
    rows += [sample(5, 2.0, element="twice", sequence=1), sample(-(2**63), 1.0, element="far")]
    rows += [sample(6, 1.0, element="off", status=int(Status.DISCONNECTED))]
    rows += [sample(6, 1.0, element="paused", status=int(Status.PAUSED)), sample(6, 1, element="kinds", kind=Kind.INT)]
    backend.write({"g1": batch(*rows)})
    backend.write({"g1": batch(sample(5, 2.0, element="corrected", received=2))})
    assert left(backend, names, Interval(0, 10)) == ["corrected", "off", "twice"]
    assert left(backend, names, Interval(0, 10), ("last",)) == ["corrected", "kinds", "off", "twice"]
    assert left(backend, names, Interval(0, 10), ("last",), 1) == ["corrected", "off", "twice"]
    assert left(backend, names, Interval(-(2**63), 10)) == ["corrected", "far", "off", "twice"]
    assert left(backend, names, Interval(7, 10)) == []


def test_samples_of_two_groups(backend):
    """A sample that both have counts once; which are in both only the samples tell."""
    both, one = sample(5, 1.0, element="both"), sample(5, 1.0, element="one")
    backend.write({"g1": batch(both, one), "g2": batch(both)})
    assert left(backend, ["both", "one"]) == ["both"]


def test_points_of_a_failed_write_do_not_count(opening, ask):
    """They are there, and of no committed number."""
    backend = opening()
    backend.write({"g1": batch(sample(1), sample(2))})

    def fail(_):
        raise RuntimeError("before the commit")

    with pytest.raises(RuntimeError, match="before the commit"):
        backend.write({"g1": batch(sample(3, 9.0), sample(4, None), sample(5, True, kind=Kind.BOOL))}, None, fail)
    assert ask('SELECT count("status") FROM "g1"')[0]["values"][0][1] == 5
    for _ in range(2):  # as the newest number, and as one that was passed over
        rows, by_it = asked(backend, ["a"], Interval(0, 10), 0, ("count", "good_count", "max"))
        assert [list(row.values())[-3:] for row in rows] == [[2, 2, 1.0]]
        assert by_it
        backend.write({"g1": batch(sample(20))})


def test_buckets_that_are_not_asked_for(backend):
    """More of them than samples can be, or at the ends of time."""
    assert left(backend, ["a"], Interval(0, HOUR), bucket_ns=1) == ["a"]
    assert left(backend, ["a"], Interval(-(2**63), 2**63 - 1), bucket_ns=2**61) == ["a"]
    assert left(backend, ["a"], Interval(-(2**63), 2**63 - 1)) == []


def test_nothing(opening):
    """An empty backend, an empty interval, and groups that are not there."""
    backend = opening()
    assert left(backend, ["a"]) == []
    backend.write({"g1": batch(sample(5))})
    for interval, groups in ((Interval(5, 5), None), (WHOLE, ["g2"]), (WHOLE, []), (Interval(6, 9), None)):
        (answer,) = backend.aggregate(["a"], Grid(interval, 0), {"count"}, NEVER, groups=groups)
        assert (len(answer.cells), list(answer.left)) == (0, [])


def test_more_elements_than_a_statement_names(opening):
    """In several answers, each element in one of them."""
    backend = opening()
    names = [f"e{number:04}" for number in range(2100)]
    backend.write({"g1": batch(*(sample(number, element=name) for number, name in enumerate(names)))})
    answers = list(backend.aggregate(names, Grid(Interval(0, 5000), 0), {"count"}, NEVER))
    assert [name for answer in answers for name in answer.elements] == names
    assert [len(answer.cells) for answer in answers] == [1000, 1000, 100]


def test_who_makes_none(opening):
    """A backend that is closed."""
    backend = opening()
    assert backend.aggregates
    backend.close()
    assert backend.aggregates == frozenset()
