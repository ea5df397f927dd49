"""Verify and repair on whole archives: with and without a running one, under load, with a lane behind, after faults."""

from __future__ import annotations

import json
import threading
from pathlib import Path

import httpx
import pytest

from archiver import config
from archiver.bootstrap import Archive
from archiver.model import Interval, InvalidInputError, Metadata, NotFoundError, SampleBatch, TransientError
from archiver.model.time import ALWAYS
from archiver.pipeline.verification import Plan
from archiver.testing.faults import FaultyBackend, WriteFault
from archiver.testing.patience import SOON_S
from archiver.testing.service import running_service, until

T0 = 1_767_225_600_000_000_000  # 2026-01-01T00:00:00Z
FILE = """
[[backends]]
name = "lake"
kind = "parquet"
[[backends]]
name = "warm"
kind = "sql"
url = "sqlite:///warm.db"
[[groups]]
name = "all"
elements = ["*"]
backends = ["lake", "warm"]
"""
GROUP = {"name": "all", "elements": ["*"], "backends": ["lake", "warm"]}
DOOR = {"name": "door", "elements": ["D*"], "backends": ["lake", "warm"],
        "smoothing": {"kind": "swinging_door", "tolerance": 0.5}}  # fmt: skip


def ramp(count: int, start: int = 0, element: str = "T1") -> SampleBatch:
    times = [T0 + (start + i) * 10**9 for i in range(count)]
    return SampleBatch.from_columns(element, times, [float(start + i) for i in range(count)])


def extra(element: str, second: int) -> SampleBatch:
    return SampleBatch.from_columns(element, [T0 + second * 10**9 + 7], [0.5], receive_time=T0)


def seed(directory: Path) -> None:
    """Two backends with the same hundred samples, of which one has one more, the other two."""
    (directory / "forebay.toml").write_text(FILE)
    with Archive(config.load(directory / "forebay.toml", overrides={"data": str(directory)})) as archive:
        archive.intake.submit(ramp(100)).result()
        assert archive.flush()
        archive.lanes["lake"].backend.write({"all": SampleBatch.concat([extra("T1", 3), extra("T2", 4)])})
        archive.lanes["warm"].backend.write({"all": extra("T1", 5)})


def stored(archive: Archive, reason: str) -> int:
    return sum(t.count for t in archive.totals() if (t.lane, t.outcome, t.reason) == ("warm", "stored", reason))


@pytest.mark.parametrize("running", [False, True], ids=["alone", "beside a running archive"])
def test_the_command_says_what_differs_repairs_it_and_says_that_it_is_the_same(tmp_path, forebay, running):
    seed(tmp_path)

    def check() -> None:
        done = forebay("verify", "lake", "warm", "--data", tmp_path)
        assert done.code == 1, done.errors
        assert "compared 102 samples of lake and 101 samples of warm, received until 20" in done.text
        assert "only in lake: 2, only in warm: 1, changed: 0" in done.text
        assert "  T2 2026-01-01T00:00:04.000000007Z only in lake: lake 0.5 status 0" in done.text
        assert done.text.splitlines()[-1] == "they differ in 3 samples"
        assert forebay("verify", "lake", "warm", "--element", "T2", "--to", "2026-01-01T00:00:04Z",
                       "--data", tmp_path).code == 0  # fmt: skip

        done = forebay("verify", "lake", "warm", "--repair", "warm", "--format", "json", "--data", tmp_path)
        assert done.code == 1
        report = json.loads(done.text)
        assert report["only_in"] == {"lake": 2, "warm": 1}
        assert report["repaired"] == {"backend": "warm", "read": 2, "stored": 2, "duplicates": 0, "corrected": 0}
        assert report["remaining"] == 1
        assert forebay("verify", "lake", "warm", "--repair", "lake", "--data", tmp_path).code == 0
        done = forebay("verify", "warm", "lake", "--data", tmp_path)
        assert (done.code, done.text.splitlines()[-1]) == (0, "they are the same")
        assert "repaired from lake" in forebay("ledger", "--data", tmp_path).text

        assert forebay("verify", "lake", "cold", "--data", tmp_path).code == 2
        assert "name another backend" in forebay("verify", "lake", "lake", "--data", tmp_path).errors
        assert "repair lake or warm" in forebay("verify", "lake", "warm", "--repair", "x", "--data", tmp_path).errors

    if not running:
        check()
        return
    with running_service(tmp_path) as service, httpx.Client(base_url=service.url, timeout=SOON_S) as client:
        check()
        what = {"backends": ["lake", "warm"]}
        assert client.post("/v1/verify", json=what).json()["same"] is True
        lines = client.post("/v1/verify", json=what, headers={"Accept": "application/x-ndjson"}).text
        progress, last = map(json.loads, lines.splitlines())
        assert progress == {"done": 1, "total": 1}
        assert last["compared"] == {"lake": 103, "warm": 103}
        wrong = client.post("/v1/verify", json=what | {"start": "yesterday"})
        assert (wrong.status_code, wrong.json()["parameter"]) == (400, "start")


