"""Which errors of Oracle and of its driver are worth a retry, by number.

An error is permanent when a sample, a statement or a table is the reason, and transient when the server, its disk, the
way to it, a login, a wallet or another session is. What is not listed is retried, so that no sample is given up.
"""

from __future__ import annotations

from archiver.backends.sql.errors import KeyTakenError
from archiver.model import ForebayError, PermanentError, TransientError

KEY_TAKEN = 1
NAME_TAKEN = 955
NO_PARTITION = 2149


def _numbers(text: str) -> list[int]:
    """Return the numbers of a list such as ``1 3-5``."""
    ends = [part.partition("-") for part in text.split()]
    return [number for first, _, last in ends for number in range(int(first), int(last or first) + 1)]


_STATEMENT = "900-999 1002-1003 1006-1008 1031 1036 2149 2290-2299 6502-6503 6550 12838 38104"
_VALUE = "1400-1401 1405-1407 1426-1427 1438-1439 1450-1451 1461 1465 1476 1480-1484 1700-1899 12899"
_PARTITION_OR_LOB = "14300 14400-14402 14758 22835 22858 24335 24340 26093"
DATABASE: dict[int, type[ForebayError]] = {
    **dict.fromkeys(_numbers(f"{_STATEMENT} {_VALUE} {_PARTITION_OR_LOB}"), PermanentError),
    KEY_TAKEN: KeyTakenError,
}
"""ORA-…: what a statement or a value brought about."""

_CALL = "1003-1004 1006-1007 2000-2017 2019-2022 2028 2030 2035-2048 2050-2051 2060-2063 2065-2072 2074-2077"
_TYPE = "3000-3009 3012-3014 3017-3028 3030-3044 4002-4004 4006-4010 4012-4016 4022 4025 4029 4031 4036-4042 8000-8002"
_WAY = "1000-1002 1005 2018 2023-2027 2029 2031-2034 2049 2052-2059 2064 2073 3010 3015-3016 3029"
_NETWORK = "4000-4001 4005 4011 4017-4019 4021 4024 4026-4028 4030 4032-4035 5000-5016 6000-6009"
DRIVER: dict[int, type[ForebayError]] = {
    **dict.fromkeys(_numbers(f"{_CALL} {_TYPE}"), PermanentError),
    **dict.fromkeys(_numbers(f"{_WAY} {_NETWORK}"), TransientError),
}
"""DPY-…: what a value or a call brought about, and what the way to the server did; all that the driver knows."""


def verdict_of(full_code: str) -> type[ForebayError]:
    """Return the error class of a code such as ``ORA-00001`` or ``DPY-4011``.

    Examples
    --------
    >>> verdict_of("ORA-12899").__name__, verdict_of("ORA-03113").__name__, verdict_of("").__name__
    ('PermanentError', 'TransientError', 'TransientError')
    """
    origin, _, number = full_code.partition("-")
    table = {"ORA": DATABASE, "DPY": DRIVER}.get(origin, {})
    return table.get(int(number), TransientError) if number.isdigit() else TransientError
