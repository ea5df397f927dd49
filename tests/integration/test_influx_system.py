"""An archive whose InfluxDB dies, comes back, and runs out of disk."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from archiver.bootstrap import Archive
from archiver.model import Interval, SampleBatch, TransientError
from archiver.ports import BackendContext, Position
from archiver.testing.influxdb import InfluxdbServer, find_program
from archiver.testing.postgresql import UnavailableError
from archiver.testing.service import until

T0 = 1_760_000_000_000_000_000
ROWS = 2_000
NAMES = [f"device{number}.value" for number in range(20)]
LANE = {"flush_interval": "5ms", "flush_rows": 3 * ROWS, "retry_first": "10ms", "retry_longest": "50ms"}


def part(number: int) -> SampleBatch:
    """The samples of one moment; half of them were in the one before."""
    times = T0 + (number * ROWS + np.arange(2 * ROWS)) // 2 * 1_000_000
    values = np.random.default_rng(7).random(200_000)[(times - T0) // 1_000_000 % 200_000]
    elements = [NAMES[time // 1_000_000 % len(NAMES)] for time in times.tolist()]
    return SampleBatch.from_columns(elements, times, values, sequence=np.arange(2 * ROWS) % 2)


@pytest.fixture
def server(tmp_path: Path):
    """A server of the test's own, to be killed."""
    try:
        program = find_program()
    except UnavailableError as exc:
        pytest.skip(str(exc))
    (tmp_path / "influx").mkdir()
    server = InfluxdbServer(program, tmp_path / "influx")
    server.start()
    yield server
    server.stop()


def test_killed_again_and_again_under_load(make_archive: Callable[..., Archive], server: InfluxdbServer):
    """The lake does not notice; in the end InfluxDB has every sample once, and the ledger adds up."""
    backends = [
        {"name": "lake", "kind": "parquet", "lane": LANE},
        {"name": "hot", "kind": "influx", "url": server.url, "database": "plant", "timeout": "300s", "lane": LANE},
    ]
    with make_archive(backends=backends) as archive:
        feeding = threading.Thread(
            target=lambda: [archive.intake.submit(part(number)).result() for number in range(60)]
        )
        feeding.start()
        for kills in range(3):
            target = 10 * (kills + 1)
            until(lambda wanted=target: (archive.lanes["hot"].position or 0) >= wanted)
            server.kill()
            until(lambda: archive.lanes["hot"].status().state == "retrying")
            reached = archive.lanes["lake"].position or 0
            if reached < 55:
                until(lambda least=reached: (archive.lanes["lake"].position or 0) > least)
            server.start()
        feeding.join()
        until(archive.flush)
        whole = Interval(T0, T0 + 10**15)
        readers = archive.readers()
        lake, hot = (
            SampleBatch.concat(list(readers[name].read(NAMES, whole, versions=True))) for name in ("lake", "hot")
        )
        assert lake.num_rows == 61 * ROWS
        assert hot == lake
        archive.keep()
        counted = {(total.lane, total.outcome): total.count for total in archive.totals()}
        for lane in ("lake", "hot"):
            assert counted[lane, "stored"] == lake.num_rows
            assert counted[lane, "stored"] + counted[lane, "duplicate"] == 60 * 2 * ROWS


def test_samples_that_are_refused_are_put_aside(make_archive: Callable[..., Archive], server: InfluxdbServer):
    """Somebody else wrote text where floats belong, in one shard: its samples are dead letters, the others stored."""
    from archiver.backends.influx.client import Client
    from archiver.backends.influx.options import InfluxOptions

    backends = [{"name": "hot", "kind": "influx", "url": server.url, "database": "plant", "lane": LANE}]
    groups = [{"name": "g", "elements": ["*"], "backends": ["hot"]}]
    weeks = T0 + np.arange(4) * 7 * 86_400 * 10**9
    with make_archive(backends=backends, groups=groups) as archive:
        until(archive.wait_ready)
        client = Client(InfluxOptions(url=server.url, database="plant"), "somebody else")
        client.connect()
        client.write(f'g,element=z float="text" {weeks[2]}\n'.encode())
        client.close()
        times = (weeks[:, None] + np.arange(5)).ravel()
        archive.intake.submit(SampleBatch.from_columns("T1", times, np.arange(20.0))).result()
        until(archive.flush)
        reader = archive.readers()["hot"]
        found = SampleBatch.concat(list(reader.read(["T1"], Interval(T0, T0 + 10**16))))
        assert found.source_time.tolist() == [time for time in times.tolist() if time // 5 != weeks[2] // 5]
        assert sum(letter.rows for letter in archive.dead_letters.list()) == 5
        assert all("field type conflict" in letter.reason for letter in archive.dead_letters.list())
        assert reader.coverage()[0].rows == 15


def test_a_full_disk(small_disk: Path, tmp_path: Path):
    """A write that does not fit is repeated until there is room; what was acknowledged is there all the while."""
    from archiver.backends.influx import InfluxBackend, InfluxOptions

    try:
        program = find_program()
    except UnavailableError as exc:
        pytest.skip(str(exc))
    ballast = small_disk / "ballast"
    ballast.write_bytes(bytes(19 * 2**20))
    server = InfluxdbServer(program, small_disk)
    server.start()
    options = InfluxOptions(url=server.url, database="plant", timeout="60s")
    backend = InfluxBackend(BackendContext("hot", tmp_path), options)
    stored = 0

    def write(number: int) -> bool:
        try:
            backend.write({"g": part(number)}, Position("journal", number))
        except TransientError:
            return False
        return True

    def count() -> int:
        return sum(batch.num_rows for batch in backend.read(NAMES, Interval(T0, T0 + 10**15)))

    try:
        backend.open()
        while write(stored):
            stored += 1
            assert stored < 1000, "the disk never filled"
        assert stored > 1
        server.kill()  # it would not end by itself
        ballast.unlink()
        server.start()
        backend.open()
        assert backend.position("journal") == Position("journal", stored - 1)
        assert count() == (stored + 1) * ROWS
        assert write(stored)
        assert count() == (stored + 2) * ROWS
    finally:
        backend.close()
        server.kill()
