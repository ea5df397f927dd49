"""What a request of Prometheus' HTTP API asks: parameters of the address or of a form, with Prometheus' times."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Annotated
from urllib.parse import parse_qs

from fastapi import Depends, Request

from archiver.model import InvalidInputError, parse_duration, parse_time
from archiver.model.time import MAX_TIME, MIN_TIME, NANOSECONDS, now
from services.common.errors import BadParameterError, TooLargeError
from services.common.negotiation import media_type_of
from services.grafana.evaluating import HOLD_NS

MOST_POINTS = 11_000
"""Values that one series may have, as in Prometheus."""

_FORM = "application/x-www-form-urlencoded"
_LARGEST = 2**20


@dataclass(frozen=True)
class Parameters:
    """The parameters of a request, each with its values."""

    values: Mapping[str, Sequence[str]]

    def every(self, name: str) -> Sequence[str]:
        """Return all values of a parameter."""
        return self.values.get(name, ())

    def get(self, name: str) -> str:
        """Return a parameter, empty when it is not given."""
        return next(iter(self.every(name)), "")

    def need(self, name: str) -> str:
        """Return a parameter.

        Raises
        ------
        BadParameterError
            It is not given.
        """
        found = self.get(name)
        if not found:
            raise BadParameterError(name, "", "it is missing")
        return found

    def time(self, name: str) -> int:
        """Return an instant, ns; now when it is not given."""
        return time_of(name, self.get(name)) if self.get(name) else now()

    def duration(self, name: str, default: int = 0) -> int:
        """Return a duration, ns."""
        return duration_of(name, self.get(name)) if self.get(name) else default

    @property
    def hold(self) -> int:
        """For how long a value holds at most, ns."""
        return self.duration("lookback_delta", HOLD_NS)

    @property
    def limit(self) -> int | None:
        """Most entries of the answer; None is all."""
        text = self.get("limit")
        if (text and not text.isascii()) or (text and not text.isdigit()):
            raise BadParameterError("limit", text, "write a whole number; 0 is no limit")
        return int(text) or None if text else None

    def span(self) -> tuple[int, int, int]:
        """Return start, end and step of a range, ns.

        Raises
        ------
        BadParameterError
            Of too many steps, too.
        """
        start, end, step = (self.need(name) for name in ("start", "end", "step"))
        first, last, every = time_of("start", start), time_of("end", end), duration_of("step", step)
        if last < first:
            raise BadParameterError("end", end, "it lies before start; swap them")
        if every <= 0:
            raise BadParameterError("step", step, "it has to be more than zero")
        if (last - first) // every > MOST_POINTS:
            fix = f"more than {MOST_POINTS} points per series; ask for a longer step, or a shorter time"
            raise BadParameterError("step", step, fix)
        return first, last, every


async def parameters(request: Request) -> Parameters:
    """Return the parameters in the address of a request, and in its body when that is a form."""
    found: dict[str, list[str]] = {}
    for name, value in request.query_params.multi_items():
        found.setdefault(name, []).append(value)
    if request.method == "POST" and media_type_of(request.headers.get("content-type")) == _FORM:
        for name, values in parse_qs(await _form(request), keep_blank_values=True).items():
            found.setdefault(name, []).extend(values)
    return Parameters(found)


Asked = Annotated[Parameters, Depends(parameters)]
"""A parameter that receives those of the request."""


def time_of(name: str, text: str) -> int:
    """Return an instant as Prometheus writes it, ns: seconds since the epoch, or ISO-8601 with a zone.

    Raises
    ------
    BadParameterError
    """
    seconds = _decimal(text)
    try:
        time = parse_time(text) if seconds is None else round(seconds * NANOSECONDS)
    except InvalidInputError as exc:
        raise BadParameterError(name, text, str(exc)) from exc
    if not MIN_TIME <= time < MAX_TIME:
        raise BadParameterError(name, text, "that is too far away")
    return time


def duration_of(name: str, text: str) -> int:
    """Return a duration as Prometheus writes it, ns: seconds, or such as ``5m`` and ``1h30m``.

    Raises
    ------
    BadParameterError
    """
    seconds = _decimal(text)
    if seconds is not None and abs(seconds) < MAX_TIME // NANOSECONDS:
        return round(seconds * NANOSECONDS)
    try:
        return parse_duration(text)
    except InvalidInputError as exc:
        raise BadParameterError(name, text, "write seconds, or a duration such as 5m") from exc


def _decimal(text: str) -> Decimal | None:
    try:
        found = Decimal(text)
    except InvalidOperation:
        return None
    return found if found.is_finite() and abs(found.adjusted()) < 30 else None


async def _form(request: Request) -> str:
    chunks: list[bytes] = []
    async for chunk in request.stream():
        chunks.append(chunk)
        if sum(map(len, chunks)) > _LARGEST:
            raise TooLargeError(f"a form has at most {_LARGEST} bytes; ask in several requests")
    return b"".join(chunks).decode(errors="replace")
