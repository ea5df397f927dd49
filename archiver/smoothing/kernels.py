"""The two passes over samples that decide what is stored, and the columns that they read and write.

Plain functions, in the part of Python that numba compiles; `archiver.smoothing.compiling` runs them either way. Every
field is a numpy array (or scalar) for the compiled kernel and a list (or number) for the uncompiled one. Times and
integers come as *keys*: uint64 in the order of the original, so that a difference, larger less smaller, is exact for
all 64 bits and overflows in neither.

All that a kernel depends on is in this file, because numba renews a cached kernel when the file of the kernel changes.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

STORED, LATE, HELD = 0, 254, 255
"""Fates of a sample; all others are one more than an index of the rules' names."""
DISTANCE, WHOLE_DISTANCE, EQUALITY, NEVER = 0, 1, 2, 3
"""How values of one category are compared: as floats, as integers, as equal or not; or they are never close."""
NOT_HELD = -1
_ROUNDING = 2.0**-49
"""Relative error of a slope and its bounds, all roundings together (at most ten of 2**-53), taken off the tolerance."""


class Rows(NamedTuple):
    """Samples in order of arrival; `archiver.smoothing.content.rows_of` makes them from a batch.

    ``slot`` numbers the elements; ``category`` is the kind of value, or a class of floats that are not finite.
    ``number`` is the value as float64, ``high`` the exact key of an integer, enum or bool; ``high`` and ``low``
    together are the digest of a text, binary or array.
    """

    slot: Any
    time: Any
    sequence: Any
    category: Any
    status: Any
    number: Any
    high: Any
    low: Any


class Reference(NamedTuple):
    """Per element: the last archived sample, and the newest time and sequence seen."""

    time: Any
    category: Any
    status: Any
    number: Any
    high: Any
    low: Any
    seen_time: Any
    seen_sequence: Any


class Held(NamedTuple):
    """Per element: the swinging door's candidate, and the slopes that a line from the reference may still have.

    ``row`` is where the candidate's fate is kept, or `NOT_HELD`; ``lowest`` and ``highest`` are in tolerances per ns.
    """

    row: Any
    time: Any
    sequence: Any
    receive_time: Any
    status: Any
    number: Any
    high: Any
    lowest: Any
    highest: Any


class Rule(NamedTuple):
    """A smoothing as numbers; `archiver.smoothing.rules.rule_of` says what each means."""

    tolerance: Any
    whole_tolerance: Any
    ratio: Any
    min_interval: Any
    heartbeat: Any
    status_mask: Any
    compare: Any
    outcome: Any


def step(rows: Rows, rule: Rule, archived: Reference, fate: Any) -> None:
    """Decide by the distance to the last archived sample, in time and value.

    Parameters
    ----------
    rows, rule
        Not changed.
    archived : Reference
        Advanced.
    fate : array of uint8
        Set for each row that is discarded or late; all `STORED` before.
    """
    for i in range(len(rows.slot)):
        s = rows.slot[i]
        time = rows.time[i]
        repeated = time == archived.seen_time[s]
        if time < archived.seen_time[s] or (repeated and rows.sequence[i] <= archived.seen_sequence[s]):
            fate[i] = LATE
            continue
        archived.seen_time[s] = time
        archived.seen_sequence[s] = rows.sequence[i]
        category = rows.category[i]
        changed = category != archived.category[s] or (rows.status[i] ^ archived.status[s]) & rule.status_mask != 0
        age = time - archived.time[s]
        if not (repeated or changed or (rule.heartbeat > 0 and age >= rule.heartbeat)):
            how = rule.compare[category]
            high, before = rows.high[i], archived.high[s]
            if how == DISTANCE:
                distance = abs(rows.number[i] - archived.number[s])
                close = distance <= rule.tolerance or distance <= rule.ratio * abs(archived.number[s])
            elif how == WHOLE_DISTANCE:
                whole = high - before if high >= before else before - high
                close = whole <= rule.whole_tolerance or float(whole) <= rule.ratio * abs(archived.number[s])
            else:
                close = how == EQUALITY and high == before and rows.low[i] == archived.low[s]
            fate[i] = rule.outcome[2 * (age < rule.min_interval) + close]
            if fate[i] != STORED:
                continue
        archived.time[s] = time
        archived.category[s] = category
        archived.status[s] = rows.status[i]
        archived.number[s] = rows.number[i]
        archived.high[s] = rows.high[i]
        archived.low[s] = rows.low[i]


