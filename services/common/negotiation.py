"""Which of the formats on offer a client wants (RFC 9110, 12.5.1)."""

from __future__ import annotations

from collections.abc import Sequence

from services.common.errors import NotAcceptableError


def choose(accept: str | None, offered: Sequence[str]) -> str:
    """Return the media type to answer with: the client's favourite, of equal ones the first offered.

    Parameters
    ----------
    accept : str, optional
        The ``Accept`` header; anything goes without one.
    offered : sequence of str
        Media types, in the server's order of preference.

    Raises
    ------
    NotAcceptableError
        The client accepts none of them.

    Examples
    --------
    >>> choose("text/csv;q=0.5, application/json", ["text/csv", "application/json"])
    'application/json'
    >>> choose("text/*", ["application/json", "text/csv"])
    'text/csv'
    """
    ranges = [_parse(part) for part in (accept or "*/*").split(",") if part.strip()]
    best = max(offered, key=lambda media_type: _quality(media_type, ranges))
    if _quality(best, ranges) > 0:
        return best
    raise NotAcceptableError(f"Accept: {accept}: none of these can be given; there are {', '.join(offered)}")


def media_type_of(header: str | None) -> str:
    """Return the media type of a ``Content-Type`` header, lower case and without parameters; empty without one."""
    return (header or "").partition(";")[0].strip().lower()


def _parse(part: str) -> tuple[str, float]:
    media_range, *parameters = (item.strip() for item in part.lower().split(";"))
    quality = next((item[2:] for item in parameters if item.startswith("q=")), "1")
    try:
        return media_range, float(quality)
    except ValueError:
        return media_range, 0.0


def _quality(media_type: str, ranges: Sequence[tuple[str, float]]) -> float:
    """Return the quality of the most specific range that takes a media type, 0 when none does."""
    family = media_type.partition("/")[0] + "/*"
    for wanted in (media_type, family, "*/*"):
        matching = [quality for media_range, quality in ranges if media_range == wanted]
        if matching:
            return max(matching)
    return 0.0
