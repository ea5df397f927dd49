"""Numbers that came as another kind than their element's: moved to its column where nothing of them is lost."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from archiver.model import Kind
from archiver.model.batch import Mask

CASTS = {
    (Kind.INT, Kind.FLOAT),
    (Kind.UINT, Kind.FLOAT),
    (Kind.FLOAT, Kind.INT),
    (Kind.FLOAT, Kind.UINT),
    (Kind.INT, Kind.UINT),
    (Kind.UINT, Kind.INT),
    (Kind.INT, Kind.ENUM),
    (Kind.UINT, Kind.ENUM),
    (Kind.FLOAT, Kind.ENUM),
    (Kind.ENUM, Kind.INT),
    (Kind.INTS, Kind.FLOATS),
    (Kind.FLOATS, Kind.INTS),
}
"""From which kind to which a value may be moved."""

_RANGES = {Kind.INT: (-(2**63), 2**63), Kind.UINT: (0, 2**64), Kind.ENUM: (-(2**31), 2**31)}
_EXACT = 2**53
"""Up to here every whole number is a float of its own."""


def move(values: Mapping[Kind, pa.Array], pair: tuple[Kind, Kind], rows: Mask) -> tuple[dict[Kind, pa.Array], Mask]:
    """Return the columns of both kinds after moving what can be moved without loss, and which rows that is.

    Parameters
    ----------
    values : mapping of Kind to Array
        Columns by kind, all of one length.
    pair : tuple of Kind
        Of `CASTS`: from which kind to which.
    rows : ndarray of bool
        The samples to move; each has a value of the first kind.

    Examples
    --------
    >>> moved, kept = move({Kind.FLOAT: pa.array([1.0, 2.5])}, (Kind.FLOAT, Kind.INT), np.array([True, True]))
    >>> moved[Kind.INT].to_pylist(), moved[Kind.FLOAT].to_pylist(), kept.tolist()
    ([1, None], [None, 2.5], [True, False])
    """
    source, target = pair
    old = values[source]
    there = values.get(target, pa.nulls(len(old), target.arrow_type))
    kept = rows.copy()
    kept[rows] = _fitting(old.filter(pa.array(rows)), target)
    cast = old.filter(pa.array(kept)).cast(target.arrow_type)
    index = np.arange(len(old))
    index[kept] = len(old) + np.arange(len(cast))
    moved = pa.concat_arrays([there, cast]).take(pa.array(index))  # lists have no kernel that replaces
    return {target: moved, source: old.take(pa.array(np.arange(len(old)), mask=kept))}, kept


def _fitting(values: pa.Array, target: Kind) -> Mask:
    """Return which values, none of them null, are the same as the target's kind; an array is when all its items are."""
    if not target.is_list:
        return _same(values.to_numpy(), target)
    kept = np.ones(len(values), bool)
    items = _same(values.flatten().to_numpy(), target.item)
    kept[pc.list_parent_indices(values).to_numpy()[~items]] = False
    return kept


def _same(numbers: NDArray[Any], target: Kind) -> Mask:
    """Return which numbers the kind holds: whole ones in its range; -0.0 is no integer."""
    if target is Kind.FLOAT:
        return (numbers >= -_EXACT) & (numbers <= _EXACT)
    low, beyond = _RANGES[target]
    if numbers.dtype.kind != "f":
        return (numbers >= low) & (numbers < beyond)
    whole: Mask = (numbers >= float(low)) & (numbers < float(beyond)) & (np.trunc(numbers) == numbers)
    negative_zero: Mask = (numbers == 0) & np.signbit(numbers)
    return whole & ~negative_zero
