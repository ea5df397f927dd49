"""What the Kafka journal may be told."""

from __future__ import annotations

from pydantic import Field

from archiver.journal.bounds import Bounds
from archiver.kafka import KafkaOptions


class KafkaJournalOptions(KafkaOptions, Bounds):
    """Where the journal lies, and its bounds."""

    topic: str = Field("forebay-journal", description="made when it does not exist; nothing else may write to it")
    partition: int = Field(0, ge=0, description="which of its partitions is the journal of this archive")
    partitions: int = Field(1, ge=1, description="how many a topic that is made gets: one for each archive")
    replication: int = Field(3, ge=1, description="how many brokers a topic that is made is kept on")
    timeout_s: int = Field(30, ge=1, description="how long brokers may be silent until batches are refused")
