"""Measures what goes to Kafka and to subscribers, beside the bare client or socket with the same bytes."""

from __future__ import annotations

import socket
import tempfile
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

from confluent_kafka import Producer

from archiver.backends.kafka import KafkaBackend, KafkaBackendOptions
from archiver.backends.kafka.messages import Sharding
from archiver.backends.stream import StreamBackend, StreamOptions, consumer
from archiver.journal.kafka import KafkaJournal, KafkaJournalOptions
from archiver.journal.payload import encode
from archiver.kafka import LARGEST_MESSAGE, Cluster, KafkaOptions, new_topic
from archiver.model import SampleBatch
from archiver.model.ipc import to_ipc
from archiver.model.time import now
from archiver.ports import BackendContext, Position
from archiver.testing.kafka import KafkaServer, running_server
from archiver.testing.network import free_ports
from bench.data import in_batches, peers_data
from bench.end_to_end import in_turns
from bench.registry import Row, bench
from bench.timing import seconds

ELEMENTS, SAMPLES, WRITES, PARTITIONS = 1000, 1000, 4, 8
ROUNDS = 5


@bench("kafka")
def kafka() -> Iterator[Row]:
    """The Kafka backend and the Kafka journal beside a bare producer that waits until the broker has the same bytes."""
    parts = list(in_batches(peers_data(ELEMENTS, SAMPLES), ELEMENTS * SAMPLES // WRITES))
    rows = sum(part.num_rows for part in parts)
    with running_server() as server:
        backend, journal = open_backend(server), open_journal(server)
        raw = bare_producer(server)
        messages = [list(Sharding(PARTITIONS).messages(part)) for part in parts]
        offsets = iter(range(10**9))

        def ours() -> None:
            for part in parts:
                backend.write({"all": part}, Position("bench", next(offsets)))

        def theirs() -> None:
            for write in messages:
                for message in write:
                    raw.produce("raw", message.value, message.key, message.partition)
                raw.flush()

        fed, bare = in_turns(lambda: seconds(ours), lambda: seconds(theirs), rounds=ROUNDS)
        yield Row("ingest into a Kafka topic", rows / fed, "bare producer, same bytes", rows / bare, "samples/s", 0.5)
        backend.close()
        yield from append(journal, raw)
        journal.close()


def append(journal: KafkaJournal, raw: Producer) -> Iterator[Row]:
    """Measure one batch after the other, each until it is durable, and many at once."""
    batch = peers_data(ELEMENTS, 50).with_receive_time(now())
    payload = bytes(encode(batch))

    def theirs(count: int) -> None:
        for _ in range(count):
            raw.produce("synced", payload, partition=0)
        raw.flush()

    def ours(count: int) -> None:
        for future in [journal.append(batch) for _ in range(count)]:
            future.result()

    one, bare = in_turns(lambda: seconds(lambda: ours(1)), lambda: seconds(lambda: theirs(1)), rounds=41)
    title, baseline = "Kafka journal append of 50,000 samples", "bare producer, same bytes"
    yield Row(title, one * 1e3, baseline, bare * 1e3, "ms", 2.0, higher_is_better=False)
    many, bare = in_turns(lambda: seconds(lambda: ours(20)), lambda: seconds(lambda: theirs(20)), rounds=ROUNDS)
    rate = 20 * batch.num_rows
    yield Row("the same, 20 at once", rate / many, baseline, rate / bare, "samples/s", 0.5)


@bench("stream")
def stream() -> Iterator[Row]:
    """The stream backend until a TCP subscriber has all, beside a socket that sends the same bytes."""
    parts = list(in_batches(peers_data(ELEMENTS, SAMPLES), ELEMENTS * SAMPLES // WRITES))
    rows = sum(part.num_rows for part in parts)
    address = f"127.0.0.1:{free_ports(1)[0]}"
    with tempfile.TemporaryDirectory() as folder:
        backend = StreamBackend(BackendContext("feed", Path(folder)), StreamOptions(tcp=address))
        backend.open()
        frames = consumer.over_tcp(address)
        next(frames)
        offsets = iter(range(10**9))

        def ours() -> None:
            for part in parts:
                backend.write({"all": part}, Position("bench", next(offsets)))
            while next(frames).number < backend.number:
                pass

        sent, bare = in_turns(lambda: seconds(ours), lambda: seconds(lambda: bare_socket(parts)), rounds=ROUNDS)
        frames.close()
        backend.close()
    yield Row("ingest for a TCP subscriber", rows / sent, "bare socket, same bytes", rows / bare, "samples/s", 0.3)


def bare_socket(parts: list[SampleBatch]) -> None:
    """Send the samples over a connection, and read them at its other end."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        sending = socket.create_connection(listening.getsockname())
        receiving, _ = listening.accept()
        with closing(receiving):

            def send() -> None:
                with closing(sending):
                    for part in parts:
                        sending.sendall(to_ipc(part.to_arrow()))

            thread = threading.Thread(target=send)
            thread.start()
            while receiving.recv(2**20):
                pass
            thread.join()


def open_backend(server: KafkaServer) -> KafkaBackend:
    """Return the backend on a new topic."""
    options = KafkaBackendOptions(servers=server.servers, topic="ours", partitions=PARTITIONS, replication=1)
    backend = KafkaBackend(BackendContext("feed", Path()), options)
    backend.open()
    return backend


def open_journal(server: KafkaServer) -> KafkaJournal:
    """Return the journal on a new topic."""
    journal = KafkaJournal(Path(), KafkaJournalOptions(servers=server.servers, replication=1))
    journal.open()
    return journal


def bare_producer(server: KafkaServer) -> Producer:
    """Return a producer that is idempotent as ours are, with topics of the same settings as ours."""
    cluster = Cluster(KafkaOptions(servers=server.servers))
    for name, partitions in (("raw", PARTITIONS), ("synced", 1)):
        cluster.topic(name, lambda name=name, count=partitions: new_topic(name, count, 1, {}))  # type: ignore[misc]
    settings: dict[str, Any] = {"message_max_bytes": LARGEST_MESSAGE, "linger_ms": 0}
    return cluster.producer(**settings)
