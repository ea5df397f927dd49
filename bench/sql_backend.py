"""Measures the SQL backend: ingest beside the driver's own bulk path into an identical table, and reads beside SQL."""

from __future__ import annotations

import sqlite3
import statistics
import tempfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import psycopg
from sqlalchemy.dialects import sqlite
from sqlalchemy.schema import CreateTable

from archiver.backends.sql import SqlBackend, SqlOptions, columns
from archiver.backends.sql.dialects import binary_copy
from archiver.backends.sql.tables import Tables
from archiver.model import Interval, SampleBatch
from archiver.ports import BackendContext, Position
from archiver.testing.postgresql import running_server
from bench.data import SECOND, START, peers_data
from bench.registry import Row, bench
from bench.timing import seconds

ELEMENTS, SAMPLES, WRITES = 1000, 1000, 2
ROUNDS = 5


WHOLE = Interval(START - SECOND, START + 2 * SAMPLES * SECOND)


def batches() -> tuple[SampleBatch, list[SampleBatch]]:
    """Return the first sample of each element, and the rest in parts by arrival, each with its receive time."""
    whole = peers_data(ELEMENTS, SAMPLES + 1)
    size = ELEMENTS * SAMPLES // WRITES
    parts = [whole.slice(ELEMENTS + i * size, size).with_receive_time(START + i) for i in range(WRITES)]
    return whole.slice(0, ELEMENTS), parts


def opened(url: str, first: SampleBatch, directory: Path, prefix: str) -> SqlBackend:
    """Return a new backend that holds a first batch: its tables and partitions are made, as the baseline's are."""
    backend = SqlBackend(BackendContext("warm", directory), SqlOptions(url=url, prefix=prefix))
    backend.open()
    backend.write({"all": first})
    return backend


def ingest(backend: SqlBackend, parts: list[SampleBatch]) -> float:
    """Write everything; return the seconds that it took."""

    def work() -> None:
        for offset, part in enumerate(parts):
            backend.write({"all": part}, Position("bench", offset))

    return seconds(work)


def stored_columns(part: SampleBatch) -> columns.Columns:
    """Return the sorted columns that the backend stores: what the baseline need not compute."""
    rows = part.sorted()
    ids = np.arange(1, ELEMENTS + 1, dtype=np.int32)[rows.codes]
    (block,) = columns.encode(rows, ids, columns.Exactness(every_float=True, nul=False))
    return block


def raw_copy(url: str, blocks: list[columns.Columns], prefix: str) -> float:
    """COPY ready bytes into a table like that of the backend, a commit per block; return the seconds of all but one.

    The first block is there before, as it is in the backend's table: keys that go between others cost more.
    """
    ready = [(list(block), [bytes(part) for part in binary_copy.stream(block)]) for block in blocks]
    like = f"{prefix}samples_all"
    with psycopg.connect(url) as connection:
        connection.execute(f"CREATE TABLE raw (LIKE {like} INCLUDING ALL) PARTITION BY RANGE (source_time)")
        bounds = connection.execute(f"SELECT start_time, end_time FROM {prefix}segment").fetchall()
        for start, end in bounds:
            connection.execute(f"CREATE TABLE raw_{start} PARTITION OF raw FOR VALUES FROM ({start}) TO ({end})")

        def copy(blocks: list[tuple[list[str], list[bytes]]]) -> None:
            for names, stream in blocks:
                with connection.cursor().copy(f"COPY raw ({', '.join(names)}) FROM STDIN (FORMAT BINARY)") as copying:
                    for part in stream:
                        copying.write(part)
                connection.commit()

        copy(ready[:1])
        checkpoint(url)
        took = seconds(partial(copy, ready[1:]))
        connection.execute("DROP TABLE raw")
        connection.commit()
    return took


