"""State and repair over HTTP: backends, ledger, explain, copies, dead letters."""

import json

import pyarrow as pa

from archiver.model import SampleBatch

ARROW = "application/vnd.apache.arrow.stream"
NDJSON = "application/x-ndjson"


def test_backends_ledger_groups_and_explain(service):
    service.post("/v1/samples", service.rows())
    assert service.archive.flush()
    lake, warm = service.get("/v1/backends").json()["backends"]
    assert (lake["name"], lake["kind"], lake["state"], lake["lag_samples"], lake["samples"]) == (
        *("lake", "memory", "running"),
        *(0, 3),
    )
    assert warm["coverage"][0]["group"] == "all"
    assert service.totals() == {("lake", "stored"): 3, ("warm", "stored"): 3}
    assert service.totals(element="T1") == service.totals()
    assert service.totals(element="T2") == {}
    (group,) = service.get("/v1/groups").json()["groups"]
    assert (group["name"], group["segment"], group["smoothing"]["heartbeat"]) == ("all", "1d", "0s")
    explained = service.get("/v1/explain", element="T1", start="1000000000000000000", end="now").json()
    assert explained["archived"] == {"lake": 3, "warm": 3}
    assert explained["sentences"]


def test_copy_answers_at_once_or_tells_how_far_it_is(service):
    service.post("/v1/samples", service.rows())
    service.archive.flush()
    what = {"source": "lake", "target": "warm", "start": "1970-01-01T00:00:00Z"}
    receipt = {"read": 3, "stored": 0, "duplicates": 3}
    assert service.post("/v1/copy", what).json() == receipt
    *progress, last = [json.loads(line) for line in service.post("/v1/copy", what, Accept=NDJSON).text.splitlines()]
    assert progress[-1] == {"done": 1, "total": 1}
    assert last == receipt
    assert service.post("/v1/copy", what | {"target": "cold"}).status_code == 404
    (problem,) = service.post("/v1/copy", what | {"target": "cold"}, Accept=NDJSON).text.splitlines()
    assert json.loads(problem)["type"] == "urn:forebay:problem:not-found"


def test_dead_letters_are_shown_mended_and_replayed(service):
    dead = SampleBatch.from_columns(["T1", "T1"], [1, 2], [1.5, None], status=[0, 3])
    service.archive.dead_letters.add("lake", "all", "too odd", dead)
    (letter,) = service.get("/v1/dead-letters").json()["dead_letters"]
    assert (letter["backend"], letter["samples"], letter["reason"]) == ("lake", 2, "too odd")
    path = f"/v1/dead-letters/{letter['id']}"
    assert service.get(path).json() == letter
    assert len(service.get(f"{path}/samples", accept="text/csv").text.splitlines()) == 3
    stream = service.get(f"{path}/samples", accept=ARROW)
    assert SampleBatch(pa.ipc.open_stream(stream.content).read_next_batch()) == dead
    bad = service.post(f"{path}/replay", [{"element": "T1"}])
    assert bad.status_code == 400
    assert "row 0" in bad.json()["detail"]
    assert service.post(f"{path}/replay", stream.content, ARROW).json()["counts"]["buffered"] == 2
    assert service.get("/v1/dead-letters").json()["dead_letters"] == []
    assert len(service.get("/v1/dead-letters", replayed="true").json()["dead_letters"]) == 1
    assert service.get("/v1/dead-letters/99").status_code == 404
    assert service.get("/v1/dead-letters/one").json()["parameter"] == "letter_id"
