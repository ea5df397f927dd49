"""What may be done to an alarm. Each action says when (ns); whoever makes it holds the clock."""

from __future__ import annotations

from dataclasses import dataclass

from analytics.events.event import Event


@dataclass(frozen=True, slots=True)
class Signal:
    """An event of the alarm's rule and key: it came, it went, or it took place and has no length.

    `text` is what the alarm list says of it.
    """

    event: Event
    text: str = ""

    @property
    def time(self) -> int:
        """When, by the clock of the samples."""
        return self.event.time


@dataclass(frozen=True, slots=True)
class Acknowledge:
    """Somebody has seen what is owed an acknowledgement by now.

    With `occurrence`, only if that is still the newest: nobody acknowledges what he has not seen.
    """

    time: int
    user: str
    comment: str = ""
    occurrence: str = ""


@dataclass(frozen=True, slots=True)
class Reset:
    """Somebody has looked after what a latched alarm is about."""

    time: int
    user: str
    comment: str = ""


@dataclass(frozen=True, slots=True)
class Shelve:
    """Hide it for a duration (ns), or without one until it goes, at the latest for as long as its class allows."""

    time: int
    user: str
    reason: str
    duration_ns: int | None = None


@dataclass(frozen=True, slots=True)
class Unshelve:
    """Show it again, before the shelving ends by itself."""

    time: int
    user: str
    comment: str = ""


@dataclass(frozen=True, slots=True)
class Expire:
    """Time has passed: a shelving that is due ends. Changes nothing where none is."""

    time: int


@dataclass(frozen=True, slots=True)
class Suppress:
    """By design it has nothing to say now; `reason` names what says so. `user` where a person does."""

    time: int
    reason: str
    user: str = ""


@dataclass(frozen=True, slots=True)
class Unsuppress:
    """What suppressed it no longer does."""

    time: int
    user: str = ""
    comment: str = ""


@dataclass(frozen=True, slots=True)
class TakeOutOfService:
    """Hide it while it is worked on, however long that takes."""

    time: int
    user: str
    reason: str


@dataclass(frozen=True, slots=True)
class ReturnToService:
    """The work is done."""

    time: int
    user: str
    comment: str = ""


@dataclass(frozen=True, slots=True)
class Comment:
    """Somebody says something about it."""

    time: int
    user: str
    comment: str


Action = (
    Signal
    | Acknowledge
    | Reset
    | Shelve
    | Unshelve
    | Expire
    | Suppress
    | Unsuppress
    | TakeOutOfService
    | ReturnToService
    | Comment
)
