"""Every door that is closed for now, or to so much, says so: a problem document, and when to come again."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import Any

import pytest

from archiver.testing.patience import SOON_S
from archiver.testing.service import Service, running_service

httpx = pytest.importorskip("httpx")
SPAN = {"start": "1970-01-01T00:00:00Z", "end": "1971-01-01T00:00:00Z"}
LARGEST = 100_000
CONFIGURATION = f"""
[server]
max_body_bytes = {LARGEST}

[query]
max_elements = 2
max_rows = 100
caller_rows_per_minute = 1000

[[backends]]
name = "lake"
kind = "parquet"
"""
LARGE = b"m,element=a value=1 1\n" * (LARGEST // 20)
ROWS = {"element": "a", "source_time": list(range(1000)), "value": [1.0] * 1000}


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    directory = tmp_path_factory.mktemp("limits")
    (directory / "forebay.toml").write_text(CONFIGURATION)
    with running_service(directory) as running:
        for name in "abc":
            httpx.post(f"{running.url}/v1/samples", json={**ROWS, "element": name}, timeout=SOON_S).raise_for_status()
        yield running


def ask(service: Service, method: str, path: str, **arguments: Any) -> Any:
    return httpx.request(method, service.url + path, timeout=SOON_S, **arguments)


def check(answer: Any, status: int, kind: str) -> None:
    """Check that an answer is a problem of a kind, with the header that such a status has."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    document = answer.json()
    assert (document["type"], document["status"]) == (f"urn:forebay:problem:{kind}", status)
    assert document["detail"]
    assert ("retry-after" in answer.headers) == (status in (429, 503))
    assert int(answer.headers.get("retry-after", 1)) >= 1


MANY = [("element", name) for name in "abc"]
DOORS = {
    "a body": ("POST", "/v1/samples", {"content": LARGE}, "too-large"),
    "a packed body": (
        *("POST", "/v1/samples"),
        {"content": gzip.compress(LARGE), "headers": {"Content-Encoding": "gzip"}},
        "too-large",
    ),
    "a query's body": ("POST", "/v1/query", {"json": {"elements": ["a"], **SPAN, "where": "x" * LARGEST}}, "too-large"),
    "metadata": ("PUT", "/v1/elements/metadata?element=a", {"json": {"description": "x" * LARGEST}}, "too-large"),
    "elements": ("GET", "/v1/samples", {"params": [*MANY, *SPAN.items()]}, "too-much"),
    "elements of a body": ("POST", "/v1/query", {"json": {"elements": list("abc"), **SPAN}}, "too-much"),
    "rows": ("GET", "/v1/samples", {"params": {"element": "a", **SPAN}}, "too-much"),
}


@pytest.mark.parametrize("door", DOORS)
def test_too_much(service: Service, door: str) -> None:
    method, path, arguments, kind = DOORS[door]
    check(ask(service, method, path, **arguments), 413, kind)


def test_line_protocol_says_it_as_influxdb_does(service: Service) -> None:
    answer = ask(service, "POST", "/api/v2/write", content=LARGE)
    assert (answer.status_code, answer.json()["code"]) == (413, "request too large")


def test_the_rows_of_a_caller(service: Service) -> None:
    """The limit is of a minute: it is reached by some questions, and stays so for a while."""
    params = {"element": "a", "start": "1970-01-01T00:00:00Z", "end": "1970-01-01T00:00:00.0000001Z"}
    answers = (ask(service, "GET", "/v1/samples", params=params) for _ in range(1000))
    check(next(answer for answer in answers if answer.status_code != 200), 429, "quota")


def test_watchers(service: Service) -> None:
    """The five hundred and first is told at once; those who watch are served all the same."""
    with ExitStack() as watching:
        client = watching.enter_context(httpx.Client(timeout=SOON_S, limits=httpx.Limits(max_connections=None)))
        stream = {"method": "GET", "url": f"{service.url}/v1/live?element=w"}
        with ThreadPoolExecutor(8) as pool:
            answers = list(pool.map(lambda _: client.send(client.build_request(**stream), stream=True), range(500)))
        for answer in answers:
            watching.callback(answer.close)
        assert {answer.status_code for answer in answers} == {200}
        check(ask(service, "GET", "/v1/live?element=w"), 503, "full")
        first = answers[0].iter_lines()
        while '"latest"' not in (line := next(first)) and not line.startswith("event: latest"):
            pass
        ask(service, "POST", "/v1/samples", json={"element": "w", "source_time": [1], "value": [2.5]})
        while '"value":2.5' not in next(first):
            pass
