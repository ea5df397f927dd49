"""Puts the samples of a rule in order of their own time, and says until when an instance is known.

Each instance has a clock of its own: the time of its newest sample, and what has passed since that came. What is older
than the clock by `lateness` is known. So samples are given on in order of time, whatever order they came in, as long as
none comes more than the lateness after a newer one: such a one is late, and is counted. So is one that comes after its
instance was found, by the clock, to have had no sample for a while.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from analytics.events.rows import BEFORE_ALL, EMPTY, Int32s, Int64s, Mask, Rows, grown

_NONE = np.empty(0, np.int64)


@dataclass(frozen=True)
class Order:
    """What is remembered between batches.

    Parameters
    ----------
    pending : Rows
        Not given on yet.
    newest, arrived : ndarray of int64
        Per instance: the time of its newest sample, and when that was received; ns.
    done : ndarray of int64
        Per instance: until when it was given on, ns.
    seen_time : ndarray of int64
    seen_sequence : ndarray of int32
        Per slot: the last sample given on.
    clock : int
        Greatest receive time by now, ns.
    late, repeated : int
        Samples left out by now: those that came too late, and those that had been there already.
    """

    pending: Rows = EMPTY
    newest: Int64s = field(default_factory=_NONE.copy)
    arrived: Int64s = field(default_factory=_NONE.copy)
    done: Int64s = field(default_factory=_NONE.copy)
    seen_time: Int64s = field(default_factory=_NONE.copy)
    seen_sequence: Int32s = field(default_factory=lambda: np.empty(0, np.int32))
    clock: int = BEFORE_ALL
    late: int = 0
    repeated: int = 0

    def known(self, lateness: int) -> Int64s:
        """Return until when each instance is known, ns; `BEFORE_ALL` for one without a sample."""
        passed = np.maximum(self.clock - self.arrived, 0)
        begun = self.newest != BEFORE_ALL
        return np.where(begun, np.where(begun, self.newest, 0) + np.where(begun, passed, 0) - lateness, BEFORE_ALL)


def admit(order: Order, rows: Rows, ranks: Int64s, keys: int, lateness: int, clock: int) -> tuple[Order, Rows, Int64s]:
    """Take rows in, and give on what is known by now.

    Parameters
    ----------
    order : Order
    rows : Rows
        In order of arrival.
    ranks : ndarray of int64
        Of each slot among all, by the name of its element: decides the order at equal times.
    keys : int
        Number of instances.
    lateness, clock : int
        ns.

    Returns
    -------
    order : Order
    rows : Rows
        By instance, time, element and sequence.
    known : ndarray of int64
        Per instance: until when it is known, ns. What is due by then has come due.
    """
    newest, arrived = grown(order.newest, keys, BEFORE_ALL), grown(order.arrived, keys, BEFORE_ALL)
    done = grown(order.done, keys, BEFORE_ALL)
    seen_time = grown(order.seen_time, len(ranks), BEFORE_ALL)
    seen_sequence = grown(order.seen_sequence, len(ranks), np.int32(-1))
    late, repeated = order.late, order.repeated
    if len(rows):
        behind = _behind(rows, newest, lateness) | (rows.time < done[rows.key])
        again = (rows.time == seen_time[rows.slot]) & (rows.sequence <= seen_sequence[rows.slot]) & ~behind
        late, repeated = late + int(behind.sum()), repeated + int(again.sum())
        if (out := behind | again).any():
            rows = rows.take(~out)
        newest, arrived = _newest(rows, newest, arrived)
    clock = max(order.clock, clock)
    at = Order(EMPTY, newest, arrived, done, seen_time, seen_sequence, clock, late, repeated)
    known = at.known(lateness)
    pending = Rows.concat([order.pending, rows])
    if not len(pending):
        return at, EMPTY, known
    ready = pending.time <= known[pending.key]
    given, first = _sorted(pending if ready.all() else pending.take(ready), ranks)
    seen_time, seen_sequence, done = seen_time.copy(), seen_sequence.copy(), done.copy()
    seen_time[given.slot], seen_sequence[given.slot] = given.time, given.sequence
    np.maximum.at(done, given.key, given.time)
    kept = EMPTY if ready.all() else pending.take(~ready)
    at = Order(kept, newest, arrived, done, seen_time, seen_sequence, clock, late, repeated + first)
    return at, given, known


def _behind(rows: Rows, newest: Int64s, lateness: int) -> Mask:
    """Return which rows came more than the lateness after a newer one of their instance."""
    by_key = np.argsort(rows.key, kind="stable")
    keys, times = rows.key[by_key], rows.time[by_key]
    begins = np.flatnonzero(np.diff(keys, prepend=-1))
    ahead = np.diff(times, prepend=BEFORE_ALL) >= 0
    ahead[begins] = times[begins] >= newest[keys[begins]]
    result = np.zeros(len(rows), bool)
    if ahead.all():
        return result
    # the greatest time before each row of its instance, from one running maximum over all: instances count most in it
    levels, level = np.unique(np.concatenate([times, newest[keys[begins]]]), return_inverse=True)
    segment = np.cumsum(np.diff(keys, prepend=-1) != 0) - 1
    with_first = np.insert(level[: len(times)], begins, level[len(times) :])
    segments = np.insert(segment, begins, segment[begins])
    highest = np.maximum.accumulate(segments * len(levels) + with_first) - segments * len(levels)
    before = levels[np.delete(highest, begins + np.arange(len(begins)) + np.diff(begins, append=len(times)))]
    has_newer = before > times
    behind = np.zeros(len(times), bool)
    behind[has_newer] = before[has_newer] - times[has_newer] > lateness
    result[by_key] = behind
    return result


def _newest(rows: Rows, newest: Int64s, arrived: Int64s) -> tuple[Int64s, Int64s]:
    """Return the newest time of each instance, and when the first sample of that time was received."""
    after = newest.copy()
    np.maximum.at(after, rows.key, rows.time)
    raised = (rows.time == after[rows.key]) & (rows.time > newest[rows.key])
    since = arrived.copy()
    places = np.flatnonzero(raised)[::-1]  # of equal ones the first is written last
    since[rows.key[places]] = rows.received[places]
    return after, since


def _sorted(rows: Rows, ranks: Int64s) -> tuple[Rows, int]:
    """Return rows by instance, time, element and sequence without those that repeat one, and how many did."""
    steps = np.diff(rows.time) >= 0
    alone = not len(rows) or (rows.slot == rows.slot[0]).all()
    if not (alone and steps.all()):
        rows = rows.take(np.lexsort((rows.sequence, ranks[rows.slot], rows.time, rows.key)))
    elif len(rows) and (np.diff(rows.time) == 0).any():
        rows = rows.take(np.lexsort((rows.sequence, rows.time)))
    same = (np.diff(rows.time) == 0) & (np.diff(rows.slot) == 0) & (np.diff(rows.sequence) == 0)
    if not same.any():
        return rows, 0
    return rows.take(np.append(True, ~same)), int(same.sum())
