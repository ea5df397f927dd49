"""What the Kafka journal and the Kafka backend share of the client: how to connect, topics, and errors in our words."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from typing import Any, TypeVar

from confluent_kafka import Consumer, KafkaError, KafkaException, Producer, TopicCollection
from confluent_kafka.admin import (  # type: ignore[attr-defined]
    AdminClient,
    ConfigResource,
    NewTopic,
    ResourceType,
)
from pydantic import Field

from archiver.model import ForebayError, PermanentError, TransientError
from archiver.ports import Options

ANSWER_S = 10.0
"""How long the broker has to answer what is not a matter of waiting for data."""

LARGEST_MESSAGE = 96 * 2**20
"""Bytes of a message in a topic that we make: what a broker takes in one request, less room for what goes with it."""

_PAUSE_S = 0.1
_SETTLING = {
    KafkaError.UNKNOWN_TOPIC_OR_PART,  # made just now
    KafkaError.NOT_LEADER_FOR_PARTITION,
    KafkaError.LEADER_NOT_AVAILABLE,
    KafkaError.COORDINATOR_NOT_AVAILABLE,
    KafkaError.COORDINATOR_LOAD_IN_PROGRESS,
    KafkaError.NOT_COORDINATOR,
    KafkaError.OFFSET_NOT_AVAILABLE,
}
_REFUSED = {KafkaError.MSG_SIZE_TOO_LARGE, KafkaError.RECORD_LIST_TOO_LARGE, KafkaError.INVALID_RECORD}
Result = TypeVar("Result")


class KafkaOptions(Options):
    """How to reach a Kafka cluster."""

    servers: str = Field(description="bootstrap servers: host:port, several with commas")
    client: Mapping[str, str] = Field(
        default_factory=dict,
        description="settings of librdkafka such as security.protocol, sasl.username, ssl.ca.location",
    )


class Cluster:
    """Makes clients of one cluster, and says of an error what was being done, where, and what the client last met.

    Parameters
    ----------
    options : KafkaOptions
    """

    def __init__(self, options: KafkaOptions) -> None:
        self.servers = options.servers
        self._client = dict(options.client)
        self._met = ""
        self._administrator: Any = None

    def producer(self, **settings: Any) -> Producer:
        """Return an idempotent producer; keyword arguments are settings with ``_`` in place of dots."""
        return Producer(self._settings({"enable.idempotence": True, "acks": "all"}, settings))

    def consumer(self, **settings: Any) -> Consumer:
        """Return a consumer that belongs to no group's offsets: it is told where to read."""
        fixed = {
            "group.id": "forebay",
            "enable.auto.commit": False,
            "auto.offset.reset": "error",
            "check.crcs": True,
            "receive.message.max.bytes": 2 * LARGEST_MESSAGE,
            "fetch.wait.max.ms": 200,
            "fetch.error.backoff.ms": 100,
        }
        return Consumer(self._settings(fixed, settings))

    def error(self, doing: str, error: Any) -> ForebayError:
        """Return an error of the client (a ``KafkaError``) as ours: permanent when the data is its cause."""
        if self._administrator is not None:
            self._administrator.poll(0)  # it says only then what it has met
        met = f" ({self._met})" if self._met and self._met not in error.str() else ""
        text = f"{doing} at Kafka {self.servers}: {error.str()}{met}"
        return PermanentError(text) if error.code() in _REFUSED else TransientError(text)

    def call(self, doing: str, work: Callable[[], Result]) -> Result:
        """Return what a call of the client gives; it is repeated while the brokers settle who leads what.

        Raises
        ------
        TransientError, PermanentError
            The errors of the client, as ours.
        """
        end = time.monotonic() + ANSWER_S
        while True:
            try:
                result = work()
            except KafkaException as exc:
                if exc.args[0].code() not in _SETTLING or time.monotonic() > end:
                    raise self.error(doing, exc.args[0]) from exc
            else:
                self._met = ""  # it is over
                return result
            time.sleep(_PAUSE_S)

    def close(self) -> None:
        """Let go of what was needed to ask for topics; it is made again when it is needed again."""
        self._administrator = None

    # -- topics ---------------------------------------------------------------------------------------

    def topic(self, name: str, create: Callable[[], NewTopic]) -> tuple[str, int]:
        """Return the identity of a topic and how many partitions it has; it is made when it does not exist."""

        def find() -> tuple[str, int]:
            future: Future[Any] = admin.describe_topics(TopicCollection([name]), request_timeout=ANSWER_S)[name]
            found = future.result()
            return str(found.topic_id), len(found.partitions)

        admin = self._admin()
        try:
            return find()
        except KafkaException as exc:
            if exc.args[0].code() != KafkaError.UNKNOWN_TOPIC_OR_PART:
                raise self.error(f"topic {name} cannot be looked up", exc.args[0]) from exc
        try:
            admin.create_topics([create()], operation_timeout=ANSWER_S, request_timeout=ANSWER_S)[name].result()
        except KafkaException as exc:
            if exc.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:  # by another process, just now
                raise self.error(f"topic {name} cannot be made", exc.args[0]) from exc
        return self.call(f"topic {name} cannot be looked up", find)

    def partitions(self, name: str) -> int:
        """Return how many partitions a topic has that somebody else makes.

        Raises
        ------
        TransientError
            It is not there, or the brokers do not answer.
        """
        admin = self._admin()

        def find() -> int:
            future: Future[Any] = admin.describe_topics(TopicCollection([name]), request_timeout=ANSWER_S)[name]
            return len(future.result().partitions)

        return self.call(f"topic {name} cannot be looked up", find)

    def topic_settings(self, name: str) -> dict[str, str]:
        """Return the settings of a topic that are in force."""
        resource = ConfigResource(ResourceType.TOPIC, name)
        admin = self._admin()

        def describe() -> Any:
            future: Future[Any] = admin.describe_configs([resource], request_timeout=ANSWER_S)[resource]
            return future.result()

        found = self.call(f"the settings of topic {name} cannot be read", describe)
        return {key: entry.value for key, entry in found.items()}

    def delete_before(self, place: Any) -> None:
        """Forget the records of a partition before an offset (a ``TopicPartition``)."""
        admin = self._admin()

        def delete() -> None:
            (future,) = admin.delete_records([place], request_timeout=ANSWER_S).values()
            future.result()

        self.call(f"records of {place.topic} cannot be deleted", delete)

    def _admin(self) -> Any:
        if self._administrator is None:
            self._administrator = AdminClient(self._settings({}, {}))
        return self._administrator

    def _settings(self, fixed: Mapping[str, Any], settings: Mapping[str, Any]) -> dict[str, Any]:
        """Return settings of a client; it logs nothing by itself, what it meets is part of our errors."""
        ours = {"bootstrap.servers": self.servers, "log_level": 0, "error_cb": self._meet, "reconnect.backoff.ms": 50}
        ours |= {"reconnect.backoff.max.ms": 1000, "socket.keepalive.enable": True}
        more = {name.replace("_", "."): value for name, value in settings.items()}
        return ours | dict(fixed) | self._client | more

    def _meet(self, error: KafkaError) -> None:
        if error.code() != KafkaError._ALL_BROKERS_DOWN or not self._met:  # it follows what says why
            self._met = error.str()


def new_topic(name: str, partitions: int, replication: int, settings: Mapping[str, str]) -> NewTopic:
    """Return a topic to be made that loses nothing that was acknowledged.

    With several replicas two of them have a record before it is acknowledged; one alone syncs each to its disk.
    """
    safe = {"min.insync.replicas": "2"} if replication > 1 else {"flush.messages": "1"}
    fixed = {
        "unclean.leader.election.enable": "false",
        "max.message.bytes": str(LARGEST_MESSAGE),
        "segment.bytes": str(LARGEST_MESSAGE + 2**25),
    }
    return NewTopic(name, partitions, replication, config={**fixed, **safe, **settings})
