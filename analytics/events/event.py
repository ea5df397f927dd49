"""What a rule found: an event, with an id made from its content."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any

from archiver.model.time import format_time

CAME, GONE, HAPPENED = "came", "gone", "happened"
"""Kinds of events: a condition began to hold, it ended, and something that has no length took place."""

SUPPRESSED, UNSUPPRESSED = "suppressed", "unsuppressed"
"""Kinds of events, too: by design, an alarm has nothing to say for a while."""

ELEMENT_PREFIX = "event:"
"""How the elements are called that hold events; no rule looks at them."""


@dataclass(frozen=True, slots=True)
class Event:
    """One event; the same samples give the same events, with the same ids, wherever and however often they are made.

    Parameters
    ----------
    rule : str
        Name of the rule.
    key : str
        The instance of the rule: the element, or the device, that it is about; empty where a rule has one only.
    kind : str
        `CAME`, `GONE`, `HAPPENED`, or what a state machine entered.
    time : int
        When it took place by the clock of the samples, ns.
    ordinal : int
        Place among the events of this rule and key at this time; those that suppress are numbered apart.
    value : float or str, optional
        The value that made it; None where it was none (no data).
    attributes : mapping of str to JSON value
        What else is worth telling: the limit, the other elements' values, the instants of a pattern.

    Examples
    --------
    >>> Event("hot", "T1", CAME, 0).id == Event("hot", "T1", CAME, 0, value=3.0).id
    True
    """

    rule: str
    key: str
    kind: str
    time: int
    ordinal: int = 0
    value: float | str | None = None
    attributes: Mapping[str, Any] = field(default_factory=dict)

    @property
    def id(self) -> str:
        """32 hexadecimal digits, made from rule, key, kind, time and ordinal."""
        parts = (self.rule, self.key, self.kind, str(self.time), str(self.ordinal))
        return blake2b("\x00".join(parts).encode(), digest_size=16).hexdigest()

    @property
    def order(self) -> tuple[int, str, str, int, str]:
        """Sort key: by time, then rule, key, ordinal and kind."""
        return self.time, self.rule, self.key, self.ordinal, self.kind

    def to_row(self) -> dict[str, Any]:
        """Return it as plain values, the time as ISO-8601."""
        return {
            "id": self.id,
            "time": format_time(self.time),
            "rule": self.rule,
            "key": self.key,
            "kind": self.kind,
            "value": self.value,
            "attributes": dict(self.attributes),
        }
