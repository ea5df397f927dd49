"""Arithmetic on floats, on integers that never wrap round, and on instants and durations.

Floats follow IEEE 754, as in CEL: 1.0 / 0.0 is infinite, and what is no number (0.0 / 0.0) is unknown. Integers follow
CEL: a quotient is cut off towards zero, a remainder has the sign of the dividend, and what has no result in 64 bits is
unknown where CEL has an error.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from analytics.events.expressions.shape import NUMERIC, Type
from analytics.events.expressions.vectors import Numbers, Wholes, either, numbers, seconds

Operation = Callable[[Any, Any], Any]
_LEAST = np.int64(np.iinfo(np.int64).min)
_ZERO, _ONE, _MINUS_ONE = np.int64(0), np.int64(1), np.int64(-1)
_FLOATS: dict[str, Operation] = {"+": np.add, "-": np.subtract, "*": np.multiply, "/": np.divide}


def arithmetic(sign: str, left: Type, right: Type) -> tuple[Type, Operation] | None:
    """Return of what type a result is, and what makes it of two vectors; None where the two do not go together."""
    wholes: Operation = _WHOLES[sign]
    if left is Type.INT and right is Type.INT:
        return Type.INT, wholes
    if sign in "+-":
        if left is Type.DURATION and right is Type.DURATION:
            return Type.DURATION, wholes
        if left is Type.INSTANT and right is Type.DURATION:
            return Type.INSTANT, wholes
    if sign == "+" and left is Type.DURATION and right is Type.INSTANT:
        return Type.INSTANT, wholes
    if sign == "-" and left is Type.INSTANT and right is Type.INSTANT:
        return Type.DURATION, wholes
    if sign == "%" or left not in NUMERIC or right not in NUMERIC:
        return None
    first, second, join = floats_of(left), floats_of(right), _FLOATS[sign]
    return Type.NUMBER, lambda a, b: _floats(join, first(a), second(b))


def floats_of(type_: Type) -> Callable[[Any], Numbers]:
    """Return what makes floats of a vector of that type."""
    return seconds if type_ is Type.DURATION else numbers


def negative(vector: Numbers | Wholes) -> Numbers | Wholes:
    """Return the opposite."""
    if isinstance(vector, Wholes):
        return _difference(Wholes(_ZERO), vector)
    return Numbers(-vector.values, vector.unknown, vector.may_be_nan)


def _floats(join: Operation, left: Numbers, right: Numbers) -> Numbers:
    return Numbers(join(left.values, right.values), either(left.unknown, right.unknown), may_be_nan=True)


def _sum(left: Wholes, right: Wholes) -> Wholes:
    a, b = left.values, right.values
    result = a + b
    return _wholes(result, ((a ^ result) & (b ^ result)) < 0, left, right)


def _difference(left: Wholes, right: Wholes) -> Wholes:
    a, b = left.values, right.values
    result = a - b
    return _wholes(result, ((a ^ b) & (a ^ result)) < 0, left, right)


def _product(left: Wholes, right: Wholes) -> Wholes:
    a, b = left.values, right.values
    result = a * b
    divisor = np.where((b == 0) | (b == -1), _ONE, b)
    back = np.where(b == 0, a, np.where(b == -1, -result, result // divisor))
    exact = np.where((b == 0) | (b == -1), True, result % divisor == 0)
    wrong = (back != a) | ~exact | ((b == -1) & (a == _LEAST))
    return _wholes(result, wrong, left, right)


def _quotient(left: Wholes, right: Wholes) -> Wholes:
    a, b, wrong = _divisible(left, right)
    return _wholes((a - np.fmod(a, b)) // b, wrong, left, right)


def _remainder(left: Wholes, right: Wholes) -> Wholes:
    a, b, _ = _divisible(left, right)
    return _wholes(np.fmod(a, b), right.values == 0, left, right)


def _divisible(left: Wholes, right: Wholes) -> tuple[Any, Any, Any]:
    """Return what can be divided without a trap, and where the quotient has no value."""
    a, b = left.values, right.values
    wrong = (b == 0) | ((a == _LEAST) & (b == -1))
    return np.where(wrong, _ZERO, a), np.where(wrong, _ONE, b), wrong


def _wholes(values: Any, wrong: Any, left: Wholes, right: Wholes) -> Wholes:
    unknown = either(left.unknown, right.unknown)
    return Wholes(values, either(unknown, wrong) if np.any(wrong) else unknown)


_WHOLES: dict[str, Operation] = {
    "+": _sum,
    "-": _difference,
    "*": _product,
    "/": _quotient,
    "%": _remainder,
}
