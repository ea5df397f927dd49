"""A disk that is really full: nothing acknowledged is lost, nothing is doubled, and it goes on by itself."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import httpx
import numpy as np

from archiver.bootstrap import Archive
from archiver.model import Interval, SampleBatch
from archiver.query import Query
from archiver.testing.patience import SOON_S
from archiver.testing.service import running_service, until

T0 = 1_760_000_000_000_000_000
ROWS = 20_000
CONFIG = """
[[backends]]
name = "lake"
kind = "parquet"
lane = { flush_interval = "50ms", retry_first = "20ms", retry_longest = "100ms" }
"""


def noise(number: int) -> SampleBatch:
    """A batch that no codec makes much smaller."""
    values = np.random.default_rng(number).random(ROWS)
    return SampleBatch.from_columns("T1", T0 + number * ROWS + np.arange(ROWS), values)


def body(number: int) -> bytes:
    import pyarrow as pa

    sink = pa.BufferOutputStream()
    batch = noise(number).to_arrow()
    with pa.ipc.new_stream(sink, batch.schema) as writer:
        writer.write_batch(batch)
    content: bytes = sink.getvalue().to_pybytes()
    return content


def expected(numbers: list[int]) -> set[int]:
    return {T0 + number * ROWS + row for number in numbers for row in range(ROWS)}


def test_the_disk_of_the_archive(small_disk: Path):
    data = small_disk / "data"
    data.mkdir()
    (data / "forebay.toml").write_text(CONFIG)
    ballast = small_disk / "ballast"
    ballast.write_bytes(bytes(8 * 2**20))
    headers = {"Content-Type": "application/vnd.apache.arrow.stream"}
    taken: list[int] = []
    with running_service(data) as service, httpx.Client(base_url=service.url, timeout=SOON_S) as client:

        def send(number: int) -> int:
            answer = client.post("/v1/samples", content=body(number), headers=headers)
            if answer.status_code == 200:
                assert answer.json()["counts"] == {"buffered": ROWS, "rejected": 0}
                taken.append(number)
            else:
                assert answer.status_code == 503, answer.text
                assert int(answer.headers["Retry-After"]) >= 1
                assert "free space on its disk" in answer.json()["detail"]
            return answer.status_code

        refusals = 0
        while refusals < 5:  # in a row: what the backend stores makes a little room again
            refusals = 0 if send(len(taken)) == 200 else refusals + 1
            assert len(taken) < 500, "the disk never filled"
        assert len(taken) > 3
        assert client.get("/health/live").status_code == 200
        assert client.get("/health/ready").status_code == 503
        ballast.unlink()
        until(lambda: send(len(taken)) == 200)

        def caught_up() -> bool:
            (lake,) = client.get("/v1/backends").json()["backends"]
            return bool(lake["lag_samples"] == 0)

        until(caught_up)
        page = client.get(
            "/v1/samples", params={"element": "T1", "start": str(T0), "end": "now"}, headers={"Accept": "text/csv"}
        )
        assert page.text.count("\n") == 1 + len(taken) * ROWS
        totals = client.get("/v1/ledger").json()["totals"]
        assert [(t["outcome"], t["count"]) for t in totals] == [("stored", len(taken) * ROWS)]


def test_the_disk_of_one_backend(small_disk: Path, tmp_path: Path, make_archive: Callable[..., Archive]):
    lane = {"flush_interval": "20ms", "retry_first": "10ms", "retry_longest": "50ms"}
    backends = [
        {"name": "lake", "kind": "parquet", "path": str(small_disk / "lake"), "lane": lane},
        {"name": "warm", "kind": "sql", "url": "sqlite:///warm.db", "lane": lane},
    ]
    ballast = small_disk / "ballast"
    with make_archive(backends=backends) as archive:
        assert archive.wait_ready()
        archive.intake.submit(noise(0)).result()
        assert archive.flush()
        ballast.write_bytes(bytes(shutil.disk_usage(small_disk).free))
        for number in range(1, 10):
            archive.intake.submit(noise(number)).result()
        until(lambda: archive.lanes["lake"].status().retries)
        assert archive.lanes["warm"].flush(SOON_S)
        everything = Query(("T1",), Interval(T0, T0 + 10 * ROWS), backend="warm")
        assert archive.query(everything).table().num_rows == 10 * ROWS
        assert "No space left" in archive.lanes["lake"].status().last_error
        ballast.unlink()
        until(archive.flush)
        lake = Query(("T1",), Interval(T0, T0 + 10 * ROWS), backend="lake")
        times = archive.query(lake).table()["source_time"].to_pylist()
        assert len(times) == 10 * ROWS
        assert set(times) == expected(list(range(10)))
        stored = {(t.lane, t.outcome): t.count for t in archive.totals()}
        assert stored == {("lake", "stored"): 10 * ROWS, ("warm", "stored"): 10 * ROWS}
