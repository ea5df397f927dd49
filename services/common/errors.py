"""What can be wrong with a request itself; everything else that goes wrong is the archive's `ForebayError`.

::

    InvalidInputError
    ├── BadParameterError       a parameter of the query string or the path
    ├── TooLargeError           a body larger than the server takes
    └── UnsupportedMediaError   a body in a format or encoding that nobody here reads
    UnsupportedError
    └── NotAcceptableError      none of the formats that the client accepts can be given
    PermanentError
    ├── NotDoneError            the result of a job that has none, or none yet
    ├── UnauthorizedError       nobody knows who asks
    └── ForbiddenError          it is known who asks, and may not
    BackpressureError
    └── TooManyFailuresError    too many wrong credentials came from there
"""

from __future__ import annotations

from archiver.model import BackpressureError, InvalidInputError, PermanentError, UnsupportedError


class BadParameterError(InvalidInputError):
    """A parameter cannot be understood.

    Parameters
    ----------
    parameter : str
        Its name.
    value : str
        What was given.
    fix : str
        What is wrong with it and what to write instead.
    """

    def __init__(self, parameter: str, value: str, fix: str) -> None:
        super().__init__(f"{parameter} = {value!r}: {fix}")
        self.parameter = parameter
        self.value = value
        self.fix = fix


class TooLargeError(InvalidInputError):
    """The body is larger than the server takes; the message says how large it may be."""


class UnsupportedMediaError(InvalidInputError):
    """The body is in a format or encoding that is not read here; the message lists those that are."""


class NotAcceptableError(UnsupportedError):
    """The client accepts none of the formats that can be given; the message lists them."""


class NotDoneError(PermanentError):
    """A job has no result, or none yet; the message says how far it is."""


class UnauthorizedError(PermanentError):
    """There are no credentials, or wrong ones; the message says what to send, and never which part was wrong."""


class ForbiddenError(PermanentError):
    """The credentials are right, and do not allow this; the message names the role that does."""


class TooManyFailuresError(BackpressureError):
    """Too many wrong credentials came from one address: the next ones are not looked at for a while."""
