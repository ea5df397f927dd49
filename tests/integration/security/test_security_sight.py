"""A caller with archive groups: nothing of the others can be seen, changed or guessed, through any door."""

import io
import json
import re

import pyarrow.parquet as pq
import pytest

from archiver.model import Metadata, SampleBatch
from archiver.security import Role
from services.common.security import permissions

A = {"element": "A:one", "start": "2001-01-01T00:00:00Z"}


@pytest.fixture
def reader(doors):
    return doors.key(Role.READ, groups=["A"])


@pytest.fixture
def operator(doors):
    return doors.key(Role.OPERATE, groups=["A"])


ASKED = {
    "samples": ("GET", "/v1/samples", {"element": "{}", "start": "2001-01-01T00:00:00Z"}),
    "one of several": ("GET", "/v1/samples", {"element": ["A:one", "{}"], "start": "2001-01-01T00:00:00Z"}),
    "aggregates": ("GET", "/v1/samples", {"element": "{}", "start": "2001-01-01T00:00:00Z", "aggregate": "count"}),
    "condition": ("GET", "/v1/samples", {**A, "where": "'{}' > 1"}),
    "join": ("GET", "/v1/samples", {**A, "wide": "last", "times_of": "{}"}),
    "plan": ("GET", "/v1/samples", {"element": "{}", "start": "2001-01-01T00:00:00Z", "plan": "true"}),
    "latest": ("GET", "/v1/samples/latest", {"element": "{}"}),
    "at": ("GET", "/v1/samples/at", {"element": "{}", "time": "now"}),
    "metadata": ("GET", "/v1/elements/metadata", {"element": "{}"}),
    "history": ("GET", "/v1/elements/history", {"element": "{}"}),
    "ledger": ("GET", "/v1/ledger", {"element": "{}"}),
    "explain": ("GET", "/v1/explain", {"element": "{}", "start": "2001-01-01T00:00:00Z"}),
}


def filled(params, name):
    return json.loads(json.dumps(params).replace("{}", name))


def test_an_element_of_another_group_is_answered_like_one_that_is_not_there(doors, reader):
    for door, (method, path, params) in ASKED.items():
        for hidden, unknown in (("B:one", "C:one"), ("B alias", "C alias"), ("B:o*", "C:o*")):
            first, second = (doors.request(method, path, reader, params=filled(params, n)) for n in (hidden, unknown))
            assert first.status_code == second.status_code >= 400, (door, hidden)
            assert first.text.replace(hidden, unknown) == second.text
        assert first.status_code == 404 or door == "condition"  # no glob belongs into one


def test_the_own_elements_are_answered(doors, reader):
    for door, (method, path, params) in ASKED.items():
        for name in ("A:one", "A alias"):
            answer = doors.request(method, path, reader, params=filled(params, name))
            assert answer.status_code == 200, (door, answer.text)


def test_a_query_as_json_is_no_way_around(doors, reader):
    for question in (
        {"elements": ["B:one"], "start": "2001-01-01T00:00:00Z"},
        {"elements": ["A:one"], "start": "2001-01-01T00:00:00Z", "where": "'B:one' > 0"},
        {"elements": ["A:one"], "start": "2001-01-01T00:00:00Z", "wide": "last", "times_of": "B:one"},
        {"elements": ["A:one"], "start": "2001-01-01T00:00:00Z", "groups": ["B"]},
    ):
        answer = doors.request("POST", "/v1/query", reader, json=question)
        assert answer.status_code == 404, answer.text
        assert "secret" not in answer.text


