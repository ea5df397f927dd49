"""Elements side by side beside Polars, and the samples where a condition holds beside all of them."""

from __future__ import annotations

import statistics
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import polars as pl

from archiver.backends.memory import MemoryBackend
from archiver.model import Interval, Kind
from archiver.ports import BackendContext, Options
from archiver.query import Condition, Join, Match, Query, execute
from bench.data import SECOND, START, element_names, peers_data
from bench.registry import Row, bench
from bench.timing import seconds

ELEMENTS, SAMPLES, ROUNDS = 10, 100_000, 5
SPAN = Interval(START - SECOND, START + (SAMPLES + 1) * SECOND)


@bench("joins")
def joins() -> Iterator[Row]:
    """10 elements of 100 000 samples, in memory: a row per sample of any of them, to Arrow; `join_asof` ten times."""
    ours, theirs = _archive(), _frames()
    for match, strategy in ((Match.LAST, "backward"), (Match.NEAREST, "nearest")):
        join = Join(match, 10 * SECOND)
        ours_s, theirs_s = partial(_wide, ours, join), partial(_asof, theirs, strategy)
        taken = [(seconds(ours_s), seconds(theirs_s)) for _ in range(ROUNDS)]
        mine, polars = (statistics.median(column) for column in zip(*taken, strict=True))
        work = f"join: {ELEMENTS} elements x {SAMPLES} samples, {match}"
        yield Row(work, mine * 1e3, "polars join_asof", polars * 1e3, "ms", 1.0, higher_is_better=False)


@bench("conditions")
def conditions() -> Iterator[Row]:
    """The same elements, where a walk is above its middle and another one is not bad; beside reading all of it."""
    ours, names = _archive(), element_names(ELEMENTS)
    where = Condition.parse(f"{names[0]} > 50 and not {names[1]} is bad")
    taken = [(seconds(lambda: _read(ours, where)), seconds(lambda: _read(ours, None))) for _ in range(ROUNDS)]
    chosen, whole = (statistics.median(column) for column in zip(*taken, strict=True))
    work = f"condition: {ELEMENTS} elements x {SAMPLES} samples, two of them decide"
    yield Row(work, chosen * 1e3, "all samples, no condition", whole * 1e3, "ms", 2.0, higher_is_better=False)


def _archive() -> MemoryBackend:
    backend = MemoryBackend(BackendContext("memory", Path()), Options())
    backend.write({"all": peers_data(ELEMENTS, SAMPLES).sorted()})
    return backend


def _wide(backend: MemoryBackend, join: Join) -> int:
    answer = execute(Query(tuple(element_names(ELEMENTS)), SPAN, join=join), {"memory": backend})
    return sum(batch.num_rows for batch in answer.record_batches())


def _read(backend: MemoryBackend, where: Condition | None) -> int:
    answer = execute(Query(tuple(element_names(ELEMENTS)), SPAN, where=where), {"memory": backend})
    return sum(batch.num_rows for batch in answer.record_batches())


def _frames() -> list[pl.DataFrame]:
    data = peers_data(ELEMENTS, SAMPLES).sorted()
    frames = []
    for name in element_names(ELEMENTS):
        mine = data.filter(data.mask_elements([name]))
        columns = {"t": mine.source_time, name: mine.values(Kind.FLOAT).to_numpy(), f"{name} status": mine.status}
        frames.append(pl.DataFrame(columns).set_sorted("t"))
    return frames


def _asof(frames: list[pl.DataFrame], strategy: str) -> pl.DataFrame:
    wide = pl.concat([frame.select("t") for frame in frames]).unique().sort("t")
    for frame in frames:
        wide = wide.join_asof(frame, on="t", strategy=strategy, tolerance=10 * SECOND)  # type: ignore[arg-type]
    return wide
