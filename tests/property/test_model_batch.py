"""Choosing and joining samples against lists of rows."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from archiver.model import Interval, Kind, SampleBatch
from archiver.model.kind import VALUE_KINDS
from archiver.testing.rows import batch_of, rows_of
from archiver.testing.strategies import HOSTILE_NAMES, batches, times


@given(batches())
def test_tuples_and_back(batch: SampleBatch) -> None:
    assert rows_of(batch_of(batch.to_pylist())) == rows_of(batch)
    assert batch == batch_of(batch.to_pylist())


@given(st.lists(batches(), max_size=4))
def test_concat_is_one_after_the_other(parts: list[SampleBatch]) -> None:
    joined = SampleBatch.concat(parts)
    assert rows_of(joined) == rows_of(*parts)
    assert set(joined.kinds) == {kind for part in parts if part.num_rows for kind in part.kinds}


@given(batches(), st.data())
def test_take_filter_and_slice(batch: SampleBatch, data: st.DataObject) -> None:
    rows = rows_of(batch)
    indices = data.draw(st.lists(st.integers(0, len(rows) - 1), max_size=8)) if rows else []
    assert rows_of(batch.take(indices)) == [rows[i] for i in indices]
    mask = np.array(data.draw(st.lists(st.booleans(), min_size=len(rows), max_size=len(rows))), bool)
    assert rows_of(batch.filter(mask)) == [row for row, keep in zip(rows, mask, strict=True) if keep]
    start, length = data.draw(st.integers(0, len(rows))), data.draw(st.integers(0, len(rows)))
    assert rows_of(batch.slice(start, length)) == rows[start : start + length]
    assert rows_of(batch.slice(start).take([])) == []


@given(batches(), st.sets(st.sampled_from(HOSTILE_NAMES)), times, times)
def test_masks(batch: SampleBatch, names: set[str], one: int, other: int) -> None:
    interval = Interval(min(one, other), max(one, other))
    rows = rows_of(batch)
    assert batch.mask_elements(names).tolist() == [row.element in names for row in rows]
    assert batch.mask_interval(interval).tolist() == [row.source_time in interval for row in rows]
    assert set(batch.present()) == {row.element for row in rows}


@given(batches(), st.integers(-(2**63), 2**63 - 1))
def test_other_columns(batch: SampleBatch, time: int) -> None:
    changed = batch.with_receive_time(time).with_sequence(np.arange(batch.num_rows, dtype=np.int32))
    expected = [row._replace(receive_time=time, sequence=i) for i, row in enumerate(rows_of(batch))]
    assert rows_of(changed) == expected


@given(batches())
def test_columns_say_what_the_rows_say(batch: SampleBatch) -> None:
    rows = rows_of(batch)
    assert [batch.elements[code] for code in batch.codes] == [row.element for row in rows]
    assert batch.kind_codes.tolist() == [int(row.kind) for row in rows]
    for kind in VALUE_KINDS:
        assert batch.values(kind).is_valid().to_pylist() == [row.kind is kind for row in rows]
    assert set(batch.kinds) == {row.kind for row in rows} - {Kind.NONE}


@given(st.lists(batches(max_rows=8), min_size=2, max_size=4))
def test_sorted_after_slices_and_joins(parts: list[SampleBatch]) -> None:
    joined = SampleBatch.concat([part.slice(1) for part in parts])
    assert rows_of(joined.sorted()) == sorted(rows_of(joined), key=lambda row: row.order)
