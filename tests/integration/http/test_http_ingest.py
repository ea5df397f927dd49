"""Samples in over HTTP: what is taken, what is refused and named, and what clients of InfluxDB see."""

import asyncio
import gzip
import json
import threading

import httpx
import pyarrow as pa
import pytest

from archiver.model import BackpressureError
from archiver.model.time import now
from archiver.testing.patience import SOON_S


def test_rows_are_durable_and_readable_when_they_are_acknowledged(service):
    answer = service.post("/v1/samples", service.rows())
    assert answer.status_code == 200
    assert answer.json() == {"received": 3, "counts": {"buffered": 3, "rejected": 0}, "reasons": {}, "refused": []}
    assert service.archive.journal.state().rows == 3
    found = service.get("/v1/samples", element="T1", start="1000000000000000000", end="now").json()["samples"]
    assert [sample["value"] for sample in found] == [0.5, 1.5, 2.5]


def test_what_is_refused_is_named_by_its_index_whoever_refused_it(service):
    future = now() + 10**15
    sent = [{"element": "T1"}, *service.rows(1), {"element": "T1", "source_time": future, "value": 1}, {"x": 1}]
    answer = service.post("/v1/samples", sent).json()
    assert answer["received"] == 4
    assert answer["counts"] == {"buffered": 1, "rejected": 3}
    assert [refused["index"] for refused in answer["refused"]] == [0, 2, 3]
    assert "future" in answer["refused"][1]["reason"]
    assert answer["refused"][1]["element"] == "T1"
    assert service.totals()["intake", "rejected"] == 3


@pytest.mark.parametrize("encoding", ["gzip", "zstd"])
def test_packed_bodies(service, encoding):
    body = json.dumps(service.rows()).encode()
    packed = gzip.compress(body) if encoding == "gzip" else pa.compress(body, "zstd", asbytes=True)
    answer = service.post("/v1/samples", packed, **{"Content-Encoding": encoding})
    assert answer.json()["counts"]["buffered"] == 3


@pytest.mark.parametrize(
    ("content", "media_type", "encoding", "status", "name"),
    [
        (b"[", "application/json", "", 400, "invalid-input"),
        (b"", "text/csv", "", 415, "unsupported-media"),
        (b"[]", "application/json", "br", 415, "unsupported-media"),
        (b"[]", "application/json", "gzip", 400, "invalid-input"),
        (b" " * 100_001, "application/json", "", 413, "too-large"),
        (gzip.compress(bytes(200_000), mtime=0), "application/json", "gzip", 413, "too-large"),
    ],
)
def test_a_body_that_cannot_be_taken(service, content, media_type, encoding, status, name):
    answer = service.post("/v1/samples", content, media_type, **{"Content-Encoding": encoding})
    assert (answer.status_code, answer.json()["type"]) == (status, f"urn:forebay:problem:{name}")
    assert service.archive.journal.state().rows == 0


def test_a_full_journal_is_503_with_a_time_to_wait_on_every_door(service, monkeypatch):
    def full(batch, refused=None, admits=None):
        raise BackpressureError("the journal is full", 7.2)

    monkeypatch.setattr(service.archive.intake, "submit", full)
    for path, body in (
        ("/v1/samples", service.rows()),
        ("/write", b"m,element=a value=1"),
        ("/api/v2/write", b"m f=1"),
    ):
        answer = service.post(path, body)
        assert (answer.status_code, answer.headers["Retry-After"]) == (503, "8")
        assert "full" in answer.text


def test_line_protocol_as_influxdb_answers(service):
    lines = b"m,element=L1 value=1.5 1000000000000000000\ncpu,host=a usage=3i 1000000000000000000\n"
    for path in ("/write?db=x", "/api/v2/write?bucket=b&org=o"):
        answer = service.post(path, gzip.compress(lines), "text/plain", **{"Content-Encoding": "gzip"})
        assert (answer.status_code, answer.content) == (204, b"")
    names = [found["element"] for found in service.get("/v1/elements").json()["elements"]]
    assert names == ["L1", "cpu.usage,host=a"]
    assert service.post("/write?precision=ms", b"m,element=L2 value=1 1000000000000", "text/plain").status_code == 204
    (latest,) = service.get("/v1/samples/latest", element="L2").json()["samples"]
    assert latest["source_time"] == "2001-09-09T01:46:40.000000000Z"


def test_bad_lines_are_named_and_the_good_ones_are_stored(service):
    lines = b"m,element=L1 value=1.5 1\nbad\nm,element=L1 value=2.5 2\nm,element=L1 value=1 9000000000000000000\n"
    answer = service.post("/write", lines, "text/plain")
    assert answer.status_code == 400
    assert answer.json()["error"] == answer.json()["message"]
    assert answer.json()["code"] == "invalid"
    assert "line 2 (bad)" in answer.json()["error"]
    assert "L1: too far in the future" in answer.json()["error"]
    assert "2 refused, the others are stored" in answer.json()["error"]
    found = service.get("/v1/samples", element="L1", start="1970-01-01T00:00:00Z").json()["samples"]
    assert [sample["value"] for sample in found] == [1.5, 2.5]


def test_a_wrong_precision_names_the_right_ones(service):
    answer = service.post("/write?precision=fortnight", b"m f=1", "text/plain")
    assert answer.status_code == 400
    assert "ns, us, ms or s" in answer.json()["error"]


def test_what_clients_of_influxdb_ask_first(service):
    created = service.request("POST", "/query", data={"q": 'CREATE DATABASE "telegraf"'})
    assert created.json() == {"results": [{"statement_id": 0}]}
    assert service.get("/ping").status_code == 204
    assert service.get("/health").json()["status"] == "pass"


def test_the_event_loop_answers_while_a_large_body_is_decoded(service, monkeypatch):
    import services.archive.ingest as ingest

    decode, go = ingest.decoding.decode, threading.Event()

    def slow(body, media_type):
        assert go.wait(SOON_S)
        return decode(body, media_type)

    monkeypatch.setattr(ingest.decoding, "decode", slow)

    async def both():
        transport = httpx.ASGITransport(service._app)
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            sending = asyncio.create_task(client.post("/v1/samples", json=service.rows()))
            await asyncio.sleep(0)
            alive = await client.get("/health/live")
            decoded = sending.done()
            go.set()
            return alive.status_code, decoded, (await sending).status_code

    assert service._runner.run(both()) == (200, False, 200)
