"""Measures the Parquet backend: bytes a sample, write rate against raw pyarrow, and queries against DuckDB.

Run: ``python -m bench.parquet_backend [elements] [samples]`` from the repository root; prints a table.
"""

from __future__ import annotations

import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from archiver.backends.parquet import ParquetBackend
from archiver.backends.parquet.options import ParquetOptions
from archiver.backends.parquet.schema import to_stored
from archiver.model import Interval, SampleBatch
from archiver.model.time import MAX_TIME, MIN_TIME
from archiver.ports import BackendContext, Position
from bench.data import SECOND, START, deadband_data, element_names, in_batches, peers_data

HOUR = 3600 * SECOND
WRITE_ROWS = 1_000_000


def line(title: str, value: float, text: str) -> None:
    print(f"{title:40} {value:8.2f} {text}", flush=True)


def medians_ms(*works: Callable[[], Any], rounds: int = 9) -> list[float]:
    """Return the median time of each, ms; taken in turns, so that a busy machine is as busy for all."""
    times: list[list[float]] = [[] for _ in works]
    for _ in range(rounds):
        for work, taken in zip(works, times, strict=True):
            start = time.perf_counter()
            work()
            taken.append((time.perf_counter() - start) * 1e3)
    return [statistics.median(taken) for taken in times]


def opened(directory: Path) -> ParquetBackend:
    backend = ParquetBackend(BackendContext("lake", directory), ParquetOptions(keep_removed="0s"))
    backend.open()
    return backend


def raw_write(batches: list[SampleBatch], directory: Path) -> float:
    """Return seconds for sorting, writing and syncing the same rows with pyarrow alone."""
    start = time.perf_counter()
    for number, batch in enumerate(batches):
        path = directory / f"raw{number}.parquet"
        pq.write_table(
            pa.Table.from_batches([to_stored(batch.sorted())]), path, compression="zstd", compression_level=1
        )
        with path.open("rb") as file:
            os.fsync(file.fileno())
    return time.perf_counter() - start


def backend_write(batches: list[SampleBatch], backend: ParquetBackend) -> float:
    start = time.perf_counter()
    for number, batch in enumerate(batches):
        backend.write({"all": batch}, Position("bench", number))
    return time.perf_counter() - start


def column_bytes(backend: ParquetBackend) -> dict[str, float]:
    """Return bytes a sample by column, over all files."""
    totals: dict[str, float] = {}
    rows = 0
    for entry in backend._table.index.snapshot.entries:
        metadata = pq.read_metadata(backend.root / entry.path)
        rows += metadata.num_rows
        for group in range(metadata.num_row_groups):
            for index in range(metadata.num_columns):
                column = metadata.row_group(group).column(index)
                name = column.path_in_schema.split(".")[0]
                totals[name] = totals.get(name, 0) + column.total_compressed_size
    return {name: total / rows for name, total in totals.items()}


def report_size(title: str, backend: ParquetBackend) -> None:
    columns = column_bytes(backend)
    core = columns["source_time"] + columns.get("float", 0) + columns["status"]
    split = ", ".join(f"{name} {size:.2f}" for name, size in columns.items())
    line(title, core, f"B/sample (time + value + status); {split}")


