"""What the kinds that speak HTTP share: how the other side is reached, and what its answers mean."""

from __future__ import annotations

import ssl
import time
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

import httpx
from pydantic import Field

from archiver.config import Duration
from archiver.model import BackpressureError, ForebayError, PermanentError, TransientError
from archiver.model.time import NANOSECONDS
from archiver.ports import Options
from services.events.notify.secrets import read_secret, without

URL = r"^https?://[^@\s]+$"
"""Without a user and a password: these have keys of their own."""

REFUSED = frozenset({400, 405, 406, 410, 411, 413, 414, 415, 422, 431})
"""Statuses that say that the message is wrong; all others of failure are of the other side's state, or its settings."""

_SHOWN = 200
_READ_BYTES = 4096


class HttpOptions(Options):
    """How to log in, and whom to trust."""

    user: str = Field("", description="for basic authentication, with the password")
    password_file: Path | None = Field(None, description="file that holds the password")
    password_env: str = Field("", description="environment variable that holds the password")
    token_file: Path | None = Field(None, description="file that holds a bearer token")
    token_env: str = Field("", description="environment variable that holds a bearer token")
    ca_file: Path | None = Field(None, description="PEM; certificates to trust instead of the system's")
    timeout: Duration = Field("10s", validate_default=True, description="longest wait for each step of an answer")


def post(options: HttpOptions, url: str, body: bytes, headers: Mapping[str, str]) -> None:
    """Send JSON; return when it was taken.

    Raises
    ------
    TransientError
        Nobody answers, or not now; `BackpressureError` when the answer says how long to wait.
    PermanentError
        The answer says that the message is wrong.
    """
    password = read_secret("password", options.password_file, options.password_env)
    token = read_secret("token", options.token_file, options.token_env)
    parts = urlsplit(url)
    where = f"{parts.scheme}://{parts.netloc}"  # no more of it is shown: the path of a webhook often is a secret
    sent = {"Content-Type": "application/json", "User-Agent": "forebay", **headers}
    if token:
        sent["Authorization"] = f"Bearer {token}"
    auth = httpx.BasicAuth(options.user, password) if options.user else None
    try:
        with (
            httpx.Client(verify=_trust(options, parts.scheme), timeout=options.timeout / NANOSECONDS) as client,
            client.stream("POST", url, content=body, headers=sent, auth=auth) as answer,
        ):
            if answer.is_success:
                return
            said = without(_beginning(answer, options.timeout / NANOSECONDS), password, token, url)
    except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError, httpx.CookieConflict, OSError) as exc:
        raise TransientError(f"{where}: {without(str(exc), password, token, url) or type(exc).__name__}") from exc
    raise _failure(answer, f"{where} answers {answer.status_code}{said}")


def _trust(options: HttpOptions, scheme: str) -> ssl.SSLContext | bool:
    return scheme == "https" and ssl.create_default_context(cafile=options.ca_file)


def _beginning(answer: httpx.Response, timeout_s: float) -> str:
    """Return the beginning of what an answer says, on one line."""
    found = b""
    end = time.monotonic() + timeout_s
    for chunk in answer.iter_bytes():
        found += chunk
        if len(found) > _READ_BYTES or time.monotonic() > end:
            break
    text = " ".join(found.decode("utf-8", "replace").split())
    return f": {text[:_SHOWN]}" if text else ""


def _failure(answer: httpx.Response, text: str) -> ForebayError:
    if answer.status_code in REFUSED:
        return PermanentError(text)
    wait = answer.headers.get("Retry-After", "")
    if wait.isascii() and wait.isdigit():
        return BackpressureError(text, float(min(int(wait), 3600)))
    return TransientError(text)
