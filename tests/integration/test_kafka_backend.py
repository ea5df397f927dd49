"""The Kafka backend on a real Kafka: each write once for who reads committed messages, whatever is killed."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from archiver import config
from archiver.bootstrap import Archive
from archiver.model import Interval, PermanentError, SampleBatch, TransientError, UnsupportedError
from archiver.ports import Backend, BackendContext, Position
from archiver.query import Query, Range
from archiver.testing.patience import SOON_S
from archiver.testing.service import until

Open = Callable[..., Any]


@pytest.fixture
def topic(request: pytest.FixtureRequest) -> str:
    return f"{re.sub('[^a-z_]+', '-', request.node.name)}-{time.time_ns()}"


@pytest.fixture
def open_backend(kafka: Any, topic: str, tmp_path: Path) -> Iterator[Open]:
    """Give a function that opens one more backend on the topic of this test."""
    from archiver.backends.kafka import KafkaBackend, KafkaBackendOptions

    opened: list[Backend] = []

    def make(**options: Any) -> Backend:
        given = {"servers": kafka.servers, "topic": topic, "replication": 1, "partitions": 3, **options}
        backend = KafkaBackend(BackendContext("feed", tmp_path), KafkaBackendOptions.model_validate(given))
        backend.open()
        opened.append(backend)
        return backend

    yield make
    for backend in opened:
        backend.close()


def part(number: int) -> SampleBatch:
    """Return the samples of the write at a position: of five elements, ten each."""
    times = np.repeat(np.arange(number * 10, number * 10 + 10), 5)
    return SampleBatch.from_columns([f"e{i % 5}" for i in range(50)], times, times * 1.0)


def consumed(kafka: Any, topic: str) -> dict[str, list[int]]:
    """Return the source times of each element as a consumer of committed messages gets them."""
    from archiver.backends.kafka.consumer import subscribe

    found: dict[str, list[int]] = {}
    for message in subscribe(kafka.servers, topic, f"verdict-{time.time_ns()}", end=True):
        for element, source_time, *_ in message.batch.to_pylist():
            found.setdefault(element, []).append(source_time)
    return found


def expected(writes: int) -> dict[str, list[int]]:
    return {f"e{i}": list(range(10, writes * 10 + 10)) for i in range(5)}


def test_the_broker_is_killed_under_load(kafka: Any, topic: str, open_backend: Open) -> None:
    backend = open_backend()
    killed = threading.Event()

    def disturb() -> None:
        for _ in range(2):
            kafka.kill()
            kafka.start()
        killed.set()

    thread = threading.Thread(target=disturb)
    number = failures = 0
    while number < 30 or not killed.is_set():
        number += 1
        if number == 10:
            thread.start()
        while True:  # as a lane does
            try:
                backend.write({"g": part(number)}, Position("j", number))
                break
            except TransientError:
                failures += 1
    thread.join()
    assert backend.position("j") == Position("j", number)
    assert consumed(kafka, topic) == expected(number)


CHILD = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[3])
from test_kafka_backend import part
from archiver.backends.kafka import KafkaBackend, KafkaBackendOptions
from archiver.ports import BackendContext, Position
options = KafkaBackendOptions(servers=sys.argv[1], topic=sys.argv[2], replication=1, partitions=3)
backend = KafkaBackend(BackendContext("feed", Path()), options)
backend.open()
found = backend.position("j")
number = found.offset if found else 0
while True:
    number += 1
    backend.write({"g": part(number)}, Position("j", number))
    print(number, flush=True)
"""


def test_the_archive_is_killed_under_load(kafka: Any, topic: str, open_backend: Open) -> None:
    here = str(Path(__file__).parent)
    for writes in (10, 1, 17):
        command = [sys.executable, "-c", CHILD, kafka.servers, topic, here]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
            assert child.stdout is not None
            acknowledged = [child.stdout.readline() for _ in range(writes)]
            os.kill(child.pid, signal.SIGKILL)
            acknowledged += child.stdout.readlines()
    position = open_backend().position("j")
    assert position is not None
    assert position.offset >= int(acknowledged[-1])
    assert consumed(kafka, topic) == expected(position.offset)


@pytest.mark.parametrize("when", ["as it commits", "as it sends"])
def test_a_second_writer_cuts_the_first_off(open_backend: Open, when: str) -> None:
    """It says so, and what it has is not what the other wrote."""

    from confluent_kafka import KafkaException

    def wait_until_told(receipt: Any) -> None:
        with pytest.raises(KafkaException, match="fenced"):
            until(lambda: producer.poll(0.01))

    first = open_backend()
    first.write({"g": part(1)}, Position("j", 1))
    second = open_backend()
    assert second.position("j") == Position("j", 1)
    producer = first._producer
    with pytest.raises(TransientError, match="give each archive a `writer`"):
        first.write({"g": part(2)}, Position("j", 2), wait_until_told if when == "as it sends" else None)
    third = open_backend(writer="another")
    assert third.position("j") is None
    third.write({"g": part(3)}, Position("j", 3))
    assert second.write({"g": part(2)}, Position("j", 2)).position == Position("j", 2)


