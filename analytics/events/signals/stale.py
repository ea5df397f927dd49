"""No sample came for a while."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from analytics.events.operator import Edges, Told
from analytics.events.rows import BEFORE_ALL, NEVER, Int64s, Mask, Rows, grown


def _none(dtype: Any) -> Any:
    return field(default_factory=lambda: np.empty(0, dtype))


@dataclass(frozen=True)
class Silence:
    """What is remembered of each instance.

    Parameters
    ----------
    last : ndarray of int64
        Time of its last sample, ns; `BEFORE_ALL` before the first.
    told : ndarray of bool
        Whether it was told that none came since.
    """

    last: Int64s = _none(np.int64)
    told: Mask = _none(bool)


@dataclass(frozen=True)
class Stale:
    """A signal: true when an instance had no sample, good or bad, for a while; false at its next one.

    Parameters
    ----------
    after : int
        How long, ns.
    """

    after: int

    def initial(self) -> Silence:
        """Return the state before the first sample: what has never come is not missed."""
        return Silence()

    def advance(self, state: Silence, rows: Rows, known: Int64s) -> Told:
        """Take samples in; see `Signal.advance`."""
        count = len(known)
        last, told = grown(state.last, count, BEFORE_ALL).copy(), grown(state.told, count, False).copy()
        edges = []
        if len(rows):
            starts = rows.starts()
            before = np.append(BEFORE_ALL, rows.time[:-1])
            before[starts] = last[rows.key[starts]]
            missed = np.zeros(len(rows), bool)
            missed[starts] = told[rows.key[starts]]
            gap = (before != BEFORE_ALL) & (rows.time >= np.where(before == BEFORE_ALL, 0, before) + self.after)
            silent, back = np.flatnonzero(gap & ~missed), np.flatnonzero(gap | missed)
            edges = [
                (rows.key[silent], before[silent] + self.after, 1, np.full(len(silent), np.nan)),
                (rows.key[back], rows.time[back], -1, np.where(rows.good[back], rows.number[back], np.nan)),
            ]
            ends = np.append(starts[1:], len(rows)) - 1
            last[rows.key[ends]], told[rows.key[ends]] = rows.time[ends], False
        waits = (last != BEFORE_ALL) & ~told
        due = np.where(waits, np.where(waits, last, 0) + self.after, NEVER)
        fired = np.flatnonzero(due <= known)
        edges.append((fired.astype(np.int32), due[fired], 1, np.full(len(fired), np.nan)))
        reached = np.full(count, BEFORE_ALL)
        reached[fired] = due[fired]
        told[fired], due[fired] = True, NEVER
        return Told(Silence(last, told), _merged(edges), due, reached)


def _merged(edges: list[tuple[Any, Int64s, int, Any]]) -> Edges:
    """Return edges by instance and time; of one time, that it is silent before that it is not."""
    key, time, value = (np.concatenate([part[column] for part in edges]) for column in (0, 1, 3))
    truth = np.concatenate([np.full(len(part[0]), part[2], np.int8) for part in edges])
    order = np.lexsort((-truth, time, key))
    return Edges(key[order], time[order], truth[order], value[order])
