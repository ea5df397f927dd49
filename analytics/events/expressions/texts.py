"""The functions that look at texts."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from analytics.events.expressions.columns import Columns, Held, Texts
from analytics.events.expressions.functions import Builder, Call
from analytics.events.expressions.shape import TEXTUAL, Type
from analytics.events.expressions.term import TEST, Term
from analytics.events.expressions.vectors import Truth, Unknown, Wholes, either


def constant(word: str) -> Held:
    """Return a text that is written out, as a column."""
    return Held(np.ones((), bool), text=Texts(np.zeros((), np.int32), (word,)))


def _looking(test: Callable[[str, str], bool], says: str, denies: str) -> Builder:
    """Return what builds a test of a text with another one that is written out."""

    def build(call: Call) -> Term:
        text, part = call.take(TEXTUAL, Type.TEXT)
        if not isinstance(part.constant, str):
            raise call.error(f"what {call.name} looks for is written out, such as 'OPEN'", part)
        sought, run = part.constant, text.run
        return Term(
            Type.BOOL,
            lambda columns: _found(run(columns), lambda word: test(word, sought)),
            f"{text.words} {says} {part.words}",
            f"{text.words} {denies} {part.words}",
            TEST,
        )

    return build


def _matches(call: Call) -> Term:
    import re2

    text, pattern = call.take(TEXTUAL, Type.TEXT)
    if not isinstance(pattern.constant, str):
        raise call.error("the pattern is written out, such as 'A[0-9]+'", pattern)
    options = re2.Options()
    options.log_errors = False
    try:
        found = re2.compile(pattern.constant, options).search
    except re2.error as exc:
        told = exc.args[0].decode() if isinstance(exc.args[0], bytes) else exc.args[0]
        raise call.error(f"{pattern.constant!r} is no pattern of RE2: {told}", pattern) from None
    run = text.run
    return Term(
        Type.BOOL,
        lambda columns: _found(run(columns), lambda word: found(word) is not None),
        f"{text.words} matches {pattern.words}",
        f"{text.words} does not match {pattern.words}",
        TEST,
    )


def _found(held: Held, test: Callable[[str], bool]) -> Truth:
    texts = held.texts
    if texts is None:
        return Truth(np.False_, np.True_)
    return Truth.of(texts.where(test), _textless(held, texts))


def _textless(held: Held, texts: Texts) -> Unknown:
    """Return where there is no text."""
    return held.unknown if held.number is None else either(held.unknown, texts.codes < 0)


def _size(call: Call) -> Term:
    (text,) = call.take(TEXTUAL)
    run = text.run

    def measured(columns: Columns) -> Wholes:
        held = run(columns)
        texts = held.texts
        if texts is None:
            return Wholes(np.int64(0), np.True_)
        return Wholes(np.array([*map(len, texts.words), 0], np.int64)[texts.codes], _textless(held, texts))

    return Term(Type.INT, measured, f"the length of {text.words}")


METHODS: dict[str, Builder] = {
    "startsWith": _looking(str.startswith, "starts with", "does not start with"),
    "endsWith": _looking(str.endswith, "ends with", "does not end with"),
    "contains": _looking(lambda word, part: part in word, "contains", "does not contain"),
    "matches": _matches,
    "size": _size,
}
FUNCTIONS: dict[str, Builder] = {"matches": _matches, "size": _size}
