"""What all parts of the suite share: the fixtures, and short words for samples and reads."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

from archiver.backends.memory import MemoryBackend
from archiver.model import Interval, Kind, SampleBatch
from archiver.model.time import ALWAYS
from archiver.ports import Backend, BackendContext
from archiver.testing.harness import GROUPS, BackendHarness
from archiver.testing.rows import Row, batch_of, rows_of

per_example = settings(
    deadline=None,
    suppress_health_check=[
        HealthCheck.function_scoped_fixture,
        HealthCheck.differing_executors,
        HealthCheck.too_slow,
        HealthCheck.data_too_large,
    ],
)
"""For property tests that make a backend per example."""


class BackendSuite:
    """Fixtures; a subclass overrides `harness`."""

    @pytest.fixture
    def harness(self) -> Iterator[BackendHarness]:
        """Yield the harness of the kind of backend under test, and close it."""
        raise NotImplementedError("give the contract suite a `harness` fixture: see archiver.testing.harness")

    @pytest.fixture
    def backend(self, harness: BackendHarness) -> Backend:
        """Return a new, open backend in an empty place."""
        return harness.create()


def model() -> MemoryBackend:
    """Return the model: an empty backend in memory, for the groups of the harness."""
    return MemoryBackend(BackendContext("model", Path(), GROUPS), MemoryBackend.Options())


def sample(
    time: int,
    value: Any = 1.0,
    *,
    element: str = "a",
    kind: Kind | None = None,
    sequence: int = 0,
    received: int = 1,
    status: int = 0,
) -> Row:
    """Return a sample; a value is a float, and None is no value, unless `kind` says otherwise."""
    if kind is None:
        kind = Kind.NONE if value is None else Kind.FLOAT
    return Row(element, time, sequence, received, status, kind, value)


def batch(*rows: Row) -> SampleBatch:
    """Return samples as a batch, in the order given."""
    return batch_of(rows)


def exact(rows: Sequence[Row]) -> list[Row]:
    """Return rows with floats as bits, as `rows_of` gives them, in the order of a read."""
    ordered: list[Row] = sorted(rows, key=lambda row: row.order)
    return rows_of(batch_of(ordered))


def read(backend: Backend, *elements: str, interval: Interval = ALWAYS, **choice: Any) -> list[Row]:
    """Return what a read of elements (of all that there are, when none is named) gives, bit by bit."""
    names = list(elements) or backend.elements()
    return rows_of(*backend.read(names, interval, **choice))


def floats(rows: Sequence[Row]) -> list[float | None]:
    """Return the values of rows of floats, in their order."""
    return [None if row.value is None else struct.unpack(">d", row.value)[0] for row in rows]
