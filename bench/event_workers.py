"""Measures a worker that runs 100 rules, beside a bare client that reads the same topic."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from confluent_kafka import Consumer, TopicPartition

from archiver.journal.payload import encode
from archiver.kafka import Cluster, new_topic
from archiver.model import SampleBatch
from archiver.model.time import now
from archiver.testing.kafka import KafkaServer, running_server
from archiver.testing.patience import SOON_S
from bench.registry import Row, bench
from services.events.faust.messages import event_of
from services.events.faust.options import WorkerOptions
from services.events.faust.topics import prepare

RULES, ELEMENTS, SAMPLES, ENTRIES, ALARMS = 100, 1000, 5000, 120, 100
_NEVER = 1000.0


@bench("event-workers")
def event_workers() -> Iterator[Row]:
    """One worker: samples through 100 rules, each element seen by four of them; from a sample to its event."""
    with running_server() as server, tempfile.TemporaryDirectory() as directory:
        made = _Bench(server, Path(directory))
        with made.worker():
            made.alarm()  # it is there, and has read all
            ours = made.through()
            delays = [made.alarm() for _ in range(ALARMS)]
        bare = made.read()
        baselines = [made.echo() for _ in range(ALARMS)]
        made.close()
    yield Row(f"samples through a worker with {RULES} rules", ours, "bare consumer, same topic", bare, "samples/s")
    for share in (50, 99):
        told, alone = (float(np.percentile(values, share)) * 1e3 for values in (delays, baselines))
        yield Row(f"from a sample to its event, p{share}", told, "one message there", alone, "ms", None, False)


class _Bench:
    """A journal's topic on a broker, and what reads the events."""

    def __init__(self, server: KafkaServer, directory: Path) -> None:
        self._directory = directory
        self._servers = server.servers
        self._options = WorkerOptions(server.servers, "journal", "events", 1)
        cluster = Cluster(self._options.cluster)
        for name in ("journal", "echo"):
            cluster.topic(name, lambda name=name: new_topic(name, 1, 1, {"retention.ms": "-1"}))  # type: ignore[misc]
        self._producer = cluster.producer(linger_ms=0)
        sizes = prepare(self._options)
        self._events = self._consumer([TopicPartition("events", place, 0) for place in range(sizes.shards)])
        self._echo = self._consumer([TopicPartition("echo", 0, 0)])
        rules = [
            f'[[rules]]\nname = "rule-{number}"\nkind = "threshold"\nelements = "bench:{number % 25:02d}:*"\n'
            f"above = {_NEVER + number // 25}\nhysteresis = 1.0\n"
            for number in range(RULES)
        ]
        (directory / "rules.toml").write_text("".join(rules))
        (directory / "forebay.toml").write_text(
            f'[journal]\nkind = "kafka"\nservers = "{server.servers}"\ntopic = "journal"\nreplication = 1\n'
            '[events]\nrules = ["rules.toml"]\ntopic = "events"\n'
        )

    def close(self) -> None:
        """Let go of the broker."""
        for client in (self._events, self._echo, self._producer):
            client.close()

    @contextmanager
    def worker(self) -> Iterator[None]:
        """Run one."""
        command = [sys.executable, "-c", "from archiver.cli import main; main()", "events", "worker"]
        command += ["--config", str(self._directory / "forebay.toml"), "--data", str(self._directory)]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            yield
        finally:
            process.kill()
            process.wait()

    def through(self) -> float:
        """Return how many samples a second go through the worker, up to the event of the last one."""
        rng = np.random.default_rng(1)
        names = [f"bench:{number % 25:02d}:{number}" for number in range(ELEMENTS)]
        batches = []
        for _ in range(ENTRIES):
            elements = [names[place] for place in rng.integers(0, ELEMENTS, SAMPLES)]
            times = now() + np.arange(SAMPLES)
            batches.append(SampleBatch.from_columns(elements, times, rng.normal(0.0, 1.0, SAMPLES)))
        began = time.perf_counter()
        for batch in batches:
            self._append(batch)
        self.alarm()
        return ENTRIES * SAMPLES / (time.perf_counter() - began)

    def alarm(self) -> float:
        """Return the seconds from a sample until the event is there that it makes."""
        began, at = time.perf_counter(), now()
        self._append(SampleBatch.from_columns(["bench:00:0"] * 2, [at, at + 1], [2 * _NEVER, 0.0]))
        self._until(self._events, lambda message: event_of(message.value()).time == at + 1)
        return time.perf_counter() - began

    def echo(self) -> float:
        """Return the seconds that a message takes to a consumer."""
        began = time.perf_counter()
        self._producer.produce("echo", b"")
        self._producer.poll(0)
        self._until(self._echo, lambda message: True)
        return time.perf_counter() - began

    def read(self) -> float:
        """Return how many samples a second a bare consumer reads."""
        consumer = self._consumer([TopicPartition("journal", 0, 0)])
        end = consumer.get_watermark_offsets(TopicPartition("journal", 0))[1]
        began = time.perf_counter()
        self._until(consumer, lambda message: message.offset() == end - 1)
        took = time.perf_counter() - began
        consumer.close()
        return ENTRIES * SAMPLES / took

    def _append(self, batch: SampleBatch) -> None:
        self._producer.produce("journal", bytes(encode(batch.with_receive_time(now()))))
        self._producer.poll(0)

    def _consumer(self, places: list[TopicPartition]) -> Any:
        consumer = Consumer(
            {"bootstrap.servers": self._servers, "group.id": "bench", "fetch.wait.max.ms": 5, "log_level": 0}
        )
        consumer.assign(places)
        return consumer

    def _until(self, consumer: Any, done: Callable[[Any], bool]) -> None:
        end = time.monotonic() + SOON_S
        while time.monotonic() < end:
            message = consumer.poll(0.5)
            if message is not None and not message.error() and done(message):
                return
        raise TimeoutError("the worker finds nothing")
