"""What a peer has to do to be measured, and the data that it is measured with."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from archiver.model import Interval, SampleBatch
from bench.data import SECOND, START, in_batches, peers_data

ROWS = 10_000
"""Samples a batch, and lines a request."""

Acknowledged = Callable[[int], None]
"""Is told how many more samples were acknowledged."""


class NotHereError(Exception):
    """A peer is not installed; the message says what to install."""


@dataclass(frozen=True)
class Load:
    """Samples in batches, by time as they would arrive.

    Parameters
    ----------
    names : sequence of str
        All elements, sorted.
    samples : int
        Of each element, one about every second from `bench.data.START` on.
    batches : sequence of SampleBatch
        Of `ROWS` samples each.
    """

    names: Sequence[str]
    samples: int
    batches: Sequence[SampleBatch]

    @classmethod
    def of(cls, elements: int, samples: int) -> Load:
        """Return the peers' data under names as short as the servers get them in their lines."""
        data = peers_data(elements, samples)
        names = [f"E{index:05d}" for index in range(elements)]
        return cls(names, samples, list(in_batches(data.with_elements(data.codes, names), ROWS)))

    def first(self, batches: int) -> Load:
        """Return the first batches as a load of their own."""
        part = Load(self.names, self.samples, self.batches[:batches])
        part.__dict__["bodies"] = self.bodies[:batches]
        return part

    @property
    def rows(self) -> int:
        """Samples in all batches."""
        return sum(batch.num_rows for batch in self.batches)

    @property
    def whole(self) -> Interval:
        """All the time that the samples lie in."""
        return Interval(START - SECOND, START + (self.samples + 1) * SECOND)

    @cached_property
    def bodies(self) -> list[bytes]:
        """Each batch as line protocol."""
        return [_lines(batch) for batch in self.batches]

    def plain(self, batch: SampleBatch) -> pa.RecordBatch:
        """Return a batch with the four columns that everyone stores: element, source_time, float, status."""
        return batch.to_arrow().select(["element", "source_time", "float", "status"])


class Peer(Protocol):
    """Something that stores samples; one file each.

    `start` may follow `kill` or `stop`, on the same directory. Reads return columns at the client, as Arrow.
    """

    name: str
    synced: str
    """What is synced when an ingest is acknowledged."""

    def start(self, directory: Path) -> None:
        """Start on a directory; raises `NotHereError`."""

    def ingest(self, load: Load, acknowledged: Acknowledged) -> None:
        """Store samples in the peer's fastest way of a batch at a time; returns when all are acknowledged."""

    def settle(self) -> None:
        """Wait until what happens in the background has happened."""

    def size(self) -> int:
        """Return the bytes on the disk."""

    def count(self) -> int:
        """Return how many samples can be read."""

    def samples(self, elements: Sequence[str], interval: Interval) -> pa.Table:
        """Return the samples of some elements."""

    def means(self, element: str, interval: Interval, bucket_s: int) -> pa.Table:
        """Return the mean of each bucket that has samples."""

    def latest(self, elements: Sequence[str]) -> pa.Table:
        """Return the newest sample of all elements, which are these."""

    def interrupt(self, load: Load, after: int) -> int:
        """Ingest until so many samples are acknowledged, then SIGKILL; return how many were acknowledged."""

    def stop(self) -> None:
        """End everything that was started; harmless when nothing was."""


def folder_size(directory: Path) -> int:
    """Return the bytes of all files below a directory, as the disk holds them."""
    return sum(path.stat().st_blocks * 512 for path in directory.rglob("*") if path.is_file())


def _lines(batch: SampleBatch) -> bytes:
    names, times = batch.column("element").cast(pa.utf8()), batch.column("source_time").cast(pa.utf8())
    status = pc.binary_join_element_wise(",status=", batch.column("status").cast(pa.utf8()), "i", "")
    status = pc.if_else(pa.array(batch.status != 0), status, "")
    values = batch.column("float").cast(pa.utf8())
    lines = pc.binary_join_element_wise("m,element=", names, " value=", values, status, " ", times, "\n", "")
    offsets = pa.array(np.array([0, len(lines)], np.int32))
    return bytes(pc.binary_join(pa.ListArray.from_arrays(offsets, lines), "")[0].as_buffer())
