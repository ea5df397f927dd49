"""What is known of a datapoint element besides its samples, and how that changed over time."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass

from archiver.model.kind import Kind


@dataclass(frozen=True, slots=True)
class Metadata:
    """Description of an element, valid from one instant until the next version.

    Parameters
    ----------
    kind : Kind
        What its values are; `Kind.NONE` when nothing has been seen yet.
    description, unit : str
    display_low, display_high : float, optional
        Range of a plot or a bar, in `unit`.
    alarm_low, warning_low, warning_high, alarm_high : float, optional
        EPICS LOLO, LOW, HIGH, HIHI; in `unit`.
    precision : int, optional
        Digits after the point that are worth showing.
    states : mapping of int to str
        The state set of an enumeration: number to name.
    aliases : tuple of str
        Other names under which the element is found.
    device, property, field : str
        Its place in a structured device (CERN's device/property/field); empty when it has none.
    """

    kind: Kind = Kind.NONE
    description: str = ""
    unit: str = ""
    display_low: float | None = None
    display_high: float | None = None
    alarm_low: float | None = None
    warning_low: float | None = None
    warning_high: float | None = None
    alarm_high: float | None = None
    precision: int | None = None
    states: Mapping[int, str] = dataclasses.field(default_factory=dict)
    aliases: tuple[str, ...] = ()
    device: str = ""
    property: str = ""
    field: str = ""


@dataclass(frozen=True, slots=True)
class ElementVersion:
    """The name and metadata of an element from `valid_from` (ns) until the next version."""

    element_id: int
    name: str
    valid_from: int
    metadata: Metadata
