"""Ingest over HTTP into a `forebay up` of its own: line protocol, JSON rows and Arrow, acknowledged when durable.

The clients send ready-made requests over three connections, so that they cost little; they share the machine with the
service all the same. What was acknowledged can be read at once.
"""

from __future__ import annotations

import json
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from archiver.model import SampleBatch
from archiver.model.ipc import to_ipc
from archiver.sources import line_protocol
from bench.peers.port import Load
from bench.registry import Row, bench
from bench.service import Service, post_all
from bench.timing import seconds
from services.archive import decoding

ELEMENTS, SAMPLES = 1000, 2000
ROUNDS = 3
_ARROW = "application/vnd.apache.arrow.stream"
_WANTED = 1e6
_SETTLE_S = 2.0  # a service brings in its compiled decoder within a moment after it is ready


@bench("http-ingest")
def http_ingest() -> Iterator[Row]:
    """Samples a second over HTTP, durable and readable when acknowledged, beside decoding the same bodies alone."""
    load = Load.of(ELEMENTS, SAMPLES)
    decoder = line_protocol.Decoder()
    line_protocol.warm_up(wait=True)
    kinds: tuple[tuple[str, str, str, list[bytes], Callable[[bytes], object]], ...] = (
        ("line protocol", "/api/v2/write", "text/plain", load.bodies, lambda b: decoder.decode(b, receive_time=0)),
        ("Arrow", "/v1/samples", _ARROW, [arrow(b) for b in load.batches], lambda b: decoding.decode(b, _ARROW)),
        (
            *("JSON rows", "/v1/samples", "application/json"),
            [json_rows(batch) for batch in load.batches],
            lambda b: decoding.decode(b, "application/json"),
        ),
    )
    for name, path, media_type, bodies, decode in kinds:
        alone = load.rows / seconds(lambda: [decode(body) for body in bodies])  # noqa: B023 - called at once
        median = statistics.median(rate(path, media_type, bodies, load.rows) for _ in range(ROUNDS))
        yield Row(f"{name} over HTTP, durable", median, "decoding alone", alone, "samples/s")
        if name == "JSON rows":
            yield Row(f"{name} over HTTP, durable", median, "a million", _WANTED, "samples/s", 1.0)


def rate(path: str, media_type: str, bodies: list[bytes], rows: int) -> float:
    """Return samples a second of a new service, from the first byte sent to the last acknowledgement."""
    with tempfile.TemporaryDirectory() as folder, Service(Path(folder)) as url:
        time.sleep(_SETTLE_S)
        return rows / seconds(lambda: post_all(url, path, bodies, media_type))


def json_rows(batch: SampleBatch) -> bytes:
    """Return samples as JSON rows."""
    rows = zip(*(batch.column(c).to_pylist() for c in ("element", "source_time", "float")), strict=True)
    return json.dumps([{"element": e, "source_time": t, "value": v} for e, t, v in rows]).encode()


def arrow(batch: SampleBatch) -> bytes:
    """Return samples as an Arrow IPC stream."""
    return to_ipc(batch.to_arrow())
