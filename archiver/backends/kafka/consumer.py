"""A consumer of the samples topic: read it to write your own, or run it to see what comes.

::

    python -m archiver.backends.kafka.consumer localhost:9092 forebay-samples
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from itertools import islice

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from archiver.backends.kafka.messages import Received, received
from archiver.kafka import ANSWER_S
from archiver.model import format_time

_POLL_S = 0.2


def subscribe(servers: str, topic: str, group_id: str, *, end: bool = False) -> Iterator[Received]:
    """Yield what is committed to a topic, from where this group of consumers stopped, at first from the beginning.

    Parameters
    ----------
    group_id : str
        Consumers of one name share the partitions, and Kafka remembers where they are.
    end : bool
        Stop at what is the end of the topic now, instead of waiting for more. What a transaction holds that is not
        committed yet is waited for: a write may be acknowledged a moment before Kafka shows it.
    """
    ends = _ends(servers, topic) if end else {}
    consumer = Consumer(
        {
            "bootstrap.servers": servers,
            "group.id": group_id,
            "auto.offset.reset": "earliest",
            "isolation.level": "read_committed",  # else what was given up, and is sent again, comes twice
            "enable.auto.offset.store": False,
            "enable.partition.eof": end,
        }
    )
    try:
        consumer.subscribe([topic])
        ended: set[int] = set()
        while not (ended and len(ended) == len(consumer.assignment())):
            message = consumer.poll(_POLL_S)
            if message is None:
                continue
            error = message.error()
            if error is None:
                yield received(message)
                consumer.store_offsets(message)  # only now: who stops before gets it again
            elif error.code() == KafkaError._PARTITION_EOF:
                partition = message.partition() or 0
                if (message.offset() or 0) >= ends.get(partition, 0):
                    ended.add(partition)
            else:
                raise KafkaException(error)
    finally:
        consumer.close()


def _ends(servers: str, topic: str) -> dict[int, int]:
    """Return the offset behind the last message of each partition, committed or not."""
    consumer = Consumer({"bootstrap.servers": servers, "group.id": "ends", "isolation.level": "read_uncommitted"})
    try:
        numbers = consumer.list_topics(topic, ANSWER_S).topics[topic].partitions
        places = [TopicPartition(topic, number) for number in numbers]
        return {place.partition: consumer.get_watermark_offsets(place, ANSWER_S)[1] for place in places}
    finally:
        consumer.close()


def main(words: Sequence[str] | None = None) -> None:
    """Print a line per sample: group, element, source time, status and value."""
    parser = argparse.ArgumentParser(description="Show the samples that come to a topic.")
    parser.add_argument("servers", help="host:port, several with commas")
    parser.add_argument("topic")
    parser.add_argument("--group-id", default="forebay-example")
    parser.add_argument("--messages", type=int, help="stop after so many")
    given = parser.parse_args(words)
    for got in islice(subscribe(given.servers, given.topic, given.group_id), given.messages):
        for element, source_time, _, _, status, _, value in got.batch.to_pylist():
            sys.stdout.write(f"{got.group} {element} {format_time(source_time)} {status:#x} {value}\n")


if __name__ == "__main__":
    main()
