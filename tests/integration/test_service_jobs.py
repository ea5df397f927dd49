"""A query as a job, over HTTP: accepted at once, watched, fetched, cancelled."""

from __future__ import annotations

import io
import time
from collections.abc import Iterator
from typing import Any

import pyarrow.parquet as pq
import pytest

from archiver.testing.patience import SOON_S
from archiver.testing.service import running_service

httpx = pytest.importorskip("httpx")
SPAN = {"start": "1970-01-01T00:00:00Z", "end": "1971-01-01T00:00:00Z"}
PARQUET = "application/vnd.apache.parquet"


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    with (
        running_service(tmp_path_factory.mktemp("jobs")) as service,
        httpx.Client(base_url=service.url, timeout=SOON_S) as client,
    ):
        fill(client)
        yield client


def fill(client: Any) -> None:
    rows = {"element": ["a"] * 1000, "source_time": list(range(1000)), "value": [n / 2 for n in range(1000)]}
    client.post("/v1/samples", json=rows).raise_for_status()


def ask(client: Any, accept: str = PARQUET, key: str = "", **question: Any) -> Any:
    headers = {"Prefer": "respond-async", "Accept": accept, **({"Idempotency-Key": key} if key else {})}
    return client.post("/v1/query", json={"elements": ["a"], **SPAN, **question}, headers=headers)


def ended(client: Any, location: str) -> dict[str, Any]:
    while (job := client.get(location).json())["state"] in ("queued", "running"):
        time.sleep(0.02)
    return dict(job)


def test_accepted_watched_fetched(client: Any) -> None:
    answer = ask(client)
    assert (answer.status_code, answer.headers["preference-applied"]) == (202, "respond-async")
    job = ended(client, answer.headers["location"])
    assert (job["state"], job["progress"]["rows"], job["progress"]["complete"]) == ("done", 1000, True)
    result = client.get(job["result"])
    assert result.headers["content-type"] == PARQUET
    assert pq.read_table(io.BytesIO(result.content)).num_rows == 1000
    part = client.get(job["result"], headers={"Range": "bytes=0-3"})
    assert (part.status_code, part.content) == (206, b"PAR1")
    assert job["id"] in [found["id"] for found in client.get("/v1/jobs").json()["jobs"]]


def test_get_prefers_it_as_well(client: Any) -> None:
    answer = client.get("/v1/samples", params={"element": "a", **SPAN}, headers={"Prefer": "respond-async, wait=1"})
    assert answer.status_code == 202
    assert ended(client, answer.headers["location"])["state"] == "done"


def test_the_same_key_is_the_same_job(client: Any) -> None:
    first, again = ask(client, key="report-1"), ask(client, key="report-1")
    assert first.json()["id"] == again.json()["id"]
    assert ask(client, key="report-1", limit=3).status_code == 400


def test_removed_with_its_result(client: Any) -> None:
    job = ended(client, ask(client).headers["location"])
    assert client.delete(f"/v1/jobs/{job['id']}").status_code == 204
    assert client.get(f"/v1/jobs/{job['id']}").status_code == 404
    assert client.get(job["result"]).status_code == 404


def test_what_fails_says_why(client: Any) -> None:
    question = {"ranges": [{"backend": "lake", "from": SPAN["start"], "to": SPAN["end"]}], "require": "complete"}
    job = ended(client, ask(client, elements=["a", "nothing"], **question).headers["location"])
    assert (job["state"], job["result"]) == ("failed", None)
    assert job["problem"]["type"] == "urn:forebay:problem:incomplete"
    answer = client.get(f"/v1/jobs/{job['id']}/result")
    assert (answer.status_code, answer.json()["type"]) == (409, "urn:forebay:problem:not-done")


@pytest.mark.parametrize(
    ("question", "accept", "status"),
    [({"start": "soon"}, PARQUET, 400), ({}, "image/png", 406), ({"backend": "x"}, PARQUET, 404)],
)
def test_mistakes_are_told_at_once(client: Any, question: dict[str, str], accept: str, status: int) -> None:
    assert ask(client, accept, **question).status_code == status
