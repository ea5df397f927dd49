"""QuestDB: line protocol over HTTP in, CSV out; deduplicating by time and element."""

from __future__ import annotations

import io
import shutil
import time
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import urlencode

import pyarrow as pa
import pyarrow.csv

from archiver.model import Interval, format_time
from bench.peers.lines import LineServer
from bench.peers.port import NotHereError
from bench.peers.process import free_port

JARS = Path(__file__).parents[2] / ".cache" / "questdb"
_TABLE = (
    "CREATE TABLE IF NOT EXISTS m (element SYMBOL CAPACITY 2048, value DOUBLE, status LONG, timestamp TIMESTAMP_NS) "
    "TIMESTAMP(timestamp) PARTITION BY HOUR WAL DEDUP UPSERT KEYS(timestamp, element)"
)


class QuestDb(LineServer):
    """One table, deduplicated.

    Parameters
    ----------
    every_commit : bool
        Sync every commit, which is not the default.
    """

    def __init__(self, *, every_commit: bool) -> None:
        self._mode = "sync" if every_commit else "nosync"
        self.name = f"QuestDB{', commit mode sync' if every_commit else ''}"
        self.synced = "yes: by a setting" if every_commit else "no"

    def start(self, directory: Path) -> None:
        """Start the server."""
        java, jars = shutil.which("java"), sorted(JARS.glob("questdb-*.jar"))
        if java is None or not jars:
            missing = "java" if java is None else "QuestDB's jar"
            raise NotHereError(f"{missing} is not installed (scripts/bench-peers)")
        if self.name.startswith("QuestDB,") or self.name == "QuestDB":
            self.name = self.name.replace("QuestDB", f"QuestDB {jars[-1].stem.partition('-')[2]}")
        url = f"http://127.0.0.1:{free_port()}"
        environment = {
            "QDB_HTTP_BIND_TO": url.removeprefix("http://"),
            "QDB_HTTP_MIN_ENABLED": "false",
            "QDB_PG_ENABLED": "false",
            "QDB_LINE_TCP_ENABLED": "false",
            "QDB_TELEMETRY_ENABLED": "false",
            "QDB_CAIRO_COMMIT_MODE": self._mode,
        }
        command = [java, "--add-exports", "java.base/jdk.internal.math=io.questdb"]
        command += ["--add-opens", "java.base/java.lang=ALL-UNNAMED", "-p", str(jars[-1])]
        command += ["-m", "io.questdb/io.questdb.ServerMain", "-d", str(directory)]
        self.launch(command, environment, directory, url, ("GET", f"/exec?{urlencode({'query': _TABLE})}"))

    def settle(self) -> None:
        """Wait until everything in the WAL is applied."""
        while self._query("SELECT writerTxn, sequencerTxn FROM wal_tables() WHERE writerTxn != sequencerTxn").num_rows:
            time.sleep(0.05)

    def count(self) -> int:
        """Count the rows."""
        return int(self._query("SELECT count() FROM m").column(0)[0].as_py())

    def samples(self, elements: Sequence[str], interval: Interval) -> pa.Table:
        """Return samples by time."""
        names = ", ".join(map(repr, elements))
        return self._query(f"SELECT * FROM m WHERE element IN ({names}) AND {_within(interval)}")

    def means(self, element: str, interval: Interval, bucket_s: int) -> pa.Table:
        """Return means per bucket."""
        return self._query(
            f"SELECT timestamp, avg(value) FROM m WHERE element = '{element}' AND {_within(interval)} "
            f"SAMPLE BY {bucket_s}s ALIGN TO CALENDAR"
        )

    def latest(self, elements: Sequence[str]) -> pa.Table:
        """Return the newest sample of each element."""
        return self._query("SELECT * FROM m LATEST ON timestamp PARTITION BY element")

    def _query(self, statement: str) -> pa.Table:
        content = self._client.send("GET", f"/exp?{urlencode({'query': statement})}")
        return pa.csv.read_csv(io.BytesIO(content))


def _within(interval: Interval) -> str:
    return f"timestamp >= '{format_time(interval.start)}' AND timestamp < '{format_time(interval.end)}'"


PEERS = (QuestDb(every_commit=False), QuestDb(every_commit=True))
