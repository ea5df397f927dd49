"""What is acknowledged around a reload is carried by the lanes of the groups that let it in."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from archiver import config
from archiver.bootstrap import Archive
from archiver.model import SampleBatch
from archiver.model.time import now
from archiver.testing.patience import SOON_S

NOW = now()
G, H = ({"name": name, "elements": [f"{name.upper()}*"], "backends": ["b"]} for name in "gh")


def settings(directory: Path, *groups: dict[str, Any]) -> config.Settings:
    lane = {"flush_interval": "1h"}  # so that nothing is written but when asked for
    backends = [{"name": "b", "kind": "parquet", "lane": lane}]
    return config.parse({"data": str(directory), "backends": backends, "groups": list(groups)})


@pytest.fixture
def archive(tmp_path: Path) -> Iterator[Archive]:
    with Archive(settings(tmp_path, G, H)) as archive:
        assert archive.wait_ready()
        yield archive


def send(archive: Archive, element: str = "H1") -> dict[str, int]:
    return dict(archive.intake.submit(SampleBatch.from_columns(element, [NOW], [1.0])).result(SOON_S).counts)


def stored(archive: Archive) -> dict[str, int]:
    assert archive.flush()
    return {total.group: total.count for total in archive.totals() if total.outcome == "stored"}


def test_a_sample_after_the_last_flush_of_a_group_that_goes_is_stored(archive: Archive, tmp_path: Path):
    lane, sent = archive.lanes["b"], []
    send(archive, "G1")
    flush = lane.flush

    def and_then_another(timeout_s: float) -> bool:
        done = flush(timeout_s)
        if not sent:
            sent.append(send(archive))
        return done

    lane.flush = and_then_another  # type: ignore[method-assign]
    archive.reload(settings(tmp_path, G))
    assert sent == [{"buffered": 1, "rejected": 0}]
    assert stored(archive) == {"g": 1, "h": 1}


def test_a_sample_after_the_old_lanes_have_ended_is_judged_by_the_new_groups(archive: Archive, tmp_path: Path):
    backend, sent = archive.lanes["b"].backend, []
    close = backend.close

    def and_then_another() -> None:
        sent.append(send(archive))
        close()

    backend.close = and_then_another  # type: ignore[method-assign]
    archive.reload(settings(tmp_path, G))
    assert sent == [{"buffered": 0, "rejected": 1}]
    assert stored(archive) == {}


def test_a_sample_of_a_group_that_comes_is_not_passed_over_by_the_old_lane(archive: Archive, tmp_path: Path):
    archive.reload(settings(tmp_path, G))
    backend, sent = archive.lanes["b"].backend, []
    close = backend.close

    def and_then_another() -> None:
        sent.append(send(archive))
        close()

    assert archive.wait_ready()
    backend.close = and_then_another  # type: ignore[method-assign]
    archive.reload(settings(tmp_path, G, H))
    assert sent == [{"buffered": 1, "rejected": 0}]
    assert stored(archive) == {"h": 1}
