"""Queries over HTTP: the body, the plan, what is required, limits by caller, and a client that goes away."""

from __future__ import annotations

import asyncio
import json
import threading

import pyarrow as pa
import pytest

from archiver import config
from archiver.bootstrap import Archive
from archiver.model import SampleBatch, TransientError
from archiver.model.interruption import interruptible
from archiver.testing.patience import SOON_S
from services.archive.app import create_app

httpx = pytest.importorskip("httpx")
BACKENDS = [{"name": "hot", "kind": "memory"}, {"name": "cold", "kind": "memory"}]
SPAN = {"start": "1970-01-01T00:00:00Z", "end": "1970-01-01T00:00:10Z"}
SECOND = 10**9


class Service:
    """The application on an archive with three samples, asked in this process."""

    def __init__(self, archive):
        self.archive = archive
        self.app = create_app(archive, archive.settings.server)

    def request(self, method, path, **arguments):
        async def once():
            transport = httpx.ASGITransport(self.app, raise_app_exceptions=False)
            async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
                return await client.request(method, path, **arguments)

        return asyncio.run(once())

    def ask(self, accept="application/json", plan=False, **question):
        path = "/v1/query?plan=true" if plan else "/v1/query"
        return self.request("POST", path, json={"elements": ["a"], **SPAN, **question}, headers={"Accept": accept})


@pytest.fixture
def serve(tmp_path):
    opened = []

    def make(**document):
        archive = Archive(config.parse({"data": str(tmp_path), "backends": BACKENDS, **document}))
        opened.append(archive.open())
        archive.wait_ready()
        times = [SECOND, 2 * SECOND, 3 * SECOND]
        archive.intake.submit(SampleBatch.from_columns("a", times, [1.0, 2.0, 3.0])).result()
        assert archive.flush()
        return Service(archive)

    yield make
    for archive in opened:
        archive.close()


class Stuck:
    """A backend that blocks until it is interrupted."""

    def __init__(self):
        self.reading, self.stopped = threading.Event(), threading.Event()

    def read(self, elements, interval, **how):
        with interruptible(self.stopped.set):
            self.reading.set()
            assert self.stopped.wait(SOON_S), "nobody stopped it"
            raise TransientError("canceling statement due to user request")
        yield

    def last_before(self, elements, time, **how):
        raise TransientError("connection refused")

    def coverage(self):
        return []


class Dead(Stuck):
    def read(self, elements, interval, **how):
        raise TransientError("connection refused")
        yield


def test_a_body_asks_what_the_query_string_asks(serve):
    service = serve()
    ranges = [
        {"backend": "cold", "from": "1970-01-01T00:00:00Z", "to": "1970-01-01T00:00:02Z"},
        {"backend": "hot", "from": "1970-01-01T00:00:02Z", "to": "1970-01-01T00:00:10Z"},
    ]
    body = {"elements": ["a"], "ranges": ranges, "aggregates": ["count"], "bucket": "2s"}
    posted = service.request("POST", "/v1/query", json=body).json()
    written = [("element", "a"), ("aggregate", "count"), ("bucket", "2s")]
    written += [("range", f"{r['backend']}={r['from']}/{r['to']}") for r in ranges]
    got = service.request("GET", "/v1/samples", params=written).json()
    assert [row["count"] for row in posted["samples"]] == [1, 2, 0, 0, 0]
    assert got["samples"] == posted["samples"]
    assert posted["complete"] is True
    assert {(part["backend"], part["role"]) for part in posted["parts"]} == {
        ("hot", "first choice"),
        ("cold", "first choice"),
    }


def test_a_mistake_in_the_body_is_named(serve):
    service = serve()
    for wrong, name in (({"require": "all"}, "require"), ({"elements": "a"}, "elements"), ({"form": "x"}, "form")):
        answer = service.ask(**wrong)
        assert (answer.status_code, answer.json()["type"]) == (400, "urn:forebay:problem:bad-parameter")
        assert name in answer.json()["detail"]


def test_the_plan_is_told_and_nothing_is_read(serve, monkeypatch):
    service = serve()
    monkeypatch.setattr("archiver.asking.execute", lambda *given, **how: pytest.fail("it was read"))
    plan = service.ask(plan=True).json()
    (step,) = plan["steps"]
    assert (step["backend"], step["stand_by"], step["rows"], plan["complete"]) == ("hot", ["cold"], 3, True)
    by_get = service.request("GET", "/v1/samples", params={"element": "a", **SPAN, "plan": "true"}).json()
    assert by_get == plan


def test_a_complete_answer_is_required(serve, monkeypatch):
    service = serve()
    monkeypatch.setattr(service.archive, "readers", lambda: {"hot": Dead(), "cold": Dead()})
    partial = service.ask(backend="hot", require="complete")
    assert (partial.status_code, partial.json()["type"]) == (409, "urn:forebay:problem:incomplete")
    assert partial.json()["missing"][0]["cause"] == "backend-down"


