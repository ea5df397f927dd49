"""What a kind of channel is asked: one verb, and how its messages are grouped when the configuration says nothing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Protocol, runtime_checkable

from archiver.config import NotifySettings
from archiver.model.time import NANOSECONDS
from archiver.ports import Options
from services.events.notify.notice import CAME, GONE, Group

_MINUTE_NS = 60 * NANOSECONDS


@dataclass(frozen=True)
class Grouping:
    """Which alarms make a message, and when it is sent.

    Parameters
    ----------
    by : tuple of str
        Names of `Notice.get`: alarms that share them all are one group; without a name all are.
    wait_ns : int
        How long a first message waits for more alarms.
    interval_ns : int
        Shortest time between two messages of a group.
    repeat_ns : int
        When it is told again while an alarm in it stands; 0 is never.
    repeat_acknowledged : bool
        Whether alarms that somebody has acknowledged are told again, too.
    resolved, actions : bool
        Whether it is told that an alarm has gone, and that somebody acknowledged or shelved it.
    """

    by: tuple[str, ...] = ()
    wait_ns: int = _MINUTE_NS // 2
    interval_ns: int = 5 * _MINUTE_NS
    repeat_ns: int = 240 * _MINUTE_NS
    repeat_acknowledged: bool = False
    resolved: bool = True
    actions: bool = True

    def tells(self, state: str) -> bool:
        """Return whether a change to a state is told of an occurrence that was told before."""
        if state == CAME:
            return True
        return self.resolved if state == GONE else self.actions


PEOPLE = Grouping()
"""For people, who want few messages."""

PROGRAMS = Grouping(wait_ns=0, interval_ns=0, repeat_ns=0)
"""For programs, which want to know at once."""

FORGETFUL = Grouping(wait_ns=0, interval_ns=5 * NANOSECONDS, repeat_ns=_MINUTE_NS, repeat_acknowledged=True)
"""For programs that forget what they are not told again."""


def grouping_of(settings: NotifySettings, usual: Grouping) -> Grouping:
    """Return the grouping of a channel: what its table says, and for the rest what is usual for its kind."""

    def chosen(value: int | None, otherwise: int) -> int:
        return otherwise if value is None else value

    return Grouping(
        usual.by if settings.group_by is None else settings.group_by,
        chosen(settings.group_wait, usual.wait_ns),
        chosen(settings.group_interval, usual.interval_ns),
        chosen(settings.repeat_interval, usual.repeat_ns),
        usual.repeat_acknowledged,
        settings.send_resolved,
        settings.send_actions,
    )


@runtime_checkable
class Notifier(Protocol):
    """A way to tell somebody. Constructed as ``Class(name, options)``, from one thread; holds nothing open.

    A message may be sent again although it has arrived, after a crash or a lost answer: it has the same `Group.id`
    then, and each notice its `Notice.id`, by which the other side knows it.
    """

    Options: ClassVar[type[Options]]
    grouping: ClassVar[Grouping]
    name: str

    def send(self, group: Group) -> None:
        """Send a message; return when the other side has taken it.

        Raises
        ------
        TransientError
            It may work later: nobody answers, the password is wrong, the other side is busy. It is tried again.
            `BackpressureError` says when.
        PermanentError
            The other side has understood the message, and refuses it. It is set aside as failed.
        """
