"""The tables of the configuration file that say who is told of alarms: `[[notify]]`."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import time
from typing import Annotated, Literal
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, ConfigDict, Field

from archiver.config.fields import Duration, LongerDuration, Table, lasting
from archiver.config.plugins import Pattern, PluginSettings

Day = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
"""Days of the week, from Monday on."""


def _zone(value: str) -> str:
    try:
        ZoneInfo(value)
    except (KeyError, OSError, ValueError) as exc:  # by what the name looks like
        raise ValueError("no such time zone: write a name such as UTC or Europe/Berlin") from exc
    return value


Zone = Annotated[str, AfterValidator(_zone)]
"""Name of a time zone in the IANA data base."""

GroupKey = Annotated[str, Field(pattern=r"^(class|priority|rule|key|alarm|labels\..+)$")]
"""By what alarms are put into one message."""


class MatchSettings(Table):
    """Which alarms: one pattern of each list has to match; it is a name, a glob, or an expression after ``regex:``."""

    classes: tuple[Pattern, ...] = Field(("*",), min_length=1, description="patterns of the alarm's class")
    min_priority: int = Field(0, ge=0, le=255, description="its priority, at least; the higher, the more urgent")
    max_priority: int = Field(255, ge=0, le=255, description="its priority, at most")
    rules: tuple[Pattern, ...] = Field(("*",), min_length=1, description="patterns of the rule that raised it")
    keys: tuple[Pattern, ...] = Field(("*",), min_length=1, description="patterns of the element or device it is about")
    labels: Mapping[str, tuple[Pattern, ...]] = Field(
        default_factory=dict, description="label: patterns; an alarm without the label has an empty one"
    )


class QuietHours(Table):
    """A time of the day in which nothing is sent; what happens in it is told at its end."""

    start: time = Field(description='by the clock of the zone, such as "22:00"')
    end: time = Field(description="the day after where it is not later than the start")
    days: tuple[Day, ...] = Field(
        ("mon", "tue", "wed", "thu", "fri", "sat", "sun"), min_length=1, description="on which it starts"
    )
    timezone: Zone = Field("UTC", description="such as Europe/Berlin")
    unless: MatchSettings | None = Field(None, description="alarms that are told all the same")


class NotifySettings(PluginSettings):
    """Who is told of alarms: which ones, how many in one message, how often, and the keys that this kind knows."""

    model_config = ConfigDict(validate_default=True)

    match: MatchSettings = Field(default_factory=MatchSettings)
    exclude: MatchSettings | None = Field(None, description="of those, alarms that are left out after all")
    group_by: tuple[GroupKey, ...] | None = Field(
        None,
        description="what alarms of one message share: class, priority, rule, key, alarm, labels.<name>; "
        "left out, all alarms are one group",
    )
    group_wait: Duration | None = Field(
        None, description="how long a first message waits for more alarms; left out: 30s, or what suits the kind"
    )
    group_interval: Duration | None = Field(
        None, description="shortest time between two messages of a group; left out: 5m, or what suits the kind"
    )
    repeat_interval: Duration | None = Field(
        None,
        description="when alarms that still stand unacknowledged are told again; 0s is never; "
        "left out: 4h, or what suits the kind",
    )
    send_resolved: bool = Field(True, description="tell that an alarm has gone")
    send_actions: bool = Field(True, description="tell that somebody acknowledged or shelved an alarm")
    quiet_hours: tuple[QuietHours, ...] = ()
    retry_first: LongerDuration = lasting("1s", "wait before the first retry; it doubles each time")
    retry_longest: LongerDuration = lasting("5m", "longest wait before a retry")
    give_up_after: LongerDuration = lasting("7d", "age at which what cannot be sent is set aside as failed")
