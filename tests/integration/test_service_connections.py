"""More connections than the archive takes: it says so, goes on with those that it has, and loses nothing."""

from __future__ import annotations

import json
import re
import socket
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from archiver.testing.patience import SOON_S
from archiver.testing.service import Service, running_service, until

httpx = pytest.importorskip("httpx")
websockets = pytest.importorskip("websockets")
sync = pytest.importorskip("websockets.sync.client")
MOST = 8
LAKE = '[[backends]]\nname = "lake"\nkind = "parquet"\n'
START = 10**18


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    (tmp_path / "forebay.toml").write_text(f"[server]\nmax_connections = {MOST}\n{LAKE}")
    with running_service(tmp_path) as running:
        yield running


def connect(service: Service) -> socket.socket:
    host, port = service.url.removeprefix("http://").split(":")
    return socket.create_connection((host, int(port)), timeout=SOON_S)


def begun(service: Service) -> socket.socket:
    """Return a connection by which a request came that has not ended: nobody takes it as idle."""
    connection = connect(service)
    connection.sendall(b"POST /write HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n")
    return connection


def ended(connection: socket.socket, line: bytes) -> bytes:
    """Send the body of a request that has begun; return the first line of the answer."""
    connection.sendall(b"%x\r\n%b\r\n0\r\n\r\n" % (len(line), line))
    return connection.recv(1000).split(b"\r\n")[0]


def metric(service: Service, name: str) -> float | None:
    """Return what is counted, None when there is no room even for who asks that."""
    try:
        text = httpx.get(f"{service.url}/metrics", timeout=SOON_S).text
    except httpx.TransportError:
        return None
    found = re.search(rf"^{re.escape(name)} (\S+)$", text, re.MULTILINE)
    return None if found is None else float(found[1])


def turned_away(answer: Any) -> None:
    assert answer.status_code == 503, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["connection"] == "close"
    assert int(answer.headers["retry-after"]) >= 1
    assert answer.json()["type"] == "urn:forebay:problem:full"
    assert "server.max_connections" in answer.json()["detail"]


def test_beyond_the_limit_one_is_told_and_those_within_go_on(service: Service) -> None:
    """All of the room is taken: by streams, a WebSocket, and two who are sending samples."""
    live, line = "/v1/live?element=T1", b"m,element=T1 value=%d %d\n"
    with ExitStack() as held:
        sending, leaving = held.enter_context(begun(service)), held.enter_context(begun(service))
        for _ in range(MOST - 3):
            watcher = held.enter_context(httpx.Client(base_url=service.url, timeout=SOON_S))
            assert held.enter_context(watcher.stream("GET", live)).status_code == 200
        by_socket = held.enter_context(sync.connect(service.url.replace("http:", "ws:") + live, open_timeout=SOON_S))
        until(lambda: metric(service, "forebay_live_watchers") == MOST - 2)
        until(lambda: metric(service, "forebay_connections") == MOST + 1)  # with the one by which it is asked
        turned_away(httpx.get(f"{service.url}/v1/elements", timeout=SOON_S))
        lines = line % (1, START + 1) * 5000
        turned_away(httpx.post(f"{service.url}/write", content=lines, timeout=SOON_S))
        with pytest.raises(websockets.exceptions.InvalidStatus, match="503"):
            sync.connect(service.url.replace("http:", "ws:") + live, open_timeout=SOON_S)
        assert httpx.get(f"{service.url}/health/live", timeout=SOON_S).status_code == 200
        assert ended(sending, line % (2, START + 2)) == b"HTTP/1.1 204 No Content"
        while not (found := json.loads(by_socket.recv(SOON_S))["data"]["samples"]) or found[-1]["value"] != 2.0:
            pass
        leaving.close()
        until(lambda: httpx.post(f"{service.url}/write", content=line % (1, START + 1), timeout=SOON_S).is_success)
    until(lambda: httpx.get(f"{service.url}/v1/elements", timeout=SOON_S).is_success)
    params = {"element": "T1", "start": str(START)}
    answer = httpx.get(f"{service.url}/v1/samples", params=params, timeout=SOON_S).json()
    assert [sample["value"] for sample in answer["samples"]] == [1.0, 2.0]
    assert service.errors().count("turned away") == 1


def closed(connection: socket.socket) -> bool:
    try:
        return connection.recv(100) == b""
    except ConnectionResetError:
        return True


def test_beyond_the_limit_what_says_nothing_is_closed(service: Service) -> None:
    """Some wait for a while, and are let go; when too many do, the others are closed at once."""
    with ExitStack() as held:
        for _ in range(MOST):
            held.enter_context(begun(service))
        beyond = [held.enter_context(connect(service)) for _ in range(20)]
        assert all(closed(one) for one in beyond)


def test_a_storm_of_connections_leaves_the_archive_its_files(tmp_path: Path) -> None:
    """A process that may open few files takes fewer connections, and fails neither to accept one nor to open a file."""
    (tmp_path / "forebay.toml").write_text(LAKE)
    bounds = ["sh", "-c", 'ulimit -S -n 128; ulimit -H -n 256; exec "$@"', "sh"]
    with running_service(tmp_path, within=bounds) as service, ExitStack() as held:
        limits = Path(f"/proc/{service.process.pid}/limits")
        if limits.exists():
            (line,) = [line for line in limits.read_text().splitlines() if line.startswith("Max open files")]
            assert line.split()[3:5] == ["256", "256"]
        sending = held.enter_context(begun(service))
        for _ in range(400):
            held.enter_context(connect(service))
        until(lambda: metric(service, "forebay_connections"))  # by a connection that came after all of them
        assert ended(sending, b"m,element=T1 value=1 %d\n" % START) == b"HTTP/1.1 204 No Content"
        until(lambda: metric(service, 'forebay_lane_written_samples_total{backend="lake"}') == 1)
        for complaint in ("Too many open files", "accept"):
            assert complaint not in service.errors()
