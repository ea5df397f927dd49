#!/usr/bin/env python3
"""SIGKILL event workers and their broker in the midst of samples: no event is lost, none is doubled.

Two journals on a real Apache Kafka get samples while workers run the rules, two of them, then three. Workers are killed
and started again, and so is the broker, so that the shards change hands again and again. At the end the events on
their topic are compared, by id, value and attributes, with those of one engine in this process over the same samples,
and with those of a reference that goes from sample to sample. An event that was sent twice has the same id, and counts
once.
"""

from __future__ import annotations

import argparse
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from confluent_kafka import Consumer, TopicPartition

from analytics.checks.events import signals as reference
from analytics.checks.events.driver import Sample, told
from analytics.events.engine import Engine
from analytics.events.event import Event
from analytics.events.rules.loading import load
from analytics.events.rules.programs import program_of
from archiver.journal.payload import encode
from archiver.kafka import Cluster, KafkaOptions, new_topic
from archiver.model import Kind, SampleBatch
from archiver.testing.kafka import KafkaServer, running_server
from services.events.faust.messages import event_of
from services.events.faust.options import WorkerOptions
from services.events.faust.topics import prepare

PATIENCE_S = 600.0
DEVICES = 40
ROWS = 500
T0 = 2_000_000_000_000_000_000  # ahead of every clock: time passes by the samples only
STEP = 1_000_000
END = T0 + 10**17
RULES = """
[[rules]]
name = "hot"
kind = "threshold"
lateness = "2s"
elements = "plant:*:INLET"
above = 110.0
hysteresis = 5.0

[[rules]]
name = "long-hot"
kind = "threshold"
lateness = "2s"
elements = "plant:*:*"
above = 100.0
on_delay = "50ms"
off_delay = "20ms"

[[rules]]
name = "apart"
kind = "deviation"
lateness = "2s"
inputs = { inlet = "plant:{device}:INLET", outlet = "plant:{device}:OUTLET" }
more_than = 80.0
hysteresis = 10.0

[[rules]]
name = "silent"
kind = "stale"
lateness = "2s"
elements = "plant:*:INLET"
after = "600ms"
"""


def samples_of(journal: int, rounds: int, seed: int) -> list[SampleBatch]:
    """Return the batches of a journal: inlets in the first, outlets in the second, at the same time."""
    rng = np.random.default_rng([seed, journal])
    names = [f"plant:P{number}:{('INLET', 'OUTLET')[journal]}" for number in range(DEVICES)]
    batches = []
    for number in range(rounds):
        times = T0 + (number * ROWS + np.arange(ROWS)) * 2 * STEP + journal * STEP
        elements = [names[place] for place in rng.integers(0, DEVICES, ROWS)]
        batch = SampleBatch.from_columns(elements, times, rng.normal(60.0, 20.0, ROWS))
        batches.append(batch.with_receive_time(int(times[-1]) + 1))
    return [*batches, SampleBatch.from_columns("closing", [END], [0.0]).with_receive_time(END)]


def expected_of(rules: Path, journals: Sequence[Sequence[SampleBatch]]) -> list[Event]:
    """Return what one engine finds, and make sure that a reference finds the same."""
    programs = [program_of(rule) for rule in load(rules)]
    engine = Engine(programs)
    state, events = engine.initial(), list[Event]()
    both = sorted((batch for own in journals for batch in own), key=lambda batch: int(batch.receive_time[0]))
    for batch in both:
        state, found = engine.advance(state, batch, int(batch.receive_time[0]))
        events += found
    if state.late:
        raise SystemExit(f"{state.late} samples are late: the test itself is wrong")
    rows = SampleBatch.concat(both[:-2])
    by_device: dict[str, list[Sample]] = {}
    names = [rows.elements[code] for code in rows.codes.tolist()]
    for row in zip(names, rows.source_time.tolist(), rows.values(Kind.FLOAT).to_pylist(), strict=True):
        by_device.setdefault(row[0].split(":")[1], []).append(Sample(*row))
    ms = 10**6
    says = {
        "hot": lambda own: reference.latched(reference.threshold(own, 110.0, None, 5.0), whole=True),
        "long-hot": lambda own: reference.latched(
            reference.threshold(own, 100.0, None, 0.0), 50 * ms, 20 * ms, whole=True
        ),
        "apart": lambda own: reference.latched(reference.deviation(own, 80.0, 10.0), whole=True),
        "silent": lambda own: reference.latched(reference.stale(own, 600 * ms), whole=True),
    }
    for program in programs:
        own = [event for event in sorted(events, key=lambda event: event.order) if event.rule == program.name]
        alone = [event for samples in by_device.values() for event in told(program, says[program.name], samples)]
        if own != sorted(alone, key=lambda event: event.order):
            raise SystemExit(f"the engine and the reference differ in rule {program.name}")
    return events