LISTS = (
    ("/v1/elements", {}),
    ("/v1/elements", {"search": "secret"}),
    ("/v1/elements", {"pattern": "*one"}),
    ("/v1/groups", {}),
    ("/v1/samples/latest", {}),
    ("/v1/samples/latest", {"element": "*"}),
    ("/v1/samples", {"element": "*", "start": "2001-01-01T00:00:00Z"}),
    ("/v1/backends", {}),
    ("/v1/ledger", {}),
    ("/v1/dead-letters", {}),
    ("/v1/dead-letters", {"replayed": "true"}),
    ("/v1/elements/activity", {}),
    ("/metrics", {}),
    ("/api/v1/series", {"match[]": '{element=~".+"}'}),
    ("/api/v1/label/group/values", {}),
    ("/api/v1/metadata", {}),
    ("/api/v1/query", {"query": '{element=~".+"}', "time": "1000000000"}),
    ("/grafana/latest", {"element": "*"}),
    ("/grafana/series", {"element": "*", "from": "2001-01-01T00:00:00Z"}),
    ("/grafana/activity", {}),
    ("/grafana/ledger", {}),
    ("/grafana/search", {}),
)


def test_lists_have_nothing_of_other_groups(doors, reader):
    everything, traces = doors.key(Role.READ), ('"B', "B:", "of B", "refused B", "B alias")
    for path, params in LISTS:
        whole, own = doors.get(path, everything, **params).text, doors.get(path, reader, **params).text
        assert any(trace in whole for trace in traces), "there is something to be hidden"
        assert not any(trace in own for trace in traces), path
        assert "A" in own


def test_counts_are_of_the_own_groups(doors, reader):
    assert doors.get("/v1/elements", reader).json()["total"] == 2
    samples = {row["name"]: row["samples"] for row in doors.get("/v1/backends", reader).json()["backends"]}
    letters = {row["name"]: row["dead_letters"] for row in doors.get("/v1/backends", reader).json()["backends"]}
    assert samples == {"lake": 10, "warm": 10}
    assert letters == {"lake": 0, "warm": 1}


def test_what_a_backend_said_last_may_name_anything_and_is_left_out(doors, reader, monkeypatch):
    lane = doors.archive.lanes["lake"]
    status = lane.status()
    monkeypatch.setattr(lane, "status", lambda: type(status)(**{**_fields(status), "last_error": "B:one is too long"}))
    assert "B:one" in doors.get("/v1/backends", doors.key(Role.READ)).text
    assert "B:one" not in doors.get("/v1/backends", reader).text


def _fields(status):
    return {name: getattr(status, name) for name in type(status).__dataclass_fields__}


def test_a_dead_letter_of_another_group_is_not_there(doors, operator):
    own, other = (letter.id for letter in doors.archive.dead_letters.list())
    for method, tail in (("GET", ""), ("GET", "/samples"), ("POST", "/replay")):
        hidden = doors.request(method, f"/v1/dead-letters/{other}{tail}", operator)
        unknown = doors.request(method, f"/v1/dead-letters/99{tail}", operator)
        assert hidden.status_code == unknown.status_code == 404
        assert hidden.text.replace(str(other), "99") == unknown.text
        assert doors.request(method, f"/v1/dead-letters/{own}{tail}", operator).status_code == 200
    assert [letter.replayed is None for letter in doors.archive.dead_letters.list(replayed=True)] == [False, True]


def test_a_dead_letter_cannot_be_mended_into_another_group(doors, operator):
    own = doors.archive.dead_letters.list()[0].id
    rows = [{"element": "B:one", "source_time": 10**18 + 999, "value": 666.0}]
    answer = doors.request("POST", f"/v1/dead-letters/{own}/replay", operator, json=rows)
    assert answer.json()["counts"] == {"buffered": 0, "rejected": 1}
    assert doors.archive.latest(["B:one"]).source_time.tolist() == [10**18 + 4]


