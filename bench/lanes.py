"""Lanes side by side: all backends at once beside the slowest alone, and beside one more that is dead or hung."""

from __future__ import annotations

import itertools
import socket
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from typing import Any

from archiver.bootstrap import Archive
from archiver.config import Settings
from archiver.model import SampleBatch
from archiver.testing import influxdb, postgresql
from archiver.testing.network import free_ports
from bench.data import in_batches, peers_data
from bench.end_to_end import in_turns
from bench.registry import Row, bench
from bench.timing import seconds

ELEMENTS, SAMPLES, BATCH_ROWS = 1000, 500, 10_000
ROUNDS = 5
AT_ONCE, BESIDE = 0.85, 0.95
_PATIENCE_S = 300.0
_TITLES = {"lake": "lake", "warm": "PostgreSQL", "hot": "InfluxDB"}

Backend = Callable[[], dict[str, Any]]
"""Gives what a new archive configures for a backend."""
Backends = Mapping[str, Backend]


@bench("lanes")
def lanes() -> Iterator[Row]:
    """Lake, PostgreSQL and InfluxDB at once beside each alone, of which the slowest is the baseline."""
    batches = data()
    with running() as backends:
        alone = [partial(through, batches, {name: made}, [name]) for name, made in backends.items()]
        together, *each = in_turns(partial(through, batches, backends, list(backends)), *alone, rounds=ROUNDS)
    rows = ELEMENTS * SAMPLES
    title = " + ".join(_TITLES.values())
    yield Row(f"{title} at once", rows / together, "slowest alone", rows / max(each), "samples/s", AT_ONCE)


@bench("lanes-stopped")
def stopped() -> Iterator[Row]:
    """Each of the three stopped, beside the other two with nothing else configured."""
    batches = data()
    with running() as backends:
        for name in backends:
            others = [other for other in backends if other != name]
            title = f"{' + '.join(_TITLES[other] for other in others)}, {_TITLES[name]} stopped"
            yield beside(title, batches, {**backends, name: partial(dead, name)}, others)


@bench("lanes-dead")
def dead_and_hung() -> Iterator[Row]:
    """All three beside a dead Kafka, and beside a PostgreSQL that takes connections and never answers."""
    batches = data()
    with running() as backends, silent() as hung:
        for title, extra in (("a dead Kafka", partial(dead, "extra")), ("a hung PostgreSQL", hung)):
            yield beside(f"all three, {title}", batches, {**backends, "extra": extra}, list(backends))


def beside(title: str, batches: Sequence[SampleBatch], backends: Backends, wanted: Sequence[str]) -> Row:
    """Return the rate of some lanes beside the other ones, and without these."""
    hindered, free = in_turns(
        partial(through, batches, backends, wanted),
        partial(through, batches, {name: backends[name] for name in wanted}, wanted),
        rounds=ROUNDS,
    )
    rows = ELEMENTS * SAMPLES
    return Row(title, rows / hindered, "without it", rows / free, "samples/s", BESIDE)


def through(batches: Sequence[SampleBatch], backends: Backends, wanted: Sequence[str]) -> float:
    """Return the seconds from the first batch submitted until the wanted backends have everything."""
    group = {"name": "all", "elements": ["*"], "backends": list(backends)}
    made = [backend() for backend in backends.values()]
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(len(wanted)) as executor:
        archive = Archive(Settings.model_validate({"data": folder, "backends": made, "groups": [group]})).open()
        try:
            for name in wanted:
                archive.lanes[name].wait_reached(_PATIENCE_S)

            def work() -> None:
                for future in [archive.intake.submit(batch) for batch in batches]:
                    future.result()
                if not all(executor.map(lambda name: archive.lanes[name].flush(_PATIENCE_S), wanted)):
                    raise RuntimeError(f"a backend of {', '.join(wanted)} does not take what the journal holds")

            return seconds(work)
        finally:
            archive.close(drain=False)


def data() -> list[SampleBatch]:
    """Return the peers' data as it arrives."""
    return list(in_batches(peers_data(ELEMENTS, SAMPLES), BATCH_ROWS))


def dead(name: str) -> dict[str, Any]:
    """Return a backend that cannot be reached: its address refuses connections, its folder is a file."""
    (port,) = free_ports(1)
    return {
        "lake": {"name": name, "kind": "parquet", "path": "/dev/null/lake"},
        "warm": {"name": name, "kind": "sql", "url": f"postgresql://nobody@127.0.0.1:{port}/x"},
        "hot": {"name": name, "kind": "influx", "url": f"http://127.0.0.1:{port}", "database": "x"},
        "extra": {"name": name, "kind": "kafka", "servers": f"127.0.0.1:{port}"},
    }[name]


@contextmanager
def running() -> Iterator[Backends]:
    """Start the servers; every archive gets a database of its own there."""
    numbers = itertools.count()
    with postgresql.running_server() as sql, influxdb.running_server() as influx:
        yield {
            "lake": lambda: {"name": "lake", "kind": "parquet"},
            "warm": lambda: {"name": "warm", "kind": "sql", "url": sql.url, "prefix": f"bench{next(numbers)}_"},
            "hot": lambda: {"name": "hot", "kind": "influx", "url": influx.url, "database": f"bench{next(numbers)}"},
        }


@contextmanager
def silent() -> Iterator[Backend]:
    """Lend a PostgreSQL that takes connections and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = f"postgresql://nobody@127.0.0.1:{server.getsockname()[1]}/x?connect_timeout=2"
        yield lambda: {"name": "extra", "kind": "sql", "url": url}
