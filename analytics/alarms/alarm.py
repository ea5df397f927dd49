"""An alarm as it is now: what came and went, what is owed to it, and what hides it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from hashlib import blake2b
from typing import Any

from analytics.alarms.classes import Acknowledgement, AlarmClass


class State(StrEnum):
    """States of an alarm, after the state diagram of ANSI/ISA-18.2-2016 and IEC 62682 (the letters are theirs).

    The first five are about the condition and its acknowledgement, and go on changing beneath the other three, which
    keep an alarm from its operator.
    """

    NORMAL = "normal"  # A
    ACTIVE_UNACKNOWLEDGED = "active_unacknowledged"  # B
    ACTIVE_ACKNOWLEDGED = "active_acknowledged"  # C; of a class that needs none, too
    RETURNED_UNACKNOWLEDGED = "returned_unacknowledged"  # D; E of a latched class
    LATCHED = "latched"  # F: returned, acknowledged, to be reset
    SHELVED = "shelved"  # G
    SUPPRESSED = "suppressed"  # H: suppressed by design
    OUT_OF_SERVICE = "out_of_service"  # I


@dataclass(frozen=True, slots=True)
class Mark:
    """Who did something, when (ns), and what was said about it."""

    time: int
    user: str = ""
    comment: str = ""


@dataclass(frozen=True, slots=True)
class Shelving:
    """Shelved: by whom and why (`mark`), until when at the latest (ns), and whether its going ends it earlier."""

    mark: Mark
    until: int
    one_shot: bool


@dataclass(frozen=True, slots=True)
class Occurrence:
    """One coming of an alarm, and its going: a came/gone pair.

    Parameters
    ----------
    id : str
        That of the event with which it came.
    alarm_class : AlarmClass
        As it was when it came; what is owed does not change while somebody owes it.
    came : int
        ns.
    came_shown : bool
        It has been shown to the operator: it was not hidden when it came, or it was still active when it no longer was.
        What came and went hidden is not acknowledged: nobody was asked to.
    value : float or str, optional
    text : str
    attributes : mapping of str to JSON value
        Of the event with which it came.
    gone : int, optional
        ns; None while it is active.
    gone_event : str
        Id of the event with which it went.
    gone_shown : bool
        It was not hidden when it went.
    came_acknowledged, gone_acknowledged, reset : Mark, optional
    comment : str
        What was said about it last.
    """

    id: str
    alarm_class: AlarmClass
    came: int
    came_shown: bool
    value: float | str | None = None
    text: str = ""
    attributes: Mapping[str, Any] = field(default_factory=dict)
    gone: int | None = None
    gone_event: str = ""
    gone_shown: bool = False
    came_acknowledged: Mark | None = None
    gone_acknowledged: Mark | None = None
    reset: Mark | None = None
    comment: str = ""

    @property
    def active(self) -> bool:
        """Its condition holds."""
        return self.gone is None

    @property
    def owes_came(self) -> bool:
        """That it came has to be acknowledged."""
        if self.alarm_class.acknowledgement is Acknowledgement.NONE or self.came_acknowledged is not None:
            return False
        return self.came_shown or self.active

    @property
    def owes_gone(self) -> bool:
        """That it went has to be acknowledged."""
        both = self.alarm_class.acknowledgement is Acknowledgement.CAME_AND_GONE
        return both and not self.active and self.gone_shown and self.gone_acknowledged is None

    @property
    def condition(self) -> State:
        """Which of the first five states it is in."""
        owed = self.owes_came or self.owes_gone
        if self.active:
            return State.ACTIVE_UNACKNOWLEDGED if owed else State.ACTIVE_ACKNOWLEDGED
        if owed:
            return State.RETURNED_UNACKNOWLEDGED
        latched = self.alarm_class.acknowledgement is Acknowledgement.LATCHED and self.reset is None
        return State.LATCHED if latched else State.NORMAL


@dataclass(frozen=True, slots=True)
class Alarm:
    """What a rule watches for at one key, and how it is now.

    Parameters
    ----------
    rule, key : str
        As its events have them.
    alarm_class : AlarmClass
        For the next occurrence.
    position : str
        The operator position that it is shown at.
    occurrence : Occurrence, optional
        The newest one; None before the first.
    shelving : Shelving, optional
    suppression, out_of_service : Mark, optional
    newest : tuple of int, optional
        Time and ordinal of the newest event that was taken in.
    revision : int
        How often it has changed.

    Examples
    --------
    >>> alarm = Alarm("hot", "plant:T1", AlarmClass("alert", 60))
    >>> alarm.state.value, len(alarm.id), alarm.id == Alarm("hot", "plant:T1", AlarmClass("danger", 80)).id
    ('normal', 32, True)
    """

    rule: str
    key: str
    alarm_class: AlarmClass
    position: str = ""
    occurrence: Occurrence | None = None
    shelving: Shelving | None = None
    suppression: Mark | None = None
    out_of_service: Mark | None = None
    newest: tuple[int, int] | None = None
    revision: int = 0

    @property
    def id(self) -> str:
        """32 hexadecimal digits, made from rule and key."""
        return alarm_id(self.rule, self.key)

    @property
    def name(self) -> str:
        """What a person calls it."""
        return f"{self.rule} of {self.key}" if self.key else self.rule

    @property
    def active(self) -> bool:
        """Its condition holds."""
        return self.occurrence is not None and self.occurrence.active

    @property
    def condition(self) -> State:
        """Which of the first five states it is in, whatever hides it."""
        return State.NORMAL if self.occurrence is None else self.occurrence.condition

    @property
    def hidden(self) -> bool:
        """It is shelved, suppressed or out of service."""
        return self.state in (State.SHELVED, State.SUPPRESSED, State.OUT_OF_SERVICE)

    @property
    def state(self) -> State:
        """What is shown: of what hides it the longest lasting one, else its condition."""
        if self.out_of_service is not None:
            return State.OUT_OF_SERVICE
        if self.suppression is not None:
            return State.SUPPRESSED
        return self.condition if self.shelving is None else State.SHELVED


def alarm_id(rule: str, key: str) -> str:
    """Return the id of the alarm of a rule and key: 32 hexadecimal digits, the same everywhere and always."""
    return blake2b(f"{rule}\x00{key}".encode(), digest_size=16).hexdigest()
