"""What is told: a notice of one change of an alarm, and the group of notices that make a message."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from functools import cached_property
from hashlib import blake2b
from math import isfinite
from typing import Any

from archiver.model.time import format_time

CAME, ACKNOWLEDGED, GONE, SHELVED = "came", "acknowledged", "gone", "shelved"
"""Changes of an alarm that are told; one that is unshelved while it stands has come once more."""


@dataclass(frozen=True)
class Notice:
    """A change of an alarm, as somebody is to be told of it.

    Parameters
    ----------
    alarm : str
        Identity of the alarm: the same each time it comes.
    occurrence : str
        Identity of this time that it came: the same until it has gone.
    state : str
        `CAME`, `ACKNOWLEDGED`, `GONE` or `SHELVED`.
    time : int
        When it changed to this state, ns.
    since : int
        When it came, ns.
    stands : bool
        Whether its condition holds now, and nobody has shelved it: one that is acknowledged after it has gone does not
        stand, nor does what is over at once.
    rule, key : str
        The rule that raised it, and the element or device that it is about.
    alarm_class : str
        Name of its class.
    priority : int
        0 to 255; the higher, the more urgent.
    text : str
        What happened, in words.
    value : float or str, optional
        The value that made it.
    labels : mapping of str to str
        What else it is known by: area, system, device class. They do not change while the alarm stands.
    link : str
        Where a person sees more of it; empty where there is no such place.
    by, comment : str
        Who acknowledged or shelved it, and with what words.

    Examples
    --------
    >>> notice = Notice("hot/T1", "7", CAME, 5, 5, True, "hot", "T1")
    >>> Notice.from_json(notice.to_json()) == notice
    True
    """

    alarm: str
    occurrence: str
    state: str
    time: int
    since: int
    stands: bool
    rule: str
    key: str
    alarm_class: str = ""
    priority: int = 0
    text: str = ""
    value: float | str | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    link: str = ""
    by: str = ""
    comment: str = ""

    @cached_property
    def id(self) -> str:
        """32 hexadecimal digits, made from the occurrence and its change: the same however often it is told."""
        return _digest(self.alarm, self.occurrence, self.state, str(self.time))

    def get(self, name: str) -> str:
        """Return class, priority, rule, key or alarm, or with ``labels.<name>`` a label: empty where it has none."""
        if name == "class":
            return self.alarm_class
        if name.startswith("labels."):
            return self.labels.get(name.removeprefix("labels."), "")
        return str(getattr(self, name))

    def to_row(self) -> dict[str, Any]:
        """Return it as plain values, times as ISO-8601."""
        return {
            "id": self.id,
            "alarm": self.alarm,
            "occurrence": self.occurrence,
            "state": self.state,
            "time": format_time(self.time),
            "since": format_time(self.since),
            "stands": self.stands,
            "rule": self.rule,
            "key": self.key,
            "class": self.alarm_class,
            "priority": self.priority,
            "text": self.text,
            "value": self.value if not isinstance(self.value, float) or isfinite(self.value) else str(self.value),
            "labels": dict(self.labels),
            "link": self.link,
            "by": self.by,
            "comment": self.comment,
        }

    def to_json(self) -> str:
        """Return it as it is kept."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Notice:
        """Return what `to_json` wrote."""
        return cls(**json.loads(text))


@dataclass(frozen=True)
class Group:
    """What makes one message: what has not been told yet, and what still stands beside it.

    Parameters
    ----------
    channel : str
        Who is told.
    labels : mapping of str to str
        What its alarms share: the names and values they are grouped by.
    notices : tuple of Notice
        The last change of each occurrence, in the order in which they came.
    fresh : frozenset of str
        Ids of those notices that have not been told yet; none when a message only repeats what stands.
    number : int
        How many messages of this group were sent before.
    repeat_ns : int
        It is told again after this time while an alarm stands; 0 where it is not.
    """

    channel: str
    labels: Mapping[str, str]
    notices: tuple[Notice, ...]
    fresh: frozenset[str]
    number: int = 0
    repeat_ns: int = 0

    @property
    def thread(self) -> str:
        """32 hexadecimal digits: the same for all messages of this group."""
        return _digest(self.channel, json.dumps(self.labels))

    @property
    def id(self) -> str:
        """32 hexadecimal digits: the same when the same message is sent again, because it may not have arrived."""
        return _digest(self.thread, str(self.number), *(notice.id for notice in self.notices))

    @property
    def new(self) -> tuple[Notice, ...]:
        """The notices that have not been told yet."""
        return tuple(notice for notice in self.notices if notice.id in self.fresh)

    @property
    def standing(self) -> tuple[Notice, ...]:
        """The notices of alarms that stand."""
        return tuple(notice for notice in self.notices if notice.stands)


def _digest(*parts: str) -> str:
    return blake2b("\x00".join(parts).encode(errors="surrogatepass"), digest_size=16).hexdigest()
