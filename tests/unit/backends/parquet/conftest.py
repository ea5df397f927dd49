from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from archiver.backends.parquet import ParquetBackend
from archiver.backends.parquet.options import ParquetOptions
from archiver.model import SampleBatch
from archiver.model.time import ALWAYS
from archiver.ports import BackendContext

START = 1_767_225_600_000_000_000  # midnight, long past
SECOND = 1_000_000_000
HOUR = 3600 * SECOND
DAY = 24 * HOUR

Lake = Callable[..., ParquetBackend]


@pytest.fixture
def lake(tmp_path: Path) -> Iterator[Lake]:
    """Make backends on one table: ``lake()`` writes, ``lake(read_only=True)`` follows, options by name."""
    made: list[ParquetBackend] = []

    def make(*, read_only: bool = False, groups: dict | None = None, **options: object) -> ParquetBackend:
        context = BackendContext("lake", tmp_path, groups or {}, read_only=read_only)
        backend = ParquetBackend(context, ParquetOptions(**options))
        made.append(backend)
        return backend

    yield make
    for backend in made:
        backend.close()


def _samples(
    element: str = "T1", count: int = 10, start: int = START, step: int = SECOND, base: float = 0.0, receive: int = 1
):
    times = [start + i * step for i in range(count)]
    return SampleBatch.from_columns(element, times, [base + i for i in range(count)], receive_time=receive)


def _everything(backend: ParquetBackend, **kwargs: object) -> list[tuple]:
    batches = backend.read(backend.elements(), ALWAYS, **kwargs)
    return SampleBatch.concat(list(batches)).to_pylist()


@pytest.fixture
def samples() -> Callable[..., SampleBatch]:
    """Return what makes a batch of one element: ``samples("T1", count, start, step, base, receive)``."""
    return _samples


@pytest.fixture
def everything() -> Callable[..., list[tuple]]:
    """Return what reads all of a backend, as rows."""
    return _everything
