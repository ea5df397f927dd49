"""The archive inside the measuring process: Arrow in, Arrow out."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import pyarrow as pa

from archiver.bootstrap import Archive
from archiver.config import Settings
from archiver.model import Interval
from archiver.pipeline.intake import IntakeReceipt
from archiver.query import Query
from bench.peers.interruption import kill_embedding
from bench.peers.port import Acknowledged, Load, folder_size

_IN_FLIGHT = 3  # as many as the servers have connections


class ForebayEmbedded:
    """Intake, journal and a Parquet lake, in process."""

    name = "forebay, in process"
    synced = "yes: journal, fsync"

    def __init__(self) -> None:
        self._archive: Archive | None = None

    def start(self, directory: Path) -> None:
        """Open the archive."""
        self._directory = directory
        self._archive = Archive(settings(directory)).open()
        self._archive.wait_ready()

    def ingest(self, load: Load, acknowledged: Acknowledged) -> None:
        """Submit batches, a few at a time."""
        waiting: deque[Future[IntakeReceipt]] = deque()
        for batch in load.batches:
            waiting.append(self._opened.intake.submit(batch))
            if len(waiting) >= _IN_FLIGHT:
                acknowledged(waiting.popleft().result().counts["buffered"])
        for future in waiting:
            acknowledged(future.result().counts["buffered"])

    def settle(self) -> None:
        """Wait for the lake, and do at once the compaction that would follow within a minute."""
        self._opened.flush()
        self._opened.keep()

    def size(self) -> int:
        """Return the bytes of the lake."""
        return folder_size(self._directory / "lake")

    def count(self) -> int:
        """Count by reading: an aggregate over all elements."""
        names = tuple(version.name for version in self._opened.catalog.elements())
        table = self._query(names, Interval(0, 2**62), aggregates=("count",))
        return sum(table["count"].to_pylist())

    def samples(self, elements: Sequence[str], interval: Interval) -> pa.Table:
        """Return samples, over the planner and the journal's tail."""
        return self._query(tuple(elements), interval)

    def means(self, element: str, interval: Interval, bucket_s: int) -> pa.Table:
        """Return means per bucket."""
        return self._query((element,), interval, aggregates=("mean",), bucket_ns=bucket_s * 10**9)

    def latest(self, elements: Sequence[str]) -> pa.Table:
        """Return the latest values, from memory."""
        return pa.Table.from_batches([self._opened.latest().to_arrow()])

    def interrupt(self, load: Load, after: int) -> int:
        """Kill a process with an archive."""
        self.stop()
        return kill_embedding(self, self._directory, load, after)

    def stop(self) -> None:
        """Close the archive."""
        if self._archive is not None:
            self._archive.close()
            self._archive = None

    @property
    def _opened(self) -> Archive:
        assert self._archive is not None
        return self._archive

    def _query(self, elements: tuple[str, ...], interval: Interval, **options: Any) -> pa.Table:
        return self._opened.query(Query(elements, interval, **options)).table()


def settings(directory: Path, **group: Any) -> Settings:
    """Return an archive with a Parquet lake that takes everything, and removes at once what compaction replaced."""
    everything = {"name": "all", "elements": ["*"], "backends": ["lake"], **group}
    lake = {"name": "lake", "kind": "parquet", "keep_removed": "0s"}
    return Settings.model_validate({"data": directory, "backends": [lake], "groups": [everything]})


PEERS = (ForebayEmbedded(),)
