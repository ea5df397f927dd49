"""Parameters of the query string to values of the archive, with errors that name parameter, value and fix."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Annotated, TypeVar

from fastapi import Query as Parameter
from pydantic import BaseModel, ConfigDict, Field

from archiver.model import Interval, InvalidInputError, parse_duration, parse_time
from archiver.model.time import now
from archiver.query import Condition
from services.common.errors import BadParameterError

T = TypeVar("T")

Start = Annotated[
    str, Parameter(description="ISO-8601 with a zone, or now-1h", examples=["2026-01-01T00:00:00Z", "now-1h"])
]
End = Annotated[str, Parameter(description="not included; as start", examples=["now"])]


class RangeOfTime(BaseModel):
    """Which backend answers which time."""

    model_config = ConfigDict(extra="forbid")

    backend: str
    start: str = Field(alias="from", description="ISO-8601 with a zone, or now-1h")
    end: str = Field(alias="to", description="not included; as from")


def interval_of(start: str, end: str, *, at: int | None = None) -> Interval:
    """Return the interval between two times as written; both see the same now, `at` if given."""
    at = now() if at is None else at
    first = _parse("start", start, lambda text: parse_time(text, at=at))
    last = _parse("end", end, lambda text: parse_time(text, at=at))
    if last < first:
        raise BadParameterError("end", end, f"it lies before start ({start}); swap them")
    return Interval(first, last)


def time_of(name: str, text: str) -> int:
    """Return an instant, ns."""
    return _parse(name, text, parse_time)


def duration_of(name: str, text: str) -> int:
    """Return a duration, ns."""
    return _parse(name, text, parse_duration)


def condition_of(text: str) -> Condition:
    """Return a condition on elements."""
    return _parse("where", text, Condition.parse)


def range_of(text: str) -> RangeOfTime:
    """Return backend and times of ``NAME=FROM/TO``."""
    backend, equals, span = text.partition("=")
    start, slash, end = span.partition("/")
    if not (backend and equals and slash):
        raise BadParameterError("range", text, "write NAME=FROM/TO, such as lake=2026-01-01T00:00:00Z/now")
    return RangeOfTime(**{"backend": backend, "from": start, "to": end})


def aggregates_of(texts: Sequence[str]) -> list[str]:
    """Return names of aggregates that were repeated, or joined by commas."""
    return [name.strip() for text in texts for name in text.split(",")]


def _parse(name: str, text: str, parse: Callable[[str], T]) -> T:
    try:
        return parse(text)
    except InvalidInputError as exc:
        raise BadParameterError(name, text, str(exc)) from exc
