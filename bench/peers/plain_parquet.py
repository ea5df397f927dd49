"""Plain Parquet: what pyarrow alone takes to sort, write and sync the samples; the unit of the ingest."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from archiver.model import Interval
from bench.peers.port import Acknowledged, Load, folder_size

_ROW_GROUP_ROWS = 100_000


def write(load: Load, path: Path) -> float:
    """Sort by element and time, write with zstd 1 and sync; return the seconds."""
    table = pa.Table.from_batches([load.plain(batch) for batch in load.batches])
    start = time.perf_counter()
    table = table.combine_chunks()
    keys = pa.table({"element": table["element"].chunk(0).indices, "source_time": table["source_time"]})
    table = table.take(pc.sort_indices(keys, [("element", "ascending"), ("source_time", "ascending")]))
    pq.write_table(table, path, compression="zstd", compression_level=1, row_group_size=_ROW_GROUP_ROWS)
    with path.open("rb") as file:
        os.fsync(file.fileno())
    return time.perf_counter() - start


class PlainParquet:
    """One file, all at once: no archive, but what one has to compare with."""

    name = "plain Parquet (pyarrow)"
    synced = "at the end"

    def start(self, directory: Path) -> None:
        """Know where the file will be."""
        self._file = directory / "samples.parquet"

    def ingest(self, load: Load, acknowledged: Acknowledged) -> None:
        """Write everything at once."""
        write(load, self._file)
        acknowledged(load.rows)

    def settle(self) -> None:
        """Nothing happens in the background."""

    def size(self) -> int:
        """Return the bytes of the file."""
        return folder_size(self._file.parent)

    def count(self) -> int:
        """Count the rows."""
        return int(pq.read_metadata(self._file).num_rows)

    def samples(self, elements: Sequence[str], interval: Interval) -> pa.Table:
        """Return samples, with row groups left out by their statistics."""
        within = (pc.field("source_time") >= interval.start) & (pc.field("source_time") < interval.end)
        return pq.read_table(self._file, filters=pc.field("element").isin(list(elements)) & within)

    def means(self, element: str, interval: Interval, bucket_s: int) -> pa.Table:
        """Return means per bucket."""
        rows = self.samples([element], interval)
        bucket = pc.divide(rows["source_time"], bucket_s * 10**9)
        return pa.table({"bucket": bucket, "value": rows["float"]}).group_by("bucket").aggregate([("value", "mean")])

    def latest(self, elements: Sequence[str]) -> pa.Table:
        """Return the newest sample of each element."""
        rows = pq.read_table(self._file, columns=["element", "source_time", "float"])
        return rows.group_by("element", use_threads=False).aggregate([("source_time", "last"), ("float", "last")])

    def interrupt(self, load: Load, after: int) -> int:
        """Nothing is acknowledged before the end."""
        raise NotImplementedError("a file is written as a whole")

    def stop(self) -> None:
        """Nothing runs."""


PEERS = (PlainParquet(),)
