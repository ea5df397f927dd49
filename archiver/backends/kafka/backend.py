"""The `Backend` port on a Kafka topic: samples and position go out in one transaction."""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Mapping
from typing import Any, ClassVar

from confluent_kafka import OFFSET_BEGINNING, KafkaError, KafkaException, Producer, TopicPartition
from pydantic import Field

from archiver.backends.kafka.messages import MESSAGE_BYTES, Sharding, headers
from archiver.backends.passing import PassingOn
from archiver.kafka import ANSWER_S, LARGEST_MESSAGE, Cluster, KafkaOptions, new_topic
from archiver.model import ForebayError, SampleBatch, TransientError, UnsupportedError
from archiver.model.identity import duplicates
from archiver.ports import BackendContext, BackendLimits, BeforeCommit, Options, Position, WriteReceipt

_LOG = logging.getLogger(__name__)
_POSITIONS = {"cleanup.policy": "compact"}
_ROOM_S = 0.05
_UNSENT_KIB = 2**20


class KafkaBackendOptions(KafkaOptions):
    """Where the samples go."""

    topic: str = Field("forebay-samples", description="made when it does not exist; positions go to TOPIC.positions")
    partitions: int = Field(8, ge=1, description="how many a topic that is made gets")
    replication: int = Field(3, ge=1, description="how many brokers topics that are made are kept on")
    writer: str = Field(
        "", description="transactional id, another one for each archive; left out: of topic and name of the backend"
    )


