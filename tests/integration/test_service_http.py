"""The HTTP service over a real archive in this process: in, out, state, repair."""

import asyncio
import dataclasses
import gzip
import json
import shutil
import subprocess
import threading

import httpx
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from prometheus_client import parser

from archiver import config
from archiver.bootstrap import Archive
from archiver.model import BackpressureError, SampleBatch
from archiver.model.time import now
from archiver.testing.patience import SOON_S
from services.archive.app import create_app

ARROW = "application/vnd.apache.arrow.stream"
NDJSON = "application/x-ndjson"
BACKENDS = [{"name": "lake", "kind": "memory"}, {"name": "warm", "kind": "memory"}]
GROUPS = [{"name": "all", "elements": ["*"], "backends": ["lake", "warm"]}]


class Service:
    """The application, with its lifespan, on a loop of its own."""

    def __init__(self, archive, server):
        self.archive = archive
        self._app = create_app(archive, server)
        self._runner = asyncio.Runner()
        self._life = self._app.router.lifespan_context(self._app)
        self._runner.run(self._life.__aenter__())

    def close(self):
        self._runner.run(self._life.__aexit__(None, None, None))
        self._runner.run(self._runner.get_loop().shutdown_asyncgens())  # bodies that were not read to their end
        self._runner.close()

    def request(self, method, path, **arguments):
        async def once():
            transport = httpx.ASGITransport(self._app, raise_app_exceptions=False)
            async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
                return await client.request(method, path, **arguments)

        return self._runner.run(once())

    def get(self, path, **params):
        accept = params.pop("accept", None)
        return self.request("GET", path, params=params, headers={"Accept": accept} if accept else None)

    def post(self, path, content, media_type="application/json", **headers):
        body = json.dumps(content).encode() if isinstance(content, (list, dict)) else content
        return self.request("POST", path, content=body, headers={"Content-Type": media_type, **headers})


@pytest.fixture
def service(tmp_path):
    document = {"data": str(tmp_path), "backends": BACKENDS, "groups": GROUPS, "server": {"max_body_bytes": 100_000}}
    settings = config.parse(document)
    with Archive(settings) as archive:
        archive.wait_ready()
        service = Service(archive, settings.server)
        try:
            yield service
        finally:
            service.close()


def rows(count=3, element="T1", start=10**18):
    return [{"element": element, "source_time": start + i, "value": i + 0.5, "status": i} for i in range(count)]


def totals(service, **params):
    found = {}
    for total in service.get("/v1/ledger", **params).json()["totals"]:
        key = (total["lane"], total["outcome"])
        found[key] = found.get(key, 0) + total["count"]
    return found


# -- in -----------------------------------------------------------------------------------------------


def test_rows_are_durable_and_readable_when_they_are_acknowledged(service):
    answer = service.post("/v1/samples", rows())
    assert answer.status_code == 200
    assert answer.json() == {"received": 3, "counts": {"buffered": 3, "rejected": 0}, "reasons": {}, "refused": []}
    assert service.archive.journal.state().rows == 3
    found = service.get("/v1/samples", element="T1", start="1000000000000000000", end="now").json()["samples"]
    assert [sample["value"] for sample in found] == [0.5, 1.5, 2.5]


def test_what_is_refused_is_named_by_its_index_whoever_refused_it(service):
    future = now() + 10**15
    sent = [{"element": "T1"}, *rows(1), {"element": "T1", "source_time": future, "value": 1}, {"x": 1}]
    answer = service.post("/v1/samples", sent).json()
    assert answer["received"] == 4
    assert answer["counts"] == {"buffered": 1, "rejected": 3}
    assert [refused["index"] for refused in answer["refused"]] == [0, 2, 3]
    assert "future" in answer["refused"][1]["reason"]
    assert answer["refused"][1]["element"] == "T1"
    assert totals(service)["intake", "rejected"] == 3


@pytest.mark.parametrize("encoding", ["gzip", "zstd"])
def test_packed_bodies(service, encoding):
    body = json.dumps(rows()).encode()
    packed = gzip.compress(body) if encoding == "gzip" else pa.compress(body, "zstd", asbytes=True)
    answer = service.post("/v1/samples", packed, **{"Content-Encoding": encoding})
    assert answer.json()["counts"]["buffered"] == 3


