"""What a worker is told, and how its topics are called."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from archiver.config import Settings
from archiver.journal.kafka import KafkaJournalOptions
from archiver.kafka import KafkaOptions
from archiver.model import ConfigurationError


@dataclass(frozen=True)
class WorkerOptions:
    """Where samples come from and events go to.

    Parameters
    ----------
    servers : str
        Brokers: host:port, several with commas.
    journal : str
        Topic of the journals; each partition is one.
    events : str
        Topic of the events; the names of the others, and of the group of workers, begin with it.
    replication : int
        How many brokers a topic that is made is kept on.
    client : mapping of str to str
        Settings of librdkafka, such as ``security.protocol``.
    shards : int
        How many parts the instances of the rules are shared out in, when the topics are made: as many workers at most
        have something to do.
    checkpoint_s : float
        How often state is kept.
    idle_s : float
        How long a journal must be silent until it is taken to have said all until then.
    """

    servers: str
    journal: str
    events: str
    replication: int = 3
    client: Mapping[str, str] = field(default_factory=dict)
    shards: int = 8
    checkpoint_s: float = 1.0
    idle_s: float = 1.0

    @property
    def routed(self) -> str:
        """Topic of the samples by shard."""
        return f"{self.events}-routed"

    @property
    def dead_letters(self) -> str:
        """Topic of what could not be read."""
        return f"{self.events}-dead-letters"

    @property
    def cluster(self) -> KafkaOptions:
        """How to reach the brokers."""
        return KafkaOptions(servers=self.servers, client=self.client)

    def changelog(self, table: str) -> str:
        """Return the topic in which a table of the workers is kept."""
        return f"{self.events}-{table}-changelog"


def journal_options(settings: Settings) -> KafkaJournalOptions:
    """Return where the journal of an archive lies whose rules run on workers.

    Raises
    ------
    ConfigurationError
        Its journal is not on Kafka.
    """
    if settings.journal.kind != "kafka":
        fix = 'workers read the journal from Kafka: set journal.kind = "kafka"'
        raise ConfigurationError([f"events.topic = {settings.events.topic!r}: {fix}"])
    return KafkaJournalOptions.model_validate(settings.journal.model_extra or {})


def worker_options(settings: Settings) -> WorkerOptions:
    """Return what the configuration of an archive tells its workers.

    Raises
    ------
    ConfigurationError
        It has no topic of events, or its journal is not on Kafka.
    """
    if not settings.events.topic:
        raise ConfigurationError(['events.topic: workers need one to send events to: set it, as to "forebay-events"'])
    journal = journal_options(settings)
    return WorkerOptions(journal.servers, journal.topic, settings.events.topic, journal.replication, journal.client)
