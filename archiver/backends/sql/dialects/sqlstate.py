"""Which PostgreSQL errors are worth a retry, by SQLSTATE.

An error is permanent when a sample, a statement or a table is the reason, and transient when the server, the
connection or another session is: then nothing is wrong with the data, and the lane keeps it until it fits.
"""

from __future__ import annotations

from archiver.backends.sql.errors import KeyTakenError
from archiver.model import ForebayError, PermanentError, TransientError

_TRANSIENT = ("08", "25", "28", "40", "53", "55", "57", "58", "72", "XX")
_PERMANENT = (
    *("02", "03", "09", "0A", "0B", "0F", "0L", "0P", "0Z", "10", "20", "21", "22", "23", "24", "26", "27", "2B", "2D"),
    *("2F", "34", "38", "39", "3B", "3D", "3F", "42", "44", "54", "F0", "HV", "P0"),
)
CLASSES: dict[str, type[ForebayError]] = dict.fromkeys(_TRANSIENT, TransientError) | dict.fromkeys(
    _PERMANENT, PermanentError
)
"""First two characters: what errors of this class are."""

EXCEPTIONS: dict[str, type[ForebayError]] = {
    "23505": KeyTakenError,
    "55P02": PermanentError,  # a parameter that cannot be changed now
    "55P04": PermanentError,  # a value of an enumeration that is not committed
}


def verdict_of(sqlstate: str) -> type[ForebayError]:
    """Return the error class of a SQLSTATE; one of an unknown class is retried, so that no sample is given up."""
    return EXCEPTIONS.get(sqlstate) or CLASSES.get(sqlstate[:2], TransientError)
