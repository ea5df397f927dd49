"""Files over HTTP: looked into, tried out, loaded through the intake, with the ledger of what became of each row."""

from __future__ import annotations

import gzip
import io
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from archiver.sources.replay.proposing import look
from archiver.testing.service import running_service

httpx = pytest.importorskip("httpx")
CSV = b"""time,sensor,value
2026-01-01T00:00:00Z,S1,20.5
2026-01-01T00:00:01Z,S2,21
2026-01-01T00:00:02Z,S1,warm
not a time,S1,22
2026-01-01T00:00:04Z,S1,
"""


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    with (
        running_service(tmp_path_factory.mktemp("files")) as service,
        httpx.Client(base_url=service.url, timeout=120) as client,
    ):
        yield client


def loaded(client: Any, found: dict[str, Any], mapping: dict[str, Any]) -> dict[str, Any]:
    answer = client.post(f"/v1/files/{found['id']}/load", json=mapping)
    assert answer.status_code == 202, answer.text
    while (job := client.get(answer.headers["location"]).json())["state"] in ("queued", "running"):
        time.sleep(0.02)
    assert job["state"] == "done", job
    return dict(client.get(job["result"]).json())


def values(client: Any, element: str) -> list[Any]:
    answer = client.get("/v1/samples", params={"element": element, "start": "2020-01-01T00:00:00Z"})
    return [row["value"] for row in answer.json()["samples"]]


@pytest.mark.parametrize(
    ("name", "content"), [("plant.csv", CSV), ("plant.csv.gz", gzip.compress(CSV))], ids=["plain", "packed"]
)
def test_a_text_file(client: Any, name: str, content: bytes) -> None:
    answer = client.post("/v1/files", params={"name": name}, content=content)
    assert answer.status_code == 201, answer.text
    found = answer.json()
    assert {column["name"]: column["role"] for column in found["columns"]} == {
        "time": "time",
        "sensor": "element",
        "value": "value",
    }
    assert found["options"] == {"element": "{sensor}", "time": ["time"], "value": ["value"]}
    assert found["rows"][0] == ["2026-01-01T00:00:00Z", "S1", "20.5"]
    tried = client.post(f"/v1/files/{found['id']}/preview", json={**found["options"], "kind": "float"}).json()
    assert [(row["element"], row["value"]) for row in tried["samples"]] == [("S1", 20.5), ("S2", 21.0), ("S1", "None")]
    assert [(row["line"], "warm" in row["reason"]) for row in tried["refused"]] == [(4, True), (5, False)]
    assert values(client, name) == []
    result = loaded(client, found, {**found["options"], "kind": "float", "element": f"{name}.{{sensor}}"})
    assert result["counts"]["rejected"] == 2
    assert [row["line"] for row in result["refused"]] == [4, 5]
    assert values(client, f"{name}.S1") == [20.5, None]
    assert values(client, f"{name}.S2") == [21.0]
    assert client.delete(f"/v1/files/{found['id']}").status_code == 204
    assert client.post(f"/v1/files/{found['id']}/load", json=found["options"]).status_code == 404


def test_a_parquet_file(client: Any) -> None:
    table = pa.table({"ts": pa.array([1767225600000, 1767225600500]), "p": [1.5, 2.5], "n": [1, 2]})
    content = io.BytesIO()
    pq.write_table(table, content)
    found = client.post("/v1/files", params={"name": "run 7.parquet"}, content=content.getvalue()).json()
    assert found["options"] == {"element": "run 7.{column}", "time": ["ts"], "value": ["p", "n"], "time_unit": "1ms"}
    assert loaded(client, found, found["options"])["counts"]["buffered"] == 4
    assert values(client, "run 7.p") == [1.5, 2.5]


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.exe", b"x", "ends in"),
        ("a.csv", b"", "no lines"),
        ("a.csv", b"time,v\n", "no rows"),
        ("a.parquet", b"PAR", "Parquet"),
    ],
)
def test_what_is_no_file_of_samples(client: Any, name: str, content: bytes, said: str) -> None:
    answer = client.post("/v1/files", params={"name": name}, content=content)
    assert answer.status_code == 400
    assert said in answer.json()["detail"]


@pytest.mark.parametrize(
    ("mapping", "said"),
    [
        ({"time": ["when"]}, "when"),
        ({}, "time"),
        ({"time": ["time"], "value": ["sensor", "value"], "element": "x"}, "column"),
    ],
)
def test_a_mapping_that_does_not_fit(client: Any, mapping: dict[str, Any], said: str) -> None:
    found = client.post("/v1/files", params={"name": "x.csv"}, content=CSV).json()
    answer = client.post(f"/v1/files/{found['id']}/preview", json=mapping)
    assert answer.status_code == 400
    assert said in answer.json()["detail"]


def test_names_do_not_lead_out_of_the_folder(client: Any) -> None:
    found = client.post("/v1/files", params={"name": "../../../tmp/evil.csv"}, content=CSV).json()
    assert found["name"] == "evil.csv"
    assert client.post("/v1/files/..%2f..%2fjobs/load", json=found["options"]).status_code in (404, 405)


def test_guesses(tmp_path: Path) -> None:
    """Without a time there is no mapping; numbers that are no times since 1970 are values."""
    (tmp_path / "a.csv").write_text("temperature,pressure\n1,2\n3,4\n")
    assert look(tmp_path / "a.csv")["options"] is None
    (tmp_path / "b.csv").write_text("time;x\n2026-01-01 00:00:00;1\n")
    assert look(tmp_path / "b.csv")["options"] == {"element": "b", "time": ["time"], "value": ["x"]}
    (tmp_path / "c.csv").write_text("timestamp,x\n1767225600.5,1\n")
    assert look(tmp_path / "c.csv")["options"]["time_unit"] == "1s"