@pytest.mark.parametrize(
    ("content", "media_type", "encoding", "status", "name"),
    [
        (b"[", "application/json", "", 400, "invalid-input"),
        (b"", "text/csv", "", 415, "unsupported-media"),
        (b"[]", "application/json", "br", 415, "unsupported-media"),
        (b"[]", "application/json", "gzip", 400, "invalid-input"),
        (b" " * 100_001, "application/json", "", 413, "too-large"),
        (gzip.compress(bytes(200_000), mtime=0), "application/json", "gzip", 413, "too-large"),
    ],
)
def test_a_body_that_cannot_be_taken(service, content, media_type, encoding, status, name):
    answer = service.post("/v1/samples", content, media_type, **{"Content-Encoding": encoding})
    assert (answer.status_code, answer.json()["type"]) == (status, f"urn:forebay:problem:{name}")
    assert service.archive.journal.state().rows == 0


def test_a_full_journal_is_503_with_a_time_to_wait_on_every_door(service, monkeypatch):
    def full(batch, refused=None, admits=None):
        raise BackpressureError("the journal is full", 7.2)

    monkeypatch.setattr(service.archive.intake, "submit", full)
    for path, body in (("/v1/samples", rows()), ("/write", b"m,element=a value=1"), ("/api/v2/write", b"m f=1")):
        answer = service.post(path, body)
        assert (answer.status_code, answer.headers["Retry-After"]) == (503, "8")
        assert "full" in answer.text


def test_line_protocol_as_influxdb_answers(service):
    lines = b"m,element=L1 value=1.5 1000000000000000000\ncpu,host=a usage=3i 1000000000000000000\n"
    for path in ("/write?db=x", "/api/v2/write?bucket=b&org=o"):
        answer = service.post(path, gzip.compress(lines), "text/plain", **{"Content-Encoding": "gzip"})
        assert (answer.status_code, answer.content) == (204, b"")
    names = [found["element"] for found in service.get("/v1/elements").json()["elements"]]
    assert names == ["L1", "cpu.usage,host=a"]
    assert service.post("/write?precision=ms", b"m,element=L2 value=1 1000000000000", "text/plain").status_code == 204
    (latest,) = service.get("/v1/samples/latest", element="L2").json()["samples"]
    assert latest["source_time"] == "2001-09-09T01:46:40.000000000Z"


def test_bad_lines_are_named_and_the_good_ones_are_stored(service):
    lines = b"m,element=L1 value=1.5 1\nbad\nm,element=L1 value=2.5 2\nm,element=L1 value=1 9000000000000000000\n"
    answer = service.post("/write", lines, "text/plain")
    assert answer.status_code == 400
    assert answer.json()["error"] == answer.json()["message"]
    assert answer.json()["code"] == "invalid"
    assert "line 2 (bad)" in answer.json()["error"]
    assert "L1: too far in the future" in answer.json()["error"]
    assert "2 refused, the others are stored" in answer.json()["error"]
    found = service.get("/v1/samples", element="L1", start="1970-01-01T00:00:00Z").json()["samples"]
    assert [sample["value"] for sample in found] == [1.5, 2.5]


def test_a_wrong_precision_names_the_right_ones(service):
    answer = service.post("/write?precision=fortnight", b"m f=1", "text/plain")
    assert answer.status_code == 400
    assert "ns, us, ms or s" in answer.json()["error"]


def test_what_clients_of_influxdb_ask_first(service):
    created = service.request("POST", "/query", data={"q": 'CREATE DATABASE "telegraf"'})
    assert created.json() == {"results": [{"statement_id": 0}]}
    assert service.get("/ping").status_code == 204
    assert service.get("/health").json()["status"] == "pass"


# -- out ----------------------------------------------------------------------------------------------


