"""What became of an alarm, one row each time; as columns for history and statistics."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields
from enum import StrEnum

import pyarrow as pa

from analytics.alarms.alarm import State


class Change(StrEnum):
    """What happened to an alarm."""

    CAME = "came"
    GONE = "gone"
    HAPPENED = "happened"
    ACKNOWLEDGED = "acknowledged"
    RESET = "reset"
    SHELVED = "shelved"
    UNSHELVED = "unshelved"
    EXPIRED = "expired"
    SUPPRESSED = "suppressed"
    UNSUPPRESSED = "unsuppressed"
    OUT_OF_SERVICE = "out_of_service"
    IN_SERVICE = "in_service"
    COMMENTED = "commented"


class Effect(StrEnum):
    """Whether it changed the alarm: `LATE` is older than what was taken in, `REPEATED` is how it was already."""

    APPLIED = "applied"
    LATE = "late"
    REPEATED = "repeated"


@dataclass(frozen=True, slots=True)
class Transition:
    """One entry of an alarm's history.

    Parameters
    ----------
    id : str
        That of the event, where one was the cause; else made from alarm and revision.
    alarm, rule, key, position : str
        `alarm` is the id.
    alarm_class : str
    priority : int
    time : int
        ns: an event's by the clock of the samples, an action's by that of whoever made it.
    change : Change
    effect : Effect
    before, after : State
        As shown.
    condition : State
        Afterwards, beneath what hides it.
    occurrence : str
        Id of the came/gone pair that it is about; empty where it is about none.
    annunciated : bool
        With it the operator is shown an occurrence for the first time: what alarm rates and floods count.
    user, comment : str
        Who did it, and what was said; a reason is a comment, too. No user where no person did it.
    until : int, optional
        When a shelving ends at the latest, ns.
    """

    id: str
    alarm: str
    rule: str
    key: str
    position: str
    alarm_class: str
    priority: int
    time: int
    change: Change
    effect: Effect
    before: State
    after: State
    condition: State
    occurrence: str = ""
    annunciated: bool = False
    user: str = ""
    comment: str = ""
    until: int | None = None


_TYPES = {"priority": pa.int16(), "time": pa.int64(), "annunciated": pa.bool_(), "until": pa.int64()}
SCHEMA = pa.schema([(field.name, _TYPES.get(field.name, pa.utf8())) for field in fields(Transition)])
"""Columns of transitions, named as the fields."""


def to_table(transitions: Iterable[Transition]) -> pa.Table:
    """Return transitions as columns, in the given order."""
    rows = list(transitions)
    columns = [[getattr(row, name) for row in rows] for name in SCHEMA.names]
    return pa.table([pa.array(values, kind) for values, kind in zip(columns, SCHEMA.types, strict=True)], schema=SCHEMA)