def test_samples_that_come_in_meanwhile_are_no_difference(make_archive):
    done = threading.Event()

    def feed(archive: Archive) -> None:
        start = 0
        while not done.is_set():
            for element in ("T1", "D1"):
                archive.intake.submit(ramp(50, start, element)).result()
            start += 50

    with make_archive(groups=[GROUP, DOOR]) as archive:
        feeder = threading.Thread(target=feed, args=(archive,))
        feeder.start()
        try:
            rows: list[int] = []
            while len(rows) < 15 or rows[-1] == rows[0]:
                report = archive.verify(("lake", "warm"), Plan(ALWAYS))
                assert report.same, report.to_dict()
                rows.append(sum(segment.rows[0] for segment in report.segments))
        finally:
            done.set()
            feeder.join()
        assert rows == sorted(rows)


def test_a_lane_that_is_behind_is_compared_up_to_where_it_is(make_archive):
    wrapped: dict[str, FaultyBackend] = {}

    def wrap(backend):
        return wrapped.setdefault(backend.name, FaultyBackend(backend))

    with make_archive(groups=[GROUP], wrap=wrap) as archive:
        archive.intake.submit(ramp(10)).result()
        assert archive.flush()
        wrapped["warm"].faults.writes.extend([WriteFault.REFUSED] * 10_000)
        archive.intake.submit(ramp(5, 10)).result()
        report = archive.verify(("lake", "warm"), Plan(ALWAYS))
        assert report.same
        assert [segment.rows for segment in report.segments] == [(10, 10)]
        ((cause, backend, samples),) = [(e.cause, e.backend, e.samples) for e in report.exempt]
        assert (cause, backend, samples) == ("journal", "warm", 5)
        wrapped["warm"].faults.writes.clear()
        assert until(archive.flush)
        assert archive.verify(("lake", "warm"), Plan(ALWAYS)).exempt == []


@pytest.mark.parametrize("fault", list(WriteFault), ids=lambda fault: fault.name.lower())
def test_a_copy_that_fails_and_is_repeated_is_accounted_for_once(make_archive, fault):
    wrapped: dict[str, FaultyBackend] = {}

    def wrap(backend):
        return wrapped.setdefault(backend.name, FaultyBackend(backend))

    with make_archive(groups=[GROUP], wrap=wrap) as archive:
        archive.intake.submit(ramp(10)).result()
        assert archive.flush()
        archive.lanes["lake"].backend.write({"all": extra("T1", 3)})
        whole = Interval(T0, T0 + 10**12)
        wrapped["warm"].faults.writes.append(fault)
        with pytest.raises(TransientError):
            archive.copy("lake", "warm", whole)
        archive.copy("lake", "warm", whole)
        assert (stored(archive, "copied from lake"), stored(archive, "")) == (1, 10)
        wrapped["warm"].faults.writes.append(fault)
        archive.lanes["lake"].backend.write({"all": extra("T1", 4)})
        with pytest.raises(TransientError):
            archive.verify(("lake", "warm"), Plan(ALWAYS), "warm")
        assert archive.verify(("lake", "warm"), Plan(ALWAYS), "warm").same
        assert stored(archive, "repaired from lake") == 1
        assert archive.verify(("lake", "warm"), Plan(ALWAYS)).same


def test_a_correction_made_by_a_repair_is_found_by_the_next_comparison(make_archive):
    with make_archive(groups=[GROUP]) as archive:
        for name, value in (("lake", 1.0), ("warm", 2.0)):
            changed = SampleBatch.from_columns("T1", [T0], [value], receive_time=T0)
            archive.lanes[name].backend.write({"all": changed})
        report = archive.verify(("lake", "warm"), Plan(ALWAYS), "warm")
        assert (report.changed, report.same) == (1, True)
        assert archive.verify(("lake", "warm"), Plan(ALWAYS)).same
        (part,) = archive.lanes["warm"].backend.read(["T1"], ALWAYS)
        assert part.to_pylist()[0][-1] == 1.0
        assert int(part.receive_time[0]) == report.received_until


def test_a_former_name_is_verified_with_the_element(make_archive):
    with make_archive(groups=[GROUP]) as archive:
        archive.intake.submit(ramp(3)).result()
        assert archive.flush()
        archive.lanes["lake"].backend.write({"all": extra("T1", 9)})
        archive.catalog.describe("T1", Metadata(), rename="T9")
        assert archive.verify(("lake", "warm"), Plan(ALWAYS, ["T9"])).only == [1, 0]


def test_what_cannot_be_compared_says_why(make_archive):
    with make_archive(groups=[GROUP]) as archive:
        with pytest.raises(NotFoundError, match="there are lake, warm"):
            archive.verify(("lake", "cold"), Plan(ALWAYS))
        with pytest.raises(InvalidInputError, match="given twice"):
            archive.verify(("lake", "lake"), Plan(ALWAYS))
        with pytest.raises(InvalidInputError, match="repair lake or warm"):
            archive.verify(("lake", "warm"), Plan(ALWAYS), "cold")