def test_a_partial_answer_says_so_in_every_format(serve, monkeypatch):
    service = serve()
    readers = service.archive.readers()
    monkeypatch.setattr(service.archive, "readers", lambda: {"hot": Dead(), "cold": readers["cold"]})
    ranges = [
        {"backend": "cold", "from": "1970-01-01T00:00:00Z", "to": "1970-01-01T00:00:02Z"},
        {"backend": "hot", "from": "1970-01-01T00:00:02Z", "to": "1970-01-01T00:00:10Z"},
    ]
    whole = service.ask(ranges=ranges).json()
    assert (whole["complete"], len(whole["samples"]), whole["missing"][0]["backend"]) == (False, 1, "hot")
    page = service.ask(ranges=ranges, limit=10)
    assert page.headers["Forebay-Complete"] == "false"
    assert json.loads(page.headers["Forebay-Missing"])[0]["reason"] == "connection refused"
    lines = service.ask("text/csv", ranges=ranges, outcome=True).text.splitlines()
    assert json.loads(lines[-1].removeprefix("# "))["missing"] == whole["missing"]
    with pa.ipc.open_stream(service.ask("application/vnd.apache.arrow.stream", ranges=ranges).content) as stream:
        steps = json.loads(stream.schema.metadata[b"forebay.query"])["steps"]
        last = None
        while (batch := _next(stream)) is not None:
            last = batch
    assert [step["backends"] for step in steps] == [["cold"], ["hot"]]
    assert json.loads(last.custom_metadata[b"forebay.outcome"])["complete"] is False


def _next(stream):
    try:
        return stream.read_next_batch_with_custom_metadata()
    except StopIteration:
        return None


def test_limits_are_problems_that_name_the_setting(serve):
    service = serve(query={"max_rows": 2, "max_elements": 1, "caller_rows_per_minute": 1})
    too_many = service.ask()
    assert (too_many.status_code, too_many.json()["type"]) == (413, "urn:forebay:problem:too-much")
    assert "query.max_rows" in too_many.json()["detail"]
    assert service.ask(elements=["a", "b"]).status_code == 413
    assert service.ask(limit=2).status_code == 200
    enough = service.ask()
    assert (enough.status_code, enough.json()["type"]) == (429, "urn:forebay:problem:quota")
    assert int(enough.headers["Retry-After"]) >= 1


@pytest.mark.parametrize("limit", [None, 10], ids=["streamed", "page"])
def test_a_client_that_goes_away_stops_the_backend(serve, monkeypatch, limit):
    service, stuck = serve(), Stuck()
    monkeypatch.setattr(service.archive, "readers", lambda: {"hot": stuck})
    body = json.dumps({"elements": ["a"], **SPAN, "backend": "hot", "limit": limit}).encode()
    sent = []

    async def ask():
        asked = False

        async def receive():
            nonlocal asked
            if not asked:
                asked = True
                return {"type": "http.request", "body": body, "more_body": False}
            await asyncio.to_thread(stuck.reading.wait, SOON_S)
            return {"type": "http.disconnect"}

        async def send(message):
            sent.append(message)

        scope = {
            "type": "http",
            "method": "POST",
            "path": "/v1/query",
            "raw_path": b"/v1/query",
            "query_string": b"",
            "headers": [(b"content-type", b"application/json")],
            "client": ("127.0.0.1", 1),
            "server": ("test", 80),
            "scheme": "http",
            "http_version": "1.1",
        }
        await service.app(scope, receive, send)

    asyncio.run(ask())
    assert stuck.stopped.is_set()
    assert not any(message.get("body") for message in sent)


def test_answers_are_packed_and_tagged(serve):
    service = serve()
    accept = {"Accept-Encoding": "zstd", "Accept": "application/x-ndjson"}
    many = SampleBatch.from_columns("many", range(1000), [1.0] * 1000)
    service.archive.intake.submit(many).result()
    answer = service.request("GET", "/v1/samples", params={"element": "many", **SPAN}, headers=accept)
    assert answer.headers["content-encoding"] == "zstd"
    tag = service.request("GET", "/v1/groups").headers["etag"]
    assert service.request("GET", "/v1/groups", headers={"If-None-Match": tag}).status_code == 304


def test_how_elements_have_been_doing(serve):
    service = serve()
    unwell = SampleBatch.from_columns("unwell", [SECOND], [None], status=[1 << 56])
    service.archive.intake.submit(unwell).result()
    assert service.archive.flush()
    ask = {"start": "1970-01-01T00:00:00Z", "end": "1970-01-01T00:01:00Z"}
    by = {}
    for order in ("silent", "disconnected", "rate", "lost", "name"):
        answer = service.request("GET", "/v1/elements/activity", params={"by": order, **ask}).json()
        by[order] = [row["element"] for row in answer["elements"]]
    assert by["rate"] == by["name"] == ["a", "unwell"]
    assert (by["disconnected"], by["lost"]) == (["unwell"], [])
    row = service.request("GET", "/v1/elements/activity", params={"pattern": "a", **ask}).json()["elements"][0]
    assert (row["received"], row["stored"], row["rate_hz"], row["state"]) == (3, 3, 0.05, "good")
    assert row["last_time"] == "1970-01-01T00:00:03.000000000Z"
