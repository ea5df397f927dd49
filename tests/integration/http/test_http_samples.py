"""Samples out over HTTP: every format, pages, aggregates, and parameters that cannot be."""

import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from archiver.model.time import now

ARROW = "application/vnd.apache.arrow.stream"
NDJSON = "application/x-ndjson"


def test_every_format_has_the_same_rows(service):
    service.post("/v1/samples", service.rows())
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
    service.post("/v1/samples", service.rows(5))
    asked = {"element": "T1", "start": "1000000000000000000", "limit": 2, "accept": "text/csv"}
    seen, cursor = [], ""
    while cursor is not None:
        answer = service.get("/v1/samples", **asked, **({"cursor": cursor} if cursor else {}))
        seen += [line.split(",")[2] for line in answer.text.splitlines()[1:]]
        cursor = answer.headers.get("Forebay-Cursor")
    assert seen == ["0.5", "1.5", "2.5", "3.5", "4.5"]


def test_aggregates_versions_ranges_and_what_was_known(service):
    service.post("/v1/samples", service.rows(4))
    before = now()
    service.post("/v1/samples", [service.rows(1)[0] | {"value": 99}])
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
    service.post("/v1/samples", service.rows())
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


def test_rows_alone_are_followed_by_the_outcome_where_it_is_asked_for(service):
    service.post("/v1/samples", service.rows())
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
