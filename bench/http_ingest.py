"""Ingest over HTTP into a `forebay up` of its own: line protocol, JSON rows and Arrow, acknowledged when durable.

The clients send ready-made bodies over three connections, so that they cost little; they share the machine with the
service all the same.
"""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from archiver.model import SampleBatch
from archiver.sources import line_protocol
from bench.data import in_batches, peers_data
from bench.registry import Row, bench
from bench.service import Service, post_all
from services.archive import decoding

ROWS = 10_000
ROUNDS = 3
_ARROW = "application/vnd.apache.arrow.stream"


@bench("http-ingest")
def http_ingest() -> Iterator[Row]:
    """Samples a second over HTTP, durable when acknowledged, beside decoding the same bodies alone."""
    batches = list(in_batches(peers_data(1000, 2000), ROWS))
    decoder = line_protocol.Decoder()
    line_protocol.warm_up()
    kinds: tuple[tuple[str, str, str, Callable[[SampleBatch], bytes], Callable[[bytes], object]], ...] = (
        ("line protocol", "/api/v2/write", "text/plain", lines, lambda b: decoder.decode(b, receive_time=0)),
        ("JSON rows", "/v1/samples", "application/json", json_rows, lambda b: decoding.decode(b, "application/json")),
        ("Arrow", "/v1/samples", _ARROW, arrow, lambda b: decoding.decode(b, _ARROW)),
    )
    for name, path, media_type, encode, decode in kinds:
        bodies = [encode(batch) for batch in batches]
        started = time.perf_counter()
        for body in bodies:
            decode(body)
        alone = len(bodies) * ROWS / (time.perf_counter() - started)
        with tempfile.TemporaryDirectory() as directory, Service(Path(directory)) as url:
            rates = [rate(url, path, media_type, bodies) for _ in range(ROUNDS)]
        yield Row(f"{name} over HTTP, durable", sorted(rates)[ROUNDS // 2], "decoding alone", alone, "samples/s")


def rate(url: str, path: str, media_type: str, bodies: list[bytes]) -> float:
    """Return samples a second, from the first byte sent to the last acknowledgement."""
    started = time.perf_counter()
    post_all(url, path, bodies, media_type)
    return len(bodies) * ROWS / (time.perf_counter() - started)


def lines(batch: SampleBatch) -> bytes:
    """Return samples as line protocol."""
    names, values = batch.column("element").cast(pa.utf8()), batch.values(batch.kinds[0]).cast(pa.utf8())
    short = pc.replace_substring_regex(names, r"plant/area\d/device|\.value", "")
    times = batch.column("source_time").cast(pa.utf8())
    return "\n".join(
        pc.binary_join_element_wise("m,element=E", short, " value=", values, " ", times, "").to_pylist()
    ).encode()


def json_rows(batch: SampleBatch) -> bytes:
    """Return samples as JSON rows."""
    rows = zip(*(batch.column(c).to_pylist() for c in ("element", "source_time", "float")), strict=True)
    return json.dumps([{"element": e, "source_time": t, "value": v} for e, t, v in rows]).encode()


def arrow(batch: SampleBatch) -> bytes:
    """Return samples as an Arrow IPC stream."""
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, batch.to_arrow().schema) as writer:
        writer.write_batch(batch.to_arrow())
    return bytes(sink.getvalue())
