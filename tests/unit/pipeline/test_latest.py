"""The newest sample of each element is the valid one, corrections and resends included."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pytest

from archiver.model import Kind, SampleBatch
from archiver.pipeline import latest as module
from archiver.pipeline.latest import Latest, versions_of_last


def sent(*rows: tuple[str, int, float, int], at: int) -> SampleBatch:
    names, times, values, sequence = (list(column) for column in zip(*rows, strict=True))
    return SampleBatch.from_columns(names, times, values, sequence=sequence, receive_time=at)


def values(batch: SampleBatch) -> list[tuple[Any, ...]]:
    return [(row[0], row[1], row[-1]) for row in batch.to_pylist()]


@pytest.fixture(params=["joined at the end", "joined each time"])
def newest(request: pytest.FixtureRequest):
    def after(*batches: SampleBatch) -> Latest:
        latest = Latest()
        for offset, batch in enumerate(batches, 1):
            latest.update(batch, offset)
            if request.param == "joined each time":
                latest.get()
        return latest

    return after


def test_a_correction_is_valid_and_a_resend_of_what_it_corrected_is_not(newest):
    one, two = ("A", 5, 1.0, 0), ("A", 5, 2.0, 0)
    assert values(newest(sent(one, at=1), sent(two, at=2)).get()) == [("A", 5, 2.0)]
    latest = newest(sent(one, at=1), sent(two, at=2), sent(one, ("B", 1, 0.0, 0), at=3))
    assert values(latest.get()) == [("A", 5, 2.0), ("B", 1, 0.0)]
    assert values(latest.get(["A"])) == [("A", 5, 2.0)]


def test_versions_that_come_in_one_batch_are_known_too(newest):
    one, two = ("A", 5, 1.0, 3), ("A", 5, 2.0, 3)
    assert values(newest(sent(one, two, at=1), sent(one, at=2)).get()) == [("A", 5, 2.0)]


def test_a_newer_sample_ends_the_matter(newest):
    latest = newest(sent(("A", 5, 1.0, 0), at=1), sent(("A", 5, 2.0, 0), at=2), sent(("A", 6, 1.0, 0), at=3))
    assert values(latest.versions()) == [("A", 6, 1.0)]
    assert values(latest.get()) == [("A", 6, 1.0)]


def test_a_snapshot_knows_which_versions_there_were(newest):
    before = newest(sent(("A", 5, 1.0, 0), at=1), sent(("A", 5, 2.0, 0), at=2))
    after = Latest()
    after.reset(before.versions(), before.offset)
    assert values(after.get()) == [("A", 5, 2.0)]
    after.update(sent(("A", 5, 1.0, 0), at=3), 3)
    assert values(after.get()) == [("A", 5, 2.0)]
    assert after.offset == 3


def test_all_versions_of_the_last_sample_of_each_and_nothing_else():
    batch = sent(
        ("B", 1, 1.0, 0), ("A", 5, 1.0, 1), ("A", 5, 2.0, 1), ("A", 5, 3.0, 0), ("A", 4, 4.0, 1), ("B", 2, 5.0, 0), at=1
    )
    assert sorted(values(versions_of_last(batch))) == [("A", 5, 1.0), ("A", 5, 2.0), ("B", 2, 5.0)]


def test_large_values_that_were_replaced_do_not_stay_in_memory(monkeypatch):
    monkeypatch.setattr(module, "_PENDING_BYTES", 2**20)
    latest, before = Latest(), pa.total_allocated_bytes()
    for offset in range(1, 41):
        image = bytes([offset]) * 2**18
        latest.update(SampleBatch.from_columns("image", [offset], [image], kind=Kind.BINARY), offset)
    assert pa.total_allocated_bytes() - before < 3 * 2**20
    assert latest.get().values(Kind.BINARY)[0].as_py() == bytes([40]) * 2**18


def test_values_that_are_too_large_together_do_not_stop_what_comes_in(monkeypatch, caplog):
    monkeypatch.setattr(module, "_PENDING_ROWS", 1)
    latest, joined = Latest(), []

    def fail(self: Latest) -> None:
        joined.append(self.offset)
        raise pa.ArrowInvalid("offset overflow")

    with monkeypatch.context() as patch:
        patch.setattr(Latest, "_join", fail)
        for offset in range(1, 6):
            latest.update(sent(("A", offset, 1.0, 0), at=1), offset)
        with pytest.raises(pa.ArrowInvalid):
            latest.get()
    assert joined == [2, 4, 5], "not at each of them"
    assert "cannot be joined: offset overflow" in caplog.text
    assert latest.offset == 5
    assert values(latest.get()) == [("A", 5, 1.0)]
