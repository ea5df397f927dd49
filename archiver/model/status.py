"""The 64 status bits of a sample, with WinCC OA's names, and the qualities derived from them.

Bits 0-23 and 24-55 mean what WinCC OA says; of its free bits 56-63 this archive names three, for the
conditions that other systems confuse with a missing value. All 64 bits are kept as received.

References
----------
WinCC OA documentation, ``_online.._status64``.
"""

from __future__ import annotations

from enum import IntFlag
from typing import Any

import numpy as np
from numpy.typing import NDArray


class Status(IntFlag):
    """One name per bit of the 64-bit status of a sample."""

    ACTIVE = 1 << 0
    EXP_DEFAULT = 1 << 1
    AUT_DEFAULT = 1 << 2
    OUT_PRANGE = 1 << 3
    OUT_RANGE = 1 << 4
    EXP_INV = 1 << 5
    AUT_INV = 1 << 6
    DEFAULT_BAD = 1 << 8
    FROM_GI = 1 << 9
    FROM_SI = 1 << 10
    PER_ACTIVE = 1 << 11
    CORR = 1 << 12
    COMPR = 1 << 13
    COMP_CORR = 1 << 14
    CORR_ADD = 1 << 15
    COMP_INV = 1 << 16
    STIME_INV = 1 << 17
    DISCONNECTED = 1 << 56
    """From this instant the source cannot be reached; nothing is known of the value."""
    PAUSED = 1 << 57
    """From this instant archiving is switched off by someone; the source may be fine."""
    UNCHANGED = 1 << 58
    """The value was confirmed to be the same as before (a heartbeat), not measured to have changed."""


INVALID = Status.EXP_INV | Status.AUT_INV | Status.STIME_INV
BAD = INVALID | Status.OUT_PRANGE
DEFAULT = Status.EXP_DEFAULT | Status.AUT_DEFAULT
_GAP = Status.DISCONNECTED | Status.PAUSED
_NOT_GOOD = np.uint64(BAD | _GAP)
Bits = NDArray[np.uint64]
Flags = NDArray[np.bool_]


def _any(status: Bits, mask: Status) -> Flags:
    result: Flags = (status & np.uint64(mask)) != 0
    return result


def is_invalid(status: Bits) -> Flags:
    """Return where ``exp_inv | aut_inv | stime_inv``, bool per sample."""
    return _any(status, INVALID)


def is_bad(status: Bits) -> Flags:
    """Return where ``invalid | out_prange``, bool per sample."""
    return _any(status, BAD)


def is_default(status: Bits) -> Flags:
    """Return where ``exp_default | aut_default``, bool per sample."""
    return _any(status, DEFAULT)


def is_online_bad(status: Bits) -> Flags:
    """Return where the value in use is bad: ``default ? default_bad : bad``, bool per sample."""
    return np.where(is_default(status), _any(status, Status.DEFAULT_BAD), is_bad(status))


def is_good(status: Bits) -> Flags:
    """Return where it is neither bad nor a gap, bool per sample."""
    result: Flags = (status & _NOT_GOOD) == 0
    return result


def is_gap(status: Bits) -> Flags:
    """Return where nothing is known from here on: disconnected or paused, bool per sample."""
    return _any(status, _GAP)


def names_of(status: int) -> list[Any]:
    """Return the names of the set bits, unnamed ones as ``bitNN``.

    Examples
    --------
    >>> names_of(1 | 1 << 30)
    ['active', 'bit30']
    """
    known = {int(flag): flag.name.lower() for flag in Status if flag.name}
    return [known.get(1 << bit, f"bit{bit}") for bit in range(64) if status >> bit & 1]
