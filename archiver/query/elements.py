"""Which elements a person means: names, globs, and near misses."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Iterable, Sequence
from difflib import get_close_matches


def expand(patterns: Iterable[str], known: Sequence[str]) -> tuple[str, ...]:
    """Return the elements that patterns stand for, sorted.

    A pattern that is the name of a known element is that element, whatever characters are in it. Otherwise, one
    with ``*``, ``?`` or ``[`` is a glob over the known names. One that matches nothing stays as it is, so that
    the answer lists it as missing.

    Examples
    --------
    >>> expand(["T*", "P1", "a[1]"], ["P1", "P2", "T1", "T2", "a[1]"])
    ('P1', 'T1', 'T2', 'a[1]')
    """
    names = set(known)
    result: set[str] = set()
    for pattern in patterns:
        if pattern in names or not any(character in pattern for character in "*?["):
            result.add(pattern)
        else:
            matches = re.compile(fnmatch.translate(pattern)).match
            result.update([name for name in known if matches(name)] or [pattern])
    return tuple(sorted(result))


def near(name: str, known: Sequence[str], count: int = 3) -> list[str]:
    """Return known names that look like this one, best first: for "did you mean".

    Examples
    --------
    >>> near("Temp1", ["temp1", "Temp2", "Pressure"])
    ['temp1', 'Temp2']
    """
    lower: dict[str, list[str]] = {}
    for candidate in known:
        lower.setdefault(candidate.lower(), []).append(candidate)
    found = [*get_close_matches(name, known, count), *lower.get(name.lower(), [])]
    return list(dict.fromkeys(found))[:count]