def test_samples_of_other_groups_are_refused_one_by_one_and_accounted_for(doors):
    gateway = doors.key(Role.INGEST, groups=["A"])
    rows = [
        {"element": name, "source_time": 10**18 + 50, "value": 2.0} for name in ("A:one", "B:one", "C:one", "B alias")
    ]
    answer = doors.request("POST", "/v1/samples", gateway, json=rows).json()
    assert answer["counts"] == {"buffered": 1, "rejected": 3}
    assert answer["reasons"] == {"the sender may not write it": 3}
    lines = "m,element=A:two value=1 2000000000000000000\nm,element=B:two value=1 2000000000000000000"
    for path in ("/write", "/api/v2/write"):
        refused = doors.request("POST", path, gateway, content=lines.replace("2000000000", "1000000000").encode())
        assert refused.status_code == 400
        assert "B:two" in refused.text
    doors.archive.flush()
    assert doors.archive.latest(["B:one", "B:two"]).source_time.tolist() == [10**18 + 4] * 2
    assert doors.archive.latest(["A:one"]).source_time.tolist() == [10**18 + 50]
    rejected = [total for total in doors.archive.totals() if total.reason == "the sender may not write it"]
    assert sum(total.count for total in rejected) == 5


FOREIGN = (
    ("B:one", {"unit": "K"}),
    ("C:new", {"unit": "K"}),
    ("B alias", {"unit": "K"}),
    ("A:one", {"rename": "B:three"}),
    ("A:one", {"rename": "B:one"}),
    ("A:one", {"aliases": ["B:one"]}),
    ("A:one", {"aliases": ["B alias"]}),
    ("A:one", {"aliases": ["C:any"]}),
)


def test_metadata_of_other_groups_cannot_be_changed_nor_guessed_by_trying_names(doors, operator):
    for element, body in FOREIGN:
        answer = doors.request("PUT", "/v1/elements/metadata", operator, params={"element": element}, json=body)
        assert answer.status_code == 403, (element, body)
        assert "taken, or not in your archive groups" in answer.json()["detail"]
    assert doors.archive.catalog.get("B:one").metadata.unit == ""


def test_metadata_of_the_own_group_can_be_changed(doors, operator):
    for element, body in (("A:one", {"unit": "K", "aliases": ["A alias"]}), ("A:new", {"unit": "V"})):
        answer = doors.request("PUT", "/v1/elements/metadata", operator, params={"element": element}, json=body)
        assert answer.status_code == 200, answer.text


def test_an_element_that_was_renamed_into_another_group_has_left(doors, reader):
    doors.archive.catalog.describe("A:two", Metadata(), rename="B:taken")
    for name in ("A:two", "B:taken"):
        assert doors.get("/v1/samples", reader, element=name, start="2001-01-01T00:00:00Z").status_code == 404
    doors.archive.catalog.describe("B:two", Metadata(), rename="A:given")
    answer = doors.get("/v1/samples", reader, element="B:two", start="2001-01-01T00:00:00Z")
    assert [sample["element"] for sample in answer.json()["samples"]] == ["A:given"] * 5


def test_copies_and_comparisons_are_of_the_own_elements(doors, operator):
    what = {"source": "lake", "target": "warm", "start": "2001-01-01T00:00:00Z"}
    assert doors.request("POST", "/v1/copy", operator, json=what).json()["read"] == 10
    assert doors.request("POST", "/v1/copy", doors.key(Role.OPERATE), json=what).json()["read"] == 20
    assert doors.request("POST", "/v1/copy", operator, json={**what, "elements": ["B:one"]}).status_code == 404
    comparison = {"backends": ["lake", "warm"], "repair": "warm"}
    assert doors.request("POST", "/v1/verify", operator, json=comparison).status_code == 200
    refused = doors.request("POST", "/v1/verify", operator, json={**comparison, "elements": ["B:*"]})
    assert refused.status_code == 404


def test_an_element_of_no_group_is_for_those_who_see_everything(make_doors):
    doors = make_doors(groups=[{"name": "A", "elements": ["A:*"], "backends": ["lake"]}])
    doors.archive.catalog.describe("loose", Metadata(unit="K"))
    assert doors.get("/v1/elements/metadata", doors.key(Role.READ), element="loose").status_code == 200
    assert doors.get("/v1/elements/metadata", doors.key(Role.READ, groups=["A"]), element="loose").status_code == 404


