"""How elements have been doing, from the newest samples and the ledger."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pytest

from archiver.model import Interval, SampleBatch, Status
from archiver.pipeline.activity import activity
from archiver.pipeline.ledger import INTAKE, Outcome, account

SECOND = 10**9
NOW = 100 * SECOND
HOUR = Interval(0, NOW)
NAMES = ["a", "b", "c", "d", "e", "f"]


def accounts(*rows: tuple[str, str, Outcome, str, int]) -> pa.Table:
    """Return rows of the ledger: lane, element, outcome, reason, count."""
    tables = []
    for lane, element, outcome, reason, count in rows:
        batch = SampleBatch.from_columns(element, range(count), [1.0] * count)
        tables.append(account(batch, outcome, reason=reason).append_column("lane", pa.array([lane])))
    return pa.concat_tables(tables).unify_dictionaries()


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
