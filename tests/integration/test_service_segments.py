"""Segments over HTTP: what each backend holds, when it goes, and dropping it by hand with a note in every book."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest

from archiver.client import Client
from archiver.model import format_time, parse_time
from archiver.model.time import now
from archiver.testing.patience import SOON_S
from archiver.testing.service import running_service, until

httpx = pytest.importorskip("httpx")

DAY = 86_400 * 10**9
FIRST = parse_time("2026-01-01T00:00:00Z")
CONFIGURATION = """
[[backends]]
name = "lake"
kind = "parquet"
lane = { flush_interval = "20ms" }

[[backends]]
name = "warm"
kind = "sql"
url = "sqlite:///warm.db"
lane = { flush_interval = "20ms" }

[[groups]]
name = "plant"
elements = ["plant:*"]
backends = ["lake", "warm"]
segment = "1d"
retention = "36500d"

[[groups]]
name = "rest"
elements = ["*"]
exclude = ["plant:*"]
backends = ["lake"]
"""


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """Lend an archive with three old days and today in two backends; who drops something brings it back."""
    directory = tmp_path_factory.mktemp("segments")
    (directory / "forebay.toml").write_text(CONFIGURATION)
    with running_service(directory) as service, httpx.Client(base_url=service.url, timeout=SOON_S) as client:
        times = [*(FIRST + n * DAY + k for n in range(3) for k in range(10)), now()]
        rows = {"element": "plant:a", "source_time": times, "value": [float(n) for n in range(len(times))]}
        client.post("/v1/samples", json=rows).raise_for_status()
        client.post("/v1/samples", json={"element": "b", "source_time": [FIRST], "value": [1.0]}).raise_for_status()
        until(lambda: all(held(client, name) == [10, 10, 10, 1] for name in ("lake", "warm")))
        until(lambda: len(segments(client, group="rest")) == 1)
        yield client


def segments(client: Any, **asked: str) -> list[dict[str, Any]]:
    answer = client.get("/v1/segments", params=asked)
    assert answer.status_code == 200, answer.text
    return list(answer.json()["segments"])


def held(client: Any, backend: str) -> list[int]:
    return [row["rows"] for row in segments(client, backend=backend, group="plant")]


def day(number: int) -> str:
    return format_time(FIRST + number * DAY)


def test_what_is_held_and_until_when(client: Any) -> None:
    first, *_, last = segments(client, backend="lake", group="plant")
    assert (first["start"], first["end"], first["state"]) == (day(0), day(1), "closed")
    assert first["files"] >= 1
    assert first["bytes"] > 0
    assert first["dropped_at"] == format_time(FIRST + DAY + 36_500 * DAY)
    assert last["state"] == "current"
    assert {(row["backend"], row["group"]) for row in segments(client)} == {
        ("lake", "plant"),
        ("warm", "plant"),
        ("lake", "rest"),
    }
    assert segments(client, group="rest")[0]["dropped_at"] is None
    with Client(str(client.base_url)) as archive:
        assert archive.segments("lake", "plant") == segments(client, backend="lake", group="plant")


def test_one_is_read_as_a_file(client: Any) -> None:
    first = segments(client, backend="lake", group="plant")[0]
    asked = {"element": "*", "backend": "lake", **{name: first[name] for name in ("group", "start", "end")}}
    answer = client.get("/v1/samples", params=asked, headers={"Accept": "application/vnd.apache.parquet"})
    assert answer.content[:4] == b"PAR1"
    text = client.get("/v1/samples", params=asked, headers={"Accept": "text/csv"}).text
    assert len(text.splitlines()) == 1 + first["rows"]


def test_dropped_by_hand_in_one_backend_and_noted(client: Any) -> None:
    """Nothing else goes; the others answer; who asks this one is told what lacks; it can be brought back."""
    asked = {"backend": "lake", "group": "plant", "before": day(2)}
    dropped = client.delete("/v1/segments", params=asked).json()["dropped"]
    assert [(row["start"], row["rows"]) for row in dropped] == [(day(0), 10), (day(1), 10)]
    assert (held(client, "lake"), held(client, "warm")) == ([10, 1], [10, 10, 10, 1])
    assert segments(client, group="rest")[0]["rows"] == 1
    assert client.delete("/v1/segments", params=asked).json()["dropped"] == []

    span = {"element": "plant:a", "start": day(0), "end": day(3)}
    alone = client.get("/v1/samples", params={**span, "backend": "lake"}).json()
    assert (len(alone["samples"]), alone["complete"]) == (10, False)
    assert [part["cause"] for part in alone["missing"]] == ["dropped-by-hand"]
    both = client.get("/v1/samples", params=span).json()
    assert (len(both["samples"]), both["complete"]) == (30, True)

    with Client(str(client.base_url)) as archive:
        assert archive.copy("warm", "lake", day(0), day(3), "plant:a") == {"read": 30, "stored": 20, "duplicates": 10}
    again = client.get("/v1/samples", params={**span, "backend": "lake"}).json()
    assert (len(again["samples"]), again["complete"]) == (30, True)


@pytest.mark.parametrize(
    ("asked", "status", "said"),
    [
        ({"before": "now+1d"}, 400, "has not come yet"),
        ({"before": "soon"}, 400, "before"),
        ({"backend": "x"}, 404, "no backend 'x'"),
        ({"group": "x"}, 404, "x"),
        ({"group": "rest", "backend": "warm"}, 404, "no archive group 'rest'"),
    ],
)
def test_mistakes_drop_nothing(client: Any, asked: dict[str, str], status: int, said: str) -> None:
    answer = client.delete("/v1/segments", params={"backend": "lake", "group": "plant", "before": day(2), **asked})
    assert (answer.status_code, said in answer.text) == (status, True), answer.text
    assert held(client, "lake") == [10, 10, 10, 1]


def ended(client: Any, location: str) -> dict[str, Any]:
    while (job := client.get(location).json())["state"] in ("queued", "running"):
        time.sleep(0.02)
    return dict(job)


def test_copies_and_comparisons_are_jobs(client: Any) -> None:
    later = {"Prefer": "respond-async"}
    verify = {"backends": ["lake", "warm"], "elements": ["plant:*"]}
    answer = client.post("/v1/verify", json=verify, headers={**later, "Idempotency-Key": "v"})
    assert (answer.status_code, answer.headers["preference-applied"]) == (202, "respond-async")
    job = ended(client, answer.headers["location"])
    assert (job["state"], job["request"]["do"]) == ("done", "verify")
    assert job["progress"]["done"] == job["progress"]["total"] > 0
    assert client.get(job["result"]).json()["same"] is True
    assert client.post("/v1/verify", json=verify, headers={**later, "Idempotency-Key": "v"}).json()["id"] == job["id"]

    copy = {"source": "lake", "target": "warm", "start": day(0)}
    job = ended(client, client.post("/v1/copy", json=copy, headers=later).headers["location"])
    assert client.get(job["result"]).json() == {"read": 31, "stored": 0, "duplicates": 31}
    failed = ended(client, client.post("/v1/copy", json={**copy, "source": "x"}, headers=later).headers["location"])
    assert (failed["state"], failed["problem"]["status"]) == ("failed", 404)


def test_the_client_repairs(client: Any) -> None:
    client.delete("/v1/segments", params={"backend": "warm", "group": "plant", "before": day(1)}).raise_for_status()
    with Client(str(client.base_url)) as archive:
        report = archive.verify("lake", "warm", repair="warm", elements="plant:*", start=FIRST)
        assert report["same"] is True, report
        assert held(client, "warm") == [10, 10, 10, 1]
