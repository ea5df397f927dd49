"""One JSON value: which kind it is, and what it becomes."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable
from typing import Any

from archiver.model import Kind

_KINDS = {kind.column: kind for kind in Kind}
_EXACT = 2**53
_TOO_LARGE = 2**1023
_WORDS = {"NaN": float("nan"), "Infinity": float("inf"), "-Infinity": float("-inf")}
_BOUNDS = {Kind.INT: (-(2**63), 2**63 - 1), Kind.UINT: (0, 2**64 - 1), Kind.ENUM: (-(2**31), 2**31 - 1)}


class RowError(ValueError):
    """A row is no sample; the text says why."""


def kind_for(value: Any, name: Any = None) -> Kind:
    """Return the kind that a row names, or else the one that its value shows.

    A whole number is a float as long as a float holds it exactly, so that 20 and 20.5 are of one kind.
    """
    if name is not None:
        kind = _KINDS.get(name) if isinstance(name, str) else None
        if kind is None:
            raise RowError(f"kind = {name!r}: no such kind; write one of {', '.join(_KINDS)}")
        return kind
    if value is None:
        return Kind.NONE
    if isinstance(value, list):
        return _kind_of_array(value)
    if isinstance(value, bool):
        return Kind.BOOL
    if isinstance(value, float):
        return Kind.FLOAT
    if isinstance(value, int):
        if _is_float(value):
            return Kind.FLOAT
        return Kind.UINT if value >= 2**63 else Kind.INT
    if isinstance(value, str):
        return Kind.TEXT
    raise RowError("value: an object cannot be archived; write a number, bool, string, array of those, or null")


def convert(value: Any, kind: Kind) -> Any:
    """Return a value as its kind's Arrow column takes it; None stays None."""
    if value is None:
        return None
    if kind.is_list:
        if not isinstance(value, list):
            raise RowError(f"value = {_show(value)}: not an array, as kind {kind.column} wants")
        if None in value:
            raise RowError("value: an array has null items; a sample has a value as a whole or none")
        return [convert(item, kind.item) for item in value]
    if kind is Kind.NONE:
        raise RowError('value: kind "none" goes with null only')
    result = _CONVERTERS[kind](value)
    if result is None:
        raise RowError(f"value = {_show(value)}: not of kind {kind.column}")
    return result


def _kind_of_array(values: list[Any]) -> Kind:
    items = {kind_for(value) for value in values} - {Kind.NONE}
    if any(kind.is_list for kind in items):
        raise RowError("value: an array of arrays cannot be archived")
    if len(items) > 1:
        names = ", ".join(sorted(kind.column for kind in items))
        raise RowError(f"value: an array of several kinds ({names}) cannot be archived; give all items one kind")
    return Kind(items.pop() + 10) if items else Kind.FLOATS


def _float(value: Any) -> float | None:
    if isinstance(value, str):
        return _WORDS.get(value)  # what JSON has no number for
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    if isinstance(value, int) and not _is_float(value):
        raise RowError(f"value = {_show(value)}: no float holds it exactly; send it with kind int or uint")
    return float(value)


def _is_float(value: int) -> bool:
    """Whether a float holds a whole number exactly."""
    return abs(value) <= _EXACT or (abs(value) < _TOO_LARGE and float(value) == value)


def _whole(kind: Kind) -> Callable[[Any], int | None]:
    low, high = _BOUNDS[kind]

    def whole(value: Any) -> int | None:
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        return value if type(value) is int and low <= value <= high else None

    return whole


def _bool(value: Any) -> bool | None:
    return value if isinstance(value, bool) else None


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None


def _binary(value: Any) -> bytes | None:
    try:
        return base64.b64decode(value, validate=True) if isinstance(value, str) else None
    except binascii.Error:
        raise RowError(f"value = {_show(value)}: not Base64, in which JSON carries kind binary") from None


def _show(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


_CONVERTERS: dict[Kind, Callable[[Any], Any]] = {
    Kind.FLOAT: _float,
    Kind.INT: _whole(Kind.INT),
    Kind.UINT: _whole(Kind.UINT),
    Kind.ENUM: _whole(Kind.ENUM),
    Kind.BOOL: _bool,
    Kind.TEXT: _text,
    Kind.BINARY: _binary,
}
