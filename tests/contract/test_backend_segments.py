"""Which backends have files of a segment's own: they are counted as they lie there, and a database says 0."""

from __future__ import annotations

from pathlib import Path

import pytest

from archiver.model.time import DAY_NS
from archiver.ports import SupportsSegments
from archiver.testing.backend_suite.base import batch, sample
from archiver.testing.harness import BackendHarness

ROWS = [sample(day * DAY_NS + step, float(step)) for day in range(3) for step in range(5)]


def test_files_are_those_on_the_disk(backend_harness: BackendHarness, tmp_path: Path) -> None:
    backend = backend_harness.create()
    if not isinstance(backend, SupportsSegments):
        pytest.skip("the backend has no segments")
    backend.write({"g1": batch(*ROWS)})
    there = len(list(tmp_path.rglob("*.parquet"))) if type(backend).__name__ == "ParquetBackend" else 0
    assert sum(segment.files for segment in backend.segments("g1")) == there
    assert [segment.rows for segment in backend.segments("g1")] == [5, 5, 5]
