"""The ledger adds up: every sample received is in one column of every backend that should have it."""

from __future__ import annotations

import tempfile
from collections import Counter
from pathlib import Path

import numpy as np
import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from archiver import config
from archiver.bootstrap import Archive
from archiver.model import Interval, Kind, SampleBatch
from archiver.model.time import now
from archiver.query import Query
from archiver.testing.faults import Faults, FaultyBackend, WriteFault

HOUR = 3600 * 10**9
POISON = 666.0
LANE = {"flush_interval": "5ms", "retry_first": "1ms", "retry_longest": "5ms"}
DOCUMENT = {
    "backends": [
        {"name": "lake", "kind": "parquet", "lane": LANE},
        {"name": "warm", "kind": "sql", "url": "sqlite:///warm.db", "lane": LANE},
    ],
    "groups": [
        {"name": "plain", "elements": ["P*"], "backends": ["lake", "warm"], "retention": "30d"},
        {
            "name": "door",
            "elements": ["D*"],
            "backends": ["lake", "warm"],
            "smoothing": {"kind": "swinging_door", "tolerance": 1.0},
        },
        {
            "name": "value",
            "elements": ["V*"],
            "backends": ["lake", "warm"],
            "smoothing": {"kind": "value", "tolerance": 1.0},
        },
    ],
}
ROWS = st.tuples(
    st.sampled_from(["P1", "P2", "D1", "V1", "nobody's", ""]),
    st.one_of(st.integers(0, 40), st.sampled_from([-10_000, 10_000])),  # minutes: far in the past, and in the future
    st.one_of(st.integers(0, 5).map(float), st.just(POISON), st.none(), st.just("text")),
)
STEPS = st.lists(
    st.one_of(
        st.lists(ROWS, min_size=1, max_size=12),
        st.sampled_from(["again", "restart", "crash of the lane", WriteFault.LOST_REPLY, WriteFault.ROLLED_BACK]),
    ),
    min_size=1,
    max_size=8,
)


def poisonous(batch: SampleBatch) -> np.ndarray:
    return batch.values(Kind.FLOAT).fill_null(0.0).to_numpy() == POISON


def batch_of(rows: list[tuple], start: int) -> SampleBatch:
    names, minutes, values = zip(*rows, strict=True)
    return SampleBatch.from_columns(
        list(names),
        [start + minute * 60 * 10**9 for minute in minutes],
        {
            Kind.FLOAT: pa.array([v if isinstance(v, float) else None for v in values], pa.float64()),
            Kind.TEXT: pa.array([v if isinstance(v, str) else None for v in values], pa.utf8()),
        },
    )


class Plant:
    """An archive whose lake is faulty, and what was sent to it."""

    def __init__(self, directory: Path) -> None:
        self.settings = config.parse({"data": str(directory), **DOCUMENT})
        self.faults = Faults(poison=poisonous)
        self.start = now() - HOUR
        self.received = self.rejected = 0
        self.last: SampleBatch | None = None
        self.open()

    def open(self) -> None:
        self.archive = Archive(self.settings)
        plain = self.archive.make_backend

        def wrapped(*given):
            backend = plain(*given)
            return FaultyBackend(backend, self.faults) if backend.name == "lake" else backend

        self.archive.make_backend = wrapped
        self.archive.open()

    def send(self, batch: SampleBatch) -> None:
        self.last = batch
        counts = self.archive.intake.submit(batch).result().counts
        assert sum(counts.values()) == batch.num_rows
        self.received += batch.num_rows
        self.rejected += counts["rejected"]

    def step(self, step) -> None:
        if isinstance(step, list):
            self.send(batch_of(step, self.start))
        elif isinstance(step, WriteFault):
            self.faults.writes.append(step)
        elif step == "again" and self.last is not None:
            self.send(self.last)
        elif step == "restart":
            self.archive.close()
            self.open()
        elif step == "crash of the lane":
            self.archive.close(drain=False)
            self.open()

    def check(self) -> None:
        self.faults.writes.clear()
        while not (self.archive.wait_ready() and self.archive.flush()):
            pass
        totals = Counter()
        for total in self.archive.totals():
            totals[total.lane, total.outcome] += total.count
        assert totals["intake", "rejected"] == self.rejected
        everything = Interval(0, 2 * now())
        for lane in ("lake", "warm"):
            accounted = sum(count for (name, _), count in totals.items() if name == lane)
            assert accounted + self.rejected == self.received, totals
            stored = sum(part.rows for part in self.archive.lanes[lane].backend.coverage())
            assert totals[lane, "stored"] == stored, totals
            letters = [letter for letter in self.archive.dead_letters.list() if letter.lane == lane]
            assert totals[lane, "dead-lettered"] == sum(letter.rows for letter in letters), totals
            names = ("P1", "P2", "D1", "V1")
            versions = self.archive.query(Query(names, everything, backend=lane, versions=True)).table().num_rows
            assert versions == stored + totals[lane, "buffered"], "a query shows what is held, as it would be stored"


@settings(max_examples=12)
@given(steps=STEPS)
def test_every_sample_is_in_one_column(steps):
    with tempfile.TemporaryDirectory() as place:
        plant = Plant(Path(place))
        try:
            for step in steps:
                plant.step(step)
            plant.check()
            plant.step("restart")
            plant.check()
        finally:
            plant.archive.close(drain=False)
