"""Event frames: spans of time with a name, and what people wrote about them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from analytics.events.event import CAME, GONE, HAPPENED, SUPPRESSED, UNSUPPRESSED, Event
from archiver.model import format_time


@dataclass(frozen=True, slots=True)
class Frame:
    """A span of time in which something of a rule held.

    Parameters
    ----------
    id : str
        That of the event that opened it: made from content, so that a recalculation finds the same frame again.
    rule, key : str
    opened : int
        ns.
    closed : int, optional
        ns; None while it lasts.
    attributes : mapping of str to JSON value
    """

    id: str
    rule: str
    key: str
    opened: int
    closed: int | None = None
    attributes: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def between(cls, opening: Event, closing: Event | None = None) -> Frame:
        """Return the frame between two events, or the open one; what the closing one says comes on top."""
        told = {**opening.attributes, **({} if closing is None else closing.attributes)}
        closed = None if closing is None else closing.time
        return cls(opening.id, opening.rule, opening.key, opening.time, closed, told)

    @classmethod
    def of(cls, events: Iterable[Event]) -> list[Frame]:
        """Return the frames of events in order: of came until gone, or open; what has no length is one, too."""
        found, lasting = dict[str, Frame](), dict[tuple[str, str], Frame]()
        for event in events:
            place = event.rule, event.key
            for frame in frames_of(event, lasting.get(place)):
                found[frame.id] = frame
                if frame.closed is None:
                    lasting[place] = frame
                elif lasting.get(place, frame).id == frame.id:
                    lasting.pop(place, None)
        return sorted(found.values(), key=lambda frame: frame.opened)

    def ended(self, event: Event) -> Frame:
        """Return the frame as an event closes it; what that says comes on top."""
        return replace(self, closed=event.time, attributes={**self.attributes, **event.attributes})

    @property
    def duration_ns(self) -> int | None:
        """How long it lasted; None while it lasts."""
        return None if self.closed is None else self.closed - self.opened

    def to_row(self) -> dict[str, Any]:
        """Return it as plain values, times as ISO-8601."""
        return {
            "id": self.id,
            "rule": self.rule,
            "key": self.key,
            "opened": format_time(self.opened),
            "closed": None if self.closed is None else format_time(self.closed),
            "duration_s": None if self.duration_ns is None else self.duration_ns / 1e9,
            "attributes": dict(self.attributes),
        }


def frames_of(event: Event, lasting: Frame | None) -> list[Frame]:
    """Return the frames that an event opens or closes.

    Parameters
    ----------
    event : Event
    lasting : Frame, optional
        The one of its rule and key that lasts.
    """
    if event.kind == HAPPENED:
        return [Frame.between(event, event)]
    if event.kind in (SUPPRESSED, UNSUPPRESSED):
        return []
    closed = [] if lasting is None else [lasting.ended(event)]
    if event.kind == GONE:
        return closed
    if event.kind == CAME:
        return [Frame.between(event)] if lasting is None else []
    entered = replace(Frame.between(event), attributes={**event.attributes, "state": event.kind})
    return [*closed, entered]  # a state ends with the next one


@dataclass(frozen=True, slots=True)
class Annotation:
    """What somebody wrote about a frame.

    Parameters
    ----------
    number : int
        Place among all annotations.
    frame, rule, key, opened, closed
        Of the frame, as it was when that was written.
    time : int
        When, ns.
    user, text : str
    """

    number: int
    frame: str
    rule: str
    key: str
    opened: int
    closed: int | None
    time: int
    user: str
    text: str

    def to_row(self) -> dict[str, Any]:
        """Return who wrote what and when as plain values."""
        return {"frame": self.frame, "time": format_time(self.time), "user": self.user, "text": self.text}
