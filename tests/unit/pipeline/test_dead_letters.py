"""Dead letters keep every sample that was put aside, and each of them once."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from archiver.model import SampleBatch
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
    assert [letter.samples for letter in letters.list()] == [sample(1.0), sample(2.0)]
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
