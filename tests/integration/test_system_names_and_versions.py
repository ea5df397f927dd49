"""Renames, changed types, corrections and exact values: end to end over HTTP and the command line."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Iterator
from pathlib import Path

import httpx
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from archiver.model import parse_time
from archiver.testing.patience import SOON_S
from archiver.testing.service import Service, running_service, until

T0 = 1_767_225_600_000_000_000
DAY = {"start": "2026-01-01T00:00:00Z", "end": "2026-01-02T00:00:00Z"}
CONFIG = """
[[backends]]
name = "lake"
kind = "parquet"
lane = { flush_interval = "LATER" }
[[backends]]
name = "warm"
kind = "sql"
url = "sqlite:///warm.db"
lane = { flush_interval = "LATER" }
"""
ARROW = "application/vnd.apache.arrow.stream"


@pytest.fixture(scope="module", params=["stored", "in the journal's tail"])
def service(request, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Service, httpx.Client, Path]]:
    data: Path = tmp_path_factory.mktemp("names")
    later = "10ms" if request.param == "stored" else "1h"
    (data / "forebay.toml").write_text(CONFIG.replace("LATER", later))
    with running_service(data) as running, httpx.Client(base_url=running.url, timeout=SOON_S) as client:
        client.stored = request.param == "stored"
        yield running, client, data
        running.kill()  # nobody waits for a drain that takes an hour


def send(client: httpx.Client, *rows: tuple) -> None:
    names = ("element", "source_time", "value", "status", "kind", "sequence")
    answer = client.post("/v1/samples", json=[dict(zip(names, row, strict=False)) for row in rows])
    assert answer.json()["counts"] == {"buffered": len(rows), "rejected": 0}, answer.text
    if client.stored:
        until(lambda: not any(b["lag_samples"] for b in client.get("/v1/backends").json()["backends"]))


def values(client: httpx.Client, element: str, **more: str) -> list:
    answer = client.get("/v1/samples", params={"element": element, **DAY, **more})
    assert answer.status_code == 200, answer.text
    return [row["value"] for row in answer.json()["samples"]]


def test_a_renamed_element_keeps_its_past_under_every_name(service):
    _, client, _ = service
    send(client, ("R1", T0, 1.0), ("R1", T0 + 10, 2.0))
    for old, new in (("R1", "R2"), ("R2", "R3")):
        answer = client.put(
            "/v1/elements/metadata", params={"element": old}, json={"rename": new, "aliases": ["R-alias"]}
        )
        assert answer.json()["element"] == new, answer.text
    send(client, ("R1", T0 + 20, 3.0), ("R3", T0 + 5, 1.5), ("R-alias", T0 + 30, 4.0))  # late, and under other names
    for name in ("R1", "R2", "R3", "R-alias"):
        for backend in ("lake", "warm"):
            assert values(client, name, backend=backend) == [1.0, 1.5, 2.0, 3.0, 4.0], name
        latest = client.get("/v1/samples/latest", params={"element": name}).json()["samples"]
        assert [(row["element"], row["value"]) for row in latest] == [("R3", 4.0)]
        at = client.get("/v1/samples/at", params={"element": name, "time": str(T0 + 12)}).json()["samples"]
        assert [(row["element"], row["value"]) for row in at] == [("R3", 2.0)]
        assert values(client, name, start=str(T0 + 15), before="1") == [2.0, 3.0, 4.0]
        totals = client.get("/v1/samples", params={"element": name, **DAY, "aggregate": "count,min,max,last"}).json()
        assert [row["count"] for row in totals["samples"]] == [5]
        assert [row["last"] for row in totals["samples"]] == [4.0]
        sentences = client.get("/v1/explain", params={"element": name, **DAY}).json()["sentences"]
        assert "Backend lake holds 5 samples of it in this interval." in sentences
    assert [row["element"] for row in client.get("/v1/elements", params={"pattern": "R*"}).json()["elements"]] == ["R3"]
    history = client.get("/v1/elements/history", params={"element": "R1"}).json()["versions"]
    assert [version["element"] for version in history] == ["R1", "R2", "R3"]


def test_a_changed_unit_and_type_leave_the_past_as_it_was(service):
    _, client, _ = service
    send(client, ("C1", T0, 1.5))
    client.put("/v1/elements/metadata", params={"element": "C1"}, json={"unit": "V", "kind": "int"}).raise_for_status()
    send(client, ("C1", T0 + 1, 2.0), ("C1", T0 + 2, 2**62 + 1, 0, "int"))
    rows = client.get("/v1/samples", params={"element": "C1", **DAY}, headers={"Accept": "text/csv"}).text
    assert [line.split(",")[2] for line in rows.splitlines()[1:]] == ["1.5", "2", str(2**62 + 1)]
    answer = client.post("/v1/samples", json=[{"element": "C1", "source_time": T0 + 3, "value": 0.5}])
    assert answer.json()["counts"] == {"buffered": 0, "rejected": 1}
    history = client.get("/v1/elements/history", params={"element": "C1"}).json()["versions"]
    assert [(version["unit"], version["kind"]) for version in history] == [("", "float"), ("V", "int")]


def test_a_correction_is_a_version_and_the_past_can_be_asked_for(service, forebay):
    _, client, data = service
    send(client, ("V1", T0, 1.0), ("V1", T0 + 1, 2.0))
    before = client.get("/v1/samples", params={"element": "V1", **DAY}, headers={"Accept": ARROW})
    first = max(pa.ipc.open_stream(before.content).read_all()["receive_time"].to_pylist())
    send(client, ("V1", T0, 9.0))
    send(client, ("V1", T0, 1.0))  # resent: known, and not valid again
    send(client, ("V1", T0, 9.0))
    day = ["--from", DAY["start"], "--to", DAY["end"], "--data", str(data)]
    for backend in ("lake", "warm"):
        assert values(client, "V1", backend=backend) == [9.0, 2.0]
        assert values(client, "V1", backend=backend, as_of=str(first)) == [1.0, 2.0]
        assert values(client, "V1", backend=backend, versions="true") == [1.0, 9.0, 2.0]
        for words, expected in (([], "9.0 2.0"), (["--versions"], "1.0 9.0 2.0"), (["--as-of", iso(first)], "1.0 2.0")):
            done = forebay("query", "V1", *day, "--backend", backend, *words)
            assert " ".join(line.split(",")[2] for line in done.text.splitlines()[1:]) == expected
        at = client.get("/v1/samples/at", params={"element": "V1", "time": str(T0), "backend": backend}).json()
        assert [row["value"] for row in at["samples"]] == [9.0]


def iso(time: int) -> str:
    from archiver.model import format_time

    return format_time(time)


EXACT = [
    ("int", 2**63 - 1),
    ("int", -(2**63)),
    ("uint", 2**64 - 1),
    ("float", 5e-324),
    ("float", "NaN"),
    ("float", "-Infinity"),
    ("float", -0.0),
    ("bool", False),
    ("text", ""),
    ("text", 'a "b", c\n\\ \u00e4\U0001f600'),
    ("binary", base64.b64encode(b"\x00\xff").decode()),
    ("enum", -(2**31)),
    ("floats", [1.5, "NaN"]),
    ("ints", [2**63 - 1, -1]),
    ("texts", ["", 'x"y']),
    ("bools", []),
    ("none", None),
]
BITS = 2**63 + 5


@pytest.mark.parametrize("door", ["rows", "ndjson", "arrow"])
def test_values_are_exact_through_every_door_and_out_of_every_format(service, door: str):
    _, client, _ = service
    first = "first" if door == "arrow" else door
    rows = [
        {"element": f"X:{first}:{i}", "source_time": T0 + 7, "value": value, "status": BITS, "kind": kind}
        for i, (kind, value) in enumerate(EXACT)
    ]
    if door == "arrow":  # what came out of one door goes into another
        client.post("/v1/samples", json=rows).raise_for_status()
        elements = [row["element"] for row in rows]
        answer = client.get("/v1/samples", params={"element": elements, **DAY}, headers={"Accept": ARROW})
        table = pa.ipc.open_stream(answer.content).read_all()
        names = [name.replace(first, door) for name in table["element"].to_pylist()]
        table = table.set_column(0, "element", pa.array(names)).drop_columns(["receive_time"])
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, table.schema) as writer:
            writer.write_table(table)
        content, media_type = sink.getvalue().to_pybytes(), ARROW
    elif door == "ndjson":
        content, media_type = "\n".join(map(json.dumps, rows)).encode(), "application/x-ndjson"
    else:
        content, media_type = json.dumps(rows).encode(), "application/json"
    answer = client.post("/v1/samples", content=content, headers={"Content-Type": media_type})
    assert answer.json()["counts"] == {"buffered": len(EXACT), "rejected": 0}, answer.text
    for backend in ("lake", "warm"):
        for index, (kind, value) in enumerate(EXACT):
            params = {"element": f"X:{door}:{index}", **DAY, "backend": backend}
            for media in ("application/json", "application/x-ndjson"):
                text = client.get("/v1/samples", params=params, headers={"Accept": media}).text
                row = json.loads(text) if media.endswith("ndjson") else json.loads(text)["samples"][0]
                assert (repr(row["value"]), row["status"]) == (repr(value), BITS)
                assert parse_time(row["source_time"]) == T0 + 7
            for media in (ARROW, "application/vnd.apache.parquet"):
                content = client.get("/v1/samples", params=params, headers={"Accept": media}).content
                source = io.BytesIO(content)
                table = pa.ipc.open_stream(source).read_all() if media == ARROW else pq.read_table(source)
                assert (table["status"].to_pylist(), table["source_time"].to_pylist()) == ([BITS], [T0 + 7])
                assert repr(table["value"].to_pylist()[0]) == repr(as_python(kind, value))


def as_python(kind: str, value):
    if kind == "binary":
        return base64.b64decode(value)
    if kind.startswith("float"):
        return [float(item) for item in value] if isinstance(value, list) else float(value)
    return value


def test_line_protocol_is_exact_where_it_can_be(service):
    _, client, _ = service
    fields = [f"{2**63 - 1}i", f"{2**64 - 1}u", '"a\\"b"', "5e-324", "t"]
    lines = [f"m,element=L{i} value={field} {T0}" for i, field in enumerate(fields)]
    assert client.post("/write", content="\n".join(lines)).status_code == 204
    assert [values(client, f"L{i}")[0] for i in range(5)] == [2**63 - 1, 2**64 - 1, 'a"b', 5e-324, True]
