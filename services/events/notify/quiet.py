"""Hours in which nobody is to be disturbed."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from archiver.config import QuietHours
from archiver.model.time import NANOSECONDS

_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_MOST = 16


def quiet_until(hours: Sequence[QuietHours], time: int) -> int:
    """Return when it may be sent what is due at a time, ns: the time itself where it is in no quiet hours.

    Hours that follow each other are one; after a week or so of nothing else, their end counts as one.

    Examples
    --------
    >>> from archiver.model.time import format_time, parse_time
    >>> night = QuietHours(start="22:00", end="06:00", timezone="Europe/Berlin")
    >>> format_time(quiet_until([night], parse_time("2026-01-01T23:30:00Z")))
    '2026-01-02T05:00:00.000000000Z'
    """
    for _ in range(_MOST):
        end = max((_end(one, time) for one in hours), default=time)
        if end == time:
            break
        time = end
    return time


def _end(hours: QuietHours, time: int) -> int:
    """Return when the hours end in which a time lies; the time itself when it is in none."""
    zone = ZoneInfo(hours.timezone)
    today = datetime.fromtimestamp(time // NANOSECONDS, zone).date()
    ends = [time]
    for day in (today - timedelta(days=1), today):
        if _DAYS[day.weekday()] not in hours.days:
            continue
        until = day if hours.end > hours.start else day + timedelta(days=1)
        start = _instant(datetime.combine(day, hours.start, zone))
        end = _instant(datetime.combine(until, hours.end, zone))
        if start <= time < end:
            ends.append(end)
    return max(ends)


def _instant(at: datetime) -> int:
    return int(at.astimezone(UTC).timestamp()) * NANOSECONDS
