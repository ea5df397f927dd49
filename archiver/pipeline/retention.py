"""Which segments the backends hold, until when, and how one's oldest are dropped: by retention, or by hand before."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from archiver.model import Interval, InvalidInputError, NotFoundError, UnsupportedError, format_duration, format_time
from archiver.model.holding import Cause
from archiver.model.time import MAX_TIME, now
from archiver.pipeline.lane import Lane
from archiver.ports import Segment, SupportsSegments


@dataclass(frozen=True, slots=True)
class HeldSegment:
    """A segment that a backend holds.

    Parameters
    ----------
    backend : str
    segment : Segment
    is_current : bool
        Whether the clock is still in it; what comes late may fall into any.
    dropped_at : int or None
        When its group's retention drops it, ns; None when that is never.
    """

    backend: str
    segment: Segment
    is_current: bool
    dropped_at: int | None

    def to_row(self) -> dict[str, Any]:
        """Return it as plain values."""
        held = self.segment
        return {
            "backend": self.backend,
            "group": held.group,
            "start": format_time(held.interval.start),
            "end": format_time(held.interval.end),
            "rows": held.rows,
            "bytes": held.bytes,
            "files": held.files,
            "state": "current" if self.is_current else "closed",
            "dropped_at": None if self.dropped_at is None else format_time(self.dropped_at),
        }


def held_segments(lanes: Iterable[Lane], group: str | None = None) -> list[HeldSegment]:
    """Return the segments that the backends of some lanes hold, by backend and group, oldest first.

    A backend without segments holds none, and so does one that was not reached yet.

    Parameters
    ----------
    group : str, optional
        Only of this archive group.

    Raises
    ------
    TransientError
        A backend does not answer.
    """
    moment = now()
    return [
        _held(lane, segment, moment)
        for lane in lanes
        if lane.position is not None and isinstance(lane.backend, SupportsSegments)
        for name in _groups(lane)
        if group is None or name == group
        for segment in lane.backend.segments(name)
    ]


def drop_by_hand(lane: Lane, group: str, time: int) -> list[Segment]:
    """Drop the segments of a group that end at or before `time` (ns), and return them.

    Answers say from then on that they are missing, and why.

    Raises
    ------
    NotFoundError
        The backend holds nothing of such a group.
    InvalidInputError
        The time has not come: what is still being filled is not dropped.
    UnsupportedError
        The backend has no segments, or drops none.
    TransientError
        It does not answer; the same may be asked again.
    """
    if not isinstance(lane.backend, SupportsSegments):
        raise UnsupportedError(f"backend {lane.backend.name} has no segments that could be dropped")
    if group not in (there := _groups(lane)):
        raise NotFoundError(f"backend {lane.backend.name} has no archive group {group!r}; it has {', '.join(there)}")
    if time > now():
        raise InvalidInputError(f"before = {format_time(time)} has not come yet: name the end of a closed segment")
    return drop(lane, lane.backend, group, time, Cause.BY_HAND, "dropped by hand")


def drop_expired(lane: Lane) -> None:
    """Drop what is older than the retention of its group; raises as the backend does."""
    if not isinstance(lane.backend, SupportsSegments):
        return
    for group in lane.router.groups.values():
        if group.retention_ns:
            reason = f"dropped: the retention of group {group.name} is {format_duration(group.retention_ns)}"
            drop(lane, lane.backend, group.name, now() - group.retention_ns, Cause.RETENTION, reason)


def drop(lane: Lane, backend: SupportsSegments, group: str, time: int, cause: Cause, reason: str) -> list[Segment]:
    """Drop segments; it is noted before, so that no answer is ever short without saying so."""
    old = [segment.interval for segment in backend.segments(group) if segment.interval.end <= time]
    if not old:
        return []
    backend.drop_before(group, old[0].start)  # nothing is that old: one that cannot drop says so before it is noted
    lane.lack(group, Interval(old[0].start, old[-1].end), cause, reason)
    dropped = backend.drop_before(group, time)
    lane.recount()
    return dropped


def _groups(lane: Lane) -> list[str]:
    """Return the groups that a lane stores, and those of which its backend still holds something."""
    held = (part.group for part in lane.backend.coverage()) if lane.position is not None else ()
    return list(dict.fromkeys([*lane.router.groups, *held]))


def _held(lane: Lane, segment: Segment, moment: int) -> HeldSegment:
    group = lane.router.groups.get(segment.group)
    retention_ns = group.retention_ns if group is not None else 0
    end = min(segment.interval.end + retention_ns, MAX_TIME) if retention_ns else None
    is_current = segment.interval.start <= moment < segment.interval.end
    return HeldSegment(lane.backend.name, segment, is_current, end)