def door(rows: Rows, rule: Rule, archived: Reference, held: Held, fate: Any) -> None:
    """Decide by the swinging door: hold the newest sample until the line to its successor misses a sample between.

    Parameters
    ----------
    rows, rule
        Not changed. ``rule.outcome`` is the fate of what is within the door's corridor, unchanged, and too soon.
    archived, held
        Advanced. Sequence and receive time of `held` are left to the caller, who finds them at ``held.row``.
    fate : array of uint8, one per row and then one per element
        Set for each row that is discarded or held, and in the second part for each candidate of an earlier batch.
    """
    for i in range(len(rows.slot)):
        s = rows.slot[i]
        time = rows.time[i]
        repeated = time == archived.seen_time[s]
        if time < archived.seen_time[s] or (repeated and rows.sequence[i] <= archived.seen_sequence[s]):
            fate[i] = LATE
            continue
        archived.seen_time[s] = time
        archived.seen_sequence[s] = rows.sequence[i]
        category = rows.category[i]
        changed = category != archived.category[s] or (rows.status[i] ^ archived.status[s]) & rule.status_mask != 0
        silent = rule.heartbeat > 0 and time - archived.time[s] >= rule.heartbeat
        if repeated or changed:
            if held.row[s] != NOT_HELD:
                fate[held.row[s]] = STORED
        elif rule.compare[category] <= WHOLE_DISTANCE:
            while True:
                age, high, before = float(time - archived.time[s]), rows.high[i], archived.high[s]
                if rule.compare[category] == DISTANCE:
                    move = (rows.number[i] - archived.number[s]) / rule.tolerance
                else:
                    move = (float(high - before) if high >= before else -float(before - high)) / rule.tolerance
                if held.row[s] == NOT_HELD or held.lowest[s] <= move / age <= held.highest[s]:
                    break
                fate[held.row[s]] = STORED
                archived.time[s], archived.status[s] = held.time[s], held.status[s]
                archived.number[s], archived.high[s] = held.number[s], held.high[s]
                held.row[s], held.lowest[s], held.highest[s] = NOT_HELD, -math.inf, math.inf
            if held.row[s] != NOT_HELD:
                fate[held.row[s]] = rule.outcome[0]
            if not silent:
                if time - archived.time[s] < rule.min_interval:
                    fate[i] = rule.outcome[2]
                    continue
                fate[i], held.row[s] = HELD, i
                held.time[s], held.status[s], held.number[s], held.high[s] = time, rows.status[i], rows.number[i], high
                slack = 1.0 - _ROUNDING * (abs(move) + 1.0) if abs(move) < math.inf else -math.inf
                held.lowest[s] = max(held.lowest[s], (move - slack) / age) if slack > 0.0 else math.inf
                held.highest[s] = min(held.highest[s], (move + slack) / age) if slack > 0.0 else -math.inf
                continue
        elif not silent:
            soon = time - archived.time[s] < rule.min_interval
            if soon or (rule.compare[category] == EQUALITY and rows.high[i] == archived.high[s]):
                fate[i] = rule.outcome[2] if soon else rule.outcome[1]
                continue
        held.row[s], held.lowest[s], held.highest[s] = NOT_HELD, -math.inf, math.inf
        archived.time[s], archived.category[s], archived.status[s] = time, category, rows.status[i]
        archived.number[s], archived.high[s], archived.low[s] = rows.number[i], rows.high[i], rows.low[i]
