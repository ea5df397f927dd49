"""An archive that passes samples on beside one that stores: queries ask the one, subscribers get all from the other."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from archiver.bootstrap import Archive
from archiver.model import Interval, SampleBatch, UnsupportedError
from archiver.model.holding import Cause
from archiver.query import Query
from archiver.testing.network import free_ports
from archiver.testing.stream import Collector

LANE = {"flush_interval": "20ms"}


def part(first: int, count: int = 10) -> SampleBatch:
    times = np.arange(first, first + count)
    return SampleBatch.from_columns("e1", times, times * 1.0)


@pytest.fixture
def address() -> str:
    return f"127.0.0.1:{free_ports(1)[0]}"


def test_who_passes_on_is_never_asked(make_archive: Callable[..., Archive], address: str) -> None:
    """It comes first in the configuration, stores what nobody else does, and smooths; late samples are passed on."""
    backends: list[dict[str, Any]] = [
        {"name": "feed", "kind": "stream", "tcp": address, "lane": LANE},
        {"name": "lake", "kind": "parquet", "lane": LANE},
    ]
    groups = [
        {"name": "all", "elements": ["e*"], "backends": ["feed", "lake"],
         "smoothing": {"kind": "value", "tolerance": 0.5}},
        {"name": "only", "elements": ["f*"], "backends": ["feed"]},
    ]  # fmt: skip
    archive = make_archive(backends=backends, groups=groups).open()
    assert archive.wait_ready()
    collector = Collector(address)
    collector.wait(0, connections=1)
    for first in (30, 10, 20):
        archive.intake.submit(part(first)).result()
    archive.intake.submit(SampleBatch.from_columns("f1", [1], [2.0])).result()
    assert archive.flush()
    answer = archive.query(Query(("e1",), Interval(0, 100)))
    assert answer.table()["source_time"].to_pylist() == list(range(10, 40))
    assert ([part.backend for part in answer.parts], answer.missing) == (["lake"], [])
    passed = archive.query(Query(("f1",), Interval(0, 100)))
    assert passed.table().num_rows == 0
    assert [(missing.backend, missing.cause) for missing in passed.missing] == [("feed", Cause.PASSED_ON)]
    assert not passed.complete
    both = archive.query(Query(("e1", "f1", "f2"), Interval(0, 100)))
    assert both.table().num_rows == 30
    causes = {missing.elements: missing.cause for missing in both.missing}
    assert causes == {("f1",): Cause.PASSED_ON, ("f2",): Cause.UNKNOWN}
    rows = {state.name: state.to_row() for state in archive.backend_states()}
    assert (rows["feed"]["samples"], rows["feed"]["lag_samples"], rows["lake"]["samples"]) == (None, 0, 30)
    assert archive.explain("e1", Interval(0, 100)).archived == {"lake": 30}
    with pytest.raises(UnsupportedError, match="only passes samples on; ask another one: lake"):
        archive.query(Query(("e1",), Interval(0, 100), backend="feed"))
    backend = archive.lanes["feed"].backend
    collector.wait(backend.number)  # type: ignore[attr-defined]
    archive.close()
    collector.close()
    found = sorted((row.element, row.source_time) for row in collector.rows())
    assert found == [*(("e1", time) for time in range(10, 40)), ("f1", 1)]


def test_what_was_not_passed_on_before_a_restart_is_after_it(
    make_archive: Callable[..., Archive], address: str, tmp_path: Path
) -> None:
    """Its position is kept with the newest values: nothing is passed on twice, and nothing is left out."""
    backends = [{"name": "feed", "kind": "stream", "tcp": address, "lane": LANE}]
    archive = make_archive(backends=backends).open()
    assert archive.wait_ready()
    archive.intake.submit(part(0)).result()
    assert archive.flush()
    archive.lanes["feed"].stop(drain=False)
    archive.intake.submit(part(10)).result()  # acknowledged, and the lane is not there any more
    archive.close(drain=False)
    collector = Collector(address)
    again = make_archive(backends=backends).open()
    assert again.wait_ready()
    collector.wait(0, connections=1)
    assert again.flush()
    collector.wait(2)
    again.close()
    collector.close()
    changes = [row.source_time for row in collector.rows()]
    assert changes in ([9, *range(10, 20)], [19])  # 19 alone, when the subscriber came after the lane
