"""One partition of a topic, read from any offset: what a journal needs of the broker besides appending."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Generator
from dataclasses import dataclass, field
from typing import Any

from confluent_kafka import Consumer, KafkaError, TopicPartition

from archiver.journal.kafka.options import KafkaJournalOptions
from archiver.kafka import ANSWER_S, Cluster, new_topic
from archiver.model import ForebayError, PermanentError

_MOST_IDLE = 4
_AT_ONCE = 200
_AHEAD_KIB = 16384
_KEPT_FOR_EVER = {"cleanup.policy": "delete", "retention.ms": "-1", "retention.bytes": "-1"}


@dataclass(eq=False)
class _Reader:
    """A consumer, the offset of the record that it gives next, and records that were fetched and not given yet."""

    consumer: Consumer
    following: int
    ahead: deque[Any] = field(default_factory=deque)


class Partition:
    """The records of one partition.

    Parameters
    ----------
    cluster : Cluster
    options : KafkaJournalOptions
    """

    def __init__(self, cluster: Cluster, options: KafkaJournalOptions) -> None:
        self._cluster = cluster
        self._options = options
        self._idle: list[_Reader] = []
        self._lock = threading.Lock()
        self.largest = 0

    def open(self) -> str:
        """Find or make the topic; return the identity of the partition.

        Raises
        ------
        PermanentError
            It has no such partition, or forgets records by itself.
        """
        options, name = self._options, self._options.topic
        create = lambda: new_topic(name, options.partitions, options.replication, _KEPT_FOR_EVER)  # noqa: E731
        identity, count = self._cluster.topic(name, create)
        if options.partition >= count:
            raise PermanentError(
                f"topic {name} has {count} partitions, there is no journal.partition {options.partition}: "
                "add partitions with kafka-topics --alter, or choose another"
            )
        settings = self._cluster.topic_settings(name)
        if any(settings[key] != value for key, value in _KEPT_FOR_EVER.items()):
            wanted = ",".join(f"{key}={value}" for key, value in _KEPT_FOR_EVER.items())
            raise PermanentError(
                f"topic {name} would forget what no backend has yet: kafka-configs --alter --entity-type topics "
                f"--entity-name {name} --add-config {wanted}"
            )
        self.largest = int(settings["max.message.bytes"])
        return f"{identity}/{options.partition}"

    def close(self) -> None:
        """Let go of the consumers."""
        with self._lock:
            for reader in self._idle:
                reader.consumer.close()
            self._idle.clear()

    def bounds(self) -> tuple[int, int]:
        """Return the offset of the first record, and that behind the last."""
        consumer = self._cluster.consumer()
        try:
            found = self._cluster.call(
                "the journal's bounds cannot be read",
                lambda: consumer.get_watermark_offsets(self._place(), timeout=ANSWER_S, cached=False),
            )
        finally:
            consumer.close()
        if found is None:
            raise self._silent()
        return int(found[0]), int(found[1])

    def trim(self, before: int) -> None:
        """Forget the records before an offset."""
        self._cluster.delete_before(self._place(before))

    def tail(self, start: int) -> Consumer:
        """Return a consumer that reads from an offset on, for ever."""
        consumer = self._cluster.consumer()
        consumer.assign([self._place(start)])
        return consumer

    def messages(self, start: int, last: int) -> Generator[Any, None, None]:
        """Yield the records from an offset to another one, which is there.

        Raises
        ------
        TransientError
            The broker gives none.
        """
        reader = self._lend(start)
        try:
            while reader.following <= last:
                yield self._next(reader)
        except Exception:
            reader.consumer.close()
            raise
        except GeneratorExit:  # nobody wants more now; who goes on later finds what was read ahead
            self._take_back(reader)
            raise
        self._take_back(reader)

    def _next(self, reader: _Reader) -> Any:
        end = time.monotonic() + ANSWER_S
        while not reader.ahead:
            if time.monotonic() > end:
                raise self._silent()
            first = reader.consumer.poll(0.5)
            reader.ahead += [] if first is None else [first, *reader.consumer.consume(_AT_ONCE, 0)]
        message = reader.ahead.popleft()
        if message.error():
            raise self._cluster.error("the journal cannot be read", message.error())
        reader.following = message.offset() + 1
        return message

    def _lend(self, start: int) -> _Reader:
        with self._lock:
            going_on = next((reader for reader in self._idle if reader.following == start), None)
            reader = going_on or (self._idle[0] if self._idle else None)
            if reader is not None:
                self._idle.remove(reader)
        if going_on is not None:
            return going_on
        consumer = self._cluster.consumer(queued_max_messages_kbytes=_AHEAD_KIB) if reader is None else reader.consumer
        consumer.assign([self._place(start)])
        return _Reader(consumer, start)

    def _take_back(self, reader: _Reader) -> None:
        with self._lock:
            if len(self._idle) < _MOST_IDLE:
                self._idle.append(reader)
                return
        reader.consumer.close()

    def _place(self, offset: int = 0) -> TopicPartition:
        return TopicPartition(self._options.topic, self._options.partition, offset)

    def _silent(self) -> ForebayError:
        return self._cluster.error("the journal cannot be read", KafkaError(KafkaError._TIMED_OUT))
