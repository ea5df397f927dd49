"""What is in a message of the samples topic: see docs/reference/stream-format.md."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa

from archiver.model import InvalidInputError, SampleBatch
from archiver.model.batch import SCHEMA_VERSION
from archiver.model.ipc import from_ipc, to_buffer

MESSAGE_BYTES = 8 * 2**20
"""About the largest message that is made of several samples, where the topic takes that."""

_GROUP, _SCHEMA = "forebay.group", "forebay.schema"


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A message to be sent: which partition, and the Arrow IPC stream as the memory that it was written to."""

    partition: int
    value: pa.Buffer

    @property
    def key(self) -> bytes:
        """The number of the partition: who copies the topic by key keeps the order of each element."""
        return str(self.partition).encode()


@dataclass(frozen=True, slots=True)
class Received:
    """Samples of one archive group, as a consumer got them."""

    group: str
    batch: SampleBatch


class Sharding:
    """Puts each element into a partition, always the same: CRC-32 of its name in UTF-8, modulo their number.

    Parameters
    ----------
    partitions : int
    message_bytes : int
        About the largest message that is made of several samples.
    """

    def __init__(self, partitions: int, message_bytes: int = MESSAGE_BYTES) -> None:
        self._partitions = partitions
        self._message_bytes = message_bytes
        self._known: dict[str, int] = {}

    def messages(self, batch: SampleBatch) -> Iterator[Outgoing]:
        """Yield a batch as messages; the samples of an element stay in their order."""
        batch = batch.compacted()
        shard_of = np.array([self._shard(name) for name in batch.elements], np.int16)
        by_shard = np.argsort(
            shard_of, kind="stable"
        )  # the names of a partition side by side: a slice is its dictionary
        names, place = np.array(batch.elements, object)[by_shard], np.argsort(by_shard)
        shards = shard_of[batch.codes]
        order = np.argsort(shards, kind="stable")
        rows, shards, codes = batch.take(order), shards[order], place[batch.codes[order]]
        most = max(1, self._message_bytes * batch.num_rows // max(1, batch.to_arrow().nbytes))
        edges = [0, *(np.flatnonzero(np.diff(shards)) + 1).tolist(), batch.num_rows]
        for start, end in pairwise(edges):
            first, last = np.searchsorted(shard_of[by_shard], [shards[start], shards[start] + 1])
            for at in range(start, end, most):
                upto = min(at + most, end)
                part = rows.slice(at, upto - at).with_elements(codes[at:upto] - first, names[first:last].tolist())
                yield Outgoing(int(shards[start]), pa.py_buffer(to_buffer(part.pruned().to_arrow())))

    def _shard(self, name: str) -> int:
        shard = self._known.get(name)
        if shard is None:
            shard = self._known[name] = zlib.crc32(name.encode()) % self._partitions
        return shard


def headers(group: str) -> list[tuple[str, bytes]]:
    """Return the headers of a message."""
    return [(_GROUP, group.encode()), (_SCHEMA, SCHEMA_VERSION)]


def received(message: Any) -> Received:
    """Return what a message holds.

    Raises
    ------
    InvalidInputError
        It is not of this format.
    """
    found = dict(message.headers() or ())
    where = f"{message.topic()}/{message.partition()} at offset {message.offset()}"
    if found.get(_SCHEMA) != SCHEMA_VERSION:
        raise InvalidInputError(f"{where}: no samples in schema {SCHEMA_VERSION.decode()}: something else wrote it")
    return Received(found[_GROUP].decode(), SampleBatch(from_ipc(message.value())))