def test_every_format_has_the_same_rows(service):
    service.post("/v1/samples", rows())
    asked = {"element": "T1", "start": "2001-09-09T01:46:40Z", "end": "now"}
    assert service.get("/v1/samples", accept="text/csv", **asked).text.splitlines() == [
        "element,source_time,value,status",
        "T1,2001-09-09T01:46:40.000000000Z,0.5,0",
        "T1,2001-09-09T01:46:40.000000001Z,1.5,1",
        "T1,2001-09-09T01:46:40.000000002Z,2.5,2",
    ]
    lines = service.get("/v1/samples", accept=NDJSON, **asked).text.splitlines()
    document = service.get("/v1/samples", **asked)
    assert document.headers["content-type"] == "application/json"
    assert [json.loads(line) for line in lines] == document.json()["samples"]
    arrow = pa.ipc.open_stream(service.get("/v1/samples", accept=ARROW, **asked).content).read_all()
    parquet = service.get("/v1/samples", accept="application/vnd.apache.parquet", **asked)
    assert arrow["source_time"].to_pylist() == [10**18, 10**18 + 1, 10**18 + 2]
    assert pq.read_table(pa.BufferReader(parquet.content))["value"].to_pylist() == arrow["value"].to_pylist()


def test_a_format_that_cannot_be_given_is_406(service):
    answer = service.get("/v1/samples", accept="image/png", element="T1", start="now-1h")
    assert (answer.status_code, answer.json()["type"]) == (406, "urn:forebay:problem:not-acceptable")


def test_a_page_says_how_it_goes_on(service):
    service.post("/v1/samples", rows(5))
    asked = {"element": "T1", "start": "1000000000000000000", "limit": 2, "accept": "text/csv"}
    seen, cursor = [], ""
    while cursor is not None:
        answer = service.get("/v1/samples", **asked, **({"cursor": cursor} if cursor else {}))
        seen += [line.split(",")[2] for line in answer.text.splitlines()[1:]]
        cursor = answer.headers.get("Forebay-Cursor")
    assert seen == ["0.5", "1.5", "2.5", "3.5", "4.5"]


def test_aggregates_versions_ranges_and_what_was_known(service):
    service.post("/v1/samples", rows(4))
    before = now()
    service.post("/v1/samples", [rows(1)[0] | {"value": 99}])
    asked = {"element": "T1", "start": "1000000000000000000"}
    (bucket,) = service.get("/v1/samples", **asked, aggregate="count,max").json()["samples"]
    assert (bucket["count"], bucket["max"]) == (4, 99.0)
    first = service.get("/v1/samples", **asked, as_of=str(before)).json()["samples"][0]
    assert first["value"] == 0.5
    assert len(service.get("/v1/samples", **asked, versions="true").json()["samples"]) == 5
    ranges = ["lake=1970-01-01T00:00:00Z/1000000000000000002", "warm=1000000000000000002/1000000000000000003"]
    answer = service.request("GET", "/v1/samples", params={"element": "T1", "range": ranges}).json()
    assert answer["missing"] == []
    parts = answer["parts"]
    assert [part["backend"] for part in parts] == ["lake", "warm"]
    meeting = {"element": "T1", "start": "now-2h", "range": ["lake=now-2h/now-1h", "warm=now-1h/now"]}
    assert service.request("GET", "/v1/samples", params=meeting).json()["missing"] == []


def test_the_value_before_the_start_and_at_an_instant(service):
    service.post("/v1/samples", rows())
    asked = {"element": "T1", "start": "1000000000000000002", "before": 1}
    assert [s["value"] for s in service.get("/v1/samples", **asked).json()["samples"]] == [1.5, 2.5]
    (held,) = service.get("/v1/samples/at", element="T1", time="1000000000000000001").json()["samples"]
    assert held["value"] in (0.5, 1.5)  # the query's own tests say which
    assert service.get("/v1/samples/latest").json()["samples"][0]["value"] == 2.5


@pytest.mark.parametrize(
    ("params", "parameter"),
    [
        ({"start": "yesterday"}, "start"),
        ({"start": "now-1h", "end": "2026-01-01T00:00:00"}, "end"),
        ({"start": "now", "end": "now-1h"}, "end"),
        ({"start": "now-1h", "range": "lake"}, "range"),
        ({"start": "now-1h", "aggregate": "mean", "bucket": "1"}, "bucket"),
        ({"start": "now-1h", "limit": "0"}, "limit"),
        ({"start": "now-1h", "limit": "many"}, "limit"),
        ({"start": "now-1h", "as_of": "then"}, "as_of"),
    ],
)
def test_a_bad_parameter_is_named_with_value_and_fix(service, params, parameter):
    answer = service.get("/v1/samples", element="T1", **params)
    assert answer.status_code == 400
    problem = answer.json()
    assert problem["parameter"] == parameter
    assert problem["value"] == params[parameter]
    assert problem["fix"]


