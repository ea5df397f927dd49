"""Which elements feed which input of which instance of a rule.

A pattern is a name with wildcards, ``*`` and ``?``, and captures, ``{device}``: any text but ``:``, ``.`` and ``/``.
What is captured names the instance; inputs of one rule that capture the same belong together.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from archiver.model import InvalidInputError

_PART = re.compile(r"\{(?P<capture>[^{}]*)\}|(?P<many>\*)|(?P<one>\?)|(?P<text>[^{}*?]+)|(?P<brace>[{}])")
_CAPTURED = "[^:./]+"


@dataclass(frozen=True)
class Pattern:
    """Names of elements, with wildcards and captures.

    Parameters
    ----------
    text : str

    Raises
    ------
    InvalidInputError
        A brace is not closed, or what is in it is not a name.

    Examples
    --------
    >>> Pattern("plant:{device}:INLET").match("plant:P1:INLET")
    {'device': 'P1'}
    """

    text: str

    def __post_init__(self) -> None:
        assert self._compiled is not None

    @cached_property
    def _compiled(self) -> re.Pattern[str]:
        seen: set[str] = set()
        parts = []
        for part in _PART.finditer(self.text):
            if part["brace"] or (part["capture"] is not None and not part["capture"].isidentifier()):
                raise InvalidInputError(
                    f"pattern {self.text!r}, character {part.start() + 1}: a capture is a name in braces, as {{device}}"
                )
            if name := part["capture"]:
                parts.append(f"(?P={name})" if name in seen else f"(?P<{name}>{_CAPTURED})")
                seen.add(name)
            else:
                parts.append(".*" if part["many"] else "." if part["one"] else re.escape(part["text"]))
        return re.compile("".join(parts), re.DOTALL)

    @property
    def outline(self) -> str:
        """A regular expression without groups that matches at least what this does: quick to say what does not."""
        return "".join(
            ".*" if part["many"] else "." if part["one"] else _CAPTURED if part["capture"] else re.escape(part[0])
            for part in _PART.finditer(self.text)
        )

    @property
    def captures(self) -> tuple[str, ...]:
        """Names of the captures, sorted."""
        return tuple(sorted(self._compiled.groupindex))

    def match(self, element: str) -> dict[str, str] | None:
        """Return what is captured from the name of an element; None where it does not match."""
        found = self._compiled.fullmatch(element)
        return None if found is None else found.groupdict()


class Inputs:
    """The inputs of a rule.

    Parameters
    ----------
    patterns : mapping of str to sequence of Pattern
        By name of the input.
    each : bool
        Every element is an instance by itself: the rule has one input without captures.

    Raises
    ------
    InvalidInputError
        Inputs capture different things: only those that capture nothing may stand beside those that do.
    """

    def __init__(self, patterns: Mapping[str, Sequence[Pattern]], *, each: bool = False) -> None:
        self.names = tuple(patterns)
        self.each = each
        self._patterns = [(place, pattern) for place, own in enumerate(patterns.values()) for pattern in own]
        captured = {pattern.captures for _, pattern in self._patterns if pattern.captures}
        if len(captured) > 1:
            told = "; ".join("{" + "}, {".join(names) + "}" for names in sorted(captured))
            raise InvalidInputError(
                f"the inputs capture different things ({told}): an instance is named by all that is captured"
            )
        self.captures = next(iter(captured), ())
        self._may_match = re.compile("|".join(pattern.outline for _, pattern in self._patterns), re.DOTALL).fullmatch

    def places(self, element: str) -> list[tuple[int, str | None]]:
        """Return what an element feeds: numbers of inputs, each with the key of the instance, None for all of them."""
        found: dict[tuple[int, str | None], None] = {}
        if self._may_match(element) is None:
            return []
        for place, pattern in self._patterns:
            captured = pattern.match(element)
            if captured is None:
                continue
            if self.each:
                key: str | None = element
            elif pattern.captures:
                key = "/".join(captured[name] for name in self.captures)
            else:
                key = None if self.captures else ""
            found[place, key] = None
        return list(found)
