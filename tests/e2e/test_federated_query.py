"""Hot InfluxDB, warm PostgreSQL, cold Parquet: each answers what it holds, and one is killed while it answers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from archiver import config
from archiver.backends.memory import MemoryBackend
from archiver.bootstrap import Archive
from archiver.model import IncompleteError, Interval, Kind, SampleBatch
from archiver.model.holding import Cause
from archiver.model.time import DAY_NS, now
from archiver.ports import BackendContext
from archiver.query import Answer, Query, Range, Role
from archiver.testing import influxdb
from archiver.testing.influxdb import InfluxdbServer
from archiver.testing.postgresql import PostgresqlServer, UnavailableError
from archiver.testing.service import until

DAYS, HOT_DAYS, WARM_DAYS = 20, 3, 10
EVERY_NS = 600 * 10**9
ELEMENTS = tuple(f"plant:{number:02}" for number in range(10))
LANE = {"flush_interval": "20ms", "retry_first": "10ms", "retry_longest": "100ms"}


@dataclass
class Site:
    """An archive whose three backends keep the same elements for different times, and what it was given."""

    archive: Archive
    model: MemoryBackend
    hot: InfluxdbServer
    whole: Interval

    @property
    def query(self) -> Query:
        return Query(ELEMENTS, self.whole)

    def held(self, interval: Interval | None = None) -> list[tuple[Any, ...]]:
        return rows_of(self.model.read(ELEMENTS, interval or self.whole))

    def thirds(self) -> list[Range]:
        """The time of each backend, cut where the next one begins to lack some."""
        steps = self.archive.plan(self.query)["steps"]
        edges = sorted({step["start"] for step in steps} | {step["end"] for step in steps})
        found = [Range.parse(f"{name}={a}/{b}") for name, (a, b) in zip(NAMES, pairwise(edges), strict=True)]
        assert [step["backend"] for step in steps] == list(NAMES)
        return found


NAMES = ("cold", "warm", "hot")


def rows_of(batches: Iterator[SampleBatch]) -> list[tuple[Any, ...]]:
    """Element, time, value, status and sequence of each sample, in order."""
    found: list[tuple[Any, ...]] = []
    for batch in batches:
        names = [batch.elements[code] for code in batch.codes.tolist()]
        columns = batch.source_time.tolist(), batch.values(Kind.FLOAT).to_pylist(), batch.status.tolist()
        found += zip(names, *columns, batch.sequence.tolist(), strict=True)
    return found


def samples(start: int) -> Iterator[SampleBatch]:
    """Random walks, a batch a day, with a bad status here and there."""
    random = np.random.default_rng(4)
    steps = DAY_NS // EVERY_NS
    for day in range(DAYS):
        times = start + day * DAY_NS + np.arange(steps) * EVERY_NS + random.integers(0, 10**9, steps)
        parts = [
            SampleBatch.from_columns(
                name,
                times + 7 * number,
                50 + np.cumsum(random.normal(0, 1, steps)),
                status=np.where(random.random(steps) < 0.01, np.uint64(1 << 5), np.uint64(0)),
            )
            for number, name in enumerate(ELEMENTS)
        ]
        yield SampleBatch.concat(parts)


@pytest.fixture
def hot() -> Iterator[InfluxdbServer]:
    try:
        with influxdb.running_server() as server:
            yield server
    except UnavailableError as exc:
        pytest.skip(str(exc))


@pytest.fixture
def site(tmp_path: Path, postgresql: PostgresqlServer, hot: InfluxdbServer) -> Iterator[Site]:
    prefix = f"f{now() % 10**9}_"
    backends = [
        {"name": "hot", "kind": "influx", "url": hot.url, "database": "hot", "timeout": "300s", "lane": LANE},
        {"name": "warm", "kind": "sql", "url": postgresql.url, "prefix": prefix, "lane": LANE},
        {"name": "cold", "kind": "parquet", "lane": LANE},
    ]
    keeps = {"hot": f"{HOT_DAYS}d", "warm": f"{WARM_DAYS}d", "cold": "0s"}
    groups = [{"name": name, "elements": ["*"], "backends": [name], "retention": keep} for name, keep in keeps.items()]
    start = now() - DAYS * DAY_NS
    model = MemoryBackend(BackendContext("model", tmp_path), MemoryBackend.Options())
    document = {
        "data": str(tmp_path / "data"),
        "backends": backends,
        "groups": groups,
        "query": {"hedge_after": "1h"},  # whoever answers is asked alone, on a busy machine too
    }
    with Archive(config.parse(document)) as archive:
        for batch in samples(start):
            archive.intake.submit(batch).result()
            model.write({"g": batch})
        until(archive.flush)
        archive.keep()
        yield Site(archive, model, hot, Interval(start, now()))


def consumed(answer: Answer, first: Callable[[], object]) -> list[tuple[Any, ...]]:
    """Take the first batch, do something, and take the rest."""
    batches = answer.rows
    head = next(batches)
    first()
    return rows_of(iter([head, *batches]))  # type: ignore[list-item]


def small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have a backend asked many times in an answer, so that it can die between two of them."""
    monkeypatch.setattr("archiver.query.reading.CHUNK_ROWS", 500)


