"""A condition on the values and status of elements, as a person writes it: ``valve = 'OPEN' and not pump is bad``.

::

    condition = term {("and" | "or") term}      "and" binds closer than "or"
    term      = "not" term | "(" condition ")" | element [test]
    test      = ("=" | "!=" | "<" | "<=" | ">" | ">=") literal
              | ["not"] "in" "(" literal {"," literal} ")"
              | "is" ["not"] state
    literal   = number | text in quotes | true | false

An element alone holds while its value is true, or a number other than 0. An element with blanks, quotes, commas,
brackets or ``=!<>`` in its name, or that is called as one of the words above, is written in quotes; a quote in quotes
is doubled. The words are known in small and capital letters; ``==`` and ``<>`` are known as well. The states
are those of `archiver.query.comparison.STATES`. What a condition is at an instant says `archiver.query.truth`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import reduce

import numpy as np
from numpy.typing import NDArray

from archiver.model import InvalidInputError
from archiver.model.near import did_you_mean
from archiver.query.comparison import STATES, Comparison, Literal, Number, StateTest, Test

LONGEST, DEEPEST = 10_000, 50
_TOKEN = re.compile(
    r"""\s*(?:
      (?P<text>'(?:[^']|'')*'|"(?:[^"]|"")*")
    | (?P<symbol>==|!=|<>|<=|>=|[=<>(),])
    | (?P<word>[^\s()=!<>,'"]+)
    )""",
    re.VERBOSE,
)
_NUMBER = re.compile(r"[-+]?(\d{1,40}(\.\d{0,40})?|\.\d{1,40})(e[-+]?\d{1,3})?", re.ASCII | re.IGNORECASE)
_SPELLINGS = {"==": "=", "<>": "!="}
_OPERATORS = {"=", "!=", "<", "<=", ">", ">="}
_WORDS = {"and", "or", "not", "in", "is", "true", "false"}

Truths = NDArray[np.int8]
"""1 where something holds, -1 where it does not, 0 where that is unknown."""


@dataclass(frozen=True, slots=True)
class Not:
    """The opposite; of what is unknown, unknown."""

    term: Term


@dataclass(frozen=True, slots=True)
class Several:
    """All or any of some terms; unknown where the terms that are known do not decide it."""

    all_of: bool
    terms: tuple[Term, ...]


Term = Test | Not | Several


@dataclass(frozen=True)
class Condition:
    """A condition that was read.

    Parameters
    ----------
    text : str
        As written.
    term : Term
        What it says.
    """

    text: str
    term: Term

    @classmethod
    def parse(cls, text: str) -> Condition:
        """Return the condition that a text says.

        Raises
        ------
        InvalidInputError
            It cannot be read: the message says where, and what was expected there.

        Examples
        --------
        >>> Condition.parse("mode = 'RUN' and (level > 2.5 or not pump is bad)").elements
        ('level', 'mode', 'pump')
        """
        if len(text) > LONGEST:
            raise InvalidInputError(f"the condition has {len(text)} characters; it may have {LONGEST}")
        return cls(text, _Parser(text).whole())

    @property
    def tests(self) -> tuple[Test, ...]:
        """What is asked of single elements, each once."""
        return tuple(dict.fromkeys(_tests(self.term)))

    @property
    def elements(self) -> tuple[str, ...]:
        """Names in there, sorted."""
        return tuple(sorted({test.element for test in self.tests}))

    def renamed(self, names: Mapping[str, str]) -> Condition:
        """Return the condition with other names for its elements."""
        return Condition(self.text, _renamed(self.term, names))

    def evaluate(self, known: Callable[[Test], Truths]) -> Truths:
        """Return what the condition is, where `known` gives what each of its tests is."""
        return _evaluate(self.term, known)


def _tests(term: Term) -> Iterator[Test]:
    if isinstance(term, Not):
        yield from _tests(term.term)
    elif isinstance(term, Several):
        for part in term.terms:
            yield from _tests(part)
    else:
        yield term


def _renamed(term: Term, names: Mapping[str, str]) -> Term:
    if isinstance(term, Not):
        return Not(_renamed(term.term, names))
    if isinstance(term, Several):
        return Several(term.all_of, tuple(_renamed(part, names) for part in term.terms))
    return term.of(names[term.element])


def _evaluate(term: Term, known: Callable[[Test], Truths]) -> Truths:
    if isinstance(term, Not):
        return -_evaluate(term.term, known)
    if isinstance(term, Several):  # in the order false, unknown, true, "and" is the least, and "or" the greatest
        join = np.minimum if term.all_of else np.maximum
        return reduce(join, (_evaluate(part, known) for part in term.terms))
    return known(term)


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str
    text: str
    place: int

    @property
    def word(self) -> str:
        return self.text.lower() if self.kind == "word" else ""


class _Parser:
    """Recursive descent over the tokens of a text."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens = list(self._read())
        self._next = 0
        self._depth = 0

    def whole(self) -> Term:
        term = self._either()
        if self._token.kind != "end":
            self._fail("and, or, or the end")
        return term

    def _read(self) -> Iterator[_Token]:
        place = 0
        end = len(self._text.rstrip())
        while place < end:
            match = _TOKEN.match(self._text, place)
            if match is None:
                place += len(self._text[place:]) - len(self._text[place:].lstrip())
                if self._text[place] in "'\"":
                    raise self._error(place, "the text that begins here does not end")
                raise self._error(
                    place, f"{self._text[place]} is no operator; there are {' '.join(sorted(_OPERATORS))}"
                )
            kind = str(match.lastgroup)
            yield _Token(kind, match[kind], match.start(kind))
            place = match.end()
        yield _Token("end", "", len(self._text))

    def _either(self) -> Term:
        return self._several("or", lambda: self._several("and", self._term, all_of=True), all_of=False)

    def _several(self, word: str, part: Callable[[], Term], *, all_of: bool) -> Term:
        terms = [part()]
        while self._token.word == word:
            self._take()
            terms.append(part())
        return Several(all_of, tuple(terms)) if len(terms) > 1 else terms[0]

    def _term(self) -> Term:
        self._depth += 1
        if self._depth > DEEPEST:
            raise self._error(self._token.place, f"it is nested deeper than {DEEPEST}")
        try:
            if self._token.word == "not":
                self._take()
                return Not(self._term())
            if self._token.text == "(" and self._token.kind == "symbol":
                self._take()
                inner = self._either()
                self._expect(")")
                return inner
            return self._test(self._element())
        finally:
            self._depth -= 1

    def _element(self) -> str:
        token = self._token
        if token.kind == "text":
            return _unquoted(self._take().text)
        if token.kind != "word" or token.word in _WORDS:
            self._fail("the name of an element (in quotes if it is one of the words of a condition)")
        return self._take().text

    def _test(self, element: str) -> Term:
        token = self._token
        operator = _SPELLINGS.get(token.text, token.text)
        if token.kind == "symbol" and operator in _OPERATORS:
            self._take()
            return Comparison(element, operator, (self._literal(),))
        if token.word == "is":
            self._take()
            opposite = self._took("not")
            test: Term = StateTest(element, self._state())
            return Not(test) if opposite else test
        if token.word in ("in", "not"):
            opposite = self._took("not")
            self._expect("in")
            test = Comparison(element, "=", self._literals())
            return Not(test) if opposite else test
        return Comparison(element, "!=", (Number(Fraction(0)),))

    def _state(self) -> str:
        token = self._token
        if token.word not in STATES:
            self._fail(f"a state ({did_you_mean(token.word, STATES, ', '.join(list(STATES)[:8]) + ', …')})")
        return self._take().word

    def _literals(self) -> tuple[Literal, ...]:
        self._expect("(")
        literals = [self._literal()]
        while self._token.text == "," and self._token.kind == "symbol":
            self._take()
            literals.append(self._literal())
        self._expect(")", "a comma or )")
        return tuple(literals)

    def _literal(self) -> Literal:
        token = self._token
        if token.kind == "text":
            return _unquoted(self._take().text)
        if token.word in ("true", "false"):
            return Number(Fraction(self._take().word == "true"))
        if token.kind != "word" or not _NUMBER.fullmatch(token.text):
            self._fail("a number, a text in quotes, true or false")
        self._take()
        return Number(Fraction(token.text), is_decimal=not token.text.lstrip("+-").isdigit())

    # -- tokens ---------------------------------------------------------------------------------------

    @property
    def _token(self) -> _Token:
        return self._tokens[self._next]

    def _take(self) -> _Token:
        self._next += 1
        return self._tokens[self._next - 1]

    def _took(self, word: str) -> bool:
        found = self._token.word == word
        self._next += found
        return found

    def _expect(self, text: str, expected: str = "") -> None:
        if self._token.kind == "text" or self._token.text.lower() != text:
            self._fail(expected or text)
        self._take()

    def _fail(self, expected: str) -> None:
        token = self._token
        found = f"{token.text!r}" if token.text else "its end"
        raise self._error(token.place, f"expected {expected}, and found {found}")

    def _error(self, place: int, message: str) -> InvalidInputError:
        return InvalidInputError(f"the condition {self._text!r} cannot be read at character {place + 1}: {message}")


def _unquoted(text: str) -> str:
    return text[1:-1].replace(text[0] * 2, text[0])
