"""InfluxDB 1 of Debian: line protocol in, CSV out."""

from __future__ import annotations

import io
import time
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import urlencode

import pyarrow as pa
import pyarrow.csv

from archiver.model import Interval
from archiver.testing.influxdb import InfluxdbServer, find_program
from archiver.testing.postgresql import UnavailableError
from bench.peers.lines import LineServer
from bench.peers.port import NotHereError

_SETTINGS = {
    "INFLUXDB_DATA_CACHE_SNAPSHOT_WRITE_COLD_DURATION": "5s",
    "INFLUXDB_DATA_COMPACT_FULL_WRITE_COLD_DURATION": "5s",
}
_COLD_S = 7.0
_LONGEST_S = 60.0


class InfluxDb(LineServer):
    """influxd with its defaults, but for a body of any size; idle shards are compacted after seconds, not hours."""

    name = "InfluxDB 1"
    synced = "yes: WAL, fsync"
    write = "/write?db=bench"

    def start(self, directory: Path) -> None:
        """Start influxd."""
        try:
            server = InfluxdbServer(find_program(), directory, _SETTINGS)
        except UnavailableError as exc:
            raise NotHereError(str(exc)) from exc
        self.name = f"InfluxDB {server.version}"
        first = ("POST", "/query?q=CREATE+DATABASE+bench")
        self.launch(server.command, server.environment, directory, server.url, first)

    def settle(self) -> None:
        """Wait until the files have been the same for a while."""
        end, sizes = time.monotonic() + _LONGEST_S, [(-1, time.monotonic())]
        while time.monotonic() < end and time.monotonic() - sizes[-1][1] < _COLD_S:
            if (size := self.size()) != sizes[-1][0]:
                sizes.append((size, time.monotonic()))
            time.sleep(0.5)

    def count(self) -> int:
        """Count the values."""
        return int(self._query("SELECT count(value) FROM m").column("count")[0].as_py())

    def samples(self, elements: Sequence[str], interval: Interval) -> pa.Table:
        """Return samples by element and time."""
        where = "=" + repr(elements[0]) if len(elements) == 1 else f"=~ /^({'|'.join(elements)})$/"
        return self._query(
            f'SELECT value, "status" FROM m WHERE element {where} AND {_within(interval)} GROUP BY element'
        )

    def means(self, element: str, interval: Interval, bucket_s: int) -> pa.Table:
        """Return means per bucket."""
        return self._query(
            f"SELECT mean(value) FROM m WHERE element = '{element}' AND {_within(interval)} "
            f"GROUP BY time({bucket_s}s) fill(none)"
        )

    def latest(self, elements: Sequence[str]) -> pa.Table:
        """Return the newest sample of each element."""
        return self._query("SELECT last(value) FROM m GROUP BY element")

    def _query(self, statement: str) -> pa.Table:
        asked = urlencode({"db": "bench", "epoch": "ns", "chunked": "true", "chunk_size": "100000", "q": statement})
        headers = {"Accept": "application/csv", "Content-Type": "application/x-www-form-urlencoded"}
        content = self._client.send("POST", "/query", asked.encode(), headers)
        if content.startswith(b"error"):
            raise RuntimeError(f"{statement}: {content.decode()[:500]}")
        return pa.csv.read_csv(io.BytesIO(content))


def _within(interval: Interval) -> str:
    return f"time >= {interval.start} AND time < {interval.end}"


PEERS = (InfluxDb(),)
