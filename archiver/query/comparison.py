"""What samples say to one test of a condition: it holds, it does not, or that is unknown.

A comparison is unknown for a sample without a good value: there is none, it is NaN, the status is bad, or the source
is disconnected or archiving paused. A test of the status is known for every sample.

Integers are compared exactly, with whatever is written: ``9007199254740993`` is not ``9007199254740992``, and
``n < 1.5`` is ``n <= 1``. A float is compared with a decimal as the nearest float to that, so that ``= 0.1`` finds 0.1,
and with an integer exactly. A bool is 0 or 1. An enumeration is compared by its number, or by the name of its state.
Text is ordered by code point.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from archiver.model import InvalidInputError, Kind, SampleBatch, Status
from archiver.model import status as bits
from archiver.model.batch import Mask
from archiver.model.near import did_you_mean
from archiver.model.partials import native

States = Callable[[str], Mapping[int, str]]
"""Gives the state set of an element: number to name."""

_COMPARE: dict[str, Callable[[Any, Any], Any]] = {
    "=": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
_TEXT = {"=": "equal", "!=": "not_equal", "<": "less", "<=": "less_equal", ">": "greater", ">=": "greater_equal"}


def good(batch: SampleBatch) -> Mask:
    """Return where a sample has a value that is not NaN, and its status says neither bad, disconnected nor paused."""
    result: Mask = batch.kind_codes != Kind.NONE
    if batch.status.any():
        result &= ~(bits.is_bad(batch.status) | bits.is_gap(batch.status))
    if Kind.FLOAT in batch.kinds:
        result &= ~np.isnan(native(batch.values(Kind.FLOAT)))
    return result


def _of_status(look: Callable[[NDArray[np.uint64]], Mask]) -> Callable[[SampleBatch], Mask]:
    return lambda batch: look(batch.status)


def _has_bit(bit: int) -> Callable[[SampleBatch], Mask]:
    return lambda batch: (batch.status & np.uint64(bit)) != 0


STATES: dict[str, Callable[[SampleBatch], Mask]] = {
    "good": good,
    "bad": _of_status(bits.is_bad),
    "invalid": _of_status(bits.is_invalid),
    "default": _of_status(bits.is_default),
    "online_bad": _of_status(bits.is_online_bad),
    **{flag.name.lower(): _has_bit(int(flag)) for flag in Status if flag.name},
    **{f"bit{number}": _has_bit(1 << number) for number in range(64)},
}
"""What may be asked of a sample with ``is``: its quality, and each bit of its status by name or number."""


@dataclass(frozen=True, slots=True)
class Number:
    """A number as written; `is_decimal` where it has a point or an exponent, and stands for the nearest float."""

    exact: Fraction
    is_decimal: bool = False


Literal = str | Number


@dataclass(frozen=True, slots=True)
class Comparison:
    """Whether the value of an element compares so with any of some literals."""

    element: str
    operator: str
    literals: tuple[Literal, ...]

    def of(self, element: str) -> Comparison:
        """Return the same of another element."""
        return replace(self, element=element)


@dataclass(frozen=True, slots=True)
class StateTest:
    """Whether the last sample of an element is in one of `STATES`."""

    element: str
    state: str

    def of(self, element: str) -> StateTest:
        """Return the same of another element."""
        return replace(self, element=element)


Test = Comparison | StateTest


def judged(test: Test, batch: SampleBatch, states: States) -> NDArray[np.int8]:
    """Return what each sample of the test's element says: 1 it holds, -1 it does not, 0 unknown.

    Raises
    ------
    InvalidInputError
        A value cannot be compared so: a number with a text, an array, binary.
    """
    if isinstance(test, StateTest):
        return np.where(STATES[test.state](batch), np.int8(1), np.int8(-1))
    known = good(batch)
    result = np.zeros(batch.num_rows, np.int8)
    for kind in batch.kinds:
        rows = np.flatnonzero(known & (batch.kind_codes == kind))
        if len(rows):
            values = batch.values(kind) if len(rows) == batch.num_rows else batch.values(kind).take(pa.array(rows))
            holds = np.zeros(len(rows), bool)
            for literal in test.literals:
                holds |= _holds(values, kind, test, literal, states)
            result[rows] = np.where(holds, np.int8(1), np.int8(-1))
    return result


def _holds(values: pa.Array, kind: Kind, test: Comparison, literal: Literal, states: States) -> Mask:
    if isinstance(literal, str):
        if kind is Kind.TEXT:
            compared = getattr(pc, _TEXT[test.operator])(values, literal)
            result: Mask = compared.to_numpy(zero_copy_only=False)
            return result
        if kind is Kind.ENUM and test.operator in ("=", "!="):
            equal = np.isin(native(values), _numbers(test.element, literal, states))
            return equal if test.operator == "=" else ~equal
    elif kind is Kind.FLOAT:
        return _floats(native(values), test.operator, literal)
    elif kind in (Kind.INT, Kind.UINT, Kind.BOOL, Kind.ENUM):
        return _integers(native(values), test.operator, literal.exact)
    written = repr(literal) if isinstance(literal, str) else "a number"
    raise InvalidInputError(
        f"{test.element} holds {kind.column} values: a condition cannot ask whether they are {test.operator} {written}"
    )


def _numbers(element: str, name: str, states: States) -> list[int]:
    """Return the numbers of the states of that name."""
    known = states(element)
    found = [number for number, state in known.items() if state == name]
    if not found:
        hint = did_you_mean(
            name, known.values(), f"there are {', '.join(known.values()) or 'none: compare its number'}"
        )
        raise InvalidInputError(f"{element} has no state {name!r}; {hint}")
    return found


def _integers(values: NDArray[Any], sign: str, exact: Fraction) -> Mask:
    if sign in ("=", "!=") and exact.denominator > 1:
        return np.full(len(values), sign == "!=")
    bound = math.ceil(exact) if sign in ("<", ">=") else math.floor(exact)
    result: Mask = _COMPARE[sign](values, bound)  # numpy compares with integers of any size exactly
    return result


def _floats(values: NDArray[np.float64], sign: str, number: Number) -> Mask:
    try:
        nearest = float(number.exact)
    except OverflowError:
        nearest = math.copysign(math.inf, number.exact)
    if not number.is_decimal and nearest != number.exact:  # no float lies between the two
        if sign in ("=", "!="):
            return np.full(len(values), sign == "!=")
        strict = (nearest > number.exact) == (sign[0] == "<")
        sign = sign[0] if strict else f"{sign[0]}="
    result: Mask = _COMPARE[sign](values, nearest)
    return result
