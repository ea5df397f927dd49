"""What is moved to the column of another kind is what Arrow casts value by value, and nothing else."""

from __future__ import annotations

import math

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from archiver.model import Kind
from archiver.pipeline.casting import CASTS, move

WHOLE = [0, 1, 2**31 - 1, 2**31, 2**53 - 1, 2**53, 2**53 + 1, 2**63 - 1, 2**63, 2**64 - 1]
INTEGERS = {
    Kind.INT: (-(2**63), 2**63 - 1),
    Kind.UINT: (0, 2**64 - 1),
    Kind.ENUM: (-(2**31), 2**31 - 1),
}
FLOATS = st.one_of(
    st.floats(),
    st.integers(-(2**65), 2**65).map(float),
    st.sampled_from([sign * near(float(n)) for n in WHOLE for sign in (1, -1) for near in
                     (float, lambda x: math.nextafter(x, math.inf), lambda x: math.nextafter(x, 0.0))]),
)  # fmt: skip


def numbers(kind: Kind) -> st.SearchStrategy[float]:
    if kind is Kind.FLOAT:
        return FLOATS
    low, high = INTEGERS[kind]
    edges = [n for whole in WHOLE for n in (whole, -whole) if low <= n <= high]
    return st.one_of(st.integers(low, high), st.integers(max(low, -9), 9), st.sampled_from(edges))


def values_of(kind: Kind) -> st.SearchStrategy[object]:
    return st.lists(numbers(kind.item), max_size=4) if kind.is_list else numbers(kind)


def cast_of(value: object, source: Kind, target: Kind) -> pa.Scalar | None:
    """Return what Arrow's safe cast makes of one value; None where it refuses, or would drop the sign of a zero."""
    if target.item is not Kind.FLOAT and any(str(item) == "-0.0" for item in np.ravel(value).tolist()):
        return None
    try:
        return pa.array([value], source.arrow_type).cast(target.arrow_type, safe=True)[0]
    except pa.ArrowInvalid:
        return None


@pytest.mark.parametrize("pair", sorted(CASTS), ids=lambda pair: "-".join(kind.column for kind in pair))
@given(data=st.data())
def test_columns_are_moved_as_value_by_value(pair: tuple[Kind, Kind], data: st.DataObject):
    source, target = pair
    given_values = data.draw(st.lists(values_of(source), max_size=20))
    chosen = np.array(data.draw(st.lists(st.booleans(), min_size=len(given_values), max_size=len(given_values))), bool)
    cut = data.draw(st.integers(0, len(given_values)))  # columns of a batch are often slices of larger ones
    column = pa.array(given_values, source.arrow_type)[cut:]
    rows = chosen[cut:]

    moved, kept = move({source: column}, pair, rows)

    casts = [cast_of(value, *pair) if row else None for value, row in zip(given_values[cut:], rows, strict=True)]
    assert kept.tolist() == [cast is not None for cast in casts]
    expected = [None if cast is None else cast.as_py() for cast in casts]
    assert moved[target].equals(pa.array(expected, target.arrow_type))
    left = [None if cast is not None else value for value, cast in zip(column.to_pylist(), casts, strict=True)]
    assert repr(moved[source].to_pylist()) == repr(left)


def test_what_the_target_holds_already_stays():
    there = pa.array([None, 7, None], pa.int64())
    came = pa.array([2.0, None, 2.5], pa.float64())
    moved, kept = move({Kind.INT: there, Kind.FLOAT: came}, (Kind.FLOAT, Kind.INT), np.array([True, False, True]))
    assert kept.tolist() == [True, False, False]
    assert moved[Kind.INT].to_pylist() == [2, 7, None]
    assert moved[Kind.FLOAT].to_pylist() == [None, None, 2.5]
