"""Measures Oracle on its stand-in: what the backend adds to the driver. The stand-in itself takes most of the time."""

from __future__ import annotations

import statistics
import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa

from archiver.backends.sql import SqlBackend, SqlOptions, columns
from archiver.backends.sql.dialects.oracle import OracleDialect, schema, statements
from archiver.backends.sql.tables import Tables
from archiver.model import SampleBatch
from archiver.model.time import DAY_NS
from archiver.ports import BackendContext, Position
from archiver.testing.oracle import connect, running_double
from bench.data import peers_data
from bench.registry import Row, bench
from bench.timing import seconds

ELEMENTS, SAMPLES, ROUNDS = 100, 200, 3
PROGRAM = Path(__file__).parents[1] / "tests" / "doubles" / "oracle"


def by_driver(url: str, part: SampleBatch, number: int) -> float:
    """Bind ready columns into an identical table; return the seconds."""
    rows = part.sorted()
    ids = np.arange(1, ELEMENTS + 1, dtype=np.int32)[rows.codes]
    (block,) = columns.encode(rows, ids, OracleDialect.exact)
    tables = Tables(f"raw{number}_").group("all")
    with connect(url) as connection, connection.cursor() as cursor:
        for _, statement in schema.group_tables(tables, DAY_NS):
            cursor.execute(statement)
        statement, ready = statements.insert(tables.samples, list(block)), pa.table(block)

        def work() -> None:
            cursor.executemany(statement, ready, batcherrors=True)
            connection.commit()

        return seconds(work)


@bench("oracle")
def oracle() -> Iterator[Row]:
    """Ingest beside the driver's array bind of the same rows, by array bind and by direct path."""
    part = peers_data(ELEMENTS, SAMPLES)
    bound, loaded, raw = [], [], []
    with running_double(PROGRAM) as server, tempfile.TemporaryDirectory() as folder:
        for number in range(2 * ROUNDS):
            prefix = f"bench{number}_"
            backend = SqlBackend(BackendContext("site", Path(folder)), SqlOptions(url=server.url, prefix=prefix))
            backend.open()
            backend.write({"all": part.slice(0, 1)})
            position = Position("bench", 1) if number % 2 else None
            took = seconds(partial(backend.write, {"all": part}, position))
            (bound if number % 2 else loaded).append(part.num_rows / took)
            if number % 2:
                raw.append(part.num_rows / by_driver(server.url, part, number))
            backend.close()
        driver = "the driver's array bind", statistics.median(raw[1:])
        yield Row("Oracle stand-in, ingest", statistics.median(bound[1:]), *driver, "samples/s", 0.7)
        yield Row("Oracle stand-in, back-fill by direct path", statistics.median(loaded[1:]), *driver, "samples/s")
