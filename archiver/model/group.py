"""Which elements are archived together, how they are smoothed, where they go, and for how long."""

from __future__ import annotations

import fnmatch
import re
from dataclasses import dataclass
from functools import cached_property

from archiver.model.smoothing import Smoothing
from archiver.model.time import DAY_NS


@dataclass(frozen=True)
class ArchiveGroup:
    """An archive group.

    Parameters
    ----------
    name : str
        Letters, digits, ``_`` and ``-``.
    elements : tuple of str
        Patterns; an element belongs to the group when one matches its whole name. A pattern is a name, a glob
        (``BAR:*``), or a regular expression after ``regex:``.
    backends : tuple of str
        Names of the backends that store it.
    exclude : tuple of str
        Patterns of elements that do not belong to it after all.
    smoothing : Smoothing
    retention_ns : int
        Samples older than this are dropped, segment by segment; 0 keeps them for ever.
    segment_ns : int
        Length of a segment, the unit of dropping and exporting.
    known_only : bool
        Whether an element that was never described or seen is rejected instead of created.
    """

    name: str
    elements: tuple[str, ...]
    backends: tuple[str, ...]
    exclude: tuple[str, ...] = ()
    smoothing: Smoothing = Smoothing()
    retention_ns: int = 0
    segment_ns: int = DAY_NS
    known_only: bool = False

    def matches(self, element: str) -> bool:
        """Return whether an element belongs to the group."""
        return self._included.fullmatch(element) is not None and self._excluded.fullmatch(element) is None

    @cached_property
    def _included(self) -> re.Pattern[str]:
        return _compile(self.elements)

    @cached_property
    def _excluded(self) -> re.Pattern[str]:
        return _compile(self.exclude)


def _compile(patterns: tuple[str, ...]) -> re.Pattern[str]:
    parts = [p[6:] if p.startswith("regex:") else fnmatch.translate(p) for p in patterns]
    return re.compile("|".join(f"(?:{part})" for part in parts) or r"(?!)", re.DOTALL)
