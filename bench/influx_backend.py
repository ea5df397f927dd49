"""Measures the InfluxDB backend: ingest beside posting ready-made lines."""

from __future__ import annotations

import statistics
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np

from archiver.backends.influx import InfluxBackend, InfluxOptions, lines
from archiver.backends.influx.client import Client
from archiver.backends.influx.writing import CONNECTIONS
from archiver.model import Interval, SampleBatch
from archiver.ports import BackendContext, Position
from archiver.testing.influxdb import running_server
from bench.data import SECOND, START, peers_data
from bench.registry import Row, bench
from bench.timing import seconds

ELEMENTS, SAMPLES, WRITES = 1000, 1000, 2
ROUNDS = 5
WHOLE = Interval(START - SECOND, START + 2 * SAMPLES * SECOND)


def batches() -> tuple[SampleBatch, list[SampleBatch]]:
    """Return the first sample of each element, and the rest in parts by arrival, each with its receive time."""
    whole = peers_data(ELEMENTS, SAMPLES + 1)
    size = ELEMENTS * SAMPLES // WRITES
    parts = [whole.slice(ELEMENTS + i * size, size).with_receive_time(START + i) for i in range(WRITES)]
    return whole.slice(0, ELEMENTS), parts


def opened(url: str, database: str, first: SampleBatch, directory: Path) -> InfluxBackend:
    """Return a new backend that holds a first batch: its series are made, as the baseline's are."""
    backend = InfluxBackend(BackendContext("hot", directory), InfluxOptions(url=url, database=database))
    backend.open()
    backend.write({"all": first})
    return backend


def bodies(part: SampleBatch, write: int) -> list[bytes]:
    """Return the lines that the backend posts for a batch, ready-made."""
    rows = part.sorted()
    return [bytes(body) for body in lines.bodies("all", rows, np.zeros(rows.num_rows, np.int64), write)]


def ingest(backend: InfluxBackend, parts: list[SampleBatch]) -> None:
    """Write everything."""
    for offset, part in enumerate(parts):
        backend.write({"all": part}, Position("bench", offset))


def post(client: Client, writes: list[list[bytes]]) -> None:
    """Post ready-made lines over as many connections as the backend uses, one write after the other."""
    with ThreadPoolExecutor(CONNECTIONS) as pool:
        for ready in writes:
            list(pool.map(client.write, ready))


@bench("influxdb")
def influxdb() -> Iterator[Row]:
    """Ingest beside posting the same lines ready-made."""
    first, parts = batches()
    ready = [bodies(part, 2 + number) for number, part in enumerate(parts)]
    rows = sum(part.num_rows for part in parts)
    ours, raw = [], []
    with running_server() as server, tempfile.TemporaryDirectory() as folder:
        for round_ in range(ROUNDS + 1):  # the first does not count: the server warms up in it
            backend = opened(server.url, f"bench{round_}", first, Path(folder))
            like = opened(server.url, f"raw{round_}", first, Path(folder))
            client = Client(InfluxOptions(url=server.url, database=f"raw{round_}"), "bench")
            client.connect()
            works = [partial(ingest, backend, parts), partial(post, client, ready)]
            took = [seconds(work) for work in (works if round_ % 2 else works[::-1])]
            mine, theirs = took if round_ % 2 else took[::-1]
            ours.append(rows / mine)
            raw.append(rows / theirs)
            client.close()
            like.close()
            backend.close()
        figures = statistics.median(ours[1:]), "posting ready-made lines", statistics.median(raw[1:])
        yield Row("InfluxDB 1 ingest", *figures, "samples/s", 0.9)
