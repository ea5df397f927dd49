"""Samples passed on to a Kafka topic: Arrow IPC in each message, each message once."""

from archiver.backends.kafka.backend import KafkaBackend, KafkaBackendOptions

__all__ = ["KafkaBackend", "KafkaBackendOptions"]
