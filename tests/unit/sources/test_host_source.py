"""The machine's own metrics."""

import asyncio
import threading
import time

import pytest

from archiver.model import BackpressureError, Kind, Status

psutil = pytest.importorskip("psutil", reason="psutil is not installed")
from archiver.sources.host import HostOptions, HostSource  # noqa: E402


def test_every_machine_has_these():
    batch = HostSource("h", HostOptions(prefix="x:")).sample()
    values = {name: (kind, value) for name, *_, kind, value in batch.to_pylist()}
    for name in ("cpu.percent", "cpu.0.percent", "load.1m", "memory.percent", "disk./.percent", "uptime.seconds"):
        kind, value = values[f"x:{name}"]
        assert kind is Kind.FLOAT
        assert value >= 0
    for name in ("memory.total", "memory.available", "swap.used", "disk./.total", "processes.count"):
        kind, value = values[f"x:{name}"]
        assert kind is Kind.INT
        assert value >= 0
    assert values["x:memory.total"][1] == psutil.virtual_memory().total
    assert len(set(batch.source_time.tolist())) == 1
    assert len(values) == batch.num_rows


def test_names_begin_with_the_host(monkeypatch):
    monkeypatch.setattr("socket.gethostname", lambda: "gateway1")
    assert all(name.startswith("host/gateway1:") for name in HostSource("h", HostOptions()).sample().elements)


def test_a_mount_that_cannot_be_read_is_disconnected_and_the_rest_goes_on(monkeypatch):
    monkeypatch.setattr(psutil, "disk_usage", _fail)
    batch = HostSource("h", HostOptions(prefix="")).sample()
    rows = {name.partition(":")[2]: (status, kind) for name, _, _, _, status, kind, _ in batch.to_pylist()}
    assert rows["disk./.used"] == (Status.DISCONNECTED, Kind.NONE)
    assert rows["cpu.percent"] == (0, Kind.FLOAT)


def test_all_samples_are_taken_in_one_thread_because_psutil_counts_cpu_time_by_thread(monkeypatch):
    threads, sample = [], HostSource.sample

    def noted(self):
        threads.append(threading.get_ident())
        return sample(self)

    async def push(batch):
        await asyncio.gather(*(asyncio.to_thread(time.sleep, 0.01) for _ in range(4)))
        if len(threads) > 6:
            raise asyncio.CancelledError

    async def main():
        with pytest.raises(asyncio.CancelledError):
            await HostSource("h", HostOptions(interval="5ms")).run(push)

    monkeypatch.setattr(HostSource, "sample", noted)
    asyncio.run(main())
    assert len(set(threads)) == 1


def test_it_runs_until_cancelled_and_pushes_again_what_was_not_taken():
    pushed = []

    async def push(batch):
        pushed.append(batch)
        if len(pushed) == 1:
            raise BackpressureError("full", retry_after_s=0.0)
        if len(pushed) == 3:
            raise asyncio.CancelledError

    async def main():
        with pytest.raises(asyncio.CancelledError):
            await HostSource("h", HostOptions(interval="10ms")).run(push)

    asyncio.run(main())
    assert pushed[1] is pushed[0]
    assert pushed[2].source_time[0] > pushed[1].source_time[0]


def test_an_interval_of_nothing_is_refused():
    with pytest.raises(ValueError, match="longer than nothing"):
        HostOptions(interval="0s")


def _fail(mount):
    raise PermissionError(mount)
