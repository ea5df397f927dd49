"""Watching an archive: what comes is told at once, to each at a pace of his own, and nothing is left out silently."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from archiver.testing.patience import SOON_S
from archiver.testing.service import Service, running_service

httpx = pytest.importorskip("httpx")
websockets = pytest.importorskip("websockets.sync.client")


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """Run an archive whose journal keeps everything: a watcher whom a busy machine holds up misses nothing."""
    directory = tmp_path_factory.mktemp("live")
    (directory / "forebay.toml").write_text(
        '[[backends]]\nname = "lake"\nkind = "parquet"\nlane = { flush_interval = "1h" }\n'
    )
    with running_service(directory) as running:
        yield running


def send(service: Service, element: str, *values: float, first: int = 0) -> None:
    rows = [{"element": element, "source_time": (first + n) * 10**9, "value": v} for n, v in enumerate(values)]
    httpx.post(f"{service.url}/v1/samples", json={"samples": rows}, timeout=SOON_S).raise_for_status()


class Watcher:
    """Reads the events of `GET /v1/live`."""

    def __init__(self, service: Service, **asked: Any) -> None:
        self._client = httpx.Client(timeout=SOON_S)
        headers = asked.pop("headers", {})
        request = self._client.build_request("GET", f"{service.url}/v1/live", params=asked, headers=headers)
        self.answer = self._client.send(request, stream=True)
        self._lines = self.answer.iter_lines()

    def __enter__(self) -> Watcher:
        return self

    def __exit__(self, *_: object) -> None:
        self.answer.close()
        self._client.close()

    def next(self) -> dict[str, Any]:
        """Return the next event that tells something."""
        event: dict[str, Any] = {"event": "idle"}
        while event["event"] == "idle":
            while line := next(self._lines):
                name, _, text = line.partition(": ")
                event[name] = json.loads(text) if name == "data" else text
        return event

    def values(self, count: int) -> list[tuple[str, float]]:
        """Return the next so many samples."""
        found: list[tuple[str, float]] = []
        while len(found) < count:
            found += [(row["element"], row["value"]) for row in self.next()["data"].get("samples", ())]
        return found


def test_the_latest_then_what_comes(service: Service) -> None:
    send(service, "one:a", 1.0, 2.0)
    send(service, "one:b", 3.0)
    with Watcher(service, element=["one:*"], every="0ms") as watcher:
        assert watcher.answer.headers["content-type"].startswith("text/event-stream")
        assert "content-encoding" not in watcher.answer.headers  # packing takes megabytes for each who watches
        event = watcher.next()
        assert event["event"] == "latest"
        assert [(row["element"], row["value"]) for row in event["data"]["samples"]] == [("one:a", 2.0), ("one:b", 3.0)]
        send(service, "one:new", 4.0, 5.0)
        send(service, "other", 6.0)
        send(service, "one:a", 7.0, first=9)
        assert watcher.values(3) == [("one:new", 4.0), ("one:new", 5.0), ("one:a", 7.0)]


def test_who_comes_back_goes_on_where_he_was(service: Service) -> None:
    with Watcher(service, element="back:*", every="0ms") as watcher:
        watcher.next()
        send(service, "back:a", 1.0)
        last = watcher.next()["id"]
    send(service, "back:a", 2.0, first=5)
    for how in ({"after": last}, {"headers": {"Last-Event-ID": last}}):
        with Watcher(service, element="back:*", **how) as watcher:
            event = watcher.next()
            while event["event"] == "gap":  # all backends had it already
                event = watcher.next()
            if event["event"] == "samples":
                assert [row["value"] for row in event["data"]["samples"]] == [2.0]


def test_many_watch_the_same(service: Service) -> None:
    with Watcher(service, element="many") as first, Watcher(service, element="many") as second:
        assert {first.next()["event"], second.next()["event"]} == {"latest"}
        for number in range(20):
            send(service, "many", float(number), first=number)
        wanted = [("many", float(number)) for number in range(20)]
        assert first.values(20) == wanted
        assert second.values(20) == wanted


def test_a_pace_joins_events(service: Service) -> None:
    """Who wants few events gets more samples in each."""
    with Watcher(service, element="paced", every="2s") as watcher:
        watcher.next()
        sent = threading.Thread(target=lambda: [send(service, "paced", float(n), first=n) for n in range(30)])
        sent.start()
        sizes = []
        while sum(sizes) < 30:
            event = watcher.next()
            assert event["event"] in ("samples", "gap")
            sizes.append(len(event["data"].get("samples", ())) or 30)
        sent.join()
        assert len(sizes) < 30


def test_over_a_web_socket(service: Service) -> None:
    address = service.url.replace("http", "ws") + "/v1/live?element=socket:*&every=0ms"
    with websockets.connect(address, open_timeout=SOON_S) as socket:
        assert json.loads(socket.recv(SOON_S))["event"] == "latest"
        send(service, "socket:a", 1.5)
        event = json.loads(socket.recv(SOON_S))
        assert (event["event"], event["data"]["samples"][0]["value"]) == ("samples", 1.5)


@pytest.mark.parametrize(
    ("asked", "status", "said"),
    [
        ({"element": "a", "after": "x"}, 400, "give the id of an event as it came"),
        ({"element": "a", "after": "elsewhere:²"}, 400, "give the id of an event as it came"),
        ({"element": "a", "after": "elsewhere:" + "9" * 40}, 400, "give the id of an event as it came"),
        ({"element": "a", "after": "elsewhere:3"}, 400, "a journal that is not there"),
        ({"element": "a", "every": "soon"}, 400, "every"),
        ({}, 422, "element"),
    ],
)
def test_mistakes_are_told(service: Service, asked: dict[str, str], status: int, said: str) -> None:
    answer = httpx.get(f"{service.url}/v1/live", params=asked, timeout=SOON_S)
    assert answer.status_code in (status, 400)
    assert said in answer.text


def test_those_who_watch_do_not_hold_up_the_end(tmp_path: Path) -> None:
    with running_service(tmp_path) as service, Watcher(service, element="a") as watcher:
        watcher.next()
        service.process.terminate()
        assert service.process.wait(SOON_S) == 0
        assert service.errors() == ""  # an answer that was waited for in vain, for 30 s, would be told


def test_ids_grow(service: Service) -> None:
    with Watcher(service, element="ids", every="0ms") as watcher:
        ids = [watcher.next()["id"]]
        for number in range(3):
            send(service, "ids", 1.0, first=number)
            ids.append(watcher.next()["id"])
        numbers = [int(text.rpartition(":")[2]) for text in ids]
        assert all(a < b for a, b in pairwise(numbers))
