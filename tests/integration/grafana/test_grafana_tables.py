"""The tables for Grafana's Infinity data source."""

import csv
import io

import pytest

from archiver.model import SampleBatch

T0 = 1_767_225_600
SPAN = {"from": T0 * 1000, "to": (T0 + 60) * 1000}


def rows(board, path, **params):
    answer = board.get(f"/grafana/{path}", **params)
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_series_are_rows_with_times_in_milliseconds(board):
    found = rows(board, "series", element="VAC:P1", **SPAN)
    assert len(found) == 60
    assert found[0] == {"time": T0 * 1000, "element": "VAC:P1", "value": 0.5, "text": None, "quality": "good"}


def test_a_gap_has_no_value(board):
    found = rows(board, "series", element="VAC:P2", **SPAN)
    assert [(row["value"], row["quality"]) for row in found] == [(1.0, "good"), (2.0, "good"), (None, "gap")]


def test_a_plot_gets_about_as_many_points_as_it_has(board):
    found = rows(board, "series", element="VAC:P1", points=12, **SPAN)
    assert 10 <= len(found) <= 14
    assert {row["value"] for row in found} >= {0.5, 59.5}


@pytest.mark.parametrize("element", ["{VAC:P1,VAC:P2}", "VAC:P?", ["VAC:P1", "VAC:P2"]])
def test_several_elements_as_grafana_writes_them(board, element):
    assert {row["element"] for row in rows(board, "series", element=element, **SPAN)} == {"VAC:P1", "VAC:P2"}


def test_text_is_a_column_of_its_own(board):
    (row,) = rows(board, "series", element="note", **SPAN)
    assert (row["value"], row["text"]) == (None, 'hello, "you"')


def test_states_have_their_names(board):
    from archiver.model import Kind, Metadata

    board.archive.intake.submit(
        SampleBatch.from_columns("valve", [T0 * 10**9, (T0 + 1) * 10**9], [1, 2], kind=Kind.ENUM)
    ).result()
    board.archive.catalog.describe("valve", Metadata(kind=Kind.ENUM, states={1: "OPEN"}))
    found = rows(board, "series", element="valve", **SPAN)
    assert [(row["value"], row["text"]) for row in found] == [(1.0, "OPEN"), (2.0, None)]


def test_wide_has_a_column_per_element_at_equal_steps(board):
    found = rows(board, "wide", element=["VAC:P1", "VAC:P2"], points=6, **SPAN)
    assert [row["time"] // 1000 - T0 for row in found] == [0, 10, 20, 30, 40, 50]
    assert found[2] == {"time": (T0 + 20) * 1000, "VAC:P1": 20.5, "VAC:P2": 2.0}
    assert found[3]["VAC:P2"] is None


def test_csv_by_name_and_by_what_is_accepted(board):
    by_name = board.get("/grafana/series", element="note", format="csv", **SPAN)
    accepted = board.request(
        "GET", "/grafana/series", params={"element": "note", **SPAN}, headers={"Accept": "text/csv"}
    )
    assert by_name.content == accepted.content
    (row,) = csv.DictReader(io.StringIO(by_name.text))
    assert row == {"time": str(T0 * 1000), "element": "note", "value": "", "text": 'hello, "you"', "quality": "good"}


def test_latest_values_as_a_table(board):
    first, second = rows(board, "latest", element="VAC:P[12]")
    assert (first["element"], first["value"], first["unit"], first["description"]) == (
        "VAC:P1", 59.5, "mbar", "pump, inlet",
    )  # fmt: skip
    assert (second["value"], second["quality"]) == (None, "gap")
    assert first["age_s"] > 0


def test_backends_ledger_activity_and_search(board):
    lake, warm = rows(board, "backends")
    assert (lake["name"], lake["state"], warm["kind"]) == ("lake", "running", "memory")
    assert lake["last"] >= (T0 + 59) * 1000
    stored = [
        row
        for row in rows(board, "ledger")
        if (row["lane"], row["group"], row["outcome"]) == ("lake", "vacuum", "stored")
    ]
    assert sum(row["count"] for row in stored) >= 63  # another test may have sent more
    silent = rows(board, "activity", by="name", pattern="VAC:P*")
    assert [(row["element"], row["state"]) for row in silent] == [("VAC:P1", "good"), ("VAC:P2", "disconnected")]
    assert silent[0]["last_time"] == (T0 + 59) * 1000
    assert [row["element"] for row in rows(board, "activity", by="disconnected")] == ["VAC:P2"]
    assert rows(board, "search", search="pump") == [{"element": "VAC:P1"}]
    assert rows(board, "search", pattern="nothing*") == []
    assert board.get("/grafana/search", format="csv", search="pump").text.splitlines() == ["element", '"VAC:P1"']


def test_annotations_are_when_a_source_was_not_there(board):
    (row,) = rows(board, "annotations", element=["VAC:P1", "VAC:P2"], **SPAN)
    assert (row["time"], row["title"], row["tags"]) == ((T0 + 30) * 1000, "VAC:P2", "source-disconnected")
    assert row["timeEnd"] > row["time"]
    assert rows(board, "annotations", **SPAN) == []


def test_annotations_are_when_a_backend_is_behind(board):
    board.archive.pause("warm")
    try:
        (row,) = rows(board, "annotations")
        assert row["title"] == "backend warm is paused"
    finally:
        board.archive.resume("warm")


def test_errors_are_problems(board):
    answer = board.get("/grafana/series", element="VAC:P1", **{"from": "2", "to": "1"})
    assert answer.status_code == 400
    assert answer.json()["type"] == "urn:forebay:problem:bad-parameter"
    assert board.get("/grafana/series").json()["parameter"] == "element"
