"""One segment of a backend as a file: all of it, nothing else, and good enough to bring it back."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.ipc
import pyarrow.parquet as pq
import pytest

from archiver.client import Client
from archiver.model import format_time, parse_time
from archiver.testing.patience import SOON_S
from archiver.testing.service import running_service, until

httpx = pytest.importorskip("httpx")

DAY = 86_400 * 10**9
FIRST = parse_time("2026-01-01T00:00:00Z")
ARROW, PARQUET = "application/vnd.apache.arrow.stream", "application/vnd.apache.parquet"
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

[[groups]]
name = "rest"
elements = ["*"]
exclude = ["plant:*"]
backends = ["lake", "warm"]
"""


@pytest.fixture
def client(tmp_path: Path) -> Iterator[Any]:
    """Lend an archive with ten samples on each of three days in two backends, one of them corrected."""
    (tmp_path / "forebay.toml").write_text(CONFIGURATION)
    with running_service(tmp_path) as service, httpx.Client(base_url=service.url, timeout=SOON_S) as client:
        times = [FIRST + n * DAY + k for n in range(3) for k in range(10)]
        for name in ("plant:a", "plant:text", "other"):
            values = [f"t{n}" if name == "plant:text" else float(n) for n in range(30)]
            send(client, name, times, values)
        send(client, "plant:a", [FIRST + DAY + 3], [99.0])
        until(lambda: [held(client, name) for name in ("lake", "warm")] == [[20, 21, 20]] * 2)
        yield client


def send(client: Any, element: str, times: list[int], values: list[Any]) -> None:
    rows = {"element": element, "source_time": times, "value": values}
    client.post("/v1/samples", json=rows).raise_for_status()


def held(client: Any, backend: str) -> list[int]:
    answer = client.get("/v1/segments", params={"backend": backend, "group": "plant"})
    return [row["rows"] for row in answer.json()["segments"]]


def export(client: Any, accept: str | None = None, **asked: str) -> Any:
    headers = {} if accept is None else {"Accept": accept}
    params = {"backend": "lake", "group": "plant", "start": format_time(FIRST), **asked}
    return client.get("/v1/segments/samples", params=params, headers=headers)


def parquet(answer: Any) -> pa.Table:
    assert (answer.status_code, answer.headers["content-type"]) == (200, PARQUET), answer.text
    return pq.read_table(io.BytesIO(answer.content))


def test_all_versions_of_one_day_and_group(client: Any) -> None:
    answer = export(client, backend="warm", start=format_time(FIRST + DAY + DAY // 2), versions="true")
    assert answer.headers["content-disposition"] == 'attachment; filename="warm-plant-2026-01-02T120000.parquet"'
    table = parquet(answer)
    assert table["element"].cast(pa.utf8()).to_pylist() == ["plant:a"] * 11 + ["plant:text"] * 10
    own = table.slice(0, 11)
    assert own["source_time"].to_pylist() == sorted([*(FIRST + DAY + k for k in range(10)), FIRST + DAY + 3])
    assert own["float"].to_pylist() == [10.0, 11.0, 12.0, 13.0, 99.0, *(float(n) for n in range(14, 20))]
    received = own["receive_time"].to_pylist()
    assert received[4] > received[3]
    assert table["text"].to_pylist()[11:] == [f"t{n}" for n in range(10, 20)]
    stream = pa.ipc.open_stream(
        export(client, ARROW, start=format_time(FIRST + DAY), versions="true").content
    ).read_all()
    plain = stream.set_column(0, "element", stream["element"].cast(pa.utf8()))
    assert plain.to_pydict() == table.set_column(0, "element", table["element"].cast(pa.utf8())).to_pydict()


def test_what_is_not_stored_yet_is_in_it_all_the_same(client: Any) -> None:
    """A backend that is stopped lacks what came since; whoever asks for what it has of a day gets that too."""
    client.post("/v1/backends/warm/stop").raise_for_status()
    send(client, "plant:late", [FIRST + 1], [1.5])
    table = parquet(export(client, backend="warm"))
    assert table.num_rows == 21
    assert "plant:late" in table["element"].to_pylist()
    assert held(client, "warm")[0] == 20


def test_it_can_be_brought_back(client: Any, tmp_path: Path) -> None:
    """What was dropped in both backends is sent in again, and is as it was."""
    second = format_time(FIRST + DAY)
    kept = export(client, ARROW, start=second).content
    with Client(str(client.base_url)) as archive:
        archive.save_segment(tmp_path / "day.parquet", "lake", "plant", FIRST + DAY)
    before = pq.read_table(tmp_path / "day.parquet").drop(["receive_time"])
    assert before["float"].to_pylist()[:10] == [10.0, 11.0, 12.0, 99.0, *(float(n) for n in range(14, 20))]
    for backend in ("lake", "warm"):
        dropping = {"backend": backend, "group": "plant", "before": format_time(FIRST + 2 * DAY)}
        client.delete("/v1/segments", params=dropping).raise_for_status()
    assert export(client, start=second).status_code == 404
    answer = client.post("/v1/samples", content=kept, headers={"Content-Type": ARROW})
    assert answer.json()["counts"] == {"buffered": 20, "rejected": 0}
    until(lambda: held(client, "lake") == held(client, "warm") == [20, 20])
    assert parquet(export(client, start=second)).drop(["receive_time"]).equals(before)


def test_what_cannot_be_given(client: Any) -> None:
    for asked, accept, status, said in (
        ({"start": "2020-01-01T00:00:00Z"}, None, 404, "no segment of archive group 'plant' at 2020-01-01T00:00:00"),
        ({"start": "then"}, None, 400, "start"),
        ({"backend": "x"}, None, 404, "no backend 'x'"),
        ({"group": "x"}, None, 404, "no segment of archive group 'x'"),
        ({}, "text/csv", 406, PARQUET),
    ):
        answer = export(client, accept, **asked)
        assert (answer.status_code, said in answer.text) == (status, True), answer.text