def test_a_sample_too_large_for_the_topic_is_permanent(kafka: Any, topic: str, open_backend: Open) -> None:
    """So the lane puts it aside; nothing of the write is sent."""
    backend = open_backend()
    large = SampleBatch.from_columns("e0", [1], [np.random.default_rng(1).bytes(100 * 2**20)])
    seen: list[Any] = []
    with pytest.raises(PermanentError, match="large"):
        backend.write({"g": part(1), "h": large}, Position("j", 1), seen.append)
    assert (seen, backend.position("j")) == ([], None)
    backend.write({"g": part(1)}, Position("j", 1))
    assert consumed(kafka, topic) == expected(1)


@pytest.mark.parametrize("largest", [None, 100_000], ids=["ours", "small"])
def test_a_large_write(kafka: Any, topic: str, open_backend: Open, largest: int | None) -> None:
    """Of many messages, none larger than the topic takes."""
    from confluent_kafka.admin import AdminClient, NewTopic

    if largest is not None:
        admin = AdminClient({"bootstrap.servers": kafka.servers})
        admin.create_topics([NewTopic(topic, 2, 1, config={"max.message.bytes": str(largest)})])[topic].result()
    count = 400_000
    noise = np.random.default_rng(1).normal(size=count)
    batch = SampleBatch.from_columns([f"e{i % 5}" for i in range(count)], np.arange(count), noise)
    open_backend().write({"g": batch}, Position("j", 1))
    assert consumed(kafka, topic) == {f"e{i}": list(range(i, count, 5)) for i in range(5)}


def test_a_broker_that_is_not_there(open_backend: Open) -> None:
    from archiver.testing.kafka import patience

    with patience(2), pytest.raises(TransientError, match=r"127\.0\.0\.1:1"):
        open_backend(servers="127.0.0.1:1")


def test_a_consumer_waits_for_what_is_about_to_be_committed(
    kafka: Any, topic: str, open_backend: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Kafka may say that a transaction is committed before it shows it: the end of the topic is behind that."""
    from confluent_kafka import Consumer, Producer

    from archiver.backends.kafka import consumer
    from archiver.backends.kafka.messages import Sharding, headers

    open_backend(partitions=1).write({"g": part(1)}, Position("j", 1))
    producer = Producer({"bootstrap.servers": kafka.servers, "transactional.id": topic})
    producer.init_transactions(SOON_S)
    producer.begin_transaction()
    for message in Sharding(1).messages(part(2)):
        producer.produce(topic, message.value, partition=0, headers=headers("g"))
    producer.flush(SOON_S)

    class Watched(Consumer):
        """Has the transaction committed when all that lies before it has come."""

        def poll(self, *given: Any) -> Any:
            found = super().poll(*given)
            if found is not None and found.error():
                seen.append(found.offset())
                if len(seen) == 1:
                    producer.commit_transaction(SOON_S)
            return found

    seen: list[int] = []
    monkeypatch.setattr(consumer, "Consumer", Watched)
    assert consumed(kafka, topic) == expected(2)
    assert len(seen) > 1


def test_an_archive_with_a_feed_answers_from_the_other_backend(kafka: Any, topic: str, tmp_path: Path) -> None:
    """The feed comes first in the configuration and is never asked; who asks it is told why not."""
    lane = {"flush_interval": "20ms"}
    feed = {"name": "feed", "kind": "kafka", "servers": kafka.servers, "topic": topic, "replication": 1, "lane": lane}
    deadband = {"kind": "value", "tolerance": 0.5}
    given = {
        "data": str(tmp_path / "data"),
        "backends": [feed, {"name": "lake", "kind": "parquet", "lane": lane}],
        "groups": [{"name": "all", "elements": ["e*"], "backends": ["feed", "lake"], "smoothing": deadband}],
    }
    with Archive(config.parse(given)) as archive:
        until(archive.wait_ready)
        for number in (3, 1, 2):  # late ones too: a lane asks its backend about those, if it can be asked
            archive.intake.submit(part(number)).result()
        until(archive.flush)
        answer = archive.query(Query(("e1",), Interval(0, 100)))
        assert answer.table()["source_time"].to_pylist() == list(range(10, 40))
        assert ([part.backend for part in answer.parts], answer.missing) == (["lake"], [])
        rows = {state.name: state.to_row() for state in archive.backend_states()}
        assert (rows["feed"]["samples"], rows["feed"]["lag_samples"], rows["feed"]["state"]) == (None, 0, "running")
        assert rows["lake"]["samples"] == 150
        assert archive.explain("e1", Interval(0, 100)).archived == {"lake": 30}
        for ask in (
            lambda: archive.query(Query(("e1",), Interval(0, 100), backend="feed")).table(),
            lambda: archive.query(Query(("e1",), Interval(0, 9), ranges=(Range("feed", Interval(0, 9)),))).table(),
            lambda: archive.values_at(["e1"], 50, "feed"),
            lambda: archive.copy("feed", "lake", Interval(0, 100)),
        ):
            with pytest.raises(UnsupportedError, match="only passes samples on; ask another one: lake"):
                ask()
    assert {name: sorted(times) for name, times in consumed(kafka, topic).items()} == expected(3)


def test_the_command_prints_what_comes(
    kafka: Any, topic: str, open_backend: Open, capsys: pytest.CaptureFixture[str]
) -> None:
    from archiver.backends.kafka import consumer

    open_backend().write({"g": SampleBatch.from_columns("T1", [0], [20.5])})
    consumer.main([kafka.servers, topic, "--messages", "1"])
    assert capsys.readouterr().out == "g T1 1970-01-01T00:00:00.000000000Z 0x0 20.5\n"
