"""Passwords and keys: from a file or the environment when they are needed, and never in a text that is shown."""

from __future__ import annotations

import os
from pathlib import Path

from archiver.model import TransientError


def read_secret(what: str, file: Path | None, variable: str) -> str:
    """Return a secret: what a file holds, without the end of its line, or an environment variable; empty without both.

    It is read each time it is needed, so one that was exchanged counts from the next message on.

    Parameters
    ----------
    what : str
        What it is called in the configuration: ``password`` of ``password_file`` and ``password_env``.

    Raises
    ------
    TransientError
        The file cannot be read, or the variable is not set.
    """
    if file is not None:
        try:
            return file.read_text(encoding="utf-8").rstrip("\r\n")
        except (OSError, UnicodeDecodeError) as exc:
            reason = exc.strerror if isinstance(exc, OSError) else "not UTF-8"
            raise TransientError(f"{what}_file = '{file}': cannot be read: {reason}") from exc
    if variable:
        if variable not in os.environ:
            raise TransientError(f"{what}_env = {variable!r}: there is no such variable in the environment")
        return os.environ[variable]
    return ""


def without(text: str, *secrets: str) -> str:
    """Return a text in which no secret stands.

    Examples
    --------
    >>> without("the password hunter2 is wrong", "hunter2", "")
    'the password *** is wrong'
    """
    for secret in secrets:
        if secret:
            text = text.replace(secret, "***")
    return text
