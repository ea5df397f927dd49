"""Lists of names as clients post them."""

from __future__ import annotations

import json
from urllib.parse import parse_qs

from fastapi import Request

from archiver.model import InvalidInputError
from services.common.errors import TooLargeError
from services.common.negotiation import media_type_of

_FORM = "application/x-www-form-urlencoded"
_JSON = "application/json"
_LARGEST = 16 * 2**20


async def names_in(request: Request) -> list[str]:
    """Return the names in a body: a JSON array, a line each, or the field ``pv`` of a form, joined by commas.

    Raises
    ------
    InvalidInputError
        It is none of these.
    TooLargeError
    """
    chunks: list[bytes] = []
    async for chunk in request.stream():
        chunks.append(chunk)
        if sum(map(len, chunks)) > _LARGEST:
            raise TooLargeError(f"a list of names has at most {_LARGEST} bytes; send it in parts")
    try:
        content = b"".join(chunks).decode()
    except UnicodeDecodeError as exc:
        raise InvalidInputError(f"the body is not text in UTF-8: {exc.reason} at byte {exc.start}") from exc
    media_type = media_type_of(request.headers.get("content-type"))
    if media_type == _JSON or content.lstrip().startswith("["):
        return _of_json(content)
    if media_type == _FORM:
        fields = parse_qs(content).get("pv", [])
        return listed(",".join(fields))
    return listed(content)


def listed(content: str) -> list[str]:
    """Return names that are joined by commas, or one a line.

    Examples
    --------
    >>> listed("A,B")
    ['A', 'B']
    """
    return [name.strip() for line in content.splitlines() for name in line.split(",") if name.strip()]


def _of_json(content: str) -> list[str]:
    try:
        names = json.loads(content or "[]")
    except ValueError as exc:
        raise InvalidInputError(f"the body is not JSON, as its Content-Type says: {exc}") from exc
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise InvalidInputError('the body is not a list of names: write ["A", "B"]')
    return names
