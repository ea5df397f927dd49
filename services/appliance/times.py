"""Instants and intervals as the appliance's clients write them."""

from __future__ import annotations

import re

from archiver.model import InvalidInputError, parse_time
from archiver.model.time import DAY_NS, NANOSECONDS, now
from services.common.errors import BadParameterError

_HOUR_NS = 3600 * NANOSECONDS
_LOST_PLUS = re.compile(r" (?=\d\d:?\d\d$)")
_PERIOD = re.compile(r"P(?:(\d+)Y)?(?:(\d+)M)?(?:(\d+)W)?(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?(?:(\d+)S)?)?")
_PERIOD_NS = (365 * DAY_NS, 30 * DAY_NS, 7 * DAY_NS, DAY_NS, _HOUR_NS, 60 * NANOSECONDS, NANOSECONDS)
Span = tuple[int, int]
"""Start and end, ns; both belong to it."""


def instant(name: str, text: str) -> int:
    """Return an instant, ns: ISO-8601 with a zone; a space in its place is the plus sign that a form makes of it.

    Raises
    ------
    BadParameterError

    Examples
    --------
    >>> instant("from", "1970-01-01T01:00:01 01:00")
    1000000000
    """
    try:
        return parse_time(_LOST_PLUS.sub("+", text.strip()))
    except InvalidInputError as exc:
        raise BadParameterError(name, text, str(exc)) from exc


def span(start: str | None, end: str | None) -> Span:
    """Return an interval; without an end it ends in an hour, without a start it is a day long.

    Raises
    ------
    BadParameterError
        One of them is not a time, or the end lies before the start.
    """
    last = instant("to", end) if end else now() + _HOUR_NS
    first = instant("from", start) if start else last - DAY_NS
    if last < first:
        raise BadParameterError("to", end or "", f"it lies before from ({start}); swap them")
    return first, last


def spans(text: str) -> list[Span]:
    """Return the intervals of a list of times, in which starts and ends take turns.

    Raises
    ------
    BadParameterError
    """
    times = text.split(",")
    if len(times) % 2:
        raise BadParameterError("timeranges", text, "it has a start without an end; write pairs")
    return [span(start, end) for start, end in zip(times[::2], times[1::2], strict=True)]


def period(text: str) -> int:
    """Return the length of an ISO-8601 period such as ``P1D`` or ``PT1H``, ns; a year has 365 days, a month 30.

    Raises
    ------
    BadParameterError
    """
    match = _PERIOD.fullmatch(text.strip())
    if match is None or not any(match.groups()):
        raise BadParameterError("searchPeriod", text, "write an ISO-8601 period, such as P1D or PT12H")
    return sum(int(number or 0) * length for number, length in zip(match.groups(), _PERIOD_NS, strict=True))
