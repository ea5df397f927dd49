"""The Parquet lake: bytes a sample, the queries beside DuckDB on the same files and beside the best peers, commits."""

from __future__ import annotations

import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from archiver.backends.parquet import ParquetBackend
from archiver.backends.parquet.options import ParquetOptions
from archiver.backends.parquet.schema import to_stored
from archiver.model import Interval, SampleBatch
from archiver.ports import BackendContext, Position
from bench.data import SECOND, START, deadband_data, in_batches, peers_data
from bench.peers.forebay_embedded import ForebayEmbedded
from bench.peers.measure import QUERIES, queries
from bench.peers.port import Load
from bench.registry import Row, bench

ELEMENTS, SAMPLES = 1000, 10_000
COMMITS = 1000
WRITE_ROWS = 1_000_000
HOUR = 3600 * SECOND
BYTES = 6.0
BEST_PEERS = (
    ("chdb", 2.9),
    ("VictoriaMetrics", 1.7),
    ("VictoriaMetrics", 0.8),
    ("QuestDB", 1.8),
    ("DuckDB", 39.0),
)
"""Who answered each of `bench.peers.measure.QUERIES` fastest, in ms: measured on two cores, side by side."""


@bench("lake-size")
def lake_size() -> Iterator[Row]:
    """Time, value and status, compacted, of each data set; and the rate of writing them."""
    sets = {
        "peers' data": peers_data(ELEMENTS, SAMPLES),
        "peers' data, jitter of 20 ms": peers_data(ELEMENTS, SAMPLES, jitter_ns=20_000_000),
        "deadband data": deadband_data(ELEMENTS, SAMPLES),
    }
    for title, data in sets.items():
        batches = list(in_batches(data, WRITE_ROWS))
        with tempfile.TemporaryDirectory() as folder:
            raw, backend = raw_write(batches, Path(folder)), opened(Path(folder))
            start = time.perf_counter()
            for number, batch in enumerate(batches):
                backend.write({"all": batch}, Position("bench", number))
            taken = time.perf_counter() - start
            backend.compact()
            size = bytes_per_sample(Path(folder) / "lake")
            backend.close()
        rate = data.num_rows / taken, "pyarrow: sort, write, sync", data.num_rows / raw
        yield Row(f"lake: write of {title}", *rate, "samples/s")
        yield Row(f"lake: {title}, compacted", size, "what to reach", BYTES, "B/sample", 1.0, higher_is_better=False)


@bench("lake-queries")
def lake_queries() -> Iterator[Row]:
    """The peers' data through the archive, compacted: its queries, warm, in process."""
    load = Load.of(ELEMENTS, SAMPLES)
    ours = ForebayEmbedded()
    with tempfile.TemporaryDirectory() as folder:
        ours.start(Path(folder))
        try:
            ours.ingest(load, lambda rows: None)
            ours.settle()
            taken = queries(ours, load)
            for title, (peer, best) in zip(QUERIES, BEST_PEERS, strict=True):
                yield Row(f"query: {title}", taken[title], f"best peer: {peer}", best, "ms", 1.0, False)
            yield from beside_duckdb(ours, load, sorted(Path(folder, "lake").glob("*/*/*/*.parquet")))
        finally:
            ours.stop()


def beside_duckdb(ours: ForebayEmbedded, load: Load, files: Sequence[Path]) -> Iterator[Row]:
    """Yield queries of one element and of all, beside DuckDB on the same files, to Arrow."""
    start, window = START + HOUR // 2, 1_000_000 // ELEMENTS * SECOND
    one, some = [load.names[7]], load.names[: max(1, ELEMENTS // 10)]
    cases: dict[str, tuple[Sequence[str], Interval, float | None]] = {
        "1 element, all": (one, load.whole, 1.0),
        "1 element, 1 hour": (one, Interval(start, start + HOUR), 1.0),
        "100 elements, 1 hour": (some, Interval(start, start + HOUR), None),
        "1 M rows of all elements": (load.names, Interval(start, start + window), 1.2),
    }
    with duckdb.connect() as connection:
        connection.execute("SET enable_object_cache = true")
        source = f"read_parquet({[str(file) for file in files]!r}, hive_partitioning = false)"
        for title, (chosen, span, goal) in cases.items():
            names = "" if len(chosen) == len(load.names) else f"element IN ({', '.join(map(repr, chosen))}) AND"
            sql = f"SELECT element, source_time, float, status FROM {source} WHERE {names}"
            sql += f" source_time >= {span.start} AND source_time < {span.end}"

            def theirs(sql: str = sql) -> pa.Table:
                return connection.sql(sql).to_arrow_table()

            def mine(chosen: Sequence[str] = chosen, span: Interval = span) -> pa.Table:
                return ours.samples(chosen, span)

            if mine().num_rows != theirs().num_rows:
                raise RuntimeError(f"{title}: {mine().num_rows} rows, and {theirs().num_rows} of DuckDB")
            a, b = medians_ms(mine, theirs)
            yield Row(f"lake: {title}", a, "DuckDB, same files", b, "ms", goal, higher_is_better=False)


@bench("lake-commits")
def lake_commits() -> Iterator[Row]:
    """A write of 10,000 rows to a table of many writes, beside one of ten; and opening it again."""
    with tempfile.TemporaryDirectory() as folder:
        old, young = Appender(Path(folder) / "old"), Appender(Path(folder) / "young")
        for _ in range(COMMITS):
            old()
        for _ in range(10):
            young()
        late, early = medians_ms(old, young, rounds=31)
        figures = f"lake: write of 10,000 rows, {COMMITS}th", late, "the 10th", early, "ms"
        yield Row(*figures, 1.5, higher_is_better=False)
        young.backend.close()
        old.backend.close()


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


def opened(directory: Path) -> ParquetBackend:
    """Return an open lake in a directory."""
    backend = ParquetBackend(BackendContext("lake", directory), ParquetOptions(keep_removed="0s"))
    backend.open()
    return backend


def raw_write(batches: Sequence[SampleBatch], directory: Path) -> float:
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


def bytes_per_sample(lake: Path) -> float:
    """Return what source time, value and status take in all files of a lake."""
    total = rows = 0
    for path in lake.glob("*/*/*/*.parquet"):
        metadata = pq.read_metadata(path)
        rows += metadata.num_rows
        for group in range(metadata.num_row_groups):
            columns = [metadata.row_group(group).column(index) for index in range(metadata.num_columns)]
            wanted = [column for column in columns if column.path_in_schema in ("source_time", "float", "status")]
            total += sum(column.total_compressed_size for column in wanted)
    return total / rows


def medians_ms(*works: Callable[[], Any], rounds: int = 9) -> list[float]:
    """Return the median time of each, ms; taken in turns, so that a busy machine is as busy for all."""
    times: list[list[float]] = [[] for _ in works]
    for _ in range(rounds):
        for work, taken in zip(works, times, strict=True):
            start = time.perf_counter()
            work()
            taken.append((time.perf_counter() - start) * 1e3)
    return [statistics.median(taken) for taken in times]
