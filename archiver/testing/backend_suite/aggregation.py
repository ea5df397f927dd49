"""Aggregates that a backend makes: the same as those of its samples."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from archiver.model import Interval, Kind, SampleBatch, Status
from archiver.ports import Backend, Coverage, Readable, SupportsAggregation
from archiver.query import Query, execute
from archiver.testing.backend_suite.base import BackendSuite, batch, sample

_STEP = 1000
_NEVER = 2**62
_FREE = {"mean": 1e-12, "std": 1e-9, "time_weighted_mean": 1e-12, "integral": 1e-12}
"""Aggregates that may differ by the order of summation, and by how much of themselves."""


class Samples:
    """The reading verbs of a backend, and none of its abilities."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend

    def read(self, elements: Sequence[str], interval: Interval, **choice: Any) -> Iterator[SampleBatch]:
        """Yield what the backend does."""
        return self._backend.read(elements, interval, **choice)

    def last_before(self, elements: Sequence[str], time: int, **choice: Any) -> SampleBatch:
        """Return what the backend does."""
        return self._backend.last_before(elements, time, **choice)

    def elements(self) -> list[str]:
        """Return what the backend does."""
        return self._backend.elements()

    def coverage(self) -> list[Coverage]:
        """Return what the backend does."""
        return self._backend.coverage()


class AggregationContract(BackendSuite):
    """For backends that make aggregates (`archiver.ports.SupportsAggregation`); others skip."""

    @pytest.fixture
    def able(self, backend: Backend) -> Backend:
        """Return the backend, if it has the ability."""
        if not isinstance(backend, SupportsAggregation) or not backend.aggregates:
            pytest.skip("the backend makes no aggregates")
        return backend

    def test_plain_numbers(self, able: Backend) -> None:
        """Are aggregated by the backend itself, in any buckets."""
        step = _STEP * able.limits.resolution_ns
        rows = [sample(number * step, number / 7, element=name) for name in "abc" for number in range(100)]
        able.write({"g1": batch(*rows)})
        for bucket in (0, 7 * step, 50 * step, 1000 * step):
            assert _compare(able, Interval(3 * step, 90 * step), bucket)

    @pytest.mark.parametrize(
        ("kind", "values"),
        [
            (Kind.FLOAT, [0.0, -0.0, 1e308, 1e308, -1e308, 5e-324]),
            (Kind.FLOAT, [math.inf, 1.0, -math.inf, math.nan, 2.0, -0.0]),
            (Kind.INT, [2**63 - 1, -(2**63), 2**53 + 1, 0, 1, 2**63 - 2]),
            (Kind.UINT, [2**64 - 1, 2**63, 2**53 + 1, 0, 1, 2]),
            (Kind.BOOL, [True, False, True, True, False, False]),
            (Kind.TEXT, ["", "x", "y", "z", "", "x"]),
        ],
    )
    def test_values_that_are_lost_on_the_way(self, able: Backend, kind: Kind, values: list[Any]) -> None:
        """Floats that overflow or have no order, integers beyond a float, and what is no number."""
        step = _STEP * able.limits.resolution_ns
        able.write({"g1": batch(*(sample(n * step, value, kind=kind) for n, value in enumerate(values)))})
        for bucket in (0, 2 * step, 4 * step):
            _compare(able, Interval(0, 6 * step), bucket)

    def test_samples_that_do_not_count(self, able: Backend) -> None:
        """Bad ones, gaps, corrected ones, several of an instant, and one that two groups hold."""
        step = _STEP * able.limits.resolution_ns
        statuses = [Status(0), Status.EXP_INV, Status.PAUSED, Status.DISCONNECTED, Status.ACTIVE]
        rows = [sample(n * step, float(n), element="a", status=int(status)) for n, status in enumerate(statuses)]
        rows += [sample(n * step, float(n), element="b") for n in range(5)]
        rows += [sample(n * step, float(n), element="d", status=int(Status.EXP_INV)) for n in range(5)]
        able.write({"g1": batch(*rows)})
        able.write(
            {"g1": batch(sample(step, 9.0, element="b", received=2), sample(step, 8.0, element="b", sequence=1))}
        )
        twice = [sample(n * step, float(n), element="c") for n in range(5)]
        able.write({"g1": batch(*twice), "g2": batch(*twice)})
        for bucket in (0, step, 3 * step):
            _compare(able, Interval(0, 5 * step), bucket)


def _compare(backend: Backend, interval: Interval, bucket_ns: int) -> bool:
    """Compare both ways for each aggregate, and return whether the backend left nothing to be read."""
    assert isinstance(backend, SupportsAggregation)
    whole = True
    for name in sorted(backend.aggregates):
        query = Query(("a", "b", "c", "d"), interval, backend="it", aggregates=(name,), bucket_ns=bucket_ns)
        made, made_by = _answer(query, backend)
        read, _ = _answer(query, Samples(backend))
        assert [row[:3] for row in made] == [row[:3] for row in read], name
        for mine, theirs in zip(made, read, strict=True):
            assert list(map(repr, mine)) == list(map(repr, theirs)) or mine[3] == pytest.approx(
                theirs[3], rel=_FREE.get(name, 0), abs=0, nan_ok=True
            ), (name, mine, theirs)
            assert name in _FREE or list(map(repr, mine)) == list(map(repr, theirs)), (name, mine, theirs)
        whole = whole and made_by
    return whole


def _answer(query: Query, reader: Readable) -> tuple[list[list[Any]], bool]:
    answer = execute(query, {"it": reader}, now=_NEVER)
    rows = [list(row.values()) for row in answer.table().to_pylist()]
    read = sum(part.rows for part in answer.parts if not part.aggregated)
    return rows, read <= len(query.elements)  # the value before is one of each
