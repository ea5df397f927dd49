"""Turns what a driver raises into the two errors that a backend may raise."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from sqlalchemy import exc as sa_exc

from archiver.model import ForebayError, PermanentError, TransientError


class KeyTakenError(PermanentError):
    """A row with the key of a new one is there, although it was not stored by this archive."""


class Translator(Protocol):
    """What a dialect knows of its driver's errors."""

    def verdict(self, error: BaseException) -> type[ForebayError] | None:
        """Return the class an error of the driver belongs to, None when it is not one of the driver's."""


@contextmanager
def translated(translator: Translator, where: str) -> Iterator[None]:
    """Raise the driver's errors as `TransientError` or `PermanentError`; let others through.

    Parameters
    ----------
    translator : Translator
    where : str
        Backend and operation, the start of the message.
    """
    try:
        yield
    except ForebayError:
        raise
    except Exception as exc:
        cause = exc.orig if isinstance(exc, sa_exc.DBAPIError) and exc.orig else exc
        found = _own_verdict(cause) or translator.verdict(cause)
        if found is None:
            raise
        raise found(f"{where}: {_first_line(cause)}") from exc


def _own_verdict(error: BaseException) -> type[ForebayError] | None:
    if isinstance(error, sa_exc.TimeoutError):
        return TransientError
    if isinstance(error, sa_exc.DontWrapMixin):
        return None
    return PermanentError if isinstance(error, sa_exc.SQLAlchemyError) else None


def _first_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0] if lines else 'no message'}"
