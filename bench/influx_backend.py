"""Measures the InfluxDB backend: ingest beside posting ready-made lines, reads beside the server's own CSV."""

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
from archiver.backends.influx.reading import Reader
from archiver.backends.influx.writing import CONNECTIONS
from archiver.model import Interval, SampleBatch
from archiver.ports import BackendContext, Position
from archiver.testing.influxdb import running_server
from bench.aggregation import DAY, compared
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


def connected(url: str, database: str) -> Client:
    """Return a client of a database."""
    client = Client(InfluxOptions(url=url, database=database), "bench")
    client.connect()
    return client


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


def fetch(client: Client, condition: str) -> None:
    """Read all columns of some points as CSV, and throw it away."""
    statement = f'SELECT "element", * FROM "all" WHERE {condition} GROUP BY "element"'
    with client.csv(statement, Reader.mark) as answer:
        while answer.read(2**21):
            pass


def reads(backend: InfluxBackend, client: Client) -> Iterator[Row]:
    """Measure reads beside fetching the same points."""
    names = backend.elements()
    works = {
        "one element, all": (names[7:8], f"\"element\" = '{names[7]}'"),
        "1 M samples of all elements": (names, f"time >= {WHOLE.start}"),
    }
    for work, (chosen, condition) in works.items():
        ours, raw = [], []
        for _ in range(3):
            ours.append(seconds(lambda chosen=chosen: list(backend.read(chosen, WHOLE))) * 1e3)
            raw.append(seconds(partial(fetch, client, condition)) * 1e3)
        figures = statistics.median(ours), "the same as CSV, unread", statistics.median(raw)
        yield Row(f"InfluxDB 1, {work}", *figures, "ms", higher_is_better=False)


@bench("influxdb")
def influxdb() -> Iterator[Row]:
    """Ingest beside posting the same lines ready-made, and reads."""
    first, parts = batches()
    ready = [bodies(part, 2 + number) for number, part in enumerate(parts)]
    rows = sum(part.num_rows for part in parts)
    ours, raw = [], []
    with running_server() as server, tempfile.TemporaryDirectory() as folder:
        for round_ in range(ROUNDS + 1):  # the first does not count: the server warms up in it
            backend = opened(server.url, f"bench{round_}", first, Path(folder))
            like = opened(server.url, f"raw{round_}", first, Path(folder))
            client = connected(server.url, f"raw{round_}")
            works = [partial(ingest, backend, parts), partial(post, client, ready)]
            took = [seconds(work) for work in (works if round_ % 2 else works[::-1])]
            mine, theirs = took if round_ % 2 else took[::-1]
            ours.append(rows / mine)
            raw.append(rows / theirs)
            client.close()
            like.close()
            if round_ < ROUNDS:
                backend.close()
        figures = statistics.median(ours[1:]), "posting ready-made lines", statistics.median(raw[1:])
        yield Row("InfluxDB 1 ingest", *figures, "samples/s", 0.9)
        client = connected(server.url, f"bench{ROUNDS}")
        yield from reads(backend, client)
        client.close()
        backend.close()
        for elements, samples in ((ELEMENTS, SAMPLES), (1, DAY)):
            options = InfluxOptions(url=server.url, database=f"aggregates{elements}")
            backend = InfluxBackend(BackendContext("hot", Path(folder)), options)
            backend.open()
            yield compared("InfluxDB 1", backend, elements, samples)
            backend.close()
