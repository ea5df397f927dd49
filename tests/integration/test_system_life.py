"""What time does to an archive: retention, restarts, kills, and newer versions of itself."""

from __future__ import annotations

import sqlite3
import threading
import time
import zlib
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import httpx
import pytest

from archiver import config
from archiver.bootstrap import Archive
from archiver.journal.file import FileJournal
from archiver.model import Interval, PermanentError, SampleBatch
from archiver.model.time import DAY_NS, now
from archiver.pipeline.lane import Lane
from archiver.query import Query
from archiver.testing.patience import SOON_S
from archiver.testing.service import running_service


@pytest.fixture
def midnight(monkeypatch: pytest.MonkeyPatch) -> int:
    """Set the clock to noon, so that no day ends while a test runs; return when the day began."""
    real = time.time_ns
    today = real() // DAY_NS * DAY_NS
    ahead = today + DAY_NS // 2 - real()
    monkeypatch.setattr(time, "time_ns", lambda: real() + ahead)
    return today


def group(retention: str) -> dict:
    return {"name": "all", "elements": ["*"], "backends": ["lake", "warm"], "retention": retention, "segment": "1d"}


def test_old_segments_go_and_old_samples_are_refused(make_archive: Callable[..., Archive], midnight: int):
    days = [midnight - n * DAY_NS for n in range(20)]
    with make_archive(groups=[group("0s")]) as archive:
        archive.intake.submit(SampleBatch.from_columns("T1", days, [float(n) for n in range(20)])).result()
        assert archive.flush()
        archive.reload(make_archive(groups=[group("7d")]).settings)
        assert archive.wait_ready()
        archive.keep()
        for backend in ("lake", "warm"):
            table = archive.query(Query(("T1",), Interval(0, 2 * midnight), backend=backend)).table()
            assert table["value"].to_pylist() == [float(n) for n in reversed(range(8))], backend
        receipt = archive.intake.submit(SampleBatch.from_columns("T1", days[7:9], [7.5, 8.5])).result()
        assert receipt.counts == {"buffered": 0, "rejected": 2}
        assert receipt.reasons == {"older than the retention": 2}
        rejections = [t for t in archive.totals() if t.outcome == "rejected"]
        assert [(t.lane, t.reason, t.count) for t in rejections] == [("intake", "older than the retention", 2)]


@pytest.mark.parametrize("end", ["drained", "killed"])
def test_the_latest_value_survives(tmp_path: Path, end: str):
    start = now() - DAY_NS
    with running_service(tmp_path) as service, httpx.Client(base_url=service.url, timeout=SOON_S) as client:
        rows = [{"element": f"T{i % 3}", "source_time": start + i, "value": float(i)} for i in range(30)]
        assert client.post("/v1/samples", json=rows).json()["counts"]["buffered"] == 30
        late = [{"element": "T0", "source_time": start - 1, "value": -1.0}]
        assert client.post("/v1/samples", json=late).json()["counts"]["buffered"] == 1
        if end == "killed":
            service.kill()
    with running_service(tmp_path) as service, httpx.Client(base_url=service.url, timeout=SOON_S) as client:
        found = client.get("/v1/samples/latest").json()["samples"]
        assert [(row["element"], row["value"]) for row in found] == [("T0", 27.0), ("T1", 28.0), ("T2", 29.0)]
        totals = client.get("/v1/ledger").json()["totals"]
        for backend in ("lake", "warm"):
            assert sum(t["count"] for t in totals if t["lane"] == backend) == 31


def test_what_was_sent_just_before_the_end_is_drained(make_archive: Callable[..., Archive], monkeypatch):
    """Nobody waits for its receipt any more, and the journal has it only when the archive is being closed."""
    lane = {"flush_interval": "1h"}  # so that nothing is written but when asked for
    backends = [{"name": "lake", "kind": "parquet", "lane": lane}]
    go, write, stop = threading.Event(), FileJournal._write, Lane.stop

    def held(*given) -> None:
        assert go.wait(SOON_S)
        write(*given)

    def released(wait: Callable[..., None]) -> Callable[..., None]:
        return lambda *given, **how: (go.set(), wait(*given, **how))

    with make_archive(backends=backends) as archive:
        assert archive.wait_ready()
        monkeypatch.setattr(FileJournal, "_write", held)
        sent = archive.intake.submit(SampleBatch.from_columns("T1", [now()], [1.0]))
        monkeypatch.setattr(archive.intake, "wait_appended", released(archive.intake.wait_appended))
        monkeypatch.setattr(Lane, "stop", lambda lane, drain: (stop(lane, drain=drain), go.set()))
    assert sent.result().counts["buffered"] == 1
    with make_archive(backends=backends) as archive:
        assert archive.wait_ready()
        assert archive.lanes["lake"].status().lag_samples == 0


def newer_store(directory: Path) -> Path:
    path = directory / "archive.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA user_version=99")
    return path


def newer_journal(directory: Path) -> Path:
    (path,) = (directory / "journal").glob("*.log")
    data = bytearray(path.read_bytes())
    data[18:20] = (99).to_bytes(2, "little")
    data[52:56] = zlib.crc32(data[:52]).to_bytes(4, "little")
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("newer", [newer_store, newer_journal])
def test_a_newer_format_is_refused_and_nothing_is_changed(tmp_path: Path, forebay, newer: Callable[[Path], Path]):
    settings = config.parse({"data": str(tmp_path)})
    with Archive(settings) as archive:
        archive.intake.submit(SampleBatch.from_columns("T1", [now()], [1.0])).result()
    path = newer(tmp_path)
    before = path.read_bytes()
    for _ in range(2):
        with pytest.raises(PermanentError, match=r"has format 99, newer than 1: upgrade forebay"):
            Archive(settings).open()
    done = forebay("ledger", "--data", tmp_path)
    assert done.code == 1
    assert str(path) in done.errors
    assert path.read_bytes() == before
