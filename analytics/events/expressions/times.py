"""The functions of durations and instants."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from analytics.events.expressions.functions import Builder, Call
from analytics.events.expressions.shape import Type
from analytics.events.expressions.term import Term
from analytics.events.expressions.vectors import Wholes
from archiver.model import InvalidInputError
from archiver.model.time import NANOSECONDS, format_duration, format_time, parse_duration, parse_time

_EITHER = frozenset({Type.DURATION, Type.INSTANT})
Take = Callable[[pa.Array], pa.Array]


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


def _part(word: str, take: Take, unit_ns: int = 0) -> Builder:
    """Return what builds a part of an instant, in UTC or in a time zone; or of a duration, the whole units in it."""

    def build(call: Call) -> Term:
        first = call.arguments[0]
        run = first.run
        if unit_ns and first.type is Type.DURATION:
            call.take(Type.DURATION)
            return Term(Type.INT, lambda columns: _units(run(columns), unit_ns), f"{first.words} in {word}s")
        zone = None
        if len(call.arguments) > 1:
            zone = _zone(call, call.take(Type.INSTANT, Type.TEXT)[1])
        else:
            call.take(_EITHER if unit_ns else Type.INSTANT)
        told = f"the {word} of {first.words} in {zone or 'UTC'}"
        return Term(Type.INT, lambda columns: _taken(run(columns), take, zone), told)

    return build


def _zone(call: Call, term: Term) -> str:
    """Return the time zone that an argument names."""
    zone = term.constant
    if not isinstance(zone, str):
        raise call.error("the time zone is written out, such as 'Europe/Berlin'", term)
    try:
        _taken(Wholes(np.int64(0)), pc.hour, zone)
    except pa.ArrowInvalid:
        raise call.error(f"there is no time zone {zone!r} here; write one such as 'Europe/Berlin'", term) from None
    return zone


def _taken(found: Wholes, take: Take, zone: str | None) -> Wholes:
    instants = pa.array(np.atleast_1d(found.values)).cast(pa.timestamp("ns", zone))
    parts = take(instants).to_numpy(zero_copy_only=False).astype(np.int64, copy=False)
    return Wholes(parts.reshape(np.shape(found.values))[()], found.unknown)


def _units(found: Wholes, unit_ns: int) -> Wholes:
    return Wholes((found.values - np.fmod(found.values, unit_ns)) // unit_ns, found.unknown)


FUNCTIONS: dict[str, Builder] = {
    "duration": _written(Type.DURATION, _duration, _told),
    "timestamp": _written(Type.INSTANT, _instant, _dated),
}
METHODS: dict[str, Builder] = {
    "getHours": _part("hour", pc.hour, 3600 * NANOSECONDS),
    "getMinutes": _part("minute", pc.minute, 60 * NANOSECONDS),
    "getSeconds": _part("second", pc.second, NANOSECONDS),
    "getDate": _part("day of the month", pc.day),
    "getDayOfWeek": _part("day of the week (0 is Sunday)", partial(pc.day_of_week, week_start=7)),
}
