"""What a request brings along to prove who sends it."""

from __future__ import annotations

import base64
import binascii

from starlette.requests import HTTPConnection

from services.common.errors import UnauthorizedError

HOW = "send `Authorization: Bearer KEY`; `forebay keys create` makes a key"


def presented(connection: HTTPConnection, *, influx: bool = False) -> str | None:
    """Return the key or token of a request; None when it brings none.

    Parameters
    ----------
    influx : bool
        Whether the ways of clients of InfluxDB 1 count as well: the password of Basic, or the parameter ``p``.

    Raises
    ------
    UnauthorizedError
        There is something, in a form that is not taken here.
    """
    header = connection.headers.get("authorization")
    if header is None:
        return connection.query_params.get("p") if influx else None
    scheme, _, rest = header.partition(" ")
    kind, text = scheme.lower(), rest.strip()
    if kind in ("bearer", "token") and text:
        return text
    if kind == "basic" and influx:
        return _password(text)
    raise UnauthorizedError(f"these credentials are not taken here: {HOW}")


def _password(text: str) -> str:
    """Return the password of Basic credentials, whoever the user is."""
    try:
        _, colon, password = base64.b64decode(text, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        colon = password = ""
    if not colon or not password:
        raise UnauthorizedError("the Basic credentials are not of the form user:key")
    return password
