"""The machine's own metrics: CPU, memory, disks, network, temperatures, load, processes."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, ClassVar

import psutil
import pyarrow as pa
from pydantic import ConfigDict, Field

from archiver.config.fields import LongerDuration, lasting
from archiver.model import Kind, SampleBatch, Status
from archiver.model.time import now
from archiver.ports import Options, Push
from archiver.sources.delivery import Beat, deliver

Metric = tuple[str, float | int | None]
"""Name behind the prefix, and value: float, int, or None when the machine has it but cannot tell now."""


class HostOptions(Options):
    """How often, and under which names."""

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True)

    interval: LongerDuration = lasting("5s", "time between two samples of a metric")
    prefix: str = Field("", description="begin of all names; host/<hostname>: when left out")


class HostSource:
    """Samples the machine that it runs on, at fixed intervals.

    Elements are ``host/<hostname>:cpu.percent``, ``…:cpu.0.percent``, ``…:memory.available``, ``…:disk./.used`` and
    so on; percentages, temperatures (degrees Celsius) and loads are float, bytes and counts are int.

    Parameters
    ----------
    name : str
    options : HostOptions
    """

    Options: ClassVar[type[HostOptions]] = HostOptions

    def __init__(self, name: str, options: HostOptions) -> None:
        self.name = name
        self._interval = options.interval
        self._prefix = options.prefix or f"host/{socket.gethostname()}:"

    async def run(self, push: Push) -> None:
        """Push a batch per interval until cancelled."""
        loop, beat = asyncio.get_running_loop(), Beat(self._interval)
        with ThreadPoolExecutor(1, "host") as thread:  # one: psutil counts CPU time from the thread's call before
            await loop.run_in_executor(thread, self.sample)
            while True:
                await beat.wait()
                await deliver(push, await loop.run_in_executor(thread, self.sample))

    def sample(self) -> SampleBatch:
        """Return one sample of every metric that this machine has, all of the same time."""
        metrics = [metric for read in _READERS for metric in read()]
        floats = [value if isinstance(value, float) else None for _, value in metrics]
        integers = [value if isinstance(value, int) else None for _, value in metrics]
        return SampleBatch.from_columns(
            [self._prefix + name for name, _ in metrics],
            [now()] * len(metrics),
            {Kind.FLOAT: pa.array(floats, pa.float64()), Kind.INT: pa.array(integers, pa.int64())},
            status=[int(Status.DISCONNECTED) if value is None else 0 for _, value in metrics],
        )


def _cpu() -> Iterator[Metric]:
    yield "cpu.percent", float(psutil.cpu_percent())
    for index, percent in enumerate(psutil.cpu_percent(percpu=True)):
        yield f"cpu.{index}.percent", float(percent)
    for minutes, load in zip((1, 5, 15), psutil.getloadavg(), strict=True):
        yield f"load.{minutes}m", float(load)


def _memory() -> Iterator[Metric]:
    memory, swap = psutil.virtual_memory(), psutil.swap_memory()
    yield "memory.total", memory.total
    yield "memory.available", memory.available
    yield "memory.percent", float(memory.percent)
    yield "swap.total", swap.total
    yield "swap.used", swap.used
    yield "swap.percent", float(swap.percent)


def _disks() -> Iterator[Metric]:
    for mount in sorted({partition.mountpoint for partition in psutil.disk_partitions()} | {os.path.abspath(os.sep)}):
        if os.path.isfile(mount):
            continue  # containers mount single files; they share the disk of something that is listed
        try:
            usage = psutil.disk_usage(mount)
        except OSError:  # a mount that hangs or that we may not see: it is there, and says nothing
            yield from ((f"disk.{mount}.{what}", None) for what in ("total", "used", "percent"))
            continue
        yield f"disk.{mount}.total", usage.total
        yield f"disk.{mount}.used", usage.used
        yield f"disk.{mount}.percent", float(usage.percent)
    for device, counters in (psutil.disk_io_counters(perdisk=True) or {}).items():
        yield f"disk.{device}.read_bytes", counters.read_bytes
        yield f"disk.{device}.write_bytes", counters.write_bytes


def _network() -> Iterator[Metric]:
    for interface, counters in psutil.net_io_counters(pernic=True).items():
        yield f"network.{interface}.received_bytes", counters.bytes_recv
        yield f"network.{interface}.sent_bytes", counters.bytes_sent
        yield f"network.{interface}.errors", counters.errin + counters.errout
        yield f"network.{interface}.dropped", counters.dropin + counters.dropout


def _temperatures() -> Iterator[Metric]:
    read: Any = getattr(psutil, "sensors_temperatures", dict)  # not on every system
    for chip, readings in read().items():
        for index, reading in enumerate(readings):
            current = None if reading.current is None else float(reading.current)
            yield f"temperature.{chip}.{reading.label or index}", current


def _processes() -> Iterator[Metric]:
    yield "processes.count", len(psutil.pids())
    yield "uptime.seconds", now() / 1e9 - psutil.boot_time()


_READERS: tuple[Callable[[], Iterator[Metric]], ...] = (_cpu, _memory, _disks, _network, _temperatures, _processes)
