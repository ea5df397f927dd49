"""A part of an expression after it was checked: of what type it is, what evaluates it, and what it says in words."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from analytics.events.expressions.columns import Columns
from analytics.events.expressions.shape import Type

Run = Callable[[Columns], Any]
CHOICE, ALL, TEST, SUM, PRODUCT, SIGN, ATOM = range(7)
"""How closely the words of a term hold together."""
_VERBS = {"==": "is", "!=": "is not", "<": "is below", "<=": "is at most", ">": "is above", ">=": "is at least"}
_DENIED = {"==": "is not", "!=": "is"}


@dataclass(frozen=True, slots=True)
class Term:
    """A part of an expression.

    Parameters
    ----------
    type : Type
    run : callable
        Gives what it is at each row: `Held` for what a name holds, `Truth`, `Numbers` or `Wholes` for anything else.
    words : str
        What it says.
    denied : str
        What its opposite says; empty where there are no better words than "not".
    binding : int
        `CHOICE` to `ATOM`.
    constant : int, float or str, optional
        What it is, where that is written out.
    start, end : int
        Its place in the text.
    """

    type: Type
    run: Run
    words: str
    denied: str = ""
    binding: int = ATOM
    constant: int | float | str | None = None
    start: int = 0
    end: int = 0

    def within(self, binding: int) -> str:
        """Return its words, in brackets where they would fall apart."""
        return self.words if self.binding > binding else f"({self.words})"


def listed(words: list[str], last: str) -> str:
    """Return words as a list in prose.

    Examples
    --------
    >>> listed(["a", "b", "c"], "or")
    'a, b or c'
    """
    return " ".join(filter(None, [", ".join(words[:-1]), last if len(words) > 1 else "", words[-1]]))


def compared(sign: str, left: str, right: str) -> tuple[str, str]:
    """Return what a comparison says, and its opposite.

    Examples
    --------
    >>> compared(">", "inlet", "80")
    ('inlet is above 80', 'inlet is not above 80')
    """
    verb = _VERBS[sign]
    return f"{left} {verb} {right}", f"{left} {_DENIED.get(sign, verb.replace('is', 'is not', 1))} {right}"


def number_words(number: int | float) -> str:
    """Return a number as people write it.

    Examples
    --------
    >>> number_words(80.0), number_words(-0.5)
    ('80', '-0.5')
    """
    text = repr(number)
    return text.removesuffix(".0")
