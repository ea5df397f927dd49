"""Comparisons; exact where one can be.

Integers are compared with integers, and with numbers that are written out, exactly. So is a float with a number that is
written out: ``9007199254740993`` is no float, and none equals it. A column of integers beside a column of floats, and
what arithmetic made, are compared as floats. Text is ordered by code point.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from functools import partial, reduce
from typing import Any

import numpy as np

from analytics.events.expressions.arithmetic import floats_of
from analytics.events.expressions.columns import Held, Texts
from analytics.events.expressions.logic import opposite
from analytics.events.expressions.shape import Type
from analytics.events.expressions.vectors import Numbers, Truth, Wholes, either, numbers, truth
from archiver.model.time import NANOSECONDS

Comparer = Callable[[Any, Any], Any]
_SIGNS: dict[str, Comparer] = {
    "==": operator.eq,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
MIRRORED = {"==": "==", "!=": "!=", "<": ">", "<=": ">=", ">": "<", ">=": "<="}
"""What a comparison is with its sides exchanged."""


def against(sign: str, type_: Type, number: int | float) -> Callable[[Any], Truth]:
    """Return what compares vectors of a type with a number that is written out; of a duration, its seconds."""
    if sign == "!=":
        return _opposite_of(against("==", type_, number))
    limit = _Limit.of(sign, number)
    if type_ is Type.DURATION:
        return partial(_wholes_against, _Limit.of(sign, _exact(number) * NANOSECONDS))
    if type_ in (Type.INT, Type.UINT):
        return partial(_wholes_against, limit)
    return partial(_against, limit)


def between(sign: str, left: Type, right: Type) -> Callable[[Any, Any], Truth]:
    """Return what compares two vectors of types that can be compared."""
    if sign == "!=":
        equal = between("==", left, right)
        return lambda a, b: opposite(equal(a, b))
    compare = _SIGNS[sign]
    if Type.BOOL in (left, right):
        return lambda a, b: _truths(compare, truth(a), truth(b))
    if {left, right} in ({Type.INSTANT}, {Type.DURATION}) or {left, right} <= {Type.INT, Type.UINT}:
        return lambda a, b: Truth.of(compare(a.values, b.values), either(a.unknown, b.unknown))
    if Type.TEXT in (left, right):
        return partial(_held, sign)
    first, second = floats_of(left), floats_of(right)

    def run(a: Any, b: Any) -> Truth:
        if isinstance(a, Held) and isinstance(b, Held):
            return _held(sign, a, b)
        one, other = first(a), second(b)
        if sign == "==":  # a text is known not to be the number
            one = one._replace(may_be_nan=False) if isinstance(a, Held) else one
            other = other._replace(may_be_nan=False) if isinstance(b, Held) else other
        return _floats(compare, one, other)

    return run


def among(words: frozenset[str]) -> Callable[[Held], Truth]:
    """Return what looks whether a text is one of some."""

    def run(held: Held) -> Truth:
        texts = held.texts
        found = np.False_ if texts is None else texts.where(words.__contains__)
        return Truth.of(found, held.unknown)

    return run


@dataclass(frozen=True, slots=True)
class _Limit:
    """A comparison with a number that is written out: how floats and how integers compare with it exactly."""

    floats: Callable[[Any], Any]
    wholes: Callable[[Any], Any]
    is_equality: bool

    @classmethod
    def of(cls, sign: str, number: int | float | Fraction) -> _Limit:
        return cls(_floats_against(sign, number), _integers_against(sign, number), sign == "==")


def _exact(number: int | float) -> Fraction | float:
    return Fraction(number) if math.isfinite(number) else number


def _floats_against(sign: str, number: int | float | Fraction) -> Callable[[Any], Any]:
    nearest = float(number)
    if isinstance(number, float) or nearest == number:
        return lambda values: _SIGNS[sign](values, nearest)
    if sign == "==":
        return lambda values: np.zeros(np.shape(values), bool)[()]
    strict = (nearest > number) == (sign[0] == "<")  # no float lies between the two
    compare = _SIGNS[sign[0] if strict else f"{sign[0]}="]
    return lambda values: compare(values, nearest)


def _integers_against(sign: str, number: int | float | Fraction) -> Callable[[Any], Any]:
    if not math.isfinite(number):
        bound = 2**65 if number > 0 else -(2**65)
    elif sign == "==" and number != math.floor(number):
        return lambda values: np.zeros(np.shape(values), bool)[()]
    else:
        bound = math.ceil(number) if sign in ("<", ">=") else math.floor(number)
    return lambda values: _SIGNS[sign](values, bound)  # numpy compares with integers of any size exactly


def _opposite_of(compare: Callable[[Any], Truth]) -> Callable[[Any], Truth]:
    return lambda vector: opposite(compare(vector))


def _wholes_against(limit: _Limit, vector: Wholes) -> Truth:
    return Truth.of(limit.wholes(vector.values), vector.unknown)


def _against(limit: _Limit, vector: Held | Numbers) -> Truth:
    if isinstance(vector, Numbers):
        return Truth.of(limit.floats(vector.values), vector.settled())
    if vector.number is not None and vector.text is None:
        return Truth.of(_limited(limit, vector), vector.unknown)
    is_number = np.False_ if vector.number is None else ~np.isnan(vector.number)
    holds = np.False_ if vector.number is None else _limited(limit, vector) & is_number
    return Truth.of(holds, vector.unknown if limit.is_equality else either(vector.unknown, ~is_number))


def _limited(limit: _Limit, held: Held) -> Any:
    if held.integer is None:
        return limit.floats(held.number)
    if held.is_integer is None:
        return limit.wholes(held.integer)
    return np.where(held.is_integer, limit.wholes(held.integer), limit.floats(held.number))


def _floats(compare: Comparer, left: Numbers, right: Numbers) -> Truth:
    return Truth.of(compare(left.values, right.values), either(left.settled(), right.settled()))


def _truths(compare: Comparer, left: Truth, right: Truth) -> Truth:
    return Truth.of(compare(left.sure, right.sure), either(left.unknown, right.unknown))


def _held(sign: str, left: Held, right: Held) -> Truth:
    """Compare two columns: numbers as such, texts as such; a number and a text are not equal, and have no order."""
    unknown = either(left.unknown, right.unknown)
    compare = _SIGNS[sign]
    if left.text is None and right.text is None and left.number is not None and right.number is not None:
        return Truth.of(_numbers(compare, left, right), unknown)
    holds: Any = np.False_
    comparable: Any = np.False_
    if left.number is not None and right.number is not None:
        comparable = ~(np.isnan(left.number) | np.isnan(right.number))
        holds = _numbers(compare, left, right) & comparable
    if left.texts is not None and right.texts is not None:
        both = (left.texts.codes >= 0) & (right.texts.codes >= 0)
        holds = holds | (_ordered(compare, left.texts, right.texts) & both)
        comparable = comparable | both
    return Truth.of(holds, unknown if sign == "==" else either(unknown, ~comparable))


def _numbers(compare: Comparer, left: Held, right: Held) -> Any:
    holds = compare(numbers(left).values, numbers(right).values)
    if left.integer is None or right.integer is None:
        return holds
    exactly = compare(left.integer, right.integer)
    if left.is_integer is None and right.is_integer is None:
        return exactly
    sides = [side for side in (left.is_integer, right.is_integer) if side is not None]
    return np.where(reduce(np.logical_and, sides), exactly, holds)


def _ordered(compare: Comparer, left: Texts, right: Texts) -> Any:
    """Compare texts by their places in the order of all of them."""
    ranks = {word: rank for rank, word in enumerate(sorted({*left.words, *right.words}))}
    first, second = (np.array([*map(ranks.get, texts.words), -1], np.int64)[texts.codes] for texts in (left, right))
    return compare(first, second)
