"""Which way to an aggregate is taken: the backend's own, or its samples aggregated here."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from archiver.backends.sql import SqlBackend
from archiver.backends.sql.options import SqlOptions
from archiver.model import Interval, SampleBatch
from archiver.ports import BackendContext
from archiver.query import Known, Query, execute
from archiver.query.plan import known_from
from archiver.query.ways import Shape, Ways

MANY, SECOND = 20_000, 10**9
SHAPE = Shape.of(["a"], ["mean"], 60 * SECOND)


def test_nothing_is_chosen_that_was_not_measured() -> None:
    ways = Ways()
    assert not ways.is_read_sooner("warm", SHAPE)
    ways.learn_read("warm", ["a"], MANY, 0.01)
    assert not ways.is_read_sooner("warm", SHAPE)
    ways.learn_made("warm", SHAPE, MANY, 0.02)
    assert ways.is_read_sooner("warm", SHAPE)
    assert not ways.is_read_sooner("cold", SHAPE)


def test_aggregating_here_takes_its_time_too() -> None:
    ways = Ways()
    ways.learn_read("lake", ["a"], 1_000_000, 0.01)
    ways.learn_made("lake", SHAPE, 1_000_000, 0.02)
    assert not ways.is_read_sooner("lake", SHAPE)


@pytest.mark.parametrize(
    "other",
    [
        Shape.of(["a", "b"], ["mean"], 60 * SECOND),
        Shape.of(["a"], ["min"], 60 * SECOND),
        Shape.of(["a"], ["mean"], 3600 * SECOND),
    ],
    ids=["several elements", "aggregates", "length"],
)
def test_what_is_asked_for_otherwise_is_measured_by_itself(other: Shape) -> None:
    ways = Ways()
    ways.learn_read("warm", ["a"], MANY, 0.01)
    ways.learn_read("warm", ["a", "b"], MANY, 0.01)
    ways.learn_made("warm", SHAPE, MANY, 0.02)
    assert not ways.is_read_sooner("warm", other)


def test_few_samples_tell_nothing() -> None:
    ways = Ways()
    ways.learn_read("warm", ["a"], MANY, 0.01)
    ways.learn_made("warm", SHAPE, 10, 1.0)
    assert not ways.is_read_sooner("warm", SHAPE)


def test_the_other_way_is_tried_again_some_day() -> None:
    ways = Ways()
    ways.learn_made("warm", SHAPE, MANY, 0.02)
    tries = 0
    while not tries or ways.is_read_sooner("warm", SHAPE):
        ways.learn_read("warm", ["a"], MANY, 0.01)
        tries += 1
    assert 10 < tries < 100
    ways.learn_made("warm", SHAPE, MANY, 0.05)
    assert ways.is_read_sooner("warm", SHAPE)


def test_a_backend_is_not_asked_to_aggregate_what_is_read_sooner(tmp_path: Path) -> None:
    backend = SqlBackend(BackendContext("warm", tmp_path), SqlOptions(url="sqlite:///warm.db"))
    backend.open()
    try:
        backend.write({"g": SampleBatch.from_columns("a", np.arange(MANY) * SECOND, np.arange(MANY) * 0.5)})
        query = Query(("a",), Interval(0, MANY * SECOND), aggregates=("mean",), bucket_ns=60 * SECOND, backend="warm")
        known: Known = replace(known_from({}), ways=Ways())
        first = execute(query, {"warm": backend}, known=known)
        means = first.table()
        assert [part.aggregated for part in first.parts] == [True]
        known.ways.learn_read("warm", ["a"], 10**9, 1e-6)  # as if it took no time at all
        second = execute(query, {"warm": backend}, known=known)
        assert second.table() == means
        assert [part.aggregated for part in second.parts] == [False]
    finally:
        backend.close()
