"""The names that an expression may use, and the fields of each."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from analytics.events.expressions.columns import Columns, Held, Input
from analytics.events.expressions.shape import Shape, Type
from analytics.events.expressions.term import Term
from analytics.events.expressions.vectors import Truth, Wholes
from archiver.model.near import did_you_mean

FIELDS = ("value", "good", "status", "time", "age", "previous")
"""Of every name."""
ONE = "value"
"""The input of a rule on one element: its fields are names themselves."""
_POSSESSIVE = {"status": "status", "time": "time", "age": "age", "previous": "previous value"}


class Names:
    """What a rule offers, and what of that an expression uses.

    Parameters
    ----------
    shapes : mapping of str to Shape
        What the value of each name is. A name stands for its value, and has `FIELDS`; those of `ONE` are names
        themselves.
    """

    def __init__(self, shapes: Mapping[str, Shape]) -> None:
        self._shapes = shapes
        self.used: dict[str, set[str]] = {}

    def offered(self) -> list[str]:
        """Return every name that may be written without a dot."""
        fields = FIELDS if ONE in self._shapes else ()
        return [*dict.fromkeys([*self._shapes, *fields])]

    def is_object(self, name: str) -> bool:
        """Return whether a name has fields."""
        return name in self._shapes

    def resolved(self, name: str) -> tuple[str, str] | None:
        """Return the input and the field that a bare name means; None for no such name."""
        if self.is_object(name):
            return name, "value"
        return (ONE, name) if ONE in self._shapes and name in FIELDS else None

    def unknown(self, name: str) -> str:
        """Return what to say of a name that does not exist."""
        known = self.offered()
        otherwise = f"there are {', '.join(known)}" if known else "the rule offers no names"
        return f"there is no {name!r}; {did_you_mean(name, known, otherwise)}"

    def field(self, name: str, field: str) -> Term:
        """Return the term for a field of an input."""
        self.used.setdefault(name, set()).add(field)
        read = _READ[field]
        words = _words(name, field)
        denied = ""
        if field == "good":
            words, denied = f"{words} is good", f"{words} is not good"
        type_ = _TYPES.get(field) or Type.of(self._shapes[name])
        return Term(type_, lambda columns: read(columns, columns.inputs[name]), words, denied)

    def has(self, name: str, field: str) -> Term:
        """Return the term for whether a field of an input is known; that itself always is."""
        self.used.setdefault(name, set()).add(field)
        read, what, owner = _READ[field], _PRESENT.get(field, "sample"), "it" if name == ONE else name

        def run(columns: Columns) -> Truth:
            given = columns.inputs[name]
            if given.is_open:
                return Truth(np.False_, np.True_)
            unknown = given.unseen if field == "good" else read(columns, given).unknown
            known = np.True_ if unknown is None else ~unknown
            return Truth(known, known)

        return Term(Type.BOOL, run, f"{owner} has a {what}", f"{owner} has no {what}")


def _words(name: str, field: str) -> str:
    if field in ("value", "good"):
        return "the value" if name == ONE else name
    return f"the {_POSSESSIVE[field]}" if name == ONE else f"the {_POSSESSIVE[field]} of {name}"


def _value(_: Columns, given: Input) -> Held:
    return given.value


def _previous(columns: Columns, given: Input) -> Held:
    return Held.nothing(columns.count) if given.previous is None else given.previous


def _good(_: Columns, given: Input) -> Truth:
    if given.is_open:
        return Truth(np.False_, np.True_)
    good = given.value.known if given.good is None else given.good
    return Truth(good, good)


def _status(_: Columns, given: Input) -> Wholes:
    return Wholes(np.uint64(0) if given.status is None else given.status, given.unseen)


def _time(_: Columns, given: Input) -> Wholes:
    return Wholes(np.int64(0), np.True_) if given.time is None else Wholes(given.time, given.unseen)


def _age(columns: Columns, given: Input) -> Wholes:
    if given.time is None or columns.times is None:
        return Wholes(np.int64(0), np.True_)
    return Wholes(columns.times - given.time, given.unseen)


_READ: dict[str, Callable[[Columns, Input], Any]] = {
    "value": _value,
    "previous": _previous,
    "good": _good,
    "status": _status,
    "time": _time,
    "age": _age,
}
_TYPES = {"good": Type.BOOL, "status": Type.UINT, "time": Type.INSTANT, "age": Type.DURATION}
_PRESENT = {"value": "value", "previous": "previous value"}