def test_a_missing_parameter_and_an_unknown_backend(service):
    assert service.get("/v1/samples", start="now-1h").json()["parameter"] == "element"
    assert "start is missing" in service.get("/v1/samples", element="T1").json()["detail"]
    answer = service.get("/v1/samples", element="T1", start="now-1h", backend="cold")
    assert (answer.status_code, answer.json()["type"]) == (404, "urn:forebay:problem:not-found")
    assert "lake, warm" in answer.json()["detail"]


# -- elements -----------------------------------------------------------------------------------------


def test_metadata_is_set_searched_and_remembered(service):
    name = "BAR:T 1/µ"
    service.post("/v1/samples", [rows(1)[0] | {"element": name}])
    put = service.request(
        "PUT",
        "/v1/elements/metadata",
        params={"element": name},
        json={"unit": "K", "description": "Tracker inlet", "states": {"0": "off"}, "aliases": ["inlet"]},
    )
    assert put.status_code == 200
    found = service.get("/v1/elements/metadata", element="inlet").json()
    assert (found["element"], found["unit"], found["kind"], found["states"]) == (name, "K", "float", {"0": "off"})
    assert [v["unit"] for v in service.get("/v1/elements/history", element=name).json()["versions"]] == ["", "K"]
    for search in ("bar:t", "TRACKER"):
        assert service.get("/v1/elements", search=search).json()["total"] == 1
    assert service.get("/v1/elements", pattern="B*").json()["total"] == 1
    assert service.get("/v1/elements", pattern="b*").json()["total"] == 0


def test_a_misspelt_key_and_an_unknown_element_are_refused(service):
    answer = service.request("PUT", "/v1/elements/metadata", params={"element": "a"}, json={"units": "K"})
    assert (answer.status_code, answer.json()["parameter"]) == (400, "units")
    answer = service.request("PUT", "/v1/elements/metadata", params={"element": "a"}, json={"kind": "double"})
    assert "no such kind" in answer.json()["detail"]
    assert service.get("/v1/elements/metadata", element="nobody").status_code == 404
    service.post("/v1/samples", rows(1, "BAR:T1"))
    for path in ("metadata", "history"):
        answer = service.get(f"/v1/elements/{path}", element="BAR:T11").json()
        assert answer["detail"] == "there is no element 'BAR:T11'; did you mean 'BAR:T1'?"


def test_globs_and_names_that_are_not_there(service, monkeypatch):
    for name in ("BAR:T1", "BAR:T2", "FOO:T1"):
        service.post("/v1/samples", rows(1, name))
    for path, times in (("", {"start": "1970-01-01T00:00:00Z"}), ("/at", {"time": "now"}), ("/latest", {})):
        found = service.get(f"/v1/samples{path}", element=["BAR:*", "FOO:T1"], **times).json()["samples"]
        assert [sample["element"] for sample in found] == ["BAR:T1", "BAR:T2", "FOO:T1"], path
        answer = service.get(f"/v1/samples{path}", element="BAZ:T*", **times)
        assert (answer.status_code, answer.json()["type"]) == (404, "urn:forebay:problem:not-found")
        assert answer.json()["detail"].startswith("no element matches 'BAZ:T*'; did you mean 'BAR:T")
    for path, times in (("", {"start": "1970-01-01T00:00:00Z"}), ("/at", {"time": "now"}), ("/latest", {})):
        answer = service.get(f"/v1/samples{path}", element=["BAR:T1", "BAR:T3"], **times)
        (missing,) = answer.json()["missing"]
        assert (missing["elements"], missing["cause"]) == (["BAR:T3"], "unknown-element"), path
        assert missing["reason"].startswith("no backend has a sample of it; did you mean 'BAR:T")
        assert not answer.json()["complete"]
    assert json.loads(answer.headers["Forebay-Missing"]) == [missing]
    assert service.get("/v1/samples/at", element="BAR:T1", time="1970-01-01T00:00:00Z").json()["missing"] == []
    monkeypatch.setattr("archiver.query.elements.MOST", 2)
    answer = service.get("/v1/samples", element="*", start="1970-01-01T00:00:00Z")
    assert answer.status_code == 400
    assert "are 3 elements" in answer.json()["detail"]


