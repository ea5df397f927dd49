"""Columns of cells to columns of values: what cannot be converted is found and set aside, the rest goes on."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from archiver.model import InvalidInputError, Kind
from archiver.model.kind import kind_of

Rows = NDArray[np.int64]
_NO_ROWS = np.empty(0, np.int64)
_EXACT = 2**53
_HEAD = 1000
_WHOLE = r"^[+-]?\d+$"
_BOOLEAN = "^(?i:true|false)$"


def convert_rows(cells: pa.Array, convert: Callable[[pa.Array], pa.Array]) -> tuple[pa.Array, Rows]:
    """Return the converted cells, null where it fails, and the rows where it fails.

    `convert` takes all cells at once and raises `pyarrow.ArrowInvalid`; the offenders are found by halving.
    """
    try:
        return convert(cells), _NO_ROWS
    except pa.ArrowInvalid:
        if len(cells) == 1:
            return convert(pa.nulls(1, cells.type)), np.zeros(1, np.int64)
    half = len(cells) // 2
    left, left_bad = convert_rows(cells.slice(0, half), convert)
    right, right_bad = convert_rows(cells.slice(half), convert)
    return pa.concat_arrays([left, right]), np.concatenate([left_bad, right_bad + half])


def is_text(array: pa.Array) -> bool:
    """Return whether the cells are strings."""
    return bool(pa.types.is_string(array.type) or pa.types.is_large_string(array.type))


class ValueColumn:
    """The value column of one name, block after block: its kind is found out once, and kept.

    Parameters
    ----------
    name : str
    kind : Kind or None
        None finds it out from the type (Parquet), or from the first cells. In text, numbers are float, as a column
        that begins with whole numbers need not go on so; whole numbers beyond what a float holds are int.
    decimal : str
        Decimal point of text.
    missing : sequence of str
        Missing-value markers; those that are numbers are also found as numbers (-200.0).
    """

    def __init__(self, name: str, kind: Kind | None, decimal: str, missing: tuple[str, ...]) -> None:
        self.name = name
        self.kind = kind
        self._decimal = decimal
        self._missing = pa.array([number for number in map(_number, missing) if number is not None], pa.float64())

    def convert(self, cells: pa.Array) -> tuple[Kind, pa.Array, Rows]:
        """Return kind, values and the rows that are not of that kind.

        Raises
        ------
        InvalidInputError
            No kind holds the type of the column.
        """
        if not is_text(cells):
            return self._convert_typed(cells)
        cells = pc.utf8_trim_whitespace(cells)
        if self.kind is None and cells.null_count < len(cells):
            self.kind = self._guess(cells.drop_null())
        kind = self.kind or Kind.FLOAT
        values, bad = convert_rows(cells, lambda part: self._cast(part, kind))
        return kind, self._without_missing(values), bad

    def _convert_typed(self, cells: pa.Array) -> tuple[Kind, pa.Array, Rows]:
        try:
            kind = self.kind or kind_of(cells.type)
        except InvalidInputError as exc:
            raise InvalidInputError(f"column {self.name!r}: {exc}") from exc
        if kind is Kind.NONE:
            return Kind.FLOAT, pa.nulls(len(cells), pa.float64()), _NO_ROWS
        values, bad = convert_rows(cells, lambda part: part.cast(kind.arrow_type))
        return kind, self._without_missing(values), bad

    def _guess(self, cells: pa.Array) -> Kind:
        head = cells.slice(0, _HEAD)
        if pc.all(pc.match_substring_regex(head, _BOOLEAN)).as_py():
            return Kind.BOOL
        numbers = self._numbers(head)
        values, bad = convert_rows(numbers, lambda part: part.cast(pa.float64()))
        if 2 * len(bad) >= len(head):
            return Kind.TEXT
        whole = pc.all(pc.match_substring_regex(numbers, _WHOLE)).as_py()
        return Kind.INT if whole and pc.any(pc.greater(pc.abs(values), _EXACT)).as_py() else Kind.FLOAT

    def _cast(self, cells: pa.Array, kind: Kind) -> pa.Array:
        if kind is Kind.TEXT:
            return cells
        if kind is Kind.BOOL:
            if not pc.all(pc.match_substring_regex(cells, "^(?i:true|false)$")).as_py() and cells.null_count < len(
                cells
            ):
                raise pa.ArrowInvalid("not true or false")
            return cells.cast(pa.bool_())
        numbers = self._numbers(cells)
        if kind is not Kind.FLOAT:
            return pc.replace_substring_regex(numbers, r"^\+", "").cast(kind.arrow_type)
        values = numbers.cast(pa.float64())
        large = pc.fill_null(pc.greater_equal(pc.abs(values), _EXACT), False)
        if pc.any(large).as_py():
            _check_exact(numbers.filter(large), values.filter(large))
        return values

    def _numbers(self, cells: pa.Array) -> pa.Array:
        return pc.replace_substring(cells, ",", ".") if self._decimal == "," else cells

    def _without_missing(self, values: pa.Array) -> pa.Array:
        if not len(self._missing) or not (pa.types.is_floating(values.type) or pa.types.is_integer(values.type)):
            return values
        found = pc.is_in(values.cast(pa.float64(), safe=False), value_set=self._missing)
        return pc.if_else(found, pa.scalar(None, values.type), values)


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _check_exact(cells: pa.Array, values: pa.Array) -> None:
    for text, value in zip(cells.to_pylist(), values.to_pylist(), strict=True):
        digits = text.lstrip("+-")
        if digits.isdecimal() and (value in (np.inf, -np.inf) or int(value) != int(text)):
            raise pa.ArrowInvalid("a whole number that a float does not hold")
        if value in (np.inf, -np.inf) and digits[:1].isdecimal():
            raise pa.ArrowInvalid("beyond what a float holds")
