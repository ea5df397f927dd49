"""The topics of the workers, made before the first one starts."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

from archiver.kafka import Cluster, new_topic
from services.events.faust.options import WorkerOptions

POSITIONS, STATES = "positions", "states"
"""Tables: how far each partition of the journal was routed; what is known of the instances of each shard."""

_LATEST_OF_EACH = {"cleanup.policy": "compact", "min.cleanable.dirty.ratio": "0.2", "segment.ms": "600000"}
_A_DAY = {"cleanup.policy": "delete", "retention.ms": "86400000"}
_KEPT = {"cleanup.policy": "delete", "retention.ms": "-1"}


@dataclass(frozen=True)
class Sizes:
    """How many partitions there are.

    Parameters
    ----------
    journals : int
        Of the journal's topic.
    shards : int
        Of that of the samples by shard.
    """

    journals: int
    shards: int


def prepare(options: WorkerOptions) -> Sizes:
    """Make the topics that are missing; return the sizes of those that decide on others.

    Raises
    ------
    TransientError
        The brokers do not answer, or there is no journal yet: the archive makes its topic.
    """
    cluster = Cluster(options.cluster)
    try:
        journals = cluster.partitions(options.journal)
        make = partial(_topic, cluster, options)
        shards = make(options.routed, options.shards, _A_DAY)
        make(options.changelog(POSITIONS), journals, _LATEST_OF_EACH)
        make(options.changelog(STATES), shards, _LATEST_OF_EACH)
        make(options.events, shards, _KEPT)
        make(options.dead_letters, 1, _KEPT)
    finally:
        cluster.close()
    return Sizes(journals, shards)


def _topic(cluster: Cluster, options: WorkerOptions, name: str, partitions: int, settings: dict[str, str]) -> int:
    return cluster.topic(name, lambda: new_topic(name, partitions, options.replication, settings))[1]
