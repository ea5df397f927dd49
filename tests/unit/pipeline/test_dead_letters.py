"""Dead letters keep every sample that was put aside, and each of them once."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from archiver.model import Interval, NotFoundError, SampleBatch
from archiver.pipeline import dead_letters
from archiver.pipeline.dead_letters import DeadLetters
from archiver.pipeline.store import Store


@pytest.fixture
def letters(tmp_path: Path) -> Iterator[DeadLetters]:
    store = Store(tmp_path / "archive.db")
    yield DeadLetters(store)
    store.close()


def sample(*values: float) -> SampleBatch:
    return SampleBatch.from_columns("T", [5] * len(values), list(values), receive_time=9)


def test_two_samples_of_one_identity_are_both_kept(letters: DeadLetters):
    for value in (1.0, 2.0):
        letters.add("lake", "plain", "poison", sample(value))
    assert [letters.samples(letter.id) for letter in letters.list()] == [sample(1.0), sample(2.0)]
    assert letters.count("lake") == 2


def test_batches_that_differ_in_a_later_sample_are_both_kept(letters: DeadLetters):
    for value in (2.0, 3.0):
        letters.add("lake", "plain", "poison", sample(1.0, value))
    assert letters.count("lake") == 4


def test_the_same_samples_added_again_are_kept_once(letters: DeadLetters):
    batch = sample(1.0, float("nan"))
    letters.add("lake", "plain", "poison", batch)
    letters.add("lake", "plain", "poison", SampleBatch.concat([sample(0.0), batch]).slice(1))
    assert letters.count("lake") == 2


def test_a_list_reads_no_samples(letters: DeadLetters, monkeypatch: pytest.MonkeyPatch):
    batch = SampleBatch.from_columns(["d", "b", "a", "c", "a"], [5, 6, 7, 8, 9], [1.0] * 5)
    letters.add("lake", "plain", "poison", batch)
    letters.add("warm", "plain", "poison", batch.slice(0, 1))
    monkeypatch.setattr(dead_letters, "from_ipc", lambda payload: pytest.fail("samples were read"))
    rows = [letter.to_row() for letter in letters.list()]
    assert [(row["backend"], row["samples"], row["elements"]) for row in rows] == [
        ("lake", 5, "a, b, c, …"),
        ("warm", 1, "d"),
    ]
    assert letters.get(rows[1]["id"]).to_row() == rows[1]


def test_what_is_not_there_is_said_so(letters: DeadLetters):
    for ask in (letters.get, letters.samples):
        with pytest.raises(NotFoundError, match="no dead letter 7"):
            ask(7)


def test_those_that_hold_an_element_are_found_by_any_of_its_names_and_by_time(letters: DeadLetters):
    letters.add("lake", "plain", "poison", SampleBatch.from_columns(["old", "x"], [5, 9], [1.0, 2.0]))
    letters.add("lake", "plain", "poison", SampleBatch.from_columns(["new", "old"], [20, 30], [1.0, 2.0]))
    letters.add("lake", "plain", "poison", sample(1.0))
    first, second, _ = (letter.id for letter in letters.list())

    def found(start: int, end: int) -> list[int]:
        return [letter.id for letter in letters.holding(["new", "old"], Interval(start, end))]

    assert found(0, 100) == [first, second]
    assert found(0, 5) == found(6, 20) == found(31, 100) == []
    assert found(5, 6) == [first]
    assert found(30, 31) == [second]
    letters.mark_replayed(first)
    assert found(0, 100) == [second]
