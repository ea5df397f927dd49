"""chdb, ClickHouse in process: Arrow in and out, an insert per batch."""

from __future__ import annotations

import time
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pyarrow as pa

from archiver.model import Interval
from bench.peers.interruption import kill_embedding
from bench.peers.port import Acknowledged, Load, NotHereError

try:
    from chdb.session import Session
except ImportError as exc:
    raise NotHereError("chdb is not installed (pip install -r requirements/bench.txt)") from exc

_SYNCED = "fsync_after_insert = 1, fsync_part_directory = 1"
_SETTLED_S = 2.0


class Chdb:
    """A ReplacingMergeTree by element and time.

    Parameters
    ----------
    every_insert : bool
        Sync every insert, which is not the default.
    """

    def __init__(self, *, every_insert: bool) -> None:
        self.name = f"chdb {version('chdb')}{', synced' if every_insert else ''}"
        self.synced = "yes: by a setting" if every_insert else "no"
        self._settings = f"SETTINGS {_SYNCED}" if every_insert else ""
        self._session: Any = None

    def start(self, directory: Path) -> None:
        """Open the session; a process has one at a time."""
        self._directory = directory
        self._session = Session(str(directory / "chdb"))  # type: ignore[no-untyped-call]
        self._session.query("CREATE DATABASE IF NOT EXISTS bench")
        columns = "element LowCardinality(String), source_time Int64, value Float64, status UInt64"
        self._session.query(
            f"CREATE TABLE IF NOT EXISTS bench.sample ({columns}) "
            f"ENGINE = ReplacingMergeTree ORDER BY (element, source_time) {self._settings}"
        )

    def ingest(self, load: Load, acknowledged: Acknowledged) -> None:
        """Insert a batch a time."""
        for batch in load.batches:
            batch_table = pa.Table.from_batches([load.plain(batch)])  # chdb finds it by its name
            self._session.query(
                "INSERT INTO bench.sample SELECT element, source_time, float, status FROM Python(batch_table)"
            )
            acknowledged(batch_table.num_rows)

    def settle(self) -> None:
        """Wait until no merge is running, twice in a row."""
        idle_since = time.monotonic()
        while time.monotonic() - idle_since < _SETTLED_S:
            time.sleep(0.2)
            if self._number("SELECT count() FROM system.merges"):
                idle_since = time.monotonic()

    def size(self) -> int:
        """Return the bytes of the parts in use; what was merged stays for minutes."""
        return self._number("SELECT sum(bytes_on_disk) FROM system.parts WHERE active AND database = 'bench'")

    def count(self) -> int:
        """Count the rows, as a reader sees them."""
        return self._number("SELECT count() FROM bench.sample")

    def samples(self, elements: Sequence[str], interval: Interval) -> pa.Table:
        """Return samples by element and time."""
        names = ", ".join(map(repr, elements))
        return self._query(
            f"SELECT * FROM bench.sample WHERE element IN ({names}) AND {_within(interval)} "
            "ORDER BY element, source_time"
        )

    def means(self, element: str, interval: Interval, bucket_s: int) -> pa.Table:
        """Return means per bucket."""
        return self._query(
            f"SELECT intDiv(source_time, {bucket_s * 10**9}) AS bucket, avg(value) AS mean FROM bench.sample "
            f"WHERE element = '{element}' AND {_within(interval)} GROUP BY bucket ORDER BY bucket"
        )

    def latest(self, elements: Sequence[str]) -> pa.Table:
        """Return the newest sample of each element."""
        return self._query(
            "SELECT element, max(source_time), argMax(value, source_time) FROM bench.sample GROUP BY element"
        )

    def interrupt(self, load: Load, after: int) -> int:
        """Kill a process that inserts."""
        self.stop()
        return kill_embedding(self, self._directory, load, after)

    def stop(self) -> None:
        """Close the session."""
        if self._session is not None:
            self._session.close()
            self._session = None

    def _query(self, statement: str) -> pa.Table:
        return self._session.query(statement, "ArrowTable")

    def _number(self, statement: str) -> int:
        return int(self._query(statement).column(0)[0].as_py())


def _within(interval: Interval) -> str:
    return f"source_time >= {interval.start} AND source_time < {interval.end}"


PEERS = (Chdb(every_insert=False), Chdb(every_insert=True))
