"""Which elements a person means who writes names and globs."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Collection, Iterable

from archiver.model import InvalidInputError, NotFoundError
from archiver.model.near import did_you_mean

MOST = 10_000
"""Elements that the globs of one query may stand for."""


def is_glob(name: str) -> bool:
    """Return whether a name would be a glob, unless it is that of an element."""
    return any(character in name for character in "*?[")


def expand(patterns: Iterable[str], known: Collection[str]) -> tuple[str, ...]:
    """Return the elements that patterns stand for, sorted.

    A pattern that is the name of a known element is that element, whatever characters are in it. Otherwise, one
    with ``*``, ``?`` or ``[`` is a glob over the known names. A name that is not known stays as it is.

    Raises
    ------
    NotFoundError
        A glob matches nothing.
    InvalidInputError
        Globs match more than `MOST` elements.

    Examples
    --------
    >>> expand(["T*", "P1", "a[1]"], ["P1", "P2", "T1", "T2", "a[1]"])
    ('P1', 'T1', 'T2', 'a[1]')
    """
    names = set(known)
    result: set[str] = set()
    for pattern in patterns:
        if pattern in names or not is_glob(pattern):
            result.add(pattern)
            continue
        matches = re.compile(fnmatch.translate(pattern)).match
        found = [name for name in known if matches(name)]
        if not found:
            hint = did_you_mean(pattern, known, "`forebay elements` lists those that there are")
            raise NotFoundError(f"no element matches {pattern!r}; {hint}")
        result.update(found)
        if len(result) > MOST:
            raise InvalidInputError(
                f"{pattern!r} and what else is asked for are {len(result)} elements, and a query takes {MOST} by "
                "globs: narrow it, or ask in several queries"
            )
    return tuple(sorted(result))
