"""Alarm classes: how urgent an alarm is, what its operator owes it, and how long it may be shelved."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType

from archiver.model import InvalidInputError

HIGHEST_PRIORITY = 255
_HOUR_NS = 3_600_000_000_000


class Acknowledgement(StrEnum):
    """What an operator owes an alarm before it is normal again.

    `NONE`: nothing, it goes when its condition ends. `CAME`: one acknowledgement of the pair, before its condition
    ends or after. `CAME_AND_GONE`: one that it came and one that it went; a single one given afterwards is both.
    `LATCHED`: one acknowledgement, and a reset when the condition has ended.
    """

    NONE = "none"
    CAME = "came"
    CAME_AND_GONE = "came_and_gone"
    LATCHED = "latched"


@dataclass(frozen=True, slots=True)
class AlarmClass:
    """A class of alarms.

    Parameters
    ----------
    name : str
    priority : int
        0 to 255; the higher, the more urgent.
    acknowledgement : Acknowledgement
    longest_shelving_ns : int
        How long an alarm may be shelved at once; 0 for alarms that never are.

    Raises
    ------
    InvalidInputError
        No name, or a number out of its range.

    References
    ----------
    ANSI/ISA-18.2-2016 and IEC 62682:2022 on alarm classes, priorities and shelving; OPC 10000-9 (Part 9),
    MaxTimeShelved of AlarmConditionType; WinCC OA documentation, ``_alert_class``.
    """

    name: str
    priority: int
    acknowledgement: Acknowledgement = Acknowledgement.CAME
    longest_shelving_ns: int = 8 * _HOUR_NS

    def __post_init__(self) -> None:
        if not self.name:
            raise InvalidInputError("an alarm class has no name: give it one")
        if not 0 <= self.priority <= HIGHEST_PRIORITY:
            raise InvalidInputError(
                f"alarm class {self.name!r} has priority {self.priority}: write a number from 0 to {HIGHEST_PRIORITY}"
            )
        if self.longest_shelving_ns < 0:
            raise InvalidInputError(f"alarm class {self.name!r} is shelved for less than nothing: write 0 for never")


DEFAULT_CLASSES: Mapping[str, AlarmClass] = MappingProxyType(
    {
        alarm_class.name: alarm_class
        for alarm_class in (
            AlarmClass("information", 10, Acknowledgement.NONE),
            AlarmClass("advanceAlarm", 20),
            AlarmClass("warning", 40),
            AlarmClass("alert", 60),
            AlarmClass("danger", 80),
        )
    }
)
"""The classes that a WinCC OA project begins with; there as here, information is never acknowledged, and one
acknowledgement answers a pair of the others."""


def classes_of(own: Iterable[AlarmClass] = ()) -> dict[str, AlarmClass]:
    """Return the classes of a site by name: the default ones, and its own beside or in place of them.

    Raises
    ------
    InvalidInputError
        Two of its own have one name.

    Examples
    --------
    >>> [c.priority for c in classes_of([AlarmClass("trip", 100), AlarmClass("alert", 70)]).values()]
    [10, 20, 40, 70, 80, 100]
    """
    classes, seen = dict(DEFAULT_CLASSES), set[str]()
    for alarm_class in own:
        if alarm_class.name in seen:
            raise InvalidInputError(f"two alarm classes are named {alarm_class.name!r}: rename one of them")
        seen.add(alarm_class.name)
        classes[alarm_class.name] = alarm_class
    return classes
