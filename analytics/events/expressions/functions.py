"""The functions of expressions: what each takes, gives and says."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Any

import numpy as np

from analytics.events.expressions.arithmetic import floats_of, negative
from analytics.events.expressions.error import ExpressionError
from analytics.events.expressions.logic import choose_numbers, choose_truth, choose_wholes
from analytics.events.expressions.shape import NUMERIC, TRUTHS, Type
from analytics.events.expressions.term import ATOM, CHOICE, SUM, TEST, Term, listed
from analytics.events.expressions.vectors import Numbers, Truth, Unknown, Wholes, either, truth
from archiver.model import Status
from archiver.model.near import did_you_mean

_FLAGS = {flag.name.lower(): int(flag).bit_length() - 1 for flag in Status if flag.name}
_ORDERED = frozenset({Type.INT, Type.DURATION, Type.INSTANT})


@dataclass(frozen=True, slots=True)
class Call:
    """A function with what it is given; of a method, the object comes first.

    Parameters
    ----------
    name : str
    arguments : sequence of Term
    text : str
        The expression.
    start, end : int
        Its place in there.
    """

    name: str
    arguments: Sequence[Term]
    text: str
    start: int
    end: int

    def error(self, reason: str, term: Term | None = None) -> ExpressionError:
        """Return the error that something about the call, or one of its arguments, is wrong."""
        start, end = (self.start, self.end) if term is None else (term.start, term.end)
        return ExpressionError(self.text, reason, start, end)

    def take(self, *types: frozenset[Type] | Type) -> Sequence[Term]:
        """Return the arguments, of which there are so many, each of one of the types given for it."""
        wanted = [frozenset({type_}) if isinstance(type_, Type) else type_ for type_ in types]
        if len(self.arguments) != len(wanted):
            raise self.error(f"{self.name} takes {len(wanted)} values, and {len(self.arguments)} are given")
        for term, accepted in zip(self.arguments, wanted, strict=True):
            if term.type not in accepted:
                raise self.error(f"{self.name} takes {listed(sorted(accepted), 'or')}, and this is {term.type}", term)
        return self.arguments


Builder = Callable[[Call], Term]


def choice(test: Term, left: Term, right: Term) -> Term | None:
    """Return the term for one of two, chosen by a condition; None where they are not of one type."""
    words = f"{left.words} if {test.words}, otherwise {right.words}"
    chosen: Callable[[Truth, Any, Any], Any]
    if {left.type, right.type} <= TRUTHS and Type.BOOL in (left.type, right.type):
        type_, chosen = Type.BOOL, lambda c, a, b: choose_truth(c, truth(a), truth(b))
    elif left.type is right.type and left.type in _ORDERED | {Type.UINT}:
        type_, chosen = left.type, choose_wholes
    elif left.type in NUMERIC and right.type in NUMERIC:
        first, second = floats_of(left.type), floats_of(right.type)
        type_, chosen = Type.NUMBER, lambda c, a, b: choose_numbers(c, first(a), second(b))
    else:
        return None
    decide, one, other = test.run, left.run, right.run
    return Term(type_, lambda columns: chosen(decide(columns), one(columns), other(columns)), words, binding=CHOICE)


def _extreme(join: np.ufunc, word: str) -> Builder:
    def build(call: Call) -> Term:
        if not call.arguments:
            raise call.error(f"{call.name} takes at least one value")
        types = {term.type for term in call.arguments}
        words = f"the {word} of {listed([term.words for term in call.arguments], 'and')}"
        runs = [term.run for term in call.arguments]
        if len(types) == 1 and types <= _ORDERED:

            def wholes(columns: Any) -> Wholes:
                found = [run(columns) for run in runs]
                return Wholes(reduce(join, [part.values for part in found]), _any([part.unknown for part in found]))

            return Term(types.pop(), wholes, words)
        converted = [_floats(term) for term in call.take(*[NUMERIC] * len(runs))]

        def floats(columns: Any) -> Numbers:
            found = [run(columns) for run in converted]
            values = reduce(join, [part.values for part in found])
            return Numbers(values, _any([part.unknown for part in found]), any(part.may_be_nan for part in found))

        return Term(Type.NUMBER, floats, words)

    return build


def _any(masks: list[Unknown]) -> Unknown:
    return reduce(either, masks)


def _floats(term: Term) -> Callable[[Any], Numbers]:
    """Return what gives a term as floats."""
    run, convert = term.run, floats_of(term.type)
    return lambda columns: convert(run(columns))


def _absolute(call: Call) -> Term:
    (term,) = call.take(NUMERIC)
    words = f"the absolute value of {term.within(ATOM - 1)}"
    run = term.run
    if term.type in (Type.INT, Type.DURATION):

        def wholes(columns: Any) -> Wholes:
            found = run(columns)
            opposite = negative(found)
            below = found.values < 0
            unknown = opposite.unknown  # of the least integer there is no opposite
            return Wholes(np.where(below, opposite.values, found.values), unknown)

        return Term(term.type, wholes, words)
    return _mapped(term, np.absolute, words)


def _mapped(term: Term, change: Callable[[Any], Any], words: str) -> Term:
    floats = _floats(term)

    def run(columns: Any) -> Numbers:
        found = floats(columns)
        return Numbers(change(found.values), found.unknown, may_be_nan=True)

    return Term(Type.NUMBER, run, words)


def _of_number(change: Callable[[Any], Any], words: str) -> Builder:
    def build(call: Call) -> Term:
        (term,) = call.take(NUMERIC)
        return _mapped(term, change, words.format(term.within(ATOM - 1)))

    return build


def _rounded(values: Any) -> Any:
    """Return the nearest whole floats; a half is rounded away from zero."""
    cut = np.trunc(values)
    return np.where(np.abs(values - cut) >= 0.5, cut + np.copysign(1.0, values), cut)


def _int(call: Call) -> Term:
    (term,) = call.take(NUMERIC | {Type.UINT})
    words = f"the whole part of {term.within(ATOM - 1)}"
    if term.type is Type.INT:
        return term
    if term.type is Type.UINT:
        run = term.run
        return Term(Type.INT, lambda columns: _signed(run(columns)), term.words)
    floats = _floats(term)

    def cut(columns: Any) -> Wholes:
        found = floats(columns)
        fits = np.abs(found.values) < 2.0**63  # not where it is no number
        unknown = found.unknown if np.all(fits) else either(found.unknown, ~fits)
        return Wholes(np.where(fits, found.values, 0.0).astype(np.int64), unknown)

    return Term(Type.INT, cut, words)


def _signed(found: Wholes) -> Wholes:
    values = np.asarray(found.values)
    wrong = values > np.uint64(2**63 - 1)
    return Wholes(values.astype(np.int64)[()], either(found.unknown, wrong) if wrong.any() else found.unknown)


def _double(call: Call) -> Term:
    (term,) = call.take(NUMERIC | {Type.UINT})
    return Term(Type.NUMBER, _floats(term), term.words)


def _bit(call: Call) -> Term:
    status, which = call.take(Type.UINT, frozenset({Type.INT, Type.TEXT}))
    if isinstance(which.constant, str):
        name = which.constant.lower()
        if name not in _FLAGS:
            hint = did_you_mean(name, _FLAGS, f"there are {', '.join(_FLAGS)}")
            raise call.error(f"no bit of the status is called {which.constant!r}; {hint}", which)
        number = _FLAGS[name]
    elif isinstance(which.constant, int) and 0 <= which.constant < 64:
        number = which.constant
    else:
        raise call.error("the bit is written out: 0 to 63, or its name in quotes, such as 'out_prange'", which)
    mask, run = np.uint64(1 << number), status.run

    def look(columns: Any) -> Truth:
        found = run(columns)
        return Truth.of((found.values & mask) != 0, found.unknown)

    words = f"bit {which.words} of {status.words} is"
    return Term(Type.BOOL, look, f"{words} set", f"{words} not set", TEST)


def _bits(join: np.ufunc, word: str) -> Builder:
    def build(call: Call) -> Term:
        whole = frozenset({Type.INT, Type.UINT})
        left, right = call.take(whole, whole)
        if left.type is not right.type:
            raise call.error(f"one has a sign and the other none: {call.name} takes two of one type, such as 4u", right)
        first, second = left.run, right.run

        def run(columns: Any) -> Wholes:
            a, b = first(columns), second(columns)
            return Wholes(join(a.values, b.values), either(a.unknown, b.unknown))

        return Term(left.type, run, f"{left.within(SUM)} bitwise {word} {right.within(SUM)}", binding=SUM)

    return build


FUNCTIONS: dict[str, Builder] = {
    "abs": _absolute,
    "min": _extreme(np.minimum, "least"),
    "max": _extreme(np.maximum, "greatest"),
    "int": _int,
    "double": _double,
    "bit": _bit,
    "math.abs": _absolute,
    "math.least": _extreme(np.minimum, "least"),
    "math.greatest": _extreme(np.maximum, "greatest"),
    "math.ceil": _of_number(np.ceil, "{} rounded up"),
    "math.floor": _of_number(np.floor, "{} rounded down"),
    "math.round": _of_number(_rounded, "{} rounded"),
    "math.trunc": _of_number(np.trunc, "{} without its fraction"),
    "math.sqrt": _of_number(np.sqrt, "the square root of {}"),
    "math.sign": _of_number(np.sign, "the sign of {}"),
    "math.bitAnd": _bits(np.bitwise_and, "and"),
    "math.bitOr": _bits(np.bitwise_or, "or"),
    "math.bitXor": _bits(np.bitwise_xor, "xor"),
}
"""By name; `duration`, `timestamp`, `size` and the methods are in `texts` and `times`."""
