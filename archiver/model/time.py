"""Instants as int64 nanoseconds since the Unix epoch (UTC), and the half-open interval between two."""

from __future__ import annotations

import operator
import re
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from archiver.model.errors import InvalidInputError

NANOSECONDS = 1_000_000_000
DAY_NS = 86_400 * NANOSECONDS
MIN_TIME = -(2**63)
MAX_TIME = 2**63 - 1
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_UNITS_NS = {
    "ns": 1,
    "us": 1_000,
    "ms": 1_000_000,
    "s": NANOSECONDS,
    "m": 60 * NANOSECONDS,
    "min": 60 * NANOSECONDS,
    "h": 3600 * NANOSECONDS,
    "d": DAY_NS,
    "w": 7 * DAY_NS,
    "y": 365 * DAY_NS,
}
_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*(ns|us|ms|min|s|m|h|d|w|y)", re.ASCII)
_ISO = re.compile(r"(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d(?::\d\d)?)(?:\.(\d{1,9}))?\s*(Z|z|[+-]\d\d(?::?\d\d)?)?", re.ASCII)


def now() -> int:
    """Return the machine's clock, ns since the epoch."""
    return time.time_ns()


def parse_duration(text: str) -> int:
    """Return a duration such as ``90s``, ``1h30m`` or ``5y`` in nanoseconds.

    Units: ns, us, ms, s, m (or min), h, d, w, y (365 days).

    Raises
    ------
    InvalidInputError
        The text is not a number followed by a unit, once or more.

    Examples
    --------
    >>> parse_duration("1h30m") // NANOSECONDS
    5400
    """
    total, end = 0, 0
    stripped = text.strip()
    for match in _DURATION.finditer(stripped):
        if match.start() != end:
            break
        number, unit = match.groups()
        whole, _, fraction = number.partition(".")
        scale = _UNITS_NS[unit]
        total += int(whole) * scale
        if fraction:
            total += int(fraction) * scale // 10 ** len(fraction)
        end = match.end()
    if not stripped or end != len(stripped):
        raise InvalidInputError(f"{text!r} is not a duration: write a number and a unit, such as 10s, 5m, 1h30m or 7d")
    if total > MAX_TIME:
        raise InvalidInputError(f"{text!r} is longer than int64 nanoseconds hold (292 years)")
    return total


def format_duration(duration: int) -> str:
    """Return a duration of zero or more nanoseconds as `parse_duration` reads it, in the largest units, exactly.

    Examples
    --------
    >>> format_duration(90 * 60 * NANOSECONDS), format_duration(DAY_NS), format_duration(1_500_000), format_duration(0)
    ('1h30m', '1d', '1ms500us', '0s')
    """
    years, rest = divmod(duration, _UNITS_NS["y"])
    if years and not rest:
        return f"{years}y"
    text = ""
    rest = duration
    for unit in ("d", "h", "m", "s", "ms", "us", "ns"):
        number, rest = divmod(rest, _UNITS_NS[unit])
        text += f"{number}{unit}" if number else ""
    return text or "0s"


def parse_time(text: str, *, at: int | None = None) -> int:
    """Return an instant in ns from ISO-8601 with a zone, ``now``, ``now-1h`` or integer nanoseconds.

    Parameters
    ----------
    text : str
        ``2026-01-01T00:00:00.123456789Z`` (up to nine digits; longer fractions are refused), a date and
        time with ``+hh:mm``, ``now``, ``now-<duration>``, ``now+<duration>``, or digits only (ns).
    at : int, optional
        What ``now`` means, ns; the machine's clock when left out.

    Raises
    ------
    InvalidInputError
        Not one of these forms, or no zone: a time without a zone is never guessed.

    Examples
    --------
    >>> parse_time("1970-01-01T00:00:01.000000007Z")
    1000000007
    """
    stripped = text.strip()
    if stripped.startswith("now"):
        base, rest = now() if at is None else at, stripped[3:]
        if not rest:
            return base
        if rest[0] in "+-":
            return _in_range(base + (1 if rest[0] == "+" else -1) * parse_duration(rest[1:]), text)
    if re.fullmatch(r"-?\d{12,19}", stripped, re.ASCII):
        return _in_range(int(stripped), text)
    match = _ISO.fullmatch(stripped)
    if match is None:
        raise InvalidInputError(f"{text!r} is not a time: write ISO-8601 with a zone (2026-01-01T00:00:00Z) or now-1h")
    date, clock, fraction, zone = match.groups()
    if zone is None:
        raise InvalidInputError(f"{text!r} has no time zone: add Z for UTC, or an offset such as +01:00")
    try:
        moment = datetime.fromisoformat(f"{date}T{clock}{'+00:00' if zone in 'Zz' else zone}")
    except ValueError as exc:
        raise InvalidInputError(f"{text!r} is not a time: {exc}") from exc
    seconds = (moment - _EPOCH) // timedelta(seconds=1)
    return _in_range(seconds * NANOSECONDS + int((fraction or "").ljust(9, "0")), text)


def _in_range(value: int, text: str) -> int:
    if not MIN_TIME <= value <= MAX_TIME:
        raise InvalidInputError(f"{text!r} is outside what int64 nanoseconds hold (1677 to 2262)")
    return value


def format_time(value: int) -> str:
    """Return an instant as ISO-8601 UTC with nine digits.

    Examples
    --------
    >>> format_time(1000000007)
    '1970-01-01T00:00:01.000000007Z'
    """
    seconds, fraction = divmod(value, NANOSECONDS)
    return f"{(_EPOCH + timedelta(seconds=seconds)).isoformat()[:19]}.{fraction:09d}Z"


@dataclass(frozen=True, slots=True)
class Interval:
    """A span of time, half open: ``start`` belongs to it, ``end`` does not.

    Parameters
    ----------
    start, end : int
        ns since the epoch; ``start <= end``.

    Raises
    ------
    InvalidInputError
        ``end`` lies before ``start``.
    """

    start: int
    end: int

    def __post_init__(self) -> None:
        for name in ("start", "end"):  # an integer of numpy becomes one of Python, which JSON and datetime know
            object.__setattr__(self, name, operator.index(getattr(self, name)))
        if self.end < self.start:
            raise InvalidInputError(
                f"the interval ends ({format_time(self.end)}) before it starts ({format_time(self.start)})"
            )

    def __contains__(self, instant: int) -> bool:
        return self.start <= instant < self.end

    def intersect(self, other: Interval) -> Interval | None:
        """Return what both cover, or None when they share nothing."""
        start, end = max(self.start, other.start), min(self.end, other.end)
        return Interval(start, end) if start < end else None


ALWAYS = Interval(MIN_TIME, MAX_TIME)


def parse_interval(start: str, end: str, *, at: int | None = None) -> Interval:
    """Return the interval between two times as `parse_time` reads them; both see the same now, `at` if given.

    Raises
    ------
    InvalidInputError
    """
    at = now() if at is None else at
    return Interval(parse_time(start, at=at), parse_time(end, at=at))
