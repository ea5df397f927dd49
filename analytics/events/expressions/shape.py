"""What a name stands for, and of what type a part of an expression is."""

from __future__ import annotations

from enum import StrEnum


class Shape(StrEnum):
    """What the value of a name is; its other fields are the same for all.

    ``ANY`` is for elements of which nobody knows before they send: how the value is used decides. Beside a text it is
    a text, as a condition it holds while it is not 0, and anywhere else it is a number.
    """

    NUMBER = "number"
    TEXT = "text"
    BOOL = "bool"
    ANY = "any"


class Type(StrEnum):
    """Of what type a part of an expression is, as messages call it."""

    BOOL = "a condition"
    INT = "a whole number"
    UINT = "an unsigned whole number"
    NUMBER = "a number"
    TEXT = "a text"
    DURATION = "a duration"
    INSTANT = "an instant"
    ANY = "a value of any type"

    @classmethod
    def of(cls, shape: Shape) -> Type:
        """Return the type of a value of that shape."""
        return _TYPES[shape]


_TYPES = {Shape.NUMBER: Type.NUMBER, Shape.TEXT: Type.TEXT, Shape.BOOL: Type.BOOL, Shape.ANY: Type.ANY}

NUMERIC = frozenset({Type.INT, Type.NUMBER, Type.ANY, Type.DURATION})
"""What counts as a number in arithmetic; a duration is its seconds."""
COMPARED = NUMERIC | {Type.UINT}
"""What is compared as a number."""
TEXTUAL = frozenset({Type.TEXT, Type.ANY})
TRUTHS = frozenset({Type.BOOL, Type.ANY})
