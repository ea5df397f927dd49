"""The ledger counts every sample once, also when a lane does its work again."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from archiver.model import Interval, SampleBatch
from archiver.pipeline.ledger import Ledger, Outcome, Total, account, join
from archiver.pipeline.store import Store


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    store = Store(tmp_path / "archive.db")
    yield Ledger(store)
    store.close()


def some(element: str, *times: int) -> SampleBatch:
    return SampleBatch.from_columns(element, list(times), [1.0] * len(times))


def test_totals_by_lane_group_outcome_and_reason(ledger: Ledger):
    stored = account(some("a", 1, 2, 3), Outcome.STORED, group="g")
    smoothed = account(some("b", 4), Outcome.SMOOTHED, group="g", reason="value")
    ledger.record("lake", "s", 1, join([stored, smoothed]))
    assert ledger.totals() == [Total("lake", "g", "smoothed", "value", 1), Total("lake", "g", "stored", "", 3)]


def test_doing_the_same_position_again_replaces_the_account(ledger: Ledger):
    ledger.record("lake", "s", 5, account(some("a", 1, 2, 3), Outcome.STORED))
    ledger.record("lake", "s", 5, account(some("a", 1, 2), Outcome.DUPLICATE, reason="r"))
    assert ledger.totals() == [Total("lake", "", "duplicate", "r", 2)]


def test_what_the_backend_never_committed_is_forgotten(ledger: Ledger):
    ledger.record("lake", "s", 5, account(some("a", 1), Outcome.STORED))
    ledger.record("lake", "s", 9, account(some("a", 2, 3), Outcome.STORED))
    ledger.forget_after("lake", "s", 5)
    assert ledger.totals() == [Total("lake", "", "stored", "", 1)]
    assert ledger.position("lake", "s") == 5


def test_many_small_accounts_are_joined_without_losing_a_count(ledger: Ledger):
    hour = 3600 * 10**9
    for offset in range(1, 200):
        ledger.record("lake", "s", offset, account(some("a", offset * hour // 20), Outcome.STORED, group="g"))
    assert ledger.totals() == [Total("lake", "g", "stored", "", 199)]
    rows = ledger.accounts("a")
    assert rows.num_rows < 60
    assert sum(rows["count"].to_pylist()) == 199
    assert ledger.position("lake", "s") == 199
    near = ledger.accounts("a", Interval(5 * hour, 6 * hour))
    assert sum(near["count"].to_pylist()) <= 60


def test_accounts_are_found_by_element_and_interval(ledger: Ledger):
    batch = SampleBatch.from_columns(["a", "b", "a"], [10, 20, 30], [1.0, 2.0, 3.0])
    ledger.record("lake", "s", 1, account(batch, Outcome.STORED, group="g"))
    (row,) = ledger.accounts("a", Interval(25, 26)).to_pylist()
    assert (row["lane"], row["count"], row["first"], row["last"]) == ("lake", 2, 10, 30)
    assert ledger.accounts("a", Interval(31, 40)).num_rows == 0
    assert ledger.accounts("c").num_rows == 0


def test_counters_by_element(ledger: Ledger):
    for offset in (1, 2):
        batch = SampleBatch.from_columns(["a", "b"], [offset, offset], [1.0, 2.0])
        ledger.record("lake", "s", offset, account(batch, Outcome.STORED, group="g"))
    counts = {row["element"]: row["count"] for row in ledger.counters().to_pylist()}
    assert counts == {"a": 2, "b": 2}
