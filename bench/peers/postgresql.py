"""PostgreSQL: binary COPY by ADBC into a table with a key, a commit per batch; Arrow out by ADBC."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import adbc_driver_manager
import numpy as np
import pyarrow as pa
from adbc_driver_postgresql import dbapi

from archiver.model import Interval
from archiver.testing.postgresql import PostgresqlServer, UnavailableError, find_binaries
from bench.peers.interruption import kill_server
from bench.peers.port import Acknowledged, Load, NotHereError, folder_size

_TABLES = (
    "CREATE TABLE IF NOT EXISTS element (element_id integer PRIMARY KEY, name text NOT NULL UNIQUE)",
    "CREATE TABLE IF NOT EXISTS sample (element_id integer, source_time bigint, value double precision, status bigint, "
    "PRIMARY KEY (element_id, source_time))",
)


class PostgreSql:
    """Elements by number, as one would lay them out; key (element, time)."""

    name = "PostgreSQL"
    synced = "yes: WAL, fsync"

    def __init__(self) -> None:
        self._directory = Path()
        self._server: PostgresqlServer | None = None
        self._connection: dbapi.Connection | None = None

    def start(self, directory: Path) -> None:
        """Start the server that is there, or one on a new cluster."""
        try:
            binaries = find_binaries()
            if self._server is None or self._directory != directory:
                self._directory = directory
                directory.chmod(0o755)
                self._server = PostgresqlServer(binaries, directory)
            self._server.start()
        except UnavailableError as exc:
            raise NotHereError(str(exc)) from exc
        shown = subprocess.run([binaries / "postgres", "--version"], capture_output=True, text=True, check=True).stdout
        self.name = f"PostgreSQL {re.findall(r'[0-9.]+', shown)[0]}, COPY + key"
        self._connection = dbapi.connect(self._server.url)
        with self._connection.cursor() as cursor:
            for statement in _TABLES:
                cursor.execute(statement)
        self._connection.commit()

    def ingest(self, load: Load, acknowledged: Acknowledged) -> None:
        """COPY a batch a commit; raises when the key refuses a row."""
        assert self._connection is not None
        with self._connection.cursor() as cursor:
            numbers = np.arange(len(load.names), dtype=np.int32)
            cursor.execute("SELECT count(*) FROM element")
            if not cursor.fetch_arrow_table().column(0)[0].as_py():
                cursor.adbc_ingest("element", pa.table({"element_id": numbers, "name": load.names}), mode="append")
            self._connection.commit()
            for batch in load.batches:
                columns = {
                    "element_id": numbers[batch.codes],
                    "source_time": batch.source_time,
                    "value": batch.column("float"),
                    "status": batch.status.view(np.int64),
                }
                try:
                    cursor.adbc_ingest("sample", pa.table(columns), mode="append")
                    self._connection.commit()
                except adbc_driver_manager.Error:
                    with suppress(adbc_driver_manager.Error):  # the server may be gone
                        self._connection.rollback()
                    raise
                acknowledged(batch.num_rows)

    def settle(self) -> None:
        """Do at once what autovacuum would do, and a checkpoint."""
        assert self._connection is not None
        self._connection.adbc_connection.set_autocommit(True)
        with self._connection.cursor() as cursor:
            cursor.execute("VACUUM ANALYZE sample")
            cursor.execute("CHECKPOINT")
        self._connection.adbc_connection.set_autocommit(False)

    def size(self) -> int:
        """Return the bytes of the tables and their keys, without the WAL, which is used again."""
        return folder_size(self._directory / "data" / "base")

    def count(self) -> int:
        """Count the rows."""
        return int(self._query("SELECT count(*) FROM sample").column(0)[0].as_py())

    def samples(self, elements: Sequence[str], interval: Interval) -> pa.Table:
        """Return samples by element and time."""
        names = ", ".join(f"'{name}'" for name in elements)
        return self._query(
            "SELECT name, source_time, value, status FROM sample JOIN element USING (element_id) "
            f"WHERE name IN ({names}) AND {_within(interval)} ORDER BY element_id, source_time"
        )

    def means(self, element: str, interval: Interval, bucket_s: int) -> pa.Table:
        """Return means per bucket."""
        return self._query(
            f"SELECT source_time / {bucket_s * 10**9} AS bucket, avg(value) AS mean FROM sample WHERE element_id = "
            f"(SELECT element_id FROM element WHERE name = '{element}') AND {_within(interval)} GROUP BY 1 ORDER BY 1"
        )

    def latest(self, elements: Sequence[str]) -> pa.Table:
        """Return the newest sample of each element: one step into the key for each."""
        return self._query(
            "SELECT name, newest.* FROM element CROSS JOIN LATERAL (SELECT source_time, value, status FROM sample "
            "WHERE sample.element_id = element.element_id ORDER BY source_time DESC LIMIT 1) AS newest"
        )

    def interrupt(self, load: Load, after: int) -> int:
        """Kill the server and its sessions."""
        assert self._server is not None
        taken = kill_server(self, self._server.kill, load, after)
        self._disconnect()
        return taken

    def stop(self) -> None:
        """Stop the server."""
        self._disconnect()
        if self._server is not None:
            self._server.stop()

    def _disconnect(self) -> None:
        if self._connection is not None:
            with suppress(adbc_driver_manager.Error):
                self._connection.close()
            self._connection = None

    def _query(self, statement: str) -> pa.Table:
        assert self._connection is not None
        with self._connection.cursor() as cursor:
            cursor.execute(statement)
            return cursor.fetch_arrow_table()


def _within(interval: Interval) -> str:
    return f"source_time >= {interval.start} AND source_time < {interval.end}"


PEERS = (PostgreSql(),)
