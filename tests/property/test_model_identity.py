"""Identity, duplicates and versions against references that are obvious."""

from __future__ import annotations

from collections import defaultdict

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from archiver.model import SampleBatch
from archiver.model.batch import sort_order
from archiver.model.identity import (
    Watermarks,
    content_codes,
    distinct,
    duplicates,
    newest_versions,
    number_equals,
)
from archiver.model.time import MAX_TIME, MIN_TIME
from archiver.testing.rows import Row, rows_of
from archiver.testing.strategies import batches, crowded_batches

any_batches = st.one_of(crowded_batches(), batches())


def ordered(rows: list[Row]) -> list[Row]:
    return sorted(rows, key=lambda row: row[:4])


@given(any_batches)
def test_sorted_is_a_stable_sort_by_name_time_sequence_and_receive_time(batch: SampleBatch) -> None:
    assert rows_of(batch.sorted()) == ordered(rows_of(batch))


@given(any_batches)
def test_content_codes_are_equal_just_when_the_contents_are(batch: SampleBatch) -> None:
    codes = content_codes(batch)
    contents = [row.content for row in rows_of(batch)]
    for i, code in enumerate(codes):
        assert [other == code for other in codes] == [content == contents[i] for content in contents]


@given(any_batches, any_batches)
def test_duplicates_are_what_was_said_before_of_the_same_sample(incoming: SampleBatch, existing: SampleBatch) -> None:
    known = {(row.identity, row.content) for row in rows_of(existing)}
    expected = []
    for row in rows_of(incoming):
        expected.append((row.identity, row.content) in known)
        known.add((row.identity, row.content))
    assert duplicates(incoming, existing).tolist() == expected


@given(crowded_batches(), st.data())
def test_a_resend_in_any_order_and_split_is_all_duplicates(batch: SampleBatch, data: st.DataObject) -> None:
    order = data.draw(st.permutations(range(batch.num_rows)))
    part = batch.take(order).slice(0, data.draw(st.integers(0, batch.num_rows)))
    assert duplicates(part.with_receive_time(99), batch).all()


@given(any_batches, st.one_of(st.none(), st.integers(0, 2)))
def test_newest_versions_is_the_last_version_of_each_identity(batch: SampleBatch, as_of: int | None) -> None:
    newest: dict[tuple[str, int, int], Row] = {}
    for row in ordered([row for row in rows_of(batch) if as_of is None or row.receive_time <= as_of]):
        newest[row.identity] = row
    assert rows_of(newest_versions(batch, as_of)) == list(newest.values())


@given(any_batches)
def test_distinct_gives_each_row_once_in_order(batch: SampleBatch) -> None:
    assert rows_of(distinct(SampleBatch.concat([batch, batch]))) == list(dict.fromkeys(ordered(rows_of(batch))))


@given(crowded_batches(30))
def test_number_equals_numbers_different_contents_in_order_of_arrival(batch: SampleBatch) -> None:
    batch = batch.with_sequence(np.zeros(batch.num_rows, np.int32))
    numbers: dict[tuple[str, int, int], dict[object, int]] = defaultdict(dict)
    expected = [numbers[row.identity].setdefault(row.content, len(numbers[row.identity])) for row in rows_of(batch)]
    assert number_equals(batch).sequence.tolist() == expected


@given(crowded_batches())
def test_number_equals_leaves_numbers_of_the_source_alone(batch: SampleBatch) -> None:
    if batch.sequence.any():
        assert number_equals(batch) is batch


@given(st.lists(any_batches, max_size=3), any_batches)
def test_nothing_above_the_watermarks_is_stored(stored: list[SampleBatch], batch: SampleBatch) -> None:
    marks = Watermarks()
    newest: dict[str, int] = {}
    for part in stored:
        marks.advance(part)
        for row in rows_of(part):
            newest[row.element] = max(row.source_time, newest.get(row.element, row.source_time))
    expected = [row.source_time <= newest.get(row.element, MIN_TIME) for row in rows_of(batch)]
    assert marks.at_or_below(batch).tolist() == expected


@pytest.mark.parametrize("shape", ["interleaved", "grouped", "jittered", "shuffled", "wide", "many"])
def test_sort_order_of_larger_batches(shape: str) -> None:
    rng = np.random.default_rng(7)
    count = 5_000
    codes = (np.arange(count) % 40).astype(np.int32)
    times = np.arange(count) // 40
    if shape == "grouped":
        codes = np.sort(codes)
    elif shape == "jittered":
        times = times * 10 + rng.integers(0, 15, count)
    elif shape == "shuffled":
        times = rng.integers(0, 60, count)
    elif shape == "wide":
        times = rng.choice([MIN_TIME, -1, 0, MAX_TIME], count)
    elif shape == "many":
        codes = rng.permutation(70_000)[:count].astype(np.int32)
    sequence = rng.integers(0, 2, count).astype(np.int32)
    order = sort_order(codes, times, sequence)
    expected = sorted(range(count), key=lambda i: (codes[i], times[i], sequence[i]))
    assert (list(range(count)) if order is None else order.tolist()) == expected
