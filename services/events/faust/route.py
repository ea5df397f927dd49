"""From entries of a journal to messages, one for each shard."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from archiver.model import SampleBatch
from services.events.faust.messages import Routed, samples_bytes
from services.events.faust.shards import Shards


@dataclass(frozen=True)
class Entry:
    """An entry of a journal.

    Parameters
    ----------
    offset : int
    batch : SampleBatch
        Empty for one that could not be read.
    """

    offset: int
    batch: SampleBatch


def route(shards: Shards, journal: int, after: int, clock: int, entries: Sequence[Entry]) -> list[Routed]:
    """Return the message of each shard.

    Parameters
    ----------
    shards : Shards
    journal : int
        Partition.
    after : int
        See `Routed`.
    clock : int
        Receive time before these entries, ns.
    entries : sequence of Entry
        Following each other.
    """
    offsets = [entry.offset for entry in entries]
    ends = np.cumsum([entry.batch.num_rows for entry in entries])
    filled = [entry.batch for entry in entries if entry.batch.num_rows]
    if not filled:
        return [Routed(journal, after, offsets, [0] * len(offsets), clock, b"")] * shards.count
    batch = SampleBatch.concat(filled)
    clock = max(clock, int(batch.receive_time.max()))
    wanted = shards.wanting(batch.elements)[batch.codes]
    return [_of_shard(journal, after, offsets, ends, clock, batch, wanted[:, shard]) for shard in range(shards.count)]


def _of_shard(
    journal: int, after: int, offsets: list[int], ends: np.ndarray, clock: int, batch: SampleBatch, wanted: np.ndarray
) -> Routed:
    rows = np.flatnonzero(wanted)
    own = np.searchsorted(rows, ends).tolist()
    samples = batch.take(rows).compacted().pruned() if len(rows) else SampleBatch.empty()
    return Routed(journal, after, offsets, own, clock, samples_bytes(samples))