class KafkaBackend(PassingOn):
    """Passes samples on to a topic, a message for each group and partition of a write.

    Parameters
    ----------
    context : BackendContext
    options : KafkaBackendOptions

    Notes
    -----
    Messages and position are one transaction of Kafka: a consumer that reads committed messages gets what the
    journal holds once, whatever is killed or lost. What is written without a position (`forebay copy`) it may get
    twice, when the reply to the commit was lost; and what a source sent twice, it gets twice.
    """

    Options: ClassVar[type[Options]] = KafkaBackendOptions

    def __init__(self, context: BackendContext, options: KafkaBackendOptions) -> None:
        self.name = context.name
        self.limits = BackendLimits(largest_batch=1_000_000, readable=False)
        self._context = context
        self._options = options
        self._cluster = Cluster(options)
        self._writer = options.writer or f"forebay/{options.topic}/{context.name}"
        self._writing = threading.Lock()
        self._producer: Producer | None = None
        self._offsets: dict[str, int] = {}
        self._sharding = Sharding(options.partitions)
        self._largest = LARGEST_MESSAGE

    # -- life -----------------------------------------------------------------------------------------

    def open(self) -> None:
        """Find or make the topics, end what an earlier process left open, and read where it was."""
        if self._context.read_only:
            return
        options = self._options
        create = lambda: new_topic(options.topic, options.partitions, options.replication, {})  # noqa: E731
        count = self._cluster.topic(options.topic, create)[1]
        self._largest = int(self._cluster.topic_settings(options.topic)["max.message.bytes"])
        self._sharding = Sharding(count, min(MESSAGE_BYTES, self._largest // 2))
        self._cluster.topic(self._positions, lambda: new_topic(self._positions, 1, options.replication, _POSITIONS))
        with self._writing:
            self._producer = self._begin()

    def close(self) -> None:
        """Let go of the brokers."""
        with self._writing:
            self._producer = None
            self._cluster.close()

    def position(self, stream: str) -> Position | None:
        """Return the position that was committed for this stream."""
        offset = self._offsets.get(stream)
        return None if offset is None else Position(stream, offset)

    def _begin(self) -> Producer:
        """Return a producer that no earlier one of this name can disturb, and learn what those have committed."""
        producer = self._cluster.producer(
            transactional_id=self._writer,
            message_max_bytes=self._largest,
            queue_buffering_max_kbytes=_UNSENT_KIB,
            linger_ms=0,
        )
        self._cluster.call("no transactions can be made", lambda: producer.init_transactions(ANSWER_S))
        self._offsets = self._committed()
        return producer

    def _committed(self) -> dict[str, int]:
        """Read the positions topic to its end."""
        consumer = self._cluster.consumer(isolation_level="read_committed", enable_partition_eof=True)
        consumer.assign([TopicPartition(self._positions, 0, OFFSET_BEGINNING)])
        found: dict[str, int] = {}
        end = time.monotonic() + ANSWER_S
        try:
            while True:
                message = consumer.poll(0.5)
                error = KafkaError(KafkaError._TIMED_OUT) if message is None else message.error()
                if error is not None and error.code() == KafkaError._PARTITION_EOF:
                    break
                if message is None and time.monotonic() < end:
                    continue
                if message is None or error is not None:
                    raise self._cluster.error("positions cannot be read", error)
                key = json.loads(message.key() or b"{}")
                if key.get("writer") == self._writer:
                    found[key["stream"]] = json.loads(message.value() or b"{}")["offset"]
        finally:
            consumer.close()
        return found

    @property
    def _positions(self) -> str:
        return f"{self._options.topic}.positions"

    # -- writing --------------------------------------------------------------------------------------

    def write(
        self,
        parts: Mapping[str, SampleBatch],
        position: Position | None = None,
        before_commit: BeforeCommit | None = None,
    ) -> WriteReceipt:
        """Send samples, by group, and the position: see `archiver.ports.Backend.write`."""
        if self._context.read_only:
            raise UnsupportedError(f"backend {self.name} is open for reading only")
        with self._writing:
            if self._producer is None:
                self._producer = self._begin()
            stored = None if position is None else self.position(position.stream)
            if position is not None and stored is not None and position.offset <= stored.offset:
                return WriteReceipt(stored, repeated=True)
            known = {group: duplicates(batch, SampleBatch.empty()) for group, batch in parts.items()}
            receipt = WriteReceipt(position, known)
            fresh = {group: batch.filter(~known[group]) for group, batch in parts.items()}
            self._transact(self._producer, fresh, receipt, before_commit)
            if position is not None:
                self._offsets[position.stream] = position.offset
            return receipt

    def _transact(
        self,
        producer: Producer,
        parts: Mapping[str, SampleBatch],
        receipt: WriteReceipt,
        before_commit: BeforeCommit | None,
    ) -> None:
        position = receipt.position
        try:
            producer.begin_transaction()
            for group, batch in parts.items():
                for message in self._sharding.messages(batch) if batch.num_rows else ():
                    self._produce(producer, self._options.topic, message.value, message.key, message.partition, group)
            if before_commit is not None:
                before_commit(receipt)
            if position is not None:
                key = json.dumps({"writer": self._writer, "stream": position.stream}).encode()
                self._produce(producer, self._positions, json.dumps({"offset": position.offset}).encode(), key, 0)
        except KafkaException as exc:
            raise self._error(exc.args[0], self._give_up(producer)) from exc
        except BaseException:  # also when it is interrupted: no transaction stays open
            self._give_up(producer)
            raise
        self._commit(producer)

    def _produce(
        self, producer: Producer, topic: str, value: bytes, key: bytes, partition: int, group: str | None = None
    ) -> None:
        """Hand a message to the client, which sends it; wait where it has too much to send."""
        named: Any = headers(group) if group is not None else None
        end = time.monotonic() + ANSWER_S
        while True:
            try:
                producer.produce(topic, value, key, partition, headers=named)
                return
            except BufferError:
                if time.monotonic() > end:
                    raise TransientError(f"Kafka {self._options.servers} does not keep up with what is sent") from None
                producer.poll(_ROOM_S)

    def _commit(self, producer: Producer) -> None:
        """Commit; when it cannot be known whether that was done, the next write finds out."""
        end = time.monotonic() + ANSWER_S
        while True:
            try:
                producer.commit_transaction(ANSWER_S)
                return
            except KafkaException as exc:
                error = exc.args[0]
                if error.retriable() and time.monotonic() < end:
                    continue  # the same commit goes on
                raise self._error(error, self._give_up(producer)) from exc

    def _give_up(self, producer: Producer) -> KafkaError | None:
        """End the transaction without a trace, or return why the producer cannot do that.

        Such a producer is replaced, and cut off by the next. What it calls a fatal error before, it names then.
        """
        try:
            producer.abort_transaction(ANSWER_S)
        except KafkaException as exc:
            _LOG.info("backend %s: %s; it begins anew", self.name, exc)
            self._producer = None
            reason: KafkaError = exc.args[0]
            return reason
        return None

    def _error(self, error: KafkaError, reason: KafkaError | None) -> ForebayError:
        if error.code() == KafkaError._FATAL and reason is not None:
            error = reason
        if error.code() in (KafkaError._FENCED, KafkaError.INVALID_PRODUCER_EPOCH):
            return TransientError(
                f"another process writes to topic {self._options.topic} as {self._writer!r}: "
                f"give each archive a `writer` of its own"
            )
        return self._cluster.error(f"samples cannot be sent to topic {self._options.topic}", error)