def test_each_backend_answers_what_it_alone_or_best_holds(site):
    ranges = site.thirds()  # before anything was read: what reading costs is not known yet, and all are as good
    answer = site.archive.query(replace(site.query, complete=True))
    assert rows_of(answer.rows) == site.held()
    assert answer.complete
    assert {(part.backend, part.interval) for part in answer.parts} == {(r.backend, r.interval) for r in ranges}
    assert all(part.role is Role.FIRST and part.rows for part in answer.parts)
    assert ranges[1].interval.end - ranges[1].interval.start > 5 * DAY_NS
    assert ranges[2].interval.end - ranges[2].interval.start < (HOT_DAYS + 8) * DAY_NS


def test_ranges_that_overlap_give_each_sample_once(site):
    cold, warm, hot = site.thirds()
    wide = Range("warm", Interval(warm.interval.start, hot.interval.end))
    answer = site.archive.query(replace(site.query, ranges=(hot, wide, cold)))
    assert rows_of(answer.rows) == site.held()
    assert answer.complete
    assert sum(part.rows for part in answer.parts) > len(site.held())


def test_what_a_backend_dropped_is_missing_when_it_alone_is_asked(site):
    only = Query(ELEMENTS, site.whole, backend="hot")
    answer = site.archive.query(only)
    given = rows_of(answer.rows)
    (missing,) = answer.missing
    assert (missing.backend, missing.cause, missing.interval.start) == ("hot", Cause.RETENTION, site.whole.start)
    assert given == [row for row in site.held() if row[1] >= missing.interval.end]
    with pytest.raises(IncompleteError, match="retention of group hot is 3d"):
        site.archive.query(replace(only, complete=True))


def test_one_is_killed_while_it_answers_and_the_answer_is_exact(site, monkeypatch):
    small_pieces(monkeypatch)
    answer = site.archive.query(replace(site.query, complete=True))
    expected = site.held()
    assert consumed(answer, site.hot.kill) == expected
    assert answer.complete
    by_backend = {part.backend: part for part in answer.parts if part.role is Role.FIRST}
    assert by_backend["hot"].trouble
    assert any(part.backend == "warm" and part.role is Role.STAND_BY and part.rows for part in answer.parts)


def test_one_is_killed_whose_range_nobody_else_may_answer(site, monkeypatch):
    small_pieces(monkeypatch)
    cold, warm, hot = site.thirds()
    answer = site.archive.query(replace(site.query, ranges=(cold, warm, hot)))
    given = consumed(answer, site.hot.kill)
    assert not answer.complete
    (missing,) = answer.missing
    assert (missing.backend, missing.interval, missing.cause) == ("hot", hot.interval, Cause.BACKEND_DOWN)
    lost = set(missing.elements or ELEMENTS)
    kept = [row for row in site.held() if row[0] not in lost or row[1] not in hot.interval]
    assert set(given) >= set(kept)
    assert set(given) <= set(site.held())
    again = site.archive.query(replace(site.query, ranges=(cold, warm, hot), complete=True))
    with pytest.raises(IncompleteError, match="hot"):
        rows_of(again.rows)