def test_a_key_of_a_group_that_is_gone_sees_nothing(doors):
    key = doors.key(Role.READ, groups=["Z"])
    assert doors.get("/v1/elements", key).json() == {"elements": [], "total": 0}
    assert doors.get("/v1/samples/latest", key).json()["samples"] == []


def test_a_watcher_gets_the_own_elements_only(doors, reader):
    view_of = {}
    events = doors.app.state.live

    async def first(view):
        stream = events.events(["*"], every_s=0, allowed=view.watch(["*"]))
        found = []
        async for event in stream:
            found.append(json.loads(event.data))
            if len(found) == 1:
                batch = SampleBatch.from_columns("B:one", [10**18 + 70], [1.0])
                doors.archive.intake.submit(batch)
                doors.archive.intake.submit(SampleBatch.from_columns("A:one", [10**18 + 71], [1.0]))
            if len(found) == 2:
                break
        await stream.aclose()
        return found

    principal = doors.guard.keys.find(reader).principal
    from archiver.security import Caller
    from services.common.security import View

    view_of["A"] = View(doors.archive, Caller(principal), doors.guard.audit)
    latest, samples = doors._runner.run(first(view_of["A"]))
    assert {sample["element"] for sample in latest["samples"]} == {"A:one", "A:two"}
    assert {sample["element"] for sample in samples["samples"]} == {"A:one"}


SPAN = {"from": "2001-09-09T01:46:00Z", "to": "2001-09-09T01:47:00Z"}
APPLIANCE = {
    "data": ("GET", "/retrieval/data/getData.json", {"pv": "{}", **SPAN}),
    "raw": ("GET", "/retrieval/data/getData.raw", {"pv": "{}", **SPAN}),
    "operator": ("GET", "/retrieval/data/getData.json", {"pv": "mean_10({})"}),
    "several": ("GET", "/retrieval/data/getDataForPVs.json", {"pv": ["A:one", "{}"]}),
    "metadata": ("GET", "/retrieval/bpl/getMetadata", {"pv": "{}"}),
    "archiving": ("GET", "/retrieval/bpl/areWeArchivingPV", {"pv": "{}"}),
    "status": ("GET", "/mgmt/bpl/getPVStatus", {"pv": "{}"}),
    "type": ("GET", "/mgmt/bpl/getPVTypeInfo", {"pv": "{}"}),
    "details": ("GET", "/mgmt/bpl/getPVDetails", {"pv": "{}"}),
    "stores": ("GET", "/mgmt/bpl/getStoresForPV", {"pv": "{}"}),
}


def test_the_appliance_answers_for_hidden_elements_as_for_those_that_are_not_there(doors, reader):
    for door, (method, path, params) in APPLIANCE.items():
        for hidden, unknown in (("B:one", "C:one"), ("B alias", "C alias")):
            first, second = (doors.request(method, path, reader, params=filled(params, n)) for n in (hidden, unknown))
            assert first.status_code == second.status_code, (door, hidden, first.text, second.text)
            assert first.content.replace(hidden.encode(), unknown.encode()) == second.content, door
            assert b"secret of B" not in first.content
        own = doors.request(method, path, reader, params=filled(params, "A:one"))
        assert own.status_code == 200, (door, own.text)
    at = doors.request(
        "POST", "/retrieval/data/getDataAtTime", reader, params={"at": "2001-09-09T01:47:00Z"}, json=["A:one", "B:one"]
    )
    assert list(at.json()) == ["A:one"]
    for path in (
        "/retrieval/bpl/getMatchingPVs",
        "/mgmt/bpl/getAllPVs",
        "/mgmt/bpl/getAllExpandedPVNames",
        "/mgmt/bpl/getAllAliases",
        "/mgmt/bpl/getPVStatus",
    ):
        text = doors.get(path, reader, pv="*").text
        assert "B:" not in text, path
        assert "B alias" not in text, path


