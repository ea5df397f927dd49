"""One PV's part of an answer: its name, what is known of it, and its events as they are read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from archiver.model import Kind
from services.appliance.events import Events


@dataclass(frozen=True)
class Series:
    """What is answered about one PV.

    Parameters
    ----------
    name : str
        Of the PV, without an operator.
    meta : mapping of str to str
        Units, precision, limits, names of states, as the appliance names them.
    events : iterator of Events
        In order of time; empty ones are given where there were samples, and an operator left none of them.
    kind : Kind
        Of the values, where there are none to tell it.
    start : int
        Of the interval, ns.
    """

    name: str
    meta: Mapping[str, str]
    events: Iterator[Events]
    kind: Kind
    start: int