def checkpoint(url: str) -> None:
    """Have the server write what it holds back, so that what is measured next does not pay for what was before."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("CHECKPOINT")


def raw_executemany(path: Path, blocks: list[columns.Columns]) -> float:
    """Insert ready tuples into an identical SQLite table, a commit per block; return the seconds of all but one."""
    names = list(blocks[0])
    ready = [list(zip(*(array.to_pylist() for array in block.values()), strict=True)) for block in blocks]
    connection = sqlite3.connect(path, isolation_level=None)
    connection.executescript("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA cache_size = -65536")
    table = Tables("raw_").group("all").samples
    connection.execute(str(CreateTable(table).compile(dialect=sqlite.dialect())))
    insert = f"INSERT INTO {table.name} ({', '.join(names)}) VALUES ({', '.join('?' * len(names))})"

    def store(blocks: list[list[tuple[Any, ...]]]) -> None:
        for rows in blocks:
            connection.execute("BEGIN IMMEDIATE")
            connection.executemany(insert, rows)
            connection.execute("COMMIT")

    store(ready[:1])
    took = seconds(partial(store, ready[1:]))
    connection.close()
    return took


def queries(backend: SqlBackend, names: list[str]) -> dict[str, Callable[[], object]]:
    """Return the reads that are measured, by what they are called."""
    return {
        "one element, all": lambda: list(backend.read(names[7:8], WHOLE)),
        "100 elements, 200 s": lambda: list(backend.read(names[:100], Interval(START, START + 200 * SECOND))),
        "latest of all": lambda: backend.last_before(names, WHOLE.end),
    }


def plain_queries(connection: psycopg.Connection[Any], prefix: str) -> dict[str, Callable[[], object]]:
    """Return the same reads as a person would write them in SQL, by the same names."""
    table = f"{prefix}samples_all"
    inside = f"source_time >= {WHOLE.start} AND source_time < {WHOLE.end}"
    statements = {
        "one element, all": f"SELECT * FROM {table} WHERE element_id = 8 AND {inside} ORDER BY source_time",
        "100 elements, 200 s": f"SELECT * FROM {table} WHERE element_id <= 100 AND source_time >= {START} "
        f"AND source_time < {START + 200 * SECOND} ORDER BY element_id, source_time",
        "latest of all": f"SELECT DISTINCT ON (element_id) * FROM {table} ORDER BY element_id, source_time DESC",
    }
    cursor = connection.cursor(binary=True)
    return {name: partial(_fetch_all, cursor, text) for name, text in statements.items()}


def _fetch_all(cursor: psycopg.Cursor[Any], text: str) -> object:
    return cursor.execute(text).fetchall()


def median_of(work: Callable[[], Any], rounds: int = 5) -> float:
    """Return the median time of some work, ms; the first round does not count."""
    return statistics.median(seconds(work) for _ in range(rounds + 1)) * 1e3


@bench("postgresql")
def postgresql() -> Iterator[Row]:
    """Ingest beside raw binary COPY of the same rows, and reads beside the same in plain SQL."""
    first, parts = batches()
    blocks = [stored_columns(part) for part in (first, *parts)]
    rows = sum(part.num_rows for part in parts)
    ours, raw = [], []
    with running_server() as server, tempfile.TemporaryDirectory() as folder:
        for round_ in range(ROUNDS + 1):  # the first does not count: the server makes its log files in it
            backend = opened(server.url, first, Path(folder), f"bench{round_}_")
            checkpoint(server.url)
            ours.append(rows / ingest(backend, parts))
            raw.append(rows / raw_copy(server.url, blocks, f"bench{round_}_"))
            if round_ < ROUNDS:
                backend.close()
        ingested = statistics.median(ours[1:]), "raw binary COPY", statistics.median(raw[1:])
        yield Row("PostgreSQL ingest, primary key, partitioned", *ingested, "samples/s", 0.9)
        with psycopg.connect(server.url) as connection:
            connection.autocommit = True
            connection.execute("VACUUM ANALYZE")
            plain = plain_queries(connection, f"bench{ROUNDS}_")
            for name, work in queries(backend, backend.elements()).items():
                figures = median_of(work), "psycopg rows", median_of(plain[name])
                yield Row(f"PostgreSQL, {name}", *figures, "ms", higher_is_better=False)
        backend.close()


@bench("sqlite")
def sqlite_file() -> Iterator[Row]:
    """Ingest beside executemany of ready tuples into an identical table."""
    first, parts = batches()
    blocks = [stored_columns(part) for part in (first, *parts)]
    rows = sum(part.num_rows for part in parts)
    ours, raw = [], []
    with tempfile.TemporaryDirectory() as folder:
        for round_ in range(ROUNDS):
            backend = opened(f"sqlite:///bench{round_}.db", first, Path(folder), "bench_")
            ours.append(rows / ingest(backend, parts))
            raw.append(rows / raw_executemany(Path(folder) / f"raw{round_}.db", blocks))
            backend.close()
    figures = statistics.median(ours), "raw executemany", statistics.median(raw)
    yield Row("SQLite ingest, primary key", *figures, "samples/s", 1.0)