class Workers:
    """Worker processes by number.

    Parameters
    ----------
    directory : Path
        With the configuration.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._running: dict[int, subprocess.Popen[bytes]] = {}

    def start(self, number: int) -> None:
        """Start one."""
        command = [sys.executable, "-c", "from archiver.cli import main; main()", "events", "worker"]
        command += ["--config", str(self._directory / "forebay.toml"), "--data", str(self._directory / f"{number}")]
        with (self._directory / f"{number}.log").open("ab") as log:
            self._running[number] = subprocess.Popen(command, stdout=log, stderr=log)

    def kill(self, number: int) -> None:
        """End one as a power cut would."""
        process = self._running.pop(number)
        process.kill()
        process.wait()

    def pause(self, number: int, *, goes_on: bool) -> None:
        """Keep one from doing anything, connections and all, or let it go on where it was."""
        self._running[number].send_signal(signal.SIGCONT if goes_on else signal.SIGSTOP)

    def check(self) -> None:
        """Start what has ended by itself, as whatever looks after processes would."""
        for number, process in list(self._running.items()):
            if process.poll() is not None:
                print(f"worker {number} ended with {process.returncode}: it is started again", flush=True)
                self.start(number)

    def stop(self) -> None:
        """End all in order."""
        for process in self._running.values():
            process.terminate()
        for number, process in self._running.items():
            if process.wait(PATIENCE_S):
                print(f"worker {number} ended with {process.returncode}", flush=True)

    def close(self) -> None:
        """End what still runs."""
        for number in list(self._running):
            self.kill(number)

    def logs(self) -> str:
        """Return what they said last."""
        return "\n".join(f"-- {path.name}\n{path.read_text()[-3000:]}" for path in self._directory.glob("*.log"))


class Events:
    """What is on the topic of events."""

    def __init__(self, server: KafkaServer, options: WorkerOptions) -> None:
        self.found: dict[str, Event] = {}
        self.messages = 0
        self.differ = 0
        sizes = prepare(options)
        self._consumer = Consumer({"bootstrap.servers": server.servers, "group.id": "kill-test", "log_level": 0})
        self._consumer.assign([TopicPartition(options.events, place, 0) for place in range(sizes.shards)])

    def collect(self) -> None:
        """Read what there is."""
        for message in self._consumer.consume(5000, 0.2):
            if message.error():
                continue
            event = event_of(message.value())
            self.messages += 1
            self.differ += self.found.setdefault(event.id, event) != event

    def close(self) -> None:
        """Let go of the topic."""
        self._consumer.close()


class Test:
    """Feeds the journals, and does harm in between.

    Parameters
    ----------
    server : KafkaServer
    workers : Workers
    events : Events
    journals : Journals
    batches : list of list of SampleBatch
        What each journal is to get.
    """

    def __init__(
        self,
        server: KafkaServer,
        workers: Workers,
        events: Events,
        journals: Journals,
        batches: Sequence[Sequence[SampleBatch]],
    ) -> None:
        self.server, self.workers, self.events = server, workers, events
        self._journals, self._batches = journals, batches
        self._fed = 0

    def until(self, done: Callable[[], bool]) -> None:
        """Read events until something is so."""
        end = time.monotonic() + PATIENCE_S
        while not done():
            if time.monotonic() > end:
                raise SystemExit(f"nothing happens any more; the workers said:\n{self.workers.logs()}")
            self.workers.check()
            self.events.collect()

    def feed(self, share: float, *, waits: bool = True) -> None:
        """Give the journals a share of all, and see that events come of it."""
        whole = len(self._batches[0])
        first, self._fed = self._fed, min(whole, self._fed + max(1, round(whole * share)))
        before = len(self.events.found)
        for place in range(first, self._fed):
            for number, own in enumerate(self._batches):
                self._journals.append(number, own[place])
        if waits:
            self.until(lambda: len(self.events.found) > before)

    def close(self) -> None:
        """Give what is left."""
        self.feed(1.0, waits=False)


def harm(test: Test, workers: int) -> None:
    """Kill, start, and let the shards change hands."""
    everyone = range(workers)
    for number in everyone:
        test.workers.start(number)
    share = 1.0 / (3 * workers + 4)
    test.feed(share)
    for number in everyone:
        test.workers.kill(number)
        test.feed(share)
        test.workers.start(number)
        test.feed(share)
    test.server.kill()
    test.feed(share, waits=False)
    test.server.start()
    test.feed(share)
    test.workers.pause(0, goes_on=False)
    test.feed(share)  # by the others, after they have taken over
    test.workers.pause(0, goes_on=True)  # it does not know
    test.feed(share)
    for number in everyone:
        test.workers.kill(number)
    for number in everyone:
        test.workers.start(number)


class Journals:
    """Writes the partitions of a journal's topic as archives do.

    Parameters
    ----------
    server : KafkaServer
    options : KafkaOptions
    """

    def __init__(self, options: KafkaOptions) -> None:
        cluster = Cluster(options)
        cluster.topic("journal", lambda: new_topic("journal", 2, 1, {"retention.ms": "-1"}))
        self._producer = cluster.producer(message_timeout_ms=0, linger_ms=0)
        for number in range(2):
            self._producer.produce("journal", b"", partition=number)  # a journal begins with a record that is no entry

    def append(self, number: int, batch: SampleBatch) -> None:
        """Send a batch on its way, behind those before it."""
        self._producer.produce("journal", bytes(encode(batch)), partition=number)
        self._producer.poll(0)

    def close(self) -> None:
        """Forget what was not taken."""
        self._producer.purge()
        self._producer.close()


def play(server: KafkaServer, directory: Path, rounds: int, seed: int, workers: int) -> None:
    """Run the whole with so many workers."""
    (directory / "rules.toml").write_text(RULES)
    (directory / "forebay.toml").write_text(
        f'[journal]\nkind = "kafka"\nservers = "{server.servers}"\nreplication = 1\ntopic = "journal"\n'
        '[events]\nrules = ["rules.toml"]\ntopic = "events"\n'
    )
    batches = [samples_of(journal, rounds, seed) for journal in range(2)]
    expected = expected_of(directory / "rules.toml", batches)
    samples = sum(batch.num_rows for own in batches for batch in own)
    print(f"{workers} workers, {samples} samples, {len(expected)} events, seed {seed}", flush=True)
    began = time.monotonic()
    processes = Workers(directory)
    options = WorkerOptions(server.servers, "journal", "events", 1)
    journals = Journals(options.cluster)
    events = Events(server, options)
    try:
        test = Test(server, processes, events, journals, batches)
        harm(test, workers)
        test.close()
        ids = {event.id for event in expected}
        test.until(lambda: ids <= set(events.found))
        processes.stop()
        events.collect()
    finally:
        processes.close()
        events.close()
        journals.close()
    wrong = [event for event in expected if events.found[event.id] != event]
    extra = set(events.found) - ids
    if wrong or extra or events.differ:
        raise SystemExit(f"{len(wrong)} events are wrong, {len(extra)} too many, {events.differ} changed: {wrong[:3]}")
    again = events.messages - len(events.found)
    print(
        f"none lost, none doubled ({again} sent again, known by their ids), {time.monotonic() - began:.0f} s",
        flush=True,
    )


def main() -> None:
    """Run it with two workers, then three."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--samples", type=int, default=1_000_000, help="in each run")
    parser.add_argument("--workers", type=int, nargs="*", default=[2, 3])
    parser.add_argument("--seed", type=int, default=random.randrange(2**31))
    given = parser.parse_args()
    for workers in given.workers:
        with tempfile.TemporaryDirectory() as directory, running_server() as server:
            play(server, Path(directory), max(20, given.samples // (2 * ROWS)), given.seed, workers)


if __name__ == "__main__":
    main()
