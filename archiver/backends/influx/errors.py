"""Turns what InfluxDB answers, and what becomes of connections, into the errors that a backend may raise.

A write is refused for good only when a line is the reason: then the lane looks for it and puts it aside. All else,
credentials and a bucket that is gone included, may be mended by somebody while the journal keeps the samples.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from urllib3 import exceptions

from archiver.model import BackpressureError, ForebayError, NotFoundError, PermanentError, TransientError

LINES_REFUSED = frozenset({400, 413, 422})
"""Statuses of a write that say that lines are the reason: not understood, too large, conflicts or too old."""
_NOT_OF_LINES = ("database is required", "missing db", "invalid precision", "Please provide either orgID")
_ABSENT = ("database not found", "bucket not found", "no bucket", "retention policy not found")
_LONGEST_MESSAGE = 500


class NotTakenError(TransientError):
    """The server took nothing of a request: it was not reached, or said so."""


class BusyError(BackpressureError, NotTakenError):
    """The server took nothing, and says how long to wait."""


def refused_write(status: int, headers: Mapping[str, str], body: bytes, where: str) -> ForebayError:
    """Return the error of a write that was answered with a status that is not one of success."""
    said = f"{where}: {status}: {message(body)}"
    if status in LINES_REFUSED and not message(body).startswith(_NOT_OF_LINES):
        return PermanentError(said)
    return _passing(status, headers, said)


def refused_query(status: int, headers: Mapping[str, str], body: bytes, where: str) -> ForebayError:
    """Return the error of any other request that was answered with a status that is not one of success."""
    said = f"{where}: {status}: {message(body)}"
    if status == 404 or any(part in said.lower() for part in _ABSENT):
        return NotFoundError(said)
    if status in (400, 405, 422, 501):
        return PermanentError(said)
    return _passing(status, headers, said)


def failed_statement(text: str, where: str) -> ForebayError:
    """Return the error of a statement that failed although its status is 200."""
    said = f"{where}: {text[:_LONGEST_MESSAGE]}"
    if any(part in text.lower() for part in _ABSENT):
        return NotFoundError(said)
    return PermanentError(said) if "parsing" in text or "not implemented" in text else TransientError(said)


def _passing(status: int, headers: Mapping[str, str], said: str) -> ForebayError:
    wait = headers.get("Retry-After", "")
    if status in (429, 503) and wait.isdigit():
        return BusyError(said, retry_after_s=float(wait))
    if status in (401, 403):
        said += "; check INFLUX_TOKEN, or user and INFLUX_PASSWORD, and what they may do"
    return TransientError(said) if status == 500 else NotTakenError(said)


def message(body: bytes) -> str:
    """Return what a server says is wrong: of 1.x ``error``, of 2.x ``message``, else the text itself."""
    text = body.decode(errors="replace").strip()
    try:
        document = json.loads(text)
    except ValueError:
        return text[:_LONGEST_MESSAGE]
    if isinstance(document, dict):
        text = str(document.get("message") or document.get("error") or text)
    return text[:_LONGEST_MESSAGE]


@contextmanager
def translated(where: str) -> Iterator[None]:
    """Raise what happens to a connection as `TransientError`; let others through.

    Parameters
    ----------
    where : str
        Backend and operation, the start of the message.
    """
    try:
        yield
    except (exceptions.NewConnectionError, exceptions.ConnectTimeoutError) as exc:
        raise NotTakenError(f"{where}: the server is not reached: {exc}") from exc
    except (exceptions.HTTPError, OSError) as exc:
        raise TransientError(f"{where}: {type(exc).__name__}: {exc}") from exc
