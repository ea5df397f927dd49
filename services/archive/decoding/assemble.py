"""Columns of Python values, as JSON gives them, to a sample batch; what is right in all rows costs no look at one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from archiver.model import InvalidInputError, Kind, SampleBatch, parse_time
from archiver.model.batch import Int64s
from archiver.model.kind import VALUE_KINDS
from services.archive.decoding.decoded import Decoded, Refusal
from services.archive.decoding.values import RowError, convert, kind_for

_SEQUENCE_MAX = 2**31 - 1
_STATUS_MAX = 2**64 - 1
_WHOLE_COLUMN = {float: Kind.FLOAT, int: Kind.FLOAT, bool: Kind.BOOL, str: Kind.TEXT}
"""Types whose column needs no look at single values; an integer that a float holds exactly counts as a float, since
JSON writes 20.0 as 20."""


@dataclass(frozen=True, slots=True)
class Columns:
    """A list per column, all of one length, with whatever the client sent in them; the last three may be empty."""

    element: list[Any]
    source_time: list[Any]
    value: list[Any]
    status: Sequence[Any] = ()
    kind: Sequence[Any] = ()
    sequence: Sequence[Any] = ()


def assemble(columns: Columns, indices: Sequence[int] | None = None, refused: Sequence[Refusal] = ()) -> Decoded:
    """Return the rows that are samples as a batch, and why the others are none.

    Parameters
    ----------
    indices : sequence of int, optional
        Index in the body of each row; 0, 1, 2, … when left out.
    refused : sequence of Refusal
        Rows that did not get this far.
    """
    bad: dict[int, str] = {}
    count = len(columns.element)
    element = _elements(columns.element, bad)
    times = _times(columns.source_time, bad)
    status = _each(columns.status, 0, _status, bad) if any(columns.status) else 0
    sequence = _each(columns.sequence, 0, _sequence, bad) if any(columns.sequence) else 0
    values = _values(columns, bad)
    if isinstance(status, list):
        status = pa.array(status, pa.uint64())
    batch = SampleBatch.from_columns(element, times, values, status=status, sequence=sequence)
    if not bad and indices is None:
        return Decoded(batch, tuple(refused))
    rows = np.arange(count) if indices is None else np.asarray(indices, np.int64)
    good = np.ones(count, bool)
    good[list(bad)] = False
    all_refused = [*refused, *(Refusal(int(rows[row]), reason) for row, reason in bad.items())]
    return Decoded(batch.filter(good), tuple(sorted(all_refused, key=lambda r: r.index)), rows[good])


def _each(column: Sequence[Any], blank: Any, check: Callable[[Any], Any], bad: dict[int, str]) -> list[Any]:
    """Return a column whose entries all pass a check; bad rows are noted and left blank."""
    result = []
    for row, entry in enumerate(column):
        try:
            result.append(check(entry))
        except RowError as exc:
            bad.setdefault(row, str(exc))
            result.append(blank)
    return result


def _elements(column: list[Any], bad: dict[int, str]) -> pa.Array:
    try:
        array = pa.array(column, pa.utf8())  # takes strings and nulls, and nothing else that JSON has
    except pa.ArrowException:
        array = None
    if array is None or array.null_count:
        array = pa.array(_each(column, "", _element, bad), pa.utf8())
    return array


def _element(entry: Any) -> str:
    if not isinstance(entry, str):
        raise RowError(f"element = {entry!r}: not a name; write a string")
    return entry


def _status(entry: Any) -> int:
    if type(entry) is not int or not 0 <= entry <= _STATUS_MAX:
        raise RowError(f"status = {entry!r}: not 64 status bits; write a number from 0 to {_STATUS_MAX}")
    return entry


def _sequence(entry: Any) -> int:
    if type(entry) is not int or not 0 <= entry <= _SEQUENCE_MAX:
        raise RowError(f"sequence = {entry!r}: write a number from 0 to {_SEQUENCE_MAX}")
    return entry


def _times(column: list[Any], bad: dict[int, str]) -> Int64s:
    types = set(map(type, column))
    try:
        if types == {int}:
            return _numpy(pa.array(column, pa.int64()))
        if types == {str}:
            return _numpy(pa.array(column, pa.utf8()).cast(pa.timestamp("ns", "UTC")).cast(pa.int64()))
    except (pa.ArrowInvalid, OverflowError):
        pass  # some row is to blame: find it, below
    return np.array(_each(column, 0, _time, bad), np.int64)


def _time(entry: Any) -> int:
    if type(entry) is int and -(2**63) <= entry < 2**63:
        return entry
    if isinstance(entry, str):
        try:
            return parse_time(entry)
        except InvalidInputError as exc:
            raise RowError(f"source_time = {exc}") from exc
    raise RowError(f"source_time = {entry!r}: not a time; write ISO-8601 with a zone, or whole nanoseconds")


def _values(columns: Columns, bad: dict[int, str]) -> dict[Kind, pa.Array]:
    types = set(map(type, columns.value)) - {type(None)}
    if not any(columns.kind):
        kinds = {_WHOLE_COLUMN.get(type_) for type_ in types}
        if not kinds:
            return {}
        if len(kinds) == 1 and None not in kinds:
            kind = kinds.pop()
            assert kind is not None, "just checked"
            try:
                return {kind: pa.array(columns.value, kind.arrow_type)}
            except (pa.ArrowInvalid, OverflowError, UnicodeEncodeError):
                pass  # an integer that no float holds: look at each
    return _values_each(columns, bad)


def _values_each(columns: Columns, bad: dict[int, str]) -> dict[Kind, pa.Array]:
    """Return arrays by kind, looking at every value."""
    count = len(columns.value)
    kinds = columns.kind or [None] * count
    lists: dict[Kind, list[Any]] = {}
    for row, (value, name) in enumerate(zip(columns.value, kinds, strict=True)):
        try:
            kind = kind_for(value, name)
            if value is not None:
                lists.setdefault(kind, [None] * count)[row] = convert(value, kind)
        except RowError as exc:
            bad.setdefault(row, str(exc))
    return {kind: pa.array(lists[kind], kind.arrow_type) for kind in VALUE_KINDS if kind in lists}


def _numpy(array: pa.Array) -> Int64s:
    result: Int64s = array.to_numpy()
    return result
