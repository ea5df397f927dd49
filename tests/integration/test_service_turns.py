"""Many who ask at once, over a socket: few read at a time, the others wait or are told when to come again."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import pytest
import uvicorn

from archiver.bootstrap import Archive
from archiver.model import SampleBatch
from archiver.ports import Segment
from archiver.testing.patience import SOON_S
from archiver.testing.service import until
from services.archive.app import create_app
from services.common.protocol import HttpProtocol

httpx = pytest.importorskip("httpx")
BACKENDS = [{"name": name, "kind": "memory", "lane": {"flush_interval": "20ms"}} for name in ("lake", "warm")]
START = 10**18
SPAN = {"start": "2001-09-09T01:46:40Z", "end": "2001-09-09T01:46:41Z"}
READERS, COPIES = 8, 8
MANY = 3 * READERS
NDJSON = "application/x-ndjson"


class Gate:
    """Holds up whoever reads, until it is opened; counts them."""

    def __init__(self) -> None:
        self.opened = threading.Event()
        self.opened.set()
        self._lock = threading.Lock()
        self.inside = self.most = 0

    def close(self) -> None:
        """Let nobody through any more."""
        self.most = 0
        self.opened.clear()

    def pass_through(self) -> None:
        """Wait in front of it."""
        with self._lock:
            self.inside += 1
            self.most = max(self.most, self.inside)
        assert self.opened.wait(SOON_S)
        with self._lock:
            self.inside -= 1


class Gated:
    """A backend whose readers pass a gate."""

    def __init__(self, inner: Any, gate: Gate) -> None:
        self._inner = inner
        self._gate = gate

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def read(self, *given: Any, **asked: Any) -> Iterator[SampleBatch]:
        self._gate.pass_through()
        yield from self._inner.read(*given, **asked)

    def segments(self, group: str) -> list[Segment]:
        return list(self._inner.segments(group))

    def drop_before(self, group: str, time: int) -> list[Segment]:
        return list(self._inner.drop_before(group, time))

    def last_before(self, *given: Any, **asked: Any) -> SampleBatch:
        self._gate.pass_through()
        found: SampleBatch = self._inner.last_before(*given, **asked)
        return found


@contextmanager
def served(archive: Archive) -> Iterator[str]:
    """Serve an archive of this process at a port of its own."""
    app = create_app(archive, archive.settings.server)
    server = uvicorn.Server(uvicorn.Config(app, log_config=None, access_log=False, lifespan="on", http=HttpProtocol))
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        thread = threading.Thread(target=server.run, args=([listener],))
        thread.start()
        until(lambda: server.started)
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join()


class Crowd:
    """Clients of a service that ask at the same time, each in a thread of its own."""

    def __init__(self, url: str, gate: Gate, pool: ThreadPoolExecutor) -> None:
        self.url = url
        self.gate = gate
        self._pool = pool

    def ask(self, method: str, path: str, **arguments: Any) -> Any:
        return httpx.request(method, self.url + path, timeout=SOON_S, **arguments)

    def each(self, count: int, method: str, path: str, **arguments: Any) -> list[Future[Any]]:
        return [self._pool.submit(self.ask, method, path, **arguments) for _ in range(count)]


@pytest.fixture
def make_crowd(make_archive: Callable[..., Archive]) -> Callable[..., Any]:
    """Give a function that serves an archive with some samples whose reading passes a gate."""

    @contextmanager
    def make(**document: Any) -> Iterator[Crowd]:
        gate = Gate()
        archive = make_archive(wrap=lambda inner: Gated(inner, gate), backends=BACKENDS, **document)
        with archive, ThreadPoolExecutor(MANY) as pool:
            assert archive.wait_ready(SOON_S)
            times = [START + n for n in range(10)]
            archive.intake.submit(SampleBatch.from_columns("a", times, [float(n) for n in range(10)])).result()
            assert archive.flush()
            with served(archive) as url:
                try:
                    yield Crowd(url, gate, pool)
                finally:
                    gate.opened.set()

    return make


def refused(answer: Any, status: int, kind: str) -> dict[str, Any]:
    """Check that an answer is a problem of a kind which says when to come again; return it."""
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json"), answer.text
    assert int(answer.headers["retry-after"]) >= 1
    problem: dict[str, Any] = answer.json()
    assert (problem["type"], problem["status"]) == (f"urn:forebay:problem:{kind}", status)
    return problem


FROM_TO = {"from": SPAN["start"], "to": SPAN["end"]}
DOORS: dict[str, tuple[str, dict[str, Any]]] = {
    "/v1/samples": ("GET", {"params": {"element": "a", **SPAN}}),
    "/v1/query": ("POST", {"json": {"elements": ["a"], **SPAN}}),
    "/v1/samples/at": ("GET", {"params": {"element": "a", "time": SPAN["end"]}}),
    "/v1/explain": ("GET", {"params": {"element": "a", **SPAN}}),
    "/v1/segments/samples": ("GET", {"params": {"backend": "lake", "group": "all", "start": SPAN["start"]}}),
    "/retrieval/data/getData.json": ("GET", {"params": {"pv": "a", **FROM_TO}}),
    "/retrieval/data/getDataAtTime": ("POST", {"params": {"at": SPAN["end"]}, "json": ["a"]}),
    "/api/v1/query": ("GET", {"params": {"query": "a", "time": "1000000001"}}),
    "/grafana/series": ("GET", {"params": {"element": "a", **FROM_TO}}),
    "/grafana/annotations": ("GET", {"params": {"element": "a", **FROM_TO}}),
}


def check_door(crowd: Crowd, path: str) -> None:
    method, arguments = DOORS[path]
    crowd.gate.close()
    asked = crowd.each(MANY, method, path, **arguments)
    until(lambda: crowd.gate.inside >= READERS or any(future.done() for future in asked))
    for _ in range(3):
        assert crowd.ask("GET", "/v1/samples/latest?element=a").status_code == 200
    assert [future.result().text for future in asked if future.done()] == [], path
    crowd.gate.opened.set()
    assert {future.result().status_code for future in asked} == {200}, path
    assert crowd.gate.most == READERS, path


def test_few_read_at_a_time_whatever_the_door(make_crowd: Callable[..., Any]) -> None:
    """Who reads nothing is answered while all places are taken, and in the end everybody is."""
    with make_crowd() as crowd:
        for path in DOORS:
            check_door(crowd, path)


def test_a_caller_who_reads_enough_by_now_is_told(make_crowd: Callable[..., Any]) -> None:
    """The next answer is his as soon as one of those is read."""
    question = ("GET", "/v1/samples")
    with make_crowd(query={"caller_queries": 2, "hedge_after": "1h"}) as crowd:
        asked = {"params": {"element": "a", **SPAN}}
        crowd.gate.close()
        reading = crowd.each(2, *question, **asked)
        until(lambda: crowd.gate.inside == 2)
        problem = refused(crowd.ask(*question, **asked), 429, "quota")
        assert "caller_queries" in problem["detail"]
        refused(crowd.ask("GET", "/retrieval/data/getData.json", params={"pv": "a"}), 429, "quota")
        crowd.gate.opened.set()
        assert [len(future.result().json()["samples"]) for future in reading] == [10, 10]
        until(lambda: crowd.ask(*question, **asked).status_code == 200)


def test_copies_beyond_those_that_may_be_waited_for_are_told(make_crowd: Callable[..., Any]) -> None:
    """By whichever way they ask; a job is taken all the same, and those who wait get what they came for."""
    what = {"json": {"source": "lake", "target": "warm", **SPAN}}
    with make_crowd() as crowd:
        crowd.gate.close()
        asked = crowd.each(COPIES + 4, "POST", "/v1/copy", **what)
        until(lambda: sum(future.done() for future in asked) == 4)
        for future in asked:
            if future.done():
                assert "respond-async" in refused(future.result(), 503, "full")["detail"]
        streamed = crowd.ask("POST", "/v1/verify", json={"backends": ["lake", "warm"]}, headers={"Accept": NDJSON})
        last = json.loads(streamed.text.splitlines()[-1])
        assert (streamed.status_code, last["status"], last["type"]) == (200, 503, "urn:forebay:problem:full")
        job = crowd.ask("POST", "/v1/copy", **what, headers={"Prefer": "respond-async"})
        assert job.status_code == 202
        crowd.gate.opened.set()
        answers = [answer for future in asked if (answer := future.result()).status_code == 200]
        assert [answer.json() for answer in answers] == [{"read": 10, "stored": 0, "duplicates": 10}] * COPIES
        until(lambda: crowd.ask("GET", job.headers["location"]).json()["state"] == "done")
