"""The archive as a service: line protocol in, Arrow out."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from http.client import HTTPResponse
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pyarrow as pa

from archiver.bootstrap import Archive
from archiver.model import Interval, format_time
from bench.peers.forebay_embedded import settings
from bench.peers.interruption import kill_server
from bench.peers.port import Acknowledged, Load, folder_size
from bench.service import LAKE, Client, Service, post_all

_ARROW = {"Accept": "application/vnd.apache.arrow.stream"}


class ForebayServed:
    """`forebay up` with a Parquet lake, on a port of its own."""

    name = "forebay, HTTP"
    synced = "yes: journal, fsync"

    def __init__(self) -> None:
        self._service: Service | None = None

    def start(self, directory: Path) -> None:
        """Start the service."""
        self._directory = directory
        self._service = Service(directory, f'{LAKE}keep_removed = "0s"\n')
        self.url = self._service.start()
        self._client = Client(self.url)

    def ingest(self, load: Load, acknowledged: Acknowledged) -> None:
        """Post lines over three connections."""
        post_all(
            self.url,
            "/api/v2/write",
            load.bodies,
            acknowledged=lambda number: acknowledged(load.batches[number].num_rows),
        )

    def settle(self) -> None:
        """Wait for the lake, then do at once the compaction that would follow within a minute."""
        while any(row["lag_samples"] for row in self._json("/v1/backends")["backends"]):
            time.sleep(0.1)
        self.stop()
        with Archive(settings(self._directory)) as archive:
            archive.wait_ready()
            archive.keep()
        self.start(self._directory)

    def size(self) -> int:
        """Return the bytes of the lake."""
        return folder_size(self._directory / "lake")

    def count(self) -> int:
        """Count by reading: an aggregate over all elements."""
        names = [row["element"] for row in self._json("/v1/elements")["elements"]]
        total = 0
        for first in range(0, len(names), 500):
            asked = [("element", name) for name in names[first : first + 500]]
            table = self._table("/v1/samples", [*asked, ("start", "2000-01-01T00:00:00Z"), ("aggregate", "count")])
            total += sum(table["count"].to_pylist())
        return total

    def samples(self, elements: Sequence[str], interval: Interval) -> pa.Table:
        """Return samples as the service streams them."""
        return self._table("/v1/samples", [*(("element", name) for name in elements), *_bounds(interval)])

    def means(self, element: str, interval: Interval, bucket_s: int) -> pa.Table:
        """Return means that the service computes."""
        asked = [("element", element), *_bounds(interval), ("aggregate", "mean"), ("bucket", f"{bucket_s}s")]
        return self._table("/v1/samples", asked)

    def latest(self, elements: Sequence[str]) -> pa.Table:
        """Return the latest values that the service keeps."""
        return self._table("/v1/samples/latest", [])

    def interrupt(self, load: Load, after: int) -> int:
        """Kill the service."""
        assert self._service is not None
        return kill_server(self, self._service.kill, load, after)

    def stop(self) -> None:
        """Stop the service."""
        if self._service is not None:
            self._client.close()
            self._service.stop()
            self._service = None

    def _table(self, path: str, asked: list[tuple[str, str]]) -> pa.Table:
        return self._client.receive(_decoded, "GET", f"{path}?{urlencode(asked)}", headers=_ARROW)

    def _json(self, path: str) -> dict[str, list[dict[str, Any]]]:
        answer: dict[str, list[dict[str, Any]]] = json.loads(self._client.send("GET", path))
        return answer


def _decoded(answer: HTTPResponse) -> pa.Table:
    return pa.ipc.open_stream(_Body(answer)).read_all()


class _Body:
    """A body as a file that pyarrow reads into memory of its own, where an answer in process lies, too."""

    closed = False

    def __init__(self, answer: HTTPResponse) -> None:
        self._answer = answer

    def read(self, size: int) -> bytes:
        return self._answer.read(size)

    def read_buffer(self, size: int) -> pa.Buffer:
        buffer = pa.allocate_buffer(size, resizable=True)
        buffer.resize(self._answer.readinto(memoryview(buffer)))
        return buffer


def _bounds(interval: Interval) -> list[tuple[str, str]]:
    return [("start", format_time(interval.start)), ("end", format_time(interval.end))]


PEERS = (ForebayServed(),)
