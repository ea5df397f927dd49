"""DuckDB: a file, Arrow in and out, a commit per batch."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import duckdb
import pyarrow as pa

from archiver.model import Interval
from bench.peers.interruption import kill_embedding
from bench.peers.port import Acknowledged, Load, folder_size


class DuckDb:
    """One table without a key: with one it takes many times as long."""

    synced = "yes: WAL, fsync"

    def __init__(self) -> None:
        self.name = f"DuckDB {duckdb.__version__}"
        self._connection: duckdb.DuckDBPyConnection | None = None

    def start(self, directory: Path) -> None:
        """Open the file."""
        self._directory = directory
        self._connection = duckdb.connect(directory / "bench.duckdb")
        columns = "element VARCHAR, source_time BIGINT, value DOUBLE, status UBIGINT"
        self._connection.execute(f"CREATE TABLE IF NOT EXISTS sample ({columns})")

    def ingest(self, load: Load, acknowledged: Acknowledged) -> None:
        """Insert a batch a commit."""
        assert self._connection is not None
        for batch in load.batches:
            self._connection.register("batch", pa.Table.from_batches([load.plain(batch)]))
            self._connection.execute("INSERT INTO sample SELECT * FROM batch")
            acknowledged(batch.num_rows)

    def settle(self) -> None:
        """Write the WAL into the file."""
        assert self._connection is not None
        self._connection.execute("CHECKPOINT")

    def size(self) -> int:
        """Return the bytes of file and WAL."""
        return folder_size(self._directory)

    def count(self) -> int:
        """Count the rows."""
        return int(self._query("SELECT count(*) FROM sample").column(0)[0].as_py())

    def samples(self, elements: Sequence[str], interval: Interval) -> pa.Table:
        """Return samples by element and time."""
        return self._query(
            "SELECT * FROM sample WHERE element IN (SELECT unnest(?)) AND source_time >= ? AND source_time < ? "
            "ORDER BY element, source_time",
            [list(elements), interval.start, interval.end],
        )

    def means(self, element: str, interval: Interval, bucket_s: int) -> pa.Table:
        """Return means per bucket."""
        return self._query(
            f"SELECT source_time // {bucket_s * 10**9} AS bucket, avg(value) AS mean FROM sample "
            "WHERE element = ? AND source_time >= ? AND source_time < ? GROUP BY bucket ORDER BY bucket",
            [element, interval.start, interval.end],
        )

    def latest(self, elements: Sequence[str]) -> pa.Table:
        """Return the newest sample of each element."""
        return self._query("SELECT element, max(source_time), arg_max(value, source_time) FROM sample GROUP BY element")

    def interrupt(self, load: Load, after: int) -> int:
        """Kill a process that inserts."""
        self.stop()
        return kill_embedding(self, self._directory, load, after)

    def stop(self) -> None:
        """Close the file."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _query(self, statement: str, values: Sequence[object] = ()) -> pa.Table:
        assert self._connection is not None
        return self._connection.sql(statement, params=list(values)).to_arrow_table()


PEERS = (DuckDb(),)
