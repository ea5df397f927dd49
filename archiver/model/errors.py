"""Everything that can go wrong, as one tree; the class decides whether a retry makes sense.

::

    ForebayError
    ├── TransientError            try again later, nothing is wrong with the data
    │   └── BackpressureError     full: wait `retry_after_s`, then send the same again
    └── PermanentError            the same call will fail again
        ├── InvalidInputError     a request, file or sample that cannot be understood
        ├── ConfigurationError    the configuration names something that cannot be
        ├── NotFoundError         an element, backend or dead letter that does not exist
        └── UnsupportedError      the backend cannot hold or do this
"""

from __future__ import annotations


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


class UnsupportedError(PermanentError):
    """The backend cannot hold this value or do this operation."""