def test_rows_alone_are_followed_by_the_outcome_where_it_is_asked_for(service):
    service.post("/v1/samples", rows())
    question = {"element": ["T1", "T2"], "start": "1970-01-01T00:00:00Z", "end": "2000000000000000000"}
    whole = service.get("/v1/samples", **question).json()
    for accept, mark in (("text/csv", "# "), (NDJSON, "")):
        plain = service.get("/v1/samples", accept=accept, **question).text
        asked = service.get("/v1/samples", accept=accept, outcome="true", **question).text
        assert asked.startswith(plain)
        (line,) = asked[len(plain) :].splitlines()
        assert line.startswith(mark)
        outcome = json.loads(line.removeprefix(mark))
        assert outcome["missing"] == whole["missing"] != []
        assert (outcome["cursor"], set(outcome)) == (None, {"complete", "parts", "missing", "cursor"})


# -- state and repair ---------------------------------------------------------------------------------


def test_backends_ledger_groups_and_explain(service):
    service.post("/v1/samples", rows())
    assert service.archive.flush()
    lake, warm = service.get("/v1/backends").json()["backends"]
    assert (lake["name"], lake["kind"], lake["state"], lake["lag_samples"], lake["samples"]) == (
        *("lake", "memory", "running"),
        *(0, 3),
    )
    assert warm["coverage"][0]["group"] == "all"
    assert totals(service) == {("lake", "stored"): 3, ("warm", "stored"): 3}
    assert totals(service, element="T1") == totals(service)
    assert totals(service, element="T2") == {}
    (group,) = service.get("/v1/groups").json()["groups"]
    assert (group["name"], group["segment"], group["smoothing"]["heartbeat"]) == ("all", "1d", "0s")
    explained = service.get("/v1/explain", element="T1", start="1000000000000000000", end="now").json()
    assert explained["archived"] == {"lake": 3, "warm": 3}
    assert explained["sentences"]


def test_copy_answers_at_once_or_tells_how_far_it_is(service):
    service.post("/v1/samples", rows())
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


# -- health -------------------------------------------------------------------------------------------


def test_ready_says_why_not(service, monkeypatch):
    assert service.get("/health/live").status_code == 200
    assert service.get("/health/ready").json() == {"status": "ready", "reasons": []}
    monkeypatch.setattr("services.archive.health.DISK_FREE", 2**70)
    answer = service.get("/health/ready")
    assert answer.status_code == 503
    assert "nearly full" in answer.json()["reasons"][0]
    monkeypatch.setattr("services.archive.health.DISK_FREE", 0)
    service.archive.lanes["warm"].stop()
    (reason,) = service.get("/health/ready").json()["reasons"]
    assert "the lane of backend warm has stopped" in reason


def test_a_journal_that_is_full_is_not_ready(service, monkeypatch):
    monkeypatch.setattr("services.archive.health._NEARLY_FULL", 0)
    assert "the journal is full" in service.get("/health/ready").json()["reasons"][0]


def test_metrics_count_samples_and_requests(service):
    service.post("/v1/samples", [*rows(), {"element": "T1"}])
    service.archive.flush()
    text = service.get("/metrics").text
    assert 'forebay_samples_total{lane="lake",group="all",outcome="stored",reason=""} 3' in text
    assert 'forebay_samples_total{lane="intake",group="",outcome="rejected",reason="unreadable"} 1' in text
    assert 'forebay_lane_up{backend="warm"} 1' in text
    assert 'http_requests_total{method="POST",route="/v1/samples",status="200"} 1' in text


def families(service):
    """Read what is counted as a client of Prometheus does: the value of each sample, by name and labels."""
    found = parser.text_string_to_metric_families(service.get("/metrics").text)
    return {(one.name, *sorted(one.labels.items())): one.value for family in found for one in family.samples}


def test_metrics_say_how_lanes_journal_disk_jobs_and_watchers_are(service):
    service.post("/v1/samples", rows())
    service.archive.flush()
    counted = families(service)
    assert counted["forebay_lane_written_samples_total", ("backend", "lake")] == 3
    assert counted["forebay_lane_failures_total", ("backend", "lake")] == 0
    assert counted["forebay_dead_letters", ("backend", "warm")] == 0
    assert counted[("forebay_journal_limit_bytes",)] > counted[("forebay_journal_bytes",)]
    assert counted[("forebay_journal_oldest_seconds",)] >= 0
    assert 0 < counted[("forebay_disk_free_bytes",)] < counted[("forebay_disk_size_bytes",)]
    assert counted["forebay_jobs", ("state", "running")] == 0
    assert counted[("forebay_live_watchers",)] == 0


