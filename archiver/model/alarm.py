"""EPICS alarm severity and alarm status, kept in the 64 status bits of a sample and read from them.

Bits 59 and 60, which WinCC OA leaves free, hold the severity: 0 none, 1 minor, 2 major, 3 invalid. Where it is not 0,
the user bits 51 to 55 hold the alarm status, EPICS' number of what is wrong. A sample of severity 3 is invalid for
every other reader, too: `Status.AUT_INV` is set with it.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from archiver.model.status import Bits, Status, is_gap, is_online_bad

SEVERITY_BIT, ALARM_BIT = 59, 51
INVALID = 3
COMM, UDF, DISABLE = 9, 17, 18
"""Alarm statuses of what other systems say by their own bits: not connected, no good value, switched off."""

_SEVERITIES, _ALARMS = np.uint64(3), np.uint64(31)
Numbers = NDArray[np.uint8]


def status_of(severity: ArrayLike, alarm: ArrayLike) -> Bits:
    """Return the status bits for EPICS severities (0 to 3) and alarm statuses (0 to 31), uint64 each.

    Examples
    --------
    >>> [number.tolist() for number in alarm_of(status_of([0, 2], [0, 4]))]
    [[0, 2], [0, 4]]
    """
    severities, alarms = np.atleast_1d(np.asarray(severity, np.uint64)), np.asarray(alarm, np.uint64)
    numbers = np.where(severities > 0, alarms << np.uint64(ALARM_BIT), np.uint64(0))
    invalid = np.where(severities == INVALID, np.uint64(Status.AUT_INV), np.uint64(0))
    return (severities << np.uint64(SEVERITY_BIT)) | numbers | invalid


def alarm_of(status: Bits) -> tuple[Numbers, Numbers]:
    """Return severity and alarm status of samples, uint8 each.

    Samples that were not made by `status_of` have severity 3 where their value is bad in use, or nothing is known.
    """
    severity, alarm = np.zeros(len(status), np.uint8), np.zeros(len(status), np.uint8)
    if not status.any():
        return severity, alarm
    severity[:] = (status >> np.uint64(SEVERITY_BIT)) & _SEVERITIES
    alarm[:] = np.where(severity > 0, (status >> np.uint64(ALARM_BIT)) & _ALARMS, 0)
    gap = is_gap(status)
    other = (severity == 0) & (is_online_bad(status) | gap)
    if other.any():
        paused = (status & np.uint64(Status.PAUSED)) != 0
        severity[other] = INVALID
        alarm[other] = np.where(gap, np.where(paused, DISABLE, COMM), UDF)[other]
    return severity, alarm
