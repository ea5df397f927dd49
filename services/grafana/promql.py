"""The part of PromQL that has a meaning for an archive, as plain values.

A text is parsed whole, by a parser of Prometheus' grammar; what is not understood here is refused by its name.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import promql_parser as parser

from archiver.model import InvalidInputError
from archiver.model.time import DAY_NS

UNDERSTOOD = (
    "understood are selectors with =, !=, =~ and !~, avg_over_time, min_over_time, max_over_time, sum_over_time, "
    "count_over_time and last_over_time of a range, and + - * / with numbers"
)
FUNCTIONS = ("avg", "min", "max", "sum", "count", "last")
_OVER_TIME = {f"{name}_over_time": name for name in FUNCTIONS}
_OPERATORS = ("+", "-", "*", "/")
_SIGNS = (
    (parser.MatchOp.Equal, "="),
    (parser.MatchOp.NotEqual, "!="),
    (parser.MatchOp.Re, "=~"),
    (parser.MatchOp.NotRe, "!~"),
)  # the parser's signs cannot be keys
_NAME = "__name__"
_MICROSECOND = 1000
_LONGEST = 1000
_QUOTED = re.compile(r"""\"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'|`[^`]*`""")
_LONGEST_RANGE_NS = 100 * 365 * DAY_NS


@dataclass(frozen=True, slots=True)
class Matcher:
    """What a label has to be: `sign` is ``=``, ``!=``, ``=~`` or ``!~``."""

    label: str
    sign: str
    value: str


@dataclass(frozen=True, slots=True)
class Number:
    """The same number at all times."""

    value: float


@dataclass(frozen=True, slots=True)
class Selector:
    """The series that all matchers admit; with a range (ns), their samples in the time before."""

    matchers: tuple[Matcher, ...]
    range_ns: int = 0


@dataclass(frozen=True, slots=True)
class OverTime:
    """One of `FUNCTIONS` over the samples of a range."""

    function: str
    of: Selector


@dataclass(frozen=True, slots=True)
class Arithmetic:
    """Two numbers, or a number and each of some series: `operator` is one of ``+ - * /``."""

    operator: str
    left: Expression
    right: Expression


Expression = Number | Selector | OverTime | Arithmetic


class NotUnderstoodError(InvalidInputError):
    """An expression is no PromQL, or more of it than is understood here; the message says what is."""


def parse(text: str) -> Expression:
    """Return what an expression says.

    Raises
    ------
    NotUnderstoodError

    Examples
    --------
    >>> parse("1 + 1")
    Arithmetic(operator='+', left=Number(value=1.0), right=Number(value=1.0))
    >>> parse('max_over_time({element="T1"}[1m])').of.range_ns
    60000000000
    """
    if len(_QUOTED.sub("", text)) > _LONGEST:  # the parser's stack is as deep as an expression is nested
        raise NotUnderstoodError(f"an expression has at most {_LONGEST} characters outside of quotes")
    try:
        return _expression(parser.parse(text))
    except (ValueError, RecursionError) as exc:
        raise NotUnderstoodError(f"{text[:200]!r}: {exc}") from exc
    except BaseException as exc:
        if type(exc).__name__ != "PanicException":  # what the parser raises for numbers beyond all bounds
            raise
        raise NotUnderstoodError(f"{text[:200]!r}: a number in it is too large") from exc


def matchers_of(text: str) -> tuple[Matcher, ...]:
    """Return the matchers of a selector, as ``match[]`` has them.

    Raises
    ------
    NotUnderstoodError
    """
    found = parse(text)
    if not isinstance(found, Selector) or found.range_ns:
        raise NotUnderstoodError(f'{text!r}: give a selector, such as {{element="T1"}}')
    return found.matchers


def is_series(expression: Expression) -> bool:
    """Return whether an expression gives series, and not one number."""
    if isinstance(expression, Arithmetic):
        return is_series(expression.left) or is_series(expression.right)
    return not isinstance(expression, Number)


def _expression(tree: parser.Expr) -> Expression:
    if isinstance(tree, parser.NumberLiteral):
        return Number(tree.val)
    if isinstance(tree, parser.ParenExpr):
        return _expression(tree.expr)
    if isinstance(tree, parser.UnaryExpr):
        return Arithmetic("*", Number(-1.0), _instant(tree.expr))
    if isinstance(tree, parser.VectorSelector):
        return _selector(tree)
    if isinstance(tree, parser.MatrixSelector):
        return _selector(tree.vector_selector, round(tree.range.total_seconds() * 1e6) * _MICROSECOND)
    if isinstance(tree, parser.Call):
        return _over_time(tree)
    if isinstance(tree, parser.BinaryExpr):
        return _arithmetic(tree)
    names = {parser.AggregateExpr: "an aggregation over series", parser.SubqueryExpr: "a subquery"}
    raise _refused(names.get(type(tree), "a text"))


def _over_time(tree: parser.Call) -> OverTime:
    function = _OVER_TIME.get(tree.func.name)
    if function is None:
        raise _refused(f"the function {tree.func.name}")
    of = _expression(tree.args[0])
    if not isinstance(of, Selector):
        raise _refused("a subquery")
    return OverTime(function, of)


def _arithmetic(tree: parser.BinaryExpr) -> Arithmetic:
    operator = str(tree.op)
    if operator not in _OPERATORS:
        raise _refused(f"the operator {operator}")
    left, right = _instant(tree.lhs), _instant(tree.rhs)
    if is_series(left) and is_series(right):
        raise _refused(f"{operator} between two sets of series")
    return Arithmetic(operator, left, right)


def _instant(tree: parser.Expr) -> Expression:
    found = _expression(tree)
    if isinstance(found, Selector) and found.range_ns:
        raise _refused("arithmetic with a range")
    return found


def _selector(tree: parser.VectorSelector, range_ns: int = 0) -> Selector:
    if tree.offset is not None or tree.at is not None:
        raise _refused("offset and @")
    if tree.matchers.or_matchers:
        raise _refused("or between matchers")
    if range_ns > _LONGEST_RANGE_NS:
        raise _refused("a range of more than 100 years")
    named = (Matcher(_NAME, "=", tree.name),) if tree.name else ()
    rest = tuple(Matcher(one.name, _sign(one), one.value) for one in tree.matchers.matchers)
    return Selector((*named, *rest), range_ns)


def _sign(matcher: parser.Matcher) -> str:
    return next(sign for known, sign in _SIGNS if known == matcher.op)


def _refused(what: str) -> NotUnderstoodError:
    return NotUnderstoodError(f"{what} is not understood here; {UNDERSTOOD}")
