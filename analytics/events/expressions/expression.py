"""A condition or a value that a rule asks for, read once and evaluated over columns."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from analytics.events.expressions.arithmetic import floats_of
from analytics.events.expressions.checking import Checker
from analytics.events.expressions.columns import Columns, Floats
from analytics.events.expressions.error import ExpressionError
from analytics.events.expressions.names import Names
from analytics.events.expressions.reading import parse
from analytics.events.expressions.shape import COMPARED, Shape, Type
from analytics.events.expressions.term import Term
from analytics.events.expressions.vectors import Numbers, spread, told, truth
from archiver.model.batch import Mask

RUN = 32_768
"""Rows that are evaluated at a time: what is made in between does not leave the processor's cache."""


class Wanted(StrEnum):
    """What an expression is to give."""

    CONDITION = "a condition"
    VALUE = "a number"


@dataclass(frozen=True)
class Expression:
    """An expression of CEL that was checked.

    Parameters
    ----------
    text : str
        As written.
    fields : mapping of str to frozenset of str
        The fields that it looks at, by name; ``value`` is the one element of a rule.

    Examples
    --------
    >>> from archiver.model import SampleBatch
    >>> hot = Expression.parse("value > 80.0 && good", {"value": Shape.NUMBER})
    >>> hot.words()
    'the value is above 80 and the value is good'
    >>> hot.truth(Columns.of(SampleBatch.from_columns("T1", [0, 1, 2], [79.5, 80.5, None])))
    array([-1,  1, -1], dtype=int8)
    """

    text: str
    fields: Mapping[str, frozenset[str]]
    _term: Term = field(repr=False, compare=False)

    @classmethod
    def parse(cls, text: str, names: Mapping[str, Shape], wanted: Wanted | None = None) -> Expression:
        """Return the expression that a text says.

        Parameters
        ----------
        text : str
        names : mapping of str to Shape
            The inputs that the rule offers; `value` for the one element of a rule, whose fields (`good`, `age`, …) are
            names themselves.
        wanted : Wanted, optional
            What it has to give; left out, either will do.

        Raises
        ------
        ExpressionError
            It cannot be understood, or gives something else: the message says where and what to write instead.
        """
        offered = Names(names)
        checker = Checker(text, offered)
        term = checker.term(parse(text))
        if wanted is Wanted.CONDITION or (wanted is None and term.type is Type.BOOL):
            term = checker.condition(term, "a condition is wanted here")
        elif term.type not in (Type.BOOL, *COMPARED):
            what = wanted or "a condition or a number"
            raise ExpressionError(text, f"{what} is wanted here, and this is {term.type}", 0, len(text))
        return cls(text, {name: frozenset(used) for name, used in offered.used.items()}, term)

    @property
    def names(self) -> frozenset[str]:
        """The inputs that it looks at."""
        return frozenset(self.fields)

    @np.errstate(all="ignore")
    def truth(self, columns: Columns) -> NDArray[np.int8]:
        """Return what the condition is at each row: 1 it holds, -1 it does not, 0 unknown.

        Raises
        ------
        ExpressionError
            It is a number, and no condition.
        """
        if self._term.type not in (Type.BOOL, Type.ANY):
            raise ExpressionError(self.text, f"this is {self._term.type}, and no condition", 0, len(self.text))
        found = [told(truth(result), count) for result, count in self._results(columns)]
        return found[0] if len(found) == 1 else np.concatenate(found)

    @np.errstate(all="ignore")
    def value(self, columns: Columns) -> tuple[Floats, Mask]:
        """Return the number at each row, and where it is known; NaN where it is not.

        A duration is its seconds, and a condition is 1 or 0.
        """
        found = [spread(self._number(result), count) for result, count in self._results(columns)]
        if len(found) == 1:
            return found[0]
        values, known = zip(*found, strict=True)
        return np.concatenate(values), np.concatenate(known)

    def _number(self, result: Any) -> Numbers:
        if self._term.type is not Type.BOOL:
            return floats_of(self._term.type)(result)
        holds = truth(result)
        return Numbers(holds.sure.astype(np.float64), holds.unknown)

    def _results(self, columns: Columns) -> Iterator[tuple[Any, int]]:
        """Yield what it is at runs of rows that are short enough to stay in a processor's cache, and their lengths."""
        run, count = self._term.run, columns.count
        if count <= RUN:
            yield run(columns), count
            return
        for start in range(0, count, RUN):
            end = min(start + RUN, count)
            yield run(columns.rows(start, end, self.fields)), end - start

    def words(self) -> str:
        """Return what it says, in plain English."""
        return self._term.words