def queries(backend: ParquetBackend, elements: int, samples: int) -> None:
    names = element_names(elements)
    connection = duckdb.connect()
    connection.execute("SET enable_object_cache = true")
    files = [str(backend.root / entry.path) for entry in backend._table.index.snapshot.entries]
    source = f"read_parquet({files!r}, hive_partitioning = false)"
    columns = "element, source_time, float, status"
    window = 1_000_000 // elements * SECOND
    cases = {
        "1 element, all": (names[7:8], Interval(START - SECOND, START + samples * SECOND)),
        "1 element, 1 hour": (names[7:8], Interval(START + HOUR // 2, START + HOUR // 2 + HOUR)),
        "1,000,000 rows of all elements": (names, Interval(START + HOUR // 2, START + HOUR // 2 + window)),
        "100 elements, 1 hour": (names[100:200], Interval(START + HOUR // 2, START + HOUR // 2 + HOUR)),
    }
    for title, (chosen, span) in cases.items():
        where = "" if len(chosen) == elements else f"element IN ({', '.join(map(repr, chosen))}) AND"
        sql = f"SELECT {columns} FROM {source} WHERE {where} source_time >= {span.start} AND source_time < {span.end}"

        def ours(chosen: list[str] = chosen, span: Interval = span) -> int:
            return sum(batch.num_rows for batch in backend.read(chosen, span))

        def theirs(sql: str = sql) -> int:
            return connection.sql(sql).to_arrow_table().num_rows

        assert ours() == theirs(), title
        a, b = medians_ms(ours, theirs)
        line(title, a, f"ms   {a / b:.2f} of DuckDB ({b:.1f} ms), {ours()} rows")
    line("last of all elements", medians_ms(lambda: backend.last_before(names, MAX_TIME))[0], "ms")
    middle = START + samples * SECOND // 2
    line("value of all elements at an instant", medians_ms(lambda: backend.last_before(names, middle))[0], "ms")


class Appender:
    """Writes 10,000 rows at a time to a table of its own."""

    def __init__(self, directory: Path) -> None:
        directory.mkdir()
        self.backend = opened(directory)
        self._batch = peers_data(1000, 10, seed=1)
        self._number = 0

    def __call__(self) -> None:
        """Write the next 10,000 rows."""
        columns = self._batch.to_arrow().columns
        times = self._batch.source_time + self._number * 10 * SECOND
        rows = SampleBatch.from_columns(columns[0], times, columns[5], receive_time=START + self._number)
        self.backend.write({"all": rows}, Position("bench", self._number))
        self._number += 1


def commit_latency(directory: Path, commits: int = 1000) -> None:
    """Print how long a write takes to a table of 1000 writes, against one of ten."""
    old, young = Appender(directory / "old"), Appender(directory / "young")
    for _ in range(commits):
        old()
    for _ in range(10):
        young()
    late, early = medians_ms(old, young, rounds=31)
    line("write of 10,000 rows, 10th", early, "ms")
    line("write of 10,000 rows, 1000th", late, f"ms   {late / early:.2f} of the 10th")
    old.backend.close()
    start = time.perf_counter()
    old.backend.open()
    files = len(old.backend._table.index.snapshot.entries)
    line("open after 1000 writes", (time.perf_counter() - start) * 1e3, f"ms   {files} files")
    old.backend.close()


def main() -> None:
    elements, samples = (int(text) for text in [*sys.argv[1:], "1000", "10000"][:2])
    with tempfile.TemporaryDirectory() as folder:
        directory = Path(folder)
        for title, data in (("peers' data", peers_data), ("deadband data", deadband_data)):
            batches = list(in_batches(data(elements, samples), WRITE_ROWS))
            rows = sum(batch.num_rows for batch in batches)
            target = directory / title.split()[0].strip("'")
            target.mkdir()
            raw, backend = raw_write(batches, target), opened(target)
            ours = backend_write(batches, backend)
            line(f"{title}, write", rows / ours / 1e6, f"M rows/s   {raw / ours:.2f} of pyarrow")
            report_size(f"{title}, as written", backend)
            start = time.perf_counter()
            backend.compact()
            line(f"{title}, compaction", rows / (time.perf_counter() - start) / 1e6, "M rows/s")
            report_size(f"{title}, compacted", backend)
            assert sum(b.num_rows for b in backend.read(element_names(elements), Interval(MIN_TIME, MAX_TIME))) == rows
            if data is peers_data:
                queries(backend, elements, samples)
            backend.close()
        latency = directory / "latency"
        latency.mkdir()
        commit_latency(latency)


if __name__ == "__main__":
    np.seterr(all="raise")
    main()
