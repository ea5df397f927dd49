"""Ingest over HTTP into a `forebay up` of its own: line protocol, JSON rows and Arrow, acknowledged when durable.

The clients send ready-made requests over three connections, so that they cost little; they share the machine with the
service all the same.
"""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pyarrow as pa
import pyarrow.compute as pc

from archiver.model import SampleBatch
from archiver.sources import line_protocol
from bench.data import in_batches, peers_data
from bench.registry import Row, bench
from services.archive import decoding

CONNECTIONS = 3
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
        with service() as url:
            rates = [rate(url, path, media_type, bodies) for _ in range(ROUNDS)]
        yield Row(f"{name} over HTTP, durable", sorted(rates)[ROUNDS // 2], "decoding alone", alone, "samples/s")


@contextmanager
def service() -> Iterator[str]:
    """Give the address of an archive with a Parquet lake and nothing in it."""
    with tempfile.TemporaryDirectory() as directory:
        config = Path(directory) / "forebay.toml"
        config.write_text('[[backends]]\nname = "lake"\nkind = "parquet"\n')
        command = [
            sys.executable,
            "-c",
            "from archiver.cli import main; main()",
            "up",
            "--data",
            directory,
            "--port",
            "0",
        ]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            yield process.stdout.readline().split()[1]
            process.terminate()


def rate(url: str, path: str, media_type: str, bodies: list[bytes]) -> float:
    """Return samples a second, from the first byte sent to the last acknowledgement."""
    requests = [_request(path, media_type, body) for body in bodies]
    started = time.perf_counter()
    with ThreadPoolExecutor(CONNECTIONS) as pool:
        list(pool.map(lambda part: _send(url, part), [requests[i::CONNECTIONS] for i in range(CONNECTIONS)]))
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


def _request(path: str, media_type: str, body: bytes) -> bytes:
    head = f"POST {path} HTTP/1.1\r\nHost: bench\r\nContent-Type: {media_type}\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


def _send(url: str, requests: list[bytes]) -> None:
    address = urlsplit(url)
    with socket.create_connection((address.hostname, address.port)) as connection:
        for request in requests:
            connection.sendall(request)
            answer = b""
            while b"\r\n\r\n" not in answer:
                answer += connection.recv(65536)
            status = answer.split(b" ", 2)[1]
            if status not in (b"200", b"204"):
                raise RuntimeError(f"the service answered {answer.decode(errors='replace')[:500]}")
            if status == b"200":
                head, _, rest = answer.partition(b"\r\n\r\n")
                length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
                while len(rest) < length:
                    rest += connection.recv(65536)