def test_metrics_say_what_queries_took_and_who_answered(service):
    service.post("/v1/samples", rows())
    service.archive.flush()
    for _ in range(3):
        assert service.get("/v1/samples", element="T1", start="2001-01-01T00:00:00Z", backend="warm").status_code == 200
    counted = families(service)
    assert counted["forebay_query_seconds_count", ("backends", "warm")] == 3
    assert counted["forebay_query_seconds_bucket", ("backends", "warm"), ("le", "+Inf")] == 3
    assert counted["forebay_query_rows_total", ("backend", "warm"), ("role", "first choice")] == 9
    assert counted["forebay_query_seconds_sum", ("backends", "warm")] > 0


def test_promtool_finds_nothing_wrong_with_the_metrics(service):
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("promtool is not installed (Debian: prometheus)")
    service.post("/v1/samples", rows())
    service.get("/v1/samples", element="T1", start="2001-01-01T00:00:00Z")
    text = service.get("/metrics").content
    done = subprocess.run([promtool, "check", "metrics"], input=text, capture_output=True, check=False)
    assert (done.returncode, done.stdout + done.stderr) == (0, b"")


def test_it_has_started_when_every_backend_was_reached_or_has_failed_to_be(service, monkeypatch):
    assert service.get("/health/startup").json() == {"status": "started", "reasons": []}
    lane = service.archive.lanes["warm"]
    status = lane.status()
    monkeypatch.setattr(lane, "status", lambda: dataclasses.replace(status, state="starting"))
    answer = service.get("/health/startup")
    assert (answer.status_code, answer.json()["reasons"]) == (503, ["backend warm was not reached yet"])


def test_the_event_loop_answers_while_a_large_body_is_decoded(service, monkeypatch):
    import services.archive.ingest as ingest

    decode, go = ingest.decoding.decode, threading.Event()

    def slow(body, media_type):
        assert go.wait(SOON_S)
        return decode(body, media_type)

    monkeypatch.setattr(ingest.decoding, "decode", slow)

    async def both():
        transport = httpx.ASGITransport(service._app)
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            sending = asyncio.create_task(client.post("/v1/samples", json=rows()))
            await asyncio.sleep(0)
            alive = await client.get("/health/live")
            decoded = sending.done()
            go.set()
            return alive.status_code, decoded, (await sending).status_code

    assert service._runner.run(both()) == (200, False, 200)


# -- the rest -----------------------------------------------------------------------------------------


def test_the_page_and_its_parts_are_served_and_load_nothing_from_elsewhere(service):
    page = service.get("/")
    assert page.headers["content-security-policy"].startswith("default-src 'self'")
    for path in ("forebay.css", "js/app.js", "icon.svg", "vendor/uPlot.min.js", "vendor/uPlot.min.css"):
        assert path in page.text
        assert service.get(f"/{path}").status_code == 200
    assert "://" not in page.text


def test_an_unknown_path_and_method_are_problems(service):
    answer = service.get("/v2/samples")
    assert (answer.status_code, answer.json()["type"]) == (404, "urn:forebay:problem:not-found")
    assert answer.headers["content-type"] == "application/problem+json"
    assert service.request("DELETE", "/v1/samples").status_code == 405


def test_the_description_of_the_interface_has_examples(service):
    paths = service.get("/openapi.json").json()["paths"]
    assert {"/v1/samples", "/write", "/api/v2/write", "/v1/copy", "/health/ready", "/metrics"} <= set(paths)
    examples = paths["/v1/samples"]["post"]["requestBody"]["content"]["application/json"]["examples"]
    assert service.post("/v1/samples", examples["rows"]["value"]).json()["refused"] == []
    assert service.post("/v1/samples", examples["columns"]["value"]).json()["refused"] == []
    assert not [path for path, methods in paths.items() for it in methods.values() if "422" in it["responses"]]
    line = paths["/write"]["post"]["requestBody"]["content"]["text/plain"]["example"]
    assert service.post("/write", line.encode(), "text/plain").status_code == 204
