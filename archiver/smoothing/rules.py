"""A smoothing as numbers: which conditions discard a sample, and under which name the ledger finds it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from archiver.model import Kind, Smoothing, SmoothingKind, Status
from archiver.model.kind import VALUE_KINDS
from archiver.smoothing.content import MINUS_INFINITY
from archiver.smoothing.kernels import DISTANCE, EQUALITY, NEVER, STORED, WHOLE_DISTANCE, Rule

RULES: tuple[str, ...] = tuple(kind.value for kind in SmoothingKind if kind is not SmoothingKind.NONE)
"""Names of what may have discarded a sample. Where OR joins two conditions and only one was met, it is that one's."""

_GAP = int(Status.DISCONNECTED | Status.PAUSED)
_LARGEST = 2**64 - 1


def fate_of(rule: str) -> int:
    """Return the fate of a sample that a rule of `RULES` discards."""
    return RULES.index(rule) + 1


def rule_of(smoothing: Smoothing) -> Rule:
    """Return a smoothing as the kernels read it.

    A sample is *soon* when less than the minimum interval has passed since the last archived one, and *close* when the
    distance of the values is within ``tolerance``, or within ``ratio`` times the archived value; old/new is a tolerance
    of zero. ``outcome[2 * soon + close]`` is its fate, so that AND and OR are data and not code.
    """
    relative = smoothing.kind.value.endswith("value_relative")
    tolerance = smoothing.tolerance if smoothing.kind.uses_tolerance and not relative else 0.0
    return Rule(
        tolerance=np.float64(tolerance),
        whole_tolerance=np.uint64(_LARGEST if tolerance >= 2.0**64 else int(tolerance)),
        ratio=np.float64(smoothing.tolerance / 100 if relative else 0.0),
        min_interval=np.uint64(min(smoothing.min_interval_ns, _LARGEST)),
        heartbeat=np.uint64(min(smoothing.heartbeat_ns, _LARGEST)),
        status_mask=np.uint64(smoothing.status_mask | _GAP),
        compare=_comparisons(smoothing.kind),
        outcome=_outcomes(smoothing.kind),
    )


def _outcomes(kind: SmoothingKind) -> NDArray[np.uint8]:
    """Return the fates by ``2 * soon + close``; for the swinging door those of the corridor, unchanged, and soon."""
    name = kind.value
    time = fate_of("time")
    if kind is SmoothingKind.NONE:
        fates = [STORED] * 4
    elif kind is SmoothingKind.SWINGING_DOOR:
        fates = [fate_of(name), fate_of("old_new"), time, STORED]
    elif kind is SmoothingKind.TIME:
        fates = [STORED, STORED, time, time]
    elif "_and_" in name:
        fates = [STORED, STORED, STORED, fate_of(name)]
    elif "_or_" in name:
        value = name.removeprefix("time_or_").removesuffix("_or_time")
        fates = [STORED, fate_of(value), time, fate_of(name)]
    else:
        fates = [STORED, fate_of(name), STORED, fate_of(name)]
    return np.array(fates, np.uint8)


def _comparisons(kind: SmoothingKind) -> NDArray[np.uint8]:
    """Return how values are compared, by category. Texts, binaries and arrays have no value smoothing."""
    table = np.full(MINUS_INFINITY + 1, EQUALITY, np.uint8)
    if kind.uses_tolerance:
        bare = (Kind.BOOL, Kind.ENUM)
        table[[other for other in VALUE_KINDS if other not in bare]] = NEVER
    table[[Kind.FLOAT, Kind.INT, Kind.UINT]] = DISTANCE, WHOLE_DISTANCE, WHOLE_DISTANCE
    return table
