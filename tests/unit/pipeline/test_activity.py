"""How elements have been doing, from the newest samples and the ledger."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pytest

from archiver.model import Interval, SampleBatch, Status
from archiver.model.time import ALWAYS, MAX_TIME, MIN_TIME
from archiver.pipeline.activity import activity
from archiver.pipeline.ledger import INTAKE, Outcome, account

SECOND = 10**9
NOW = 100 * SECOND
HOUR = Interval(0, NOW)
NAMES = ["a", "b", "c", "d", "e", "f"]


def accounts(*rows: tuple[str, str, Outcome, str, int], group: str = "", times: range = range(NOW)) -> pa.Table:
    """Return rows of the ledger: lane, element, outcome, reason, count; the times of each are the first of these."""
    tables = []
    for lane, element, outcome, reason, count in rows:
        batch = SampleBatch.from_columns(element, times[:count], [1.0] * count)
        tables.append(account(batch, outcome, reason=reason, group=group).append_column("lane", pa.array([lane])))
    return pa.concat_tables(tables).unify_dictionaries()


def of_one(book: pa.Table, interval: Interval = HOUR) -> dict[str, Any]:
    """Return how element ``a`` did."""
    (found,) = activity(["a"], SampleBatch.empty(), book, interval, NOW).to_pylist()
    return dict(found)


@pytest.fixture
def rows() -> dict[str, dict[str, Any]]:
    latest = SampleBatch.from_columns(
        ["a", "b", "c", "d", "e"],
        [99 * SECOND] * 5,
        [1.0, 1.0, None, None, None],
        status=[0, int(Status.EXP_INV), 0, int(Status.DISCONNECTED), int(Status.PAUSED)],
        receive_time=90 * SECOND,
    )
    book = accounts(
        ("lake", "a", Outcome.STORED, "", 40),
        ("warm", "a", Outcome.STORED, "", 20),
        ("warm", "a", Outcome.SMOOTHED, "value", 20),
        (INTAKE, "a", Outcome.REJECTED, "too far in the future", 10),
        ("lake", "b", Outcome.STORED, "", 4),
        ("warm", "b", Outcome.DEAD, "no such kind", 3),
        ("warm", "b", Outcome.DROPPED, "journal full", 1),
        ("lake", "elsewhere", Outcome.STORED, "", 7),
    )
    found = activity(NAMES, latest, book, HOUR, NOW).to_pylist()
    assert [row["element"] for row in found] == NAMES
    return {row["element"]: row for row in found}


def test_states(rows: dict[str, dict[str, Any]]) -> None:
    states = ["good", "bad", "no value", "disconnected", "paused", "never seen"]
    assert [row["state"] for row in rows.values()] == states
    assert (rows["a"]["silent_s"], rows["a"]["last_time"]) == (10.0, 99 * SECOND)
    assert (rows["f"]["silent_s"], rows["f"]["last_time"]) == (None, None)


def test_what_several_backends_store_came_once(rows: dict[str, dict[str, Any]]) -> None:
    assert (rows["a"]["received"], rows["a"]["rate_hz"]) == (50, 0.5)
    assert (rows["b"]["received"], rows["c"]["received"]) == (4, 0)


def test_what_became_of_them_and_why(rows: dict[str, dict[str, Any]]) -> None:
    a, b = rows["a"], rows["b"]
    assert (a["stored"], a["smoothed"], a["rejected"], a["dropped"]) == (40, 20, 10, 0)
    assert a["reasons"] == "10 rejected: too far in the future"
    assert (b["dead-lettered"], b["dropped"]) == (3, 1)
    assert set(b["reasons"].split("; ")) == {"3 dead-lettered by warm: no such kind", "1 dropped by warm: journal full"}
    assert rows["c"]["reasons"] == ""


def test_an_archive_that_is_empty() -> None:
    table = activity([], SampleBatch.empty(), accounts(("lake", "a", Outcome.STORED, "", 1)), HOUR, NOW)
    assert table.num_rows == 0


def test_losses_for_several_reasons_are_added_and_the_worst_told_first() -> None:
    found = of_one(accounts((INTAKE, "a", Outcome.REJECTED, "too old", 2), (INTAKE, "a", Outcome.REJECTED, "x", 30)))
    assert (found["rejected"], found["received"], found["reasons"]) == (32, 32, "30 rejected: x; 2 rejected: too old")


def test_what_several_groups_of_a_backend_store_came_once() -> None:
    stored, dead = ("lake", "a", Outcome.STORED, "", 40), ("lake", "a", Outcome.DEAD, "no such kind", 3)
    book = pa.concat_tables([accounts(stored, dead, group=group) for group in ("fast", "slow")]).unify_dictionaries()
    found = of_one(book)
    assert (found["received"], found["stored"], found["dead-lettered"]) == (43, 40, 3)
    assert found["reasons"] == "3 dead-lettered by lake: no such kind"


def test_what_is_copied_to_a_backend_later_did_not_come_again() -> None:
    stored, dropped = ("lake", "a", Outcome.STORED, "", 40), ("warm", "a", Outcome.DROPPED, "journal full", 40)
    found = of_one(accounts(stored, dropped, ("warm", "a", Outcome.STORED, "copied from lake", 40)))
    assert (found["received"], found["stored"], found["dropped"]) == (40, 40, 40)


def test_a_row_of_a_whole_day_counts_by_its_share() -> None:
    book = accounts(("lake", "a", Outcome.STORED, "", 100), times=range(0, NOW, SECOND))
    found = of_one(book, Interval(75 * SECOND, NOW))
    assert (found["received"], found["stored"], found["rate_hz"]) == (24, 24, 0.96)
    few = accounts((INTAKE, "a", Outcome.REJECTED, "too old", 2), times=range(0, NOW, NOW - 1))
    assert of_one(few, Interval(75 * SECOND, NOW))["rejected"] == 1
    assert of_one(few, Interval(NOW, NOW + SECOND))["rejected"] == 0


def test_a_row_of_centuries() -> None:
    times = range(MIN_TIME, MAX_TIME, MAX_TIME - MIN_TIME - 1)
    book = accounts(("lake", "a", Outcome.STORED, "", 2), times=times)
    assert of_one(book, ALWAYS)["received"] == 2
    assert of_one(book, Interval(MIN_TIME, 0))["received"] == 1


def test_a_time_to_come_has_a_length() -> None:
    book = accounts(("lake", "a", Outcome.STORED, "", 10), times=range(2 * NOW, 3 * NOW))
    assert of_one(book, Interval(2 * NOW, 2 * NOW + 10 * SECOND))["rate_hz"] == 1.0
