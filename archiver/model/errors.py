"""Everything that can go wrong, as one tree; the class decides whether a retry makes sense.

::

    ForebayError
    ├── TransientError            try again later, nothing is wrong with the data
    │   └── BackpressureError     full: wait `retry_after_s`, then send the same again
    │       └── QuotaError        the caller has asked for enough for now
    ├── IncompleteError           the answer would be partial, and a complete one was required
    ├── StoppedError              whoever asked went away before the answer was complete
    └── PermanentError            the same call will fail again
        ├── InvalidInputError     a request, file or sample that cannot be understood
        ├── ConfigurationError    the configuration names something that cannot be
        ├── NotFoundError         an element, backend or dead letter that does not exist
        ├── LimitError            a request for more than one may ask for
        └── UnsupportedError      the backend cannot hold or do this
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any


class ForebayError(Exception):
    """Root of every error this project raises on purpose."""


class TransientError(ForebayError):
    """The same call may succeed later: an outage, a lock, a lost connection."""


class BackpressureError(TransientError):
    """Nothing was accepted because something is full.

    Parameters
    ----------
    message : str
        What is full and what to do.
    retry_after_s : float
        Seconds after which sending the same again makes sense.
    """

    def __init__(self, message: str, retry_after_s: float = 1.0) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class QuotaError(BackpressureError):
    """The caller has asked for as much as it may for now; the message names the setting."""


class IncompleteError(ForebayError):
    """The answer would be partial, and a complete one was required.

    Parameters
    ----------
    missing : sequence of mapping
        What is missing, as an answer lists it: backend, start, end, cause, reason, elements.
    """

    def __init__(self, missing: Sequence[Mapping[str, Any]]) -> None:
        told = [f"{_who(m)}{m['reason']} ({m['start']} to {m['end']})" for m in missing]
        more = f"; and {len(told) - 3} more" if len(told) > 3 else ""
        super().__init__(f"the answer would not be complete: {'; '.join(told[:3])}{more}")
        self.missing = list(missing)


def _who(missing: Mapping[str, Any]) -> str:
    return f"{missing['backend']}: " if missing["backend"] else ""


class StoppedError(ForebayError):
    """Whoever asked went away, or let go of the answer, before it was complete."""


class PermanentError(ForebayError):
    """The same call will fail again."""


class InvalidInputError(PermanentError):
    """A request, file or sample cannot be understood; the message says what, where and what to do."""


class ConfigurationError(PermanentError):
    """The configuration names something that cannot be.

    Parameters
    ----------
    problems : list of str
        One line each: key, value and the fix.
    """

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


class NotFoundError(PermanentError):
    """The named element, backend, group or dead letter does not exist."""


class LimitError(PermanentError):
    """The request asks for more than one request may; the message names the setting and what to ask instead."""


class UnsupportedError(PermanentError):
    """The backend cannot hold this value or do this operation."""
