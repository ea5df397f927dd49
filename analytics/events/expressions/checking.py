"""From the tree of an expression to what evaluates it: names, types, and what columns do not take."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from analytics.events.expressions import functions, texts, times
from analytics.events.expressions.arithmetic import arithmetic, negative
from analytics.events.expressions.comparing import MIRRORED, against, among, between
from analytics.events.expressions.error import ExpressionError
from analytics.events.expressions.functions import Builder, Call, choice
from analytics.events.expressions.logic import every, opposite, some
from analytics.events.expressions.names import FIELDS, Names
from analytics.events.expressions.reading import literal
from analytics.events.expressions.shape import COMPARED, NUMERIC, TEXTUAL, TRUTHS, Type
from analytics.events.expressions.term import (
    ALL,
    ATOM,
    PRODUCT,
    SIGN,
    SUM,
    TEST,
    Term,
    compared,
    number_words,
)
from analytics.events.expressions.tree import Node, given, operands, operators, place, unwrapped
from analytics.events.expressions.vectors import Numbers, Truth, Wholes, numbers, truth
from archiver.model.near import did_you_mean
from archiver.model.time import NANOSECONDS, format_duration

DEEPEST = 50
"""Levels of brackets, functions and choices in one another."""
FUNCTIONS: dict[str, Builder] = {**functions.FUNCTIONS, **texts.FUNCTIONS, **times.FUNCTIONS}
"""By name; `has`, which takes a name and no value, is one of its own."""
METHODS: dict[str, Builder] = {**texts.METHODS, **times.METHODS}
"""Functions that are written after a dot."""
_SIGNS = {"lt": "<", "le": "<=", "ge": ">=", "gt": ">", "eq": "==", "ne": "!=", "in": "in"}
_REFUSED = {
    **dict.fromkeys(
        ("all", "exists", "exists_one", "map", "filter"),
        "there are no lists to go through; name each input, or use a vote",
    ),
    **dict.fromkeys(("type", "dyn"), "types are known beforehand; leave it out"),
    "string": "numbers are not turned into texts; compare the number",
    "bool": "write value != 0 for a condition",
    "bytes": "there are no bytes in an expression",
    "uint": "write the number with a u, such as 4u",
    "math.isNaN": "what is no number is unknown; write !has(name.value)",
}
_SHAPES = {
    "map_lit": "there are no maps in an expression; compare one by one, with && and ||",
    "member_object": "no objects are made in an expression",
    "member_index": "there is nothing with an index; name each input in the rule",
    "list_lit": "a list stands after in, as in mode in ['RUN', 'IDLE']",
}


class Checker:
    """Makes terms of the tree of one expression.

    Parameters
    ----------
    text : str
        The expression.
    names : Names
        What it may use.
    """

    def __init__(self, text: str, names: Names) -> None:
        self._text = text
        self._names = names
        self._depth = 0
        self._makers: dict[str, Callable[[Node], Term]] = {
            "expr": self._choice,
            "conditionalor": lambda tree: self._joined(tree, "or"),
            "conditionaland": lambda tree: self._joined(tree, "and"),
            "relation": self._relation,
            "addition": self._arithmetic,
            "multiplication": self._arithmetic,
            "unary": self._unary,
            "literal": lambda tree: self._literal(tree.children[0]),
            "paren_expr": lambda tree: self.term(tree.children[0]),
            "ident": self._identifier,
            "ident_arg": self._function,
            "member_dot": self._field,
            "member_dot_arg": self._method,
        }

    def term(self, tree: Node) -> Term:
        """Return the term for a tree.

        Raises
        ------
        ExpressionError
            A name does not exist, types do not go together, or columns do not take it.
        """
        tree = unwrapped(tree)
        if tree.data in _SHAPES:
            raise self._error(_SHAPES[tree.data], tree)
        maker = self._makers.get(tree.data)
        if maker is None:  # a name that begins with a dot
            raise self._error("a name does not begin with a dot; leave it out", tree)
        self._depth += 1
        if self._depth > DEEPEST:
            raise self._error(f"it is nested deeper than {DEEPEST}; split the rule", tree)
        start, end = place(tree)
        made = replace(maker(tree), start=start, end=end)
        self._depth -= 1
        return made

    def condition(self, term: Term, why: str) -> Term:
        """Return a term as a condition; `why` says what wants one.

        Raises
        ------
        ExpressionError
            It is none.
        """
        if term.type not in TRUTHS:
            example = (
                "compare it with a text, as in {} == 'OPEN'" if term.type is Type.TEXT else "compare it, as in {} > 80"
            )
            shown = self._text[term.start : term.end]
            shown = shown if len(shown) <= 30 else "…"
            raise self._wrong(f"{why}, and this is {term.type}; {example.format(shown)}", term)
        if term.denied or term.binding < ATOM:
            return term
        run, says, denies = term.run, f"{term.words} is true", f"{term.words} is not true"
        return replace(term, type=Type.BOOL, run=lambda c: truth(run(c)), words=says, denied=denies, binding=TEST)

    # -- conditions -----------------------------------------------------------------------------------

    def _choice(self, tree: Node) -> Term:
        test, left, right = (self.term(child) for child in tree.children)
        made = choice(self.condition(test, "a condition stands before ?"), left, right)
        if made is not None:
            return made
        if Type.TEXT in (left.type, right.type):
            raise self._wrong("a choice gives no text; compare in both parts, as in c ? x == 'A' : x == 'B'", left)
        raise self._error(f"both parts have to be of one type, and these are {left.type} and {right.type}", tree)

    def _joined(self, tree: Node, word: str) -> Term:
        why = f"{'&&' if word == 'and' else '||'} joins conditions"
        terms = [self.condition(self.term(part), why) for part in operands(tree)]
        join = every if word == "and" else some
        runs = [term.run for term in terms]
        words = f" {word} ".join(term.within(ALL) for term in terms)
        return Term(Type.BOOL, lambda columns: join([run(columns) for run in runs]), words, binding=ALL)

    def _relation(self, tree: Node) -> Term:
        before, after = tree.children
        sign = _SIGNS[before.data.removeprefix("relation_")]
        left = self.term(before.children[0])
        if sign == "in":
            return self._among(left, unwrapped(after))
        return self._compared(sign, left, self.term(after))

    def _compared(self, sign: str, left: Term, right: Term) -> Term:
        if left.constant is not None and right.constant is None:
            left, right, sign = right, left, MIRRORED[sign]
        types = {left.type, right.type}
        if not (types <= COMPARED or types <= TEXTUAL or types == {Type.INSTANT} or (types <= TRUTHS)):
            raise self._incomparable(left, right)
        words, denied = compared(sign, left.within(TEST), _limit_words(left, right))
        one, other = left.run, right.run
        if types <= COMPARED and right.constant is not None and not isinstance(right.constant, str):
            test = against(sign, left.type, right.constant)
            return Term(Type.BOOL, lambda columns: test(one(columns)), words, denied, TEST)
        join = between(sign, left.type, right.type)
        return Term(Type.BOOL, lambda columns: join(one(columns), other(columns)), words, denied, TEST)

    def _incomparable(self, left: Term, right: Term) -> ExpressionError:
        reason = f"{left.type} and {right.type} cannot be compared"
        kinds = {left.type, right.type}
        if Type.BOOL in kinds and kinds & NUMERIC:
            reason += "; a < b < c is written a < b && b < c"
        elif Type.INSTANT in kinds:
            reason += "; an instant is written timestamp('2026-01-01T00:00:00Z')"
        elif Type.TEXT in kinds and kinds & NUMERIC:
            reason += "; a text is in quotes, and a number is not"
        return ExpressionError(self._text, reason, min(left.start, right.start), max(left.end, right.end))

    def _among(self, left: Term, listing: Node) -> Term:
        if listing.data != "list_lit":
            raise self._error("after in stands a list, as in [1, 2, 3]", listing)
        trees = listing.children[0].children if listing.children else []
        items = [self.term(item) for item in trees]
        none = Truth(np.False_, np.False_)
        if not items:
            return Term(Type.BOOL, lambda _: none, f"{left.words} is one of none", "", TEST)
        named = ", ".join(item.words for item in items)
        verb = "" if len(items) == 1 else "one of "
        words = (
            f"{left.within(TEST)} is {verb}{named}",
            f"{left.within(TEST)} is {'not' if verb == '' else 'none of'} {named}",
        )
        run = left.run
        chosen = [item.constant for item in items if isinstance(item.constant, str)]
        if left.type in TEXTUAL and len(chosen) == len(items):
            find = among(frozenset(chosen))
            return Term(Type.BOOL, lambda columns: find(run(columns)), *words, TEST)
        tests = [self._compared("==", left, item).run for item in items]
        return Term(Type.BOOL, lambda columns: some([test(columns) for test in tests]), *words, TEST)

    # -- numbers --------------------------------------------------------------------------------------

    def _arithmetic(self, tree: Node) -> Term:
        """Make one term of a chain such as a - b + c, from left to right."""
        binding = SUM if tree.data == "addition" else PRODUCT
        trees = operands(tree)
        first = self.term(trees[0])
        type_, words, steps = first.type, first.within(binding - 1), []
        for part, sign in zip(trees[1:], operators(tree), strict=True):
            term = self.term(part)
            found = arithmetic(sign, type_, term.type)
            if found is None:
                raise self._uncountable(sign, type_, replace(term, start=first.start))
            if sign in "/%" and type_ is Type.INT and term.constant == 0:
                raise self._wrong("a whole number is not divided by 0", term)
            type_, join = found
            words = f"{words} {sign} {term.within(binding)}"
            steps.append((join, term.run))
        start = first.run

        def run(columns: Any) -> Any:
            result = start(columns)
            for join, operand in steps:
                result = join(result, operand(columns))
            return result

        return Term(type_, run, words, binding=binding)

    def _uncountable(self, sign: str, left: Type, right: Term) -> ExpressionError:
        types = {left, right.type}
        reason = f"{left} {sign} {right.type} is not defined"
        if Type.TEXT in types:
            reason = "texts are not joined or counted with; compare them one by one"
        elif Type.BOOL in types:
            reason = "a condition is no number; write (… ? 1 : 0)"
        elif Type.UINT in types:
            reason = "there is no arithmetic on unsigned numbers; write int(…)"
        elif sign == "%":
            reason = "% is for whole numbers; write int(…) % 10"
        return self._wrong(reason, right)

    def _unary(self, tree: Node) -> Term:
        sign, operand = tree.children
        term = self.term(operand)
        run = term.run
        if sign.data == "unary_not":
            term = self.condition(term, "! denies a condition")
            run = term.run
            words = term.denied or f"not {term.within(TEST)}"
            return Term(Type.BOOL, lambda columns: opposite(run(columns)), words, term.words, TEST)
        if term.type not in NUMERIC:
            raise self._wrong(f"- is for numbers, and this is {term.type}", term)
        if isinstance(term.constant, int | float) and term.constant != -(2**63):
            return _number(term.type, -term.constant)
        if term.type in (Type.INT, Type.DURATION):
            return Term(term.type, lambda columns: negative(run(columns)), f"-{term.within(SIGN)}", binding=SIGN)
        words = f"-{term.within(SIGN)}"
        return Term(Type.NUMBER, lambda columns: negative(numbers(run(columns))), words, binding=SIGN)

    # -- names, functions, literals -------------------------------------------------------------------

    def _literal(self, token: Node) -> Term:
        type_, value = literal(self._text, token)
        if isinstance(value, str):
            held = texts.constant(value)
            return Term(type_, lambda _: held, f"'{value}'", constant=value)
        if type_ is Type.BOOL:
            known = Truth(np.bool_(value), np.bool_(value))
            return Term(type_, lambda _: known, "true" if value else "false", "false" if value else "true")
        return _number(type_, value)

    def _identifier(self, tree: Node) -> Term:
        (token,) = tree.children
        found = self._names.resolved(str(token))
        if found is None:
            raise self._error(self._names.unknown(str(token)), token)
        return self._names.field(*found)

    def _field(self, tree: Node) -> Term:
        return self._names.field(*self._target(tree))

    def _target(self, tree: Node) -> tuple[str, str]:
        """Return the input and the field that something with a dot means."""
        owner, field = unwrapped(tree.children[0]), tree.children[1]
        if owner.data != "ident":
            raise self._error("only an input of the rule has fields", field)
        name = str(owner.children[0])
        if not self._names.is_object(name):
            known = self._names.resolved(name)
            raise self._error(f"{name} has no fields" if known else self._names.unknown(name), owner)
        if field not in FIELDS:
            hint = did_you_mean(field, FIELDS, f"it has {', '.join(FIELDS)}")
            raise self._error(f"{name} has no {str(field)!r}; {hint}", field)
        return name, str(field)

    def _function(self, tree: Node) -> Term:
        token, arguments = tree.children[0], given(tree.children[1:])
        if token == "has":
            return self._has(tree, arguments)
        return self._called(str(token), token, tree, arguments, FUNCTIONS)

    def _has(self, tree: Node, arguments: list[Node]) -> Term:
        inner = unwrapped(arguments[0]) if len(arguments) == 1 else tree
        if inner.data == "member_dot":
            return self._names.has(*self._target(inner))
        known = self._names.resolved(str(inner.children[0])) if inner.data == "ident" else None
        if known is None:
            raise self._error("has takes one field of an input, as in has(inlet.value)", inner)
        return self._names.has(*known)

    def _method(self, tree: Node) -> Term:
        owner, token, arguments = unwrapped(tree.children[0]), tree.children[1], given(tree.children[2:])
        if owner.data == "ident" and owner.children[0] == "math" and not self._names.is_object("math"):
            return self._called(f"math.{token}", token, tree, arguments, FUNCTIONS)
        return self._called(str(token), token, tree, [tree.children[0], *arguments], METHODS)

    def _called(self, name: str, token: Node, tree: Node, arguments: list[Node], known: dict[str, Builder]) -> Term:
        if name in _REFUSED:
            raise self._error(f"{name}(…) is not for columns: {_REFUSED[name]}", token)
        if name not in known:
            hint = did_you_mean(name, known, f"there are {', '.join(sorted(known))}")
            raise self._error(f"there is no function {name!r}; {hint}", token)
        terms = [self.term(argument) for argument in arguments]
        return known[name](Call(name, terms, self._text, *place(tree)))

    def _error(self, reason: str, node: Node) -> ExpressionError:
        return ExpressionError(self._text, reason, *place(node))

    def _wrong(self, reason: str, term: Term) -> ExpressionError:
        return ExpressionError(self._text, reason, term.start, term.end)


def _number(type_: Type, value: int | float) -> Term:
    vector: Numbers | Wholes
    if type_ is Type.NUMBER:
        vector = Numbers(np.float64(value))
    else:
        vector = Wholes(np.uint64(value) if type_ is Type.UINT else np.int64(value))
    return Term(type_, lambda _: vector, number_words(value), constant=value)


def _limit_words(left: Term, right: Term) -> str:
    """Return what the second side of a comparison says; a number beside a duration is its seconds."""
    number = right.constant
    if left.type is Type.DURATION and isinstance(number, int | float) and 0 <= number < 9e9:
        return format_duration(int(number * NANOSECONDS))
    return right.within(TEST)
