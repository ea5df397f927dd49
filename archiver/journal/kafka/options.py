"""What the Kafka journal may be told."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from archiver.kafka import KafkaOptions
from archiver.model.time import DAY_NS


class KafkaJournalOptions(KafkaOptions):
    """Where the journal lies, and its bounds."""

    topic: str = Field("forebay-journal", description="made when it does not exist; nothing else may write to it")
    partition: int = Field(0, ge=0, description="which of its partitions is the journal of this archive")
    partitions: int = Field(1, ge=1, description="how many a topic that is made gets: one for each archive")
    replication: int = Field(3, ge=1, description="how many brokers a topic that is made is kept on")
    timeout_s: int = Field(30, ge=1, description="how long brokers may be silent until batches are refused")
    max_bytes: int = Field(10 * 2**30, gt=0, description="samples kept at most, in bytes")
    max_age_s: int = Field(30 * DAY_NS // 10**9, gt=0, description="age of its oldest sample when it counts as full")
    when_full: Literal["block", "drop_oldest"] = Field(
        "block", description="block: sources wait; drop_oldest: lanes that are behind lose samples, on record"
    )
