"""Conditions and joins in a whole archive: names, states, what is not stored yet, corrections, and over HTTP."""

from __future__ import annotations

import httpx
import pyarrow as pa
import pytest

from archiver.model import Interval, Kind, LimitError, Metadata, SampleBatch, format_time
from archiver.model.time import NANOSECONDS as S
from archiver.query import Condition, Join, Match, Query
from archiver.testing.patience import SOON_S
from archiver.testing.service import running_service

T0 = 1_767_225_600 * S
SPAN = Interval(T0, T0 + 100 * S)


def fill(archive) -> None:
    """A ramp, and a valve that opens at 20 s and shuts at 50 s."""
    assert archive.wait_ready()
    seconds = range(0, 100, 10)
    ramp = SampleBatch.from_columns("ramp", [T0 + s * S for s in seconds], [float(s) for s in seconds])
    states = pa.array([2, 1, 2], pa.int32())
    valve = SampleBatch.from_columns("valve", [T0 - S, T0 + 20 * S, T0 + 50 * S], states, kind=Kind.ENUM)
    archive.catalog.describe("valve", Metadata(states={1: "OPEN", 2: "SHUT"}, aliases=("V1",)))
    archive.intake.submit(SampleBatch.concat([ramp, valve])).result()


def chosen(archive, text: str, **more) -> list[float]:
    query = Query(("ramp",), SPAN, where=Condition.parse(text), **more)
    return archive.query(query).table().column("value").to_pylist()


@pytest.mark.parametrize("stored", [True, False], ids=["stored", "in the journal's tail"])
def test_states_go_by_name_and_elements_by_their_aliases(make_archive, stored: bool):
    with make_archive() as archive:
        fill(archive)
        if stored:
            assert archive.flush()
        assert chosen(archive, "V1 = 'OPEN'") == [20.0, 30.0, 40.0]
        assert chosen(archive, "valve = 2 and ramp < 70") == [0.0, 10.0, 50.0, 60.0]
        assert chosen(archive, "V1 = 'OPEN'", backend="warm") == [20.0, 30.0, 40.0]
        for backend in ("lake", "warm"):  # a backend that aggregates by itself knows nothing of the condition
            where = Condition.parse("V1 = 'OPEN'")
            query = Query(("ramp",), SPAN, where=where, aggregates=("count", "mean"), backend=backend)
            [row] = archive.query(query).table().to_pylist()
            assert (row["count"], row["mean"]) == (3, 30.0)
        wide = archive.query(Query(("ramp", "V1"), SPAN, join=Join(times_of="V1"))).table().to_pylist()
        assert [(row["ramp"], row["valve"]) for row in wide] == [(20.0, 1), (50.0, 2)]


def test_a_correction_counts_from_when_it_was_known(make_archive):
    with make_archive() as archive:
        fill(archive)
        known = int(archive.latest(["ramp"]).receive_time[0])
        late = SampleBatch.from_columns("valve", [T0 + 20 * S], pa.array([2], pa.int32()), kind=Kind.ENUM)
        archive.intake.submit(late).result()
        assert chosen(archive, "valve = 'OPEN'") == []
        assert chosen(archive, "valve = 'OPEN'", as_of=known) == [20.0, 30.0, 40.0]
        join = Join(Match.NEAREST, 2 * S, step_ns=20 * S)
        for as_of, expected in ((None, 2), (known, 1)):
            table = archive.query(Query(("valve",), SPAN, join=join, as_of=as_of)).table()
            assert table.column("valve").to_pylist()[1] == expected


def test_a_plan_names_who_gives_the_elements_of_the_condition_too(make_archive):
    with make_archive() as archive:
        fill(archive)
        plan = archive.plan(Query(("ramp",), SPAN, where=Condition.parse("V1 = 1"), join=Join(times_of="other")))
        assert plan["elements"] == ["other", "ramp", "valve"]


def test_the_limits_of_a_request_are_those_of_its_answer(make_archive):
    with make_archive(query={"max_rows": 3}) as archive:
        fill(archive)
        assert len(chosen(archive, "valve = 'OPEN'")) == 3
        with pytest.raises(LimitError, match=r"query\.max_rows"):
            chosen(archive, "valve = 'SHUT'")


def test_over_http(tmp_path):
    (tmp_path / "forebay.toml").write_text('[[backends]]\nname = "lake"\nkind = "memory"\n')
    span = {"start": format_time(SPAN.start), "end": format_time(SPAN.end)}
    with running_service(tmp_path) as running, httpx.Client(base_url=running.url, timeout=SOON_S) as client:
        rows = [("a", 0, 1.0), ("a", 10, 2.0), ("a", 20, 3.0), ("y", 5, 1.0), ("y", 20, 0.0)]
        sent = [{"element": name, "source_time": T0 + at * S, "value": value} for name, at, value in rows]
        assert client.post("/v1/samples", json=sent).status_code == 200
        found = client.get("/v1/samples", params={"element": "a", **span, "where": "y = 1"}).json()
        assert [row["value"] for row in found["samples"]] == [2.0]
        wide = {"wide": "linear", "tolerance": "30s", "step": "5s"}
        question = {"elements": ["a", "y"], **span, **wide, "where": "y = 1 and a < 3"}
        asked = {"element": ["a", "y"], **{key: value for key, value in question.items() if key != "elements"}}
        answers = [client.post("/v1/query", json=question), client.get("/v1/samples", params=asked)]
        for answer in answers:
            assert [(row["a"], row["y"]) for row in answer.json()["samples"]] == [
                (1.5, 1.0),
                (2.0, pytest.approx(2 / 3)),
                (2.5, pytest.approx(1 / 3)),
            ]
        mistakes = [
            ({"where": "y ="}, "bad-parameter", "character 4"),
            ({"wide": "nearest"}, "invalid-input", "needs a tolerance"),
        ]
        for wrong, name, message in mistakes:
            answer = client.post("/v1/query", json={"elements": ["a"], **span, **wrong})
            assert (answer.status_code, answer.json()["type"]) == (400, f"urn:forebay:problem:{name}")
            assert message in answer.json()["detail"]
