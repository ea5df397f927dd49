"""The text of an expression as a tree, and its literals as values.

The grammar and the parser are those of `celpy`, which is loaded when the first expression is read. Nothing else of it
is used: trees are evaluated over columns, not row by row.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from analytics.events.expressions.error import ExpressionError
from analytics.events.expressions.shape import Type
from analytics.events.expressions.tree import Node
from archiver.model import UnsupportedError

if TYPE_CHECKING:
    from lark import Token

LONGEST = 10_000
"""Characters of an expression."""
_MEANT = {
    "and": "&&",
    "or": "||",
    "is": "==",
    "in": "in [a, b, c]",
    "=": "==",
    "&": "&&",
    "|": "||",
    ";": "",
    "\u2264": "<=",
    "\u2265": ">=",
    "\u2260": "!=",
    "\u00d7": "*",
    "\u00f7": "/",
    "\u2212": "-",
    **dict.fromkeys("\u2018\u2019\u201c\u201d\u201e", "'"),
}
"""What people write, and what they mean."""
_ESCAPE = re.compile(r"\\(?:x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|([0-3][0-7]{2})|(.?))", re.DOTALL)
_ESCAPED = {"a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"}
_ESCAPED.update({mark: mark for mark in "\\\"'`?"})


def parse(text: str) -> Node:
    """Return the tree of an expression.

    Raises
    ------
    ExpressionError
        It is too long, or no expression.
    UnsupportedError
        The parser is not installed.
    """
    try:
        from celpy.celparser import CELParseError, CELParser
    except ImportError as exc:
        raise UnsupportedError("expressions need the package cel-python: pip install 'forebay[events]'") from exc
    if len(text) > LONGEST:
        raise ExpressionError(text, f"it has {len(text)} characters, and may have {LONGEST}", LONGEST, len(text))
    try:
        return CELParser().parse(text)
    except CELParseError as exc:
        raise _explained(text, exc.__context__) from None


def literal(text: str, token: Token) -> tuple[Type, int | float | str]:
    """Return the type and the value of a literal.

    Raises
    ------
    ExpressionError
        There is no such number, or no such thing in an expression over columns.
    """
    start, end = token.start_pos or 0, token.end_pos or 0
    written = str(token)
    match token.type:
        case "BOOL_LIT":
            return Type.BOOL, int(written == "true")
        case "INT_LIT" | "UINT_LIT":
            return _integer(text, written, start, end)
        case "FLOAT_LIT":
            return Type.NUMBER, float(written)
        case "STRING_LIT" | "MLSTRING_LIT":
            return Type.TEXT, _unquoted(text, written, start)
        case "NULL_LIT":
            reason = "nothing is ever null; ask whether there is a value with has(name.value) or !has(name.value)"
            raise ExpressionError(text, reason, start, end)
    raise ExpressionError(text, "there are no bytes in an expression; write a text without the b", start, end)


def _integer(text: str, written: str, start: int, end: int) -> tuple[Type, int]:
    is_unsigned = written[-1] in "uU"
    number = int(written.rstrip("uU"), 16 if "x" in written else 10)
    least, most = (0, 2**64 - 1) if is_unsigned else (-(2**63), 2**63 - 1)
    if not least <= number <= most:
        what = "an unsigned whole number" if is_unsigned else "a whole number"
        raise ExpressionError(text, f"{what} is {least} to {most}; write {number}.0 for a float", start, end)
    return (Type.UINT if is_unsigned else Type.INT), number


def _unquoted(text: str, written: str, start: int) -> str:
    quoted = written.lstrip("rR")
    marks = 3 if quoted[:3] in ('"""', "'''") else 1
    inner = quoted[marks:-marks]
    if quoted != written:
        return inner
    offset = start + marks

    def unescaped(match: re.Match[str]) -> str:
        *hexadecimal, octal, mark = match.groups()
        code = next((int(digits, 16) for digits in hexadecimal if digits), int(octal, 8) if octal else None)
        if code is not None and (code > 0x10FFFF or 0xD800 <= code < 0xE000):
            reason = f"there is no character {match[0]}"
            raise ExpressionError(text, reason, offset + match.start(), offset + match.end())
        if code is None and mark not in _ESCAPED:
            reason = (
                rf"{match[0]} means nothing in a text; write \{match[0]} for a backslash, or r'…' for a text as it is"
            )
            raise ExpressionError(text, reason, offset + match.start(), offset + match.end())
        return _ESCAPED[mark] if code is None else chr(code)

    return _ESCAPE.sub(unescaped, inner)


def _explained(text: str, problem: Any) -> ExpressionError:
    """Return what the parser found, in the words of somebody who writes rules."""
    start = min(problem.pos_in_stream, len(text))
    token = getattr(problem, "token", None)
    found = str(token) if token is not None else text[start : start + 1]
    before = re.search(r"(\w+)\s*$", text[:start])
    previous = before[1] if before else ""
    if token is not None and token.type == "$END":
        return _ended(text, problem)
    if found in "'\"":
        return ExpressionError(text, "the text that begins here does not end", start, len(text))
    if previous.lower() == "not" and before:
        return ExpressionError(text, f"{previous!r} is no operator: write !", before.start(1), before.end(1))
    if found == ">" and text[:start].rstrip().endswith("<"):
        return ExpressionError(text, "<> is no operator: write !=", start - 1, start + 1)
    if found == "," and previous.isdigit():
        return ExpressionError(text, "a number has a point, as in 80.5, and no comma", start, start + 1)
    hint = _MEANT.get(found.lower())
    if hint is not None:
        advice = f"write {hint}" if hint else "leave it out"
        return ExpressionError(text, f"{found!r} is no operator: {advice}", start, start + len(found))
    if previous.isdigit() and (found.isalpha() or found == "\u00b0"):
        return ExpressionError(text, "a number has no unit; leave it out", start, start + len(found))
    expected = "a value" if "IDENT" in _expected(problem) else "an operator (such as && or >), or the end"
    return ExpressionError(text, f"expected {expected}, and found {found!r}", start, start + len(found))


def _ended(text: str, problem: Any) -> ExpressionError:
    end = len(text.rstrip())
    if not end:
        return ExpressionError(text, "it is empty: write a condition, such as value > 80", 0, 0)
    expected = _expected(problem)
    if "IDENT" in expected:
        return ExpressionError(text, "it ends where a value is missing", end, end)
    closing = next((mark for name, mark in (("RPAR", ")"), ("RSQB", "]"), ("RBRACE", "}")) if name in expected), "")
    missing = f"a {closing} is missing" if closing else "it ends too early: of c ? a : b, the part after : is missing"
    return ExpressionError(text, missing, end, end)


def _expected(problem: Any) -> set[str]:
    """Return the names of the tokens that might have come."""
    return set(getattr(problem, "accepts", None) or getattr(problem, "allowed", None) or ())
