"""Making a batch: what fits is kept to the bit, what does not is refused, never cut."""

from __future__ import annotations

import math

import numpy as np
import pyarrow as pa
import pytest

from archiver.model import InvalidInputError, Kind, SampleBatch
from archiver.testing.rows import batch_of, rows_of
from archiver.testing.strategies import PAYLOAD_NAN


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"source_time": [1.5]}, "source_time"),
        ({"source_time": np.array([1.0])}, "source_time must be integers"),
        ({"source_time": np.array([2**63], np.uint64)}, "source_time must lie between"),
        ({"source_time": pa.array([1], pa.timestamp("us"))}, "source_time must be integers"),
        ({"source_time": pa.array([None], pa.int64())}, "source_time has 1 nulls"),
        ({"status": -1}, "status must lie between 0"),
        ({"status": 2**64}, "status"),
        ({"status": np.array([0.5])}, "status must be integers"),
        ({"sequence": 2**31}, "sequence must lie between"),
        ({"receive_time": [2**63]}, "receive_time"),
        ({"element": ["a", None], "source_time": [1, 2], "value": [1.0, 2.0]}, "no element name"),
        ({"element": ["a", "b"]}, "different lengths"),
        ({"value": [1.0, 2.0]}, "different lengths"),
        ({"value": [None, None]}, "different lengths"),
        ({"value": [1, "a"]}, "value"),
        ({"value": [1.5], "kind": Kind.INT}, "value"),
        ({"value": [2**31], "kind": Kind.ENUM}, "value"),
        ({"value": [-1], "kind": Kind.UINT}, "value"),
        ({"value": [[1.5]], "kind": Kind.INTS}, "value"),
        ({"value": [2**53 + 1], "kind": Kind.FLOAT}, "value"),
        ({"value": [[1.0, None]]}, "null items"),
        ({"value": {Kind.FLOAT: pa.array([1.0]), Kind.TEXT: pa.array(["a"])}}, "sample 0 has values of several kinds"),
        ({"value": pa.array([1], pa.duration("s"))}, "cannot be archived"),
    ],
)
def test_what_does_not_fit_is_refused(columns: dict[str, object], message: str) -> None:
    with pytest.raises(InvalidInputError, match=message):
        SampleBatch.from_columns(**{"element": "a", "source_time": [1], "value": [1.0]} | columns)  # type: ignore[arg-type]


def test_integers_on_both_sides_of_two_to_the_63() -> None:
    batch = SampleBatch.from_columns("a", [1, 2], [0, 2**64 - 1], kind=Kind.UINT, status=[1, 2**63])
    assert batch.values(Kind.UINT).to_pylist() == [0, 2**64 - 1]
    assert batch.status.tolist() == [1, 2**63]


def test_nan_and_null_stay_apart() -> None:
    for values in ([math.nan, None], pa.array([math.nan, None])):
        batch = SampleBatch.from_columns("a", [1, 2], values)
        assert batch.kind_codes.tolist() == [Kind.FLOAT, Kind.NONE]
    assert SampleBatch.from_columns("a", [1], np.array([np.nan])).kind_codes.tolist() == [Kind.FLOAT]


def test_bits_of_nan_are_kept() -> None:
    batch = SampleBatch.from_columns("a", [1], np.array([PAYLOAD_NAN]))
    assert batch.values(Kind.FLOAT).to_numpy().view(np.int64)[0] == 0x7FF80000DEADBEEF


@pytest.mark.parametrize("dictionary", [["a", "b", "a"], ["a", None, "b"]])
def test_a_dictionary_that_says_a_name_twice_or_none(dictionary: list[str | None]) -> None:
    names = pa.DictionaryArray.from_arrays(pa.array([2, 0], pa.int32()), pa.array(dictionary))
    batch = SampleBatch.from_columns(names, [2, 1], [2.0, 1.0])
    assert [row.element for row in rows_of(batch)] == [dictionary[2], "a"]
    assert len(set(batch.elements)) == len(batch.elements)


def test_a_value_column_in_which_nothing_is_set_is_left_out() -> None:
    batch = SampleBatch.from_columns("a", [1], {Kind.INT: pa.nulls(1, pa.int64()), Kind.TEXT: pa.array(["x"])})
    assert batch.kinds == (Kind.TEXT,)
    assert SampleBatch.from_columns("a", [1], [None]).kinds == ()


def test_another_schema_is_refused() -> None:
    with pytest.raises(InvalidInputError, match="not a sample batch"):
        SampleBatch(pa.record_batch({"element": ["a"], "value": [1.0]}))


def test_equality_counts_nan_and_the_sign_of_zero() -> None:
    def of(value: float) -> SampleBatch:
        return SampleBatch.from_columns("a", [1], [value])

    assert of(math.nan) == of(math.nan)
    assert of(0.0) != of(-0.0)
    assert of(0.0) != "a"


def test_compacted_names_only_what_has_samples_in_order() -> None:
    batch = SampleBatch.from_columns(list("cabd"), [1, 2, 3, 4], [1.0, 2.0, 3.0, 4.0]).slice(0, 3)
    compact = batch.compacted()
    assert compact.elements == ["a", "b", "c"]
    assert rows_of(compact) == rows_of(batch)
    assert compact.compacted() is compact


def test_empty() -> None:
    empty = SampleBatch.empty()
    assert (len(empty), empty.kinds, empty.elements, empty.present()) == (0, (), [], [])
    assert rows_of(empty.sorted(), empty.compacted(), empty.take([])) == []
    assert SampleBatch.concat([]) is SampleBatch.concat([empty, empty]) is empty
    assert SampleBatch.from_columns([], [], []) == empty == batch_of([])


def test_equal_inputs_are_not_copied() -> None:
    batch = SampleBatch.from_columns("a", [1, 2], [1.0, 2.0])
    assert batch.filter(np.array([True, True])) is batch
    assert SampleBatch.concat([SampleBatch.empty(), batch]) is batch
    assert batch.sorted() is batch
