"""Elements over HTTP: what is known of them, how they are found, and names that are not there."""

import json


def test_metadata_is_set_searched_and_remembered(service):
    name = "BAR:T 1/µ"
    service.post("/v1/samples", [service.rows(1)[0] | {"element": name}])
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
    service.post("/v1/samples", service.rows(1, "BAR:T1"))
    for path in ("metadata", "history"):
        answer = service.get(f"/v1/elements/{path}", element="BAR:T11").json()
        assert answer["detail"] == "there is no element 'BAR:T11'; did you mean 'BAR:T1'?"


def test_globs_and_names_that_are_not_there(service, monkeypatch):
    for name in ("BAR:T1", "BAR:T2", "FOO:T1"):
        service.post("/v1/samples", service.rows(1, name))
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
