"""The functions of durations and instants."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from analytics.events.expressions.columns import Columns
from analytics.events.expressions.functions import Builder, Call
from analytics.events.expressions.shape import Type
from analytics.events.expressions.term import Term
from analytics.events.expressions.vectors import Wholes
from archiver.model import InvalidInputError
from archiver.model.time import NANOSECONDS, format_duration, format_time, parse_duration, parse_time

_EITHER = frozenset({Type.DURATION, Type.INSTANT})
_MINUTE, _HOUR, _DAY = 60 * NANOSECONDS, 3600 * NANOSECONDS, 86_400 * NANOSECONDS


def _written(type_: Type, read: Callable[[str], int], tell: Callable[[int], str]) -> Builder:
    """Return what builds a literal of a time."""

    def build(call: Call) -> Term:
        (text,) = call.take(Type.TEXT)
        if not isinstance(text.constant, str):
            raise call.error(f"what {call.name} takes is written out", text)
        try:
            nanoseconds = read(text.constant)
        except InvalidInputError as exc:
            raise call.error(str(exc), text) from None
        vector = Wholes(np.int64(nanoseconds))
        return Term(type_, lambda columns: vector, tell(nanoseconds))

    return build


def _duration(text: str) -> int:
    """Return a duration in ns; with a minus in front, before."""
    return -parse_duration(text[1:]) if text.startswith("-") else parse_duration(text)


def _told(nanoseconds: int) -> str:
    return format_duration(nanoseconds) if nanoseconds >= 0 else f"-{format_duration(-nanoseconds)}"


def _dated(nanoseconds: int) -> str:
    return format_time(nanoseconds).replace(".000000000", "")


def _instant(text: str) -> int:
    if text.strip().startswith("now"):
        raise InvalidInputError(
            "now is another instant whenever the rule runs; write an instant with its zone, or use age"
        )
    return parse_time(text)


def _part(word: str, unit: int, modulus: int, of_duration: int) -> Builder:
    """Return what builds a part of an instant in UTC, or the whole units of a duration."""

    def build(call: Call) -> Term:
        (term,) = call.take(_EITHER)
        run = term.run

        def instants(columns: Columns) -> Wholes:
            found = run(columns)
            return Wholes(found.values // unit % modulus, found.unknown)

        def durations(columns: Columns) -> Wholes:
            found = run(columns)
            return Wholes((found.values - np.fmod(found.values, of_duration)) // of_duration, found.unknown)

        if term.type is Type.DURATION:
            return Term(Type.INT, durations, f"{term.words} in {word}s")
        return Term(Type.INT, instants, f"the {word} of {term.words} in UTC")

    return build


def _weekday(call: Call) -> Term:
    (term,) = call.take(Type.INSTANT)
    run = term.run

    def days(columns: Columns) -> Wholes:
        found = run(columns)
        return Wholes(
            (found.values // _DAY + 4) % 7, found.unknown
        )  # the epoch began on a Thursday, and a week on Sunday

    return Term(Type.INT, days, f"the day of the week of {term.words} in UTC, Sunday being 0,")


FUNCTIONS: dict[str, Builder] = {
    "duration": _written(Type.DURATION, _duration, _told),
    "timestamp": _written(Type.INSTANT, _instant, _dated),
}
METHODS: dict[str, Builder] = {
    "getHours": _part("hour", _HOUR, 24, _HOUR),
    "getMinutes": _part("minute", _MINUTE, 60, _MINUTE),
    "getSeconds": _part("second", NANOSECONDS, 60, NANOSECONDS),
    "getDayOfWeek": _weekday,
}