EVERYTHING = {
    "element": "*",
    "pv": "*",
    "pattern": "*",
    "search": "",
    "q": "",
    "regex": ".*",
    "limit": "1000",
    "start": "2001-09-09T01:46:00Z",
    "end": "2001-09-09T01:47:00Z",
    "from": "2001-09-09T01:46:00Z",
    "step": "10",
    "to": "2001-09-09T01:47:00Z",
    "time": "2001-09-09T01:46:50Z",
    "at": "2001-09-09T01:46:50Z",
    "replayed": "true",
    "query": '{__name__=~".+"}',
    "match[]": '{__name__=~".+"}',
}


@pytest.mark.parametrize("name", ["2", "lake", "element"])
def test_no_route_at_all_shows_a_trace_of_another_group(doors, reader, name):
    everything = doors.key(Role.READ)
    traces, shown = ("B:one", "B:two", "secret of B", "B alias", "refused B"), set()
    for path, route, _ in permissions(doors.app):
        if "GET" not in (route.methods or ()) or path.endswith("/live"):
            continue
        filled_path = re.sub(r"\{extension[^}]*\}", "json", path)
        filled_path = re.sub(r"\{\w+[^}]*\}", name, filled_path)
        own = doors.get(filled_path, reader, **EVERYTHING)
        assert own.status_code != 500, (filled_path, own.text)
        assert not [trace for trace in traces if trace in own.text], (filled_path, own.text[:500])
        if any(trace in doors.get(filled_path, everything, **EVERYTHING).text for trace in traces):
            shown.add(path)
    assert len(shown) >= 5, "there is something to be hidden"


def test_a_segment_of_another_group_cannot_be_had(doors, reader):
    asked = {"backend": "lake", "start": "2001-09-09T01:46:40Z"}
    hidden, unknown = (doors.get("/v1/segments/samples", reader, group=group, **asked) for group in "BC")
    assert hidden.status_code == unknown.status_code == 404
    assert hidden.text.replace("B", "C") == unknown.text
    assert doors.get("/v1/segments/samples", doors.key(Role.INGEST), group="A", **asked).status_code == 403


def test_a_segment_has_nothing_of_elements_that_are_hidden_by_now(doors, reader):
    """One that was renamed into another group is not to be seen, and what it sent as one of the group neither."""
    doors.archive.catalog.describe("A:two", Metadata(), rename="B:three")
    asked = {"backend": "lake", "group": "A", "start": "2001-09-09T01:46:40Z"}
    whole, own = (
        pq.read_table(io.BytesIO(doors.get("/v1/segments/samples", key, **asked).content))
        for key in (doors.key(Role.READ), reader)
    )
    assert sorted(set(whole["element"].to_pylist())) == ["A:one", "B:three"]
    assert set(own["element"].to_pylist()) == {"A:one"}
    assert own.num_rows == 5


def test_what_is_kept_of_a_listing_is_of_its_callers_and_of_the_groups_in_force(doors, reader):
    """Lists come from what was worked out once: never for others, and never longer than it is true."""
    everything = doors.key(Role.READ)

    def listed(key):
        own = doors.get("/v1/elements", key).json()
        series = doors.get("/api/v1/series", key, **{"match[]": '{element=~".+"}'}).json()["data"]
        assert [row["element"] for row in own["elements"]] == [one["element"] for one in series]
        return {one["element"]: one["group"] for one in series}

    whole = {f"{group}:{name}": group for group in "AB" for name in ("one", "two")}
    for _ in range(2):
        assert listed(everything) == whole
        assert listed(reader) == {"A:one": "A", "A:two": "A"}
    doors.archive.catalog.describe("A:two", Metadata(), rename="A:three")
    assert listed(reader) == {"A:one": "A", "A:three": "A"}
    first, second = doors.archive.settings.groups
    wider = first.model_copy(update={"elements": ("A:*", "B:one")})
    doors.archive.reload(doors.archive.settings.model_copy(update={"groups": (wider, second)}))
    assert listed(reader) == {"A:one": "A", "A:three": "A", "B:one": "A"}
    assert listed(everything) == {"A:one": "A", "A:three": "A", "B:one": "A,B", "B:two": "B"}
