"""What somebody meant who wrote a name that does not exist."""

from __future__ import annotations

from bisect import bisect
from collections.abc import Iterable
from difflib import get_close_matches

_LOOKED_AT = 5_000


def near(name: str, known: Iterable[str], count: int = 3) -> list[str]:
    """Return known names that look like this one in any case, best first.

    Of very many names, those that come close to it in their order are looked at: comparing takes long.

    Examples
    --------
    >>> near("Temp1", ["temp1", "Temp2", "Pressure"])
    ['temp1', 'Temp2']
    """
    lower = name.lower()
    spelt: dict[str, list[str]] = {}
    for candidate in known:
        spelt.setdefault(candidate.lower(), []).append(candidate)
    words = sorted(spelt)
    place = bisect(words, lower)
    words = words[max(0, place - _LOOKED_AT) : place + _LOOKED_AT]
    return [candidate for word in get_close_matches(lower, words, count) for candidate in spelt[word]][:count]


def did_you_mean(name: str, known: Iterable[str], otherwise: str = "") -> str:
    """Return the question that names the nearest known name, or what is to be said when none is near.

    Examples
    --------
    >>> did_you_mean("parket", ["parquet", "sql"])
    "did you mean 'parquet'?"
    """
    found = near(name, known, 1)
    return f"did you mean {found[0]!r}?" if found else otherwise
