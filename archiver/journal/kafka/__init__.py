"""The journal on Kafka, for the distributed size: one partition of a topic is one journal."""

from archiver.journal.kafka.journal import KafkaJournal
from archiver.journal.kafka.options import KafkaJournalOptions

__all__ = ["KafkaJournal", "KafkaJournalOptions"]
