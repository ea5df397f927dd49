"""Compares two lakes, and a lake with SQLite, beside plain reading of both."""

from __future__ import annotations

import statistics
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from archiver.backends.parquet import ParquetBackend
from archiver.backends.parquet.options import ParquetOptions
from archiver.backends.sql import SqlBackend, SqlOptions
from archiver.model import ArchiveGroup, SampleBatch
from archiver.model.time import ALWAYS
from archiver.pipeline.routing import Router
from archiver.pipeline.verification import Plan, Side, verify
from archiver.ports import Backend, BackendContext
from bench.data import in_batches, peers_data
from bench.registry import Row, bench
from bench.timing import seconds

ELEMENTS, SAMPLES, ROUNDS = 1000, 500, 5
ROUTER = Router({"all": ArchiveGroup("all", ("*",), ("one", "other"))})


@bench("verify")
def verification() -> Iterator[Row]:
    """Equal backends, and one that lost every thousandth sample; both are read at once, also for the baseline."""
    data = peers_data(ELEMENTS, SAMPLES)
    lost = np.arange(data.num_rows) % 1000 == 0
    with tempfile.TemporaryDirectory() as folder:
        lakes = [
            filled(lake(Path(folder), name), part)
            for name, part in zip("abc", (data, data, data.filter(~lost)), strict=True)
        ]
        warm = filled(sqlite(Path(folder)), data)
        yield row("two lakes", data, lakes[0], lakes[1], 0, 0.5)
        yield row("a lake and SQLite", data, lakes[0], warm, 0, 0.8)
        yield row("two lakes, 1 of 1000 lost", data, lakes[0], lakes[2], int(lost.sum()), None)
        for backend in (*lakes, warm):
            backend.close()


def row(title: str, data: SampleBatch, one: Backend, other: Backend, differ: int, goal: float | None) -> Row:
    """Return the rate of a comparison, samples of one backend, beside reading both and doing nothing."""
    sides = Side(one, ROUTER), Side(other, ROUTER)
    names = one.elements()
    with ThreadPoolExecutor(2) as executor:

        def read(backend: Backend) -> int:
            return sum(batch.num_rows for batch in backend.read(names, ALWAYS, groups=["all"]))

        def compare() -> None:
            found = verify(sides, Plan(ALWAYS)).remaining
            if found != differ:
                raise RuntimeError(f"{title}: {found} samples differ, {differ} should")

        taken = [(seconds(compare), seconds(lambda: list(executor.map(read, (one, other))))) for _ in range(ROUNDS)]
    ours, plain = (data.num_rows / statistics.median(times) for times in zip(*taken, strict=True))
    return Row(f"verify: {title}", ours, "reading both", plain, "samples/s", goal)


def lake(directory: Path, name: str) -> Backend:
    """Return a new lake."""
    return ParquetBackend(BackendContext(name, directory), ParquetOptions())


def sqlite(directory: Path) -> Backend:
    """Return a new SQLite database."""
    return SqlBackend(BackendContext("warm", directory), SqlOptions(url="sqlite:///warm.db"))


def filled(backend: Backend, data: SampleBatch) -> Backend:
    """Open a backend and store samples in it."""
    backend.open()
    for part in in_batches(data, 250_000):
        backend.write({"all": part})
    return backend
