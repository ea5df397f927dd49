"""A reload while a Parquet backend is compacted: one object after the other writes the table."""

from __future__ import annotations

import threading
from pathlib import Path

from archiver.backends.parquet.compaction import Merger
from archiver.bootstrap import Archive
from archiver.config import Settings
from archiver.model import Interval, SampleBatch
from archiver.pipeline.maintenance import Maintenance
from archiver.query import Query
from archiver.testing.patience import SOON_S

START = 1_767_225_600_000_000_000
SECOND = 1_000_000_000


def settings(directory: Path, retention: str) -> Settings:
    backend = {"name": "lake", "kind": "parquet", "lane": {"flush_interval": "10ms"}, "keep_removed": "0s"}
    group = {"name": "g", "elements": ["*"], "backends": ["lake"], "retention": retention}
    return Settings.model_validate({"data": directory, "backends": [backend], "groups": [group]})


def put(archive: Archive, count: int, start: int) -> None:
    for number in range(count):
        archive.intake.submit(SampleBatch.from_columns("T1", [start + number], [float(number)])).result()
        assert archive.flush()


def held(archive: Archive) -> int:
    answer = archive.query(Query(("T1",), Interval(START, START + 86_400 * SECOND)))
    count = sum(batch.num_rows for batch in answer.rows)
    assert answer.missing == []
    return count


class Announced:
    """A lock that tells when somebody comes to take it."""

    def __init__(self, lock: threading.Lock, arrived: threading.Event) -> None:
        self._lock, self._arrived = lock, arrived

    def __enter__(self) -> None:
        self._arrived.set()
        self._lock.acquire()

    def __exit__(self, *_: object) -> None:
        self._lock.release()


def test_reload_waits_for_the_maintenance_under_way(tmp_path: Path, monkeypatch):
    inside, go, arrived, merge = threading.Event(), threading.Event(), threading.Event(), Merger.merge

    def halting(merger, *args):
        written = merge(merger, *args)
        inside.set()
        assert go.wait(SOON_S)
        return written

    with Archive(settings(tmp_path, "0s")) as archive:
        assert archive.wait_ready()
        put(archive, 4, START)
        old = archive.lanes["lake"].backend
        monkeypatch.setattr(Merger, "merge", halting)
        order: list[str] = []
        maintenance = threading.Thread(target=lambda: (archive._maintenance.once(), order.append("maintained")))
        maintenance.start()
        assert inside.wait(SOON_S)
        archive._maintenance._working = Announced(archive._maintenance._working, arrived)

        def reload() -> None:
            archive.reload(settings(tmp_path, "90y"))
            order.append("reloaded")
            arrived.set()

        reloading = threading.Thread(target=reload)
        reloading.start()
        assert arrived.wait(SOON_S)
        assert archive.lanes["lake"].backend is old
        go.set()
        maintenance.join()
        reloading.join()
        assert order == ["maintained", "reloaded"]
        assert archive.wait_ready()
        put(archive, 3, START + SECOND)
        archive.keep()
        assert held(archive) == 7
    with Archive(settings(tmp_path, "90y")) as archive:
        assert archive.wait_ready()
        assert held(archive) == 7


def test_paused_maintenance_does_nothing_until_the_end_of_the_block():
    asked, arrived, done = [], threading.Event(), threading.Event()
    maintenance = Maintenance(lambda: asked.append(True) or [])
    with maintenance.paused():
        maintenance._working = Announced(maintenance._working, arrived)
        thread = threading.Thread(target=lambda: (maintenance.once(), done.set()))
        thread.start()
        assert arrived.wait(SOON_S)
        assert asked == []
    assert done.wait(SOON_S)
    thread.join()
    assert asked == [True]
