"""Puts the samples of a rule in order of their own time, and says until when an instance is known.

Each instance has a clock of its own: the time of its newest sample, and what has passed since that came. What is older
than the clock by more than `lateness` is known. So samples are given on in order of time, whatever order they came in,
as long as none comes more than the lateness after a newer one: such a one is late, and is counted. So is one that comes
after its instance was found, by the clock, to have had no sample for a while.

With a lateness, all samples of one instant are given on at once, in the order of their elements' names. Without one
nothing waits: samples are given on in the order in which they came, and only an older one than the newest is late.

An instance begins with its first sample of an element of its own. What elements that are common to all instances held
by then is given on right before; what they held before that is not.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np

from analytics.events.rows import BEFORE_ALL, EMPTY, Int32s, Int64s, Mask, Rows, grown

_NONE = np.empty(0, np.int64)
_MOST = 2**62
_INT16 = np.iinfo(np.int16).max


@dataclass(frozen=True)
class Slots:
    """What is known of the elements of all instances.

    Parameters
    ----------
    ranks : ndarray of int64
        Of each slot among all, by the name of its element: decides the order at equal times.
    shared : ndarray of bool, optional
        Which of them are common to all instances; None for no such ones.
    """

    ranks: Int64s
    shared: Mask | None = None


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
        waits = waited(lateness)
        if begun.all():
            return self.newest + passed - waits
        return np.where(begun, np.where(begun, self.newest, 0) + np.where(begun, passed, 0) - waits, BEFORE_ALL)

    def grown(self, keys: int, slots: int, clock: int) -> Order:
        """Return it for so many instances and slots, at a receive time."""
        return Order(
            self.pending,
            grown(self.newest, keys, BEFORE_ALL),
            grown(self.arrived, keys, BEFORE_ALL),
            grown(self.done, keys, BEFORE_ALL),
            grown(self.seen_time, slots, BEFORE_ALL),
            grown(self.seen_sequence, slots, -1),
            max(self.clock, clock),
            self.late,
            self.repeated,
        )


def waited(lateness: int) -> int:
    """Return how far the clock of an instance has to be beyond a sample, ns: none may come of its time then."""
    return lateness + (lateness > 0)


def admit(order: Order, rows: Rows, slots: Slots, keys: int, lateness: int, clock: int) -> tuple[Order, Rows, Int64s]:
    """Take rows in, and give on what is known by now.

    Parameters
    ----------
    order : Order
    rows : Rows
        In order of arrival.
    slots : Slots
    keys : int
        Number of instances.
    lateness, clock : int
        ns.

    Returns
    -------
    order : Order
    rows : Rows
        By instance and time; see above for those of one time.
    known : ndarray of int64
        Per instance: until when it is known, ns. What is due by then has come due.
    """
    order = order.grown(keys, len(slots.ranks), clock)
    if len(rows):
        rows = _by_instance(rows)
        if not (lateness or len(order.pending) or slots.shared is not None):
            straight = _straight(order, rows)
            if straight is not None:
                return straight, rows, straight.known(0)
        order, rows = _accepted(order, rows, lateness)
    known = order.known(lateness)
    pending = Rows.concat([order.pending, rows])
    if not len(pending):
        return order, EMPTY, known
    ready = pending.time <= known[pending.key]
    given, kept = (pending, EMPTY) if ready.all() else (pending.take(ready), pending.take(~ready))
    given, again = _sorted(given, slots.ranks) if lateness else _as_they_came(given, order)
    if slots.shared is not None:
        given, waiting = _begun(given, order.done, slots.shared)
        kept = Rows.concat([waiting, kept])
    order = replace(order, pending=kept, repeated=order.repeated + again)
    if not len(given):
        return order, EMPTY, known
    return _passed(order, given), replace(given, whole=lateness > 0), known


def _by_instance(rows: Rows) -> Rows:
    """Return rows by instance, those of one in the order that they have."""
    if (rows.key[1:] >= rows.key[:-1]).all():
        return rows
    keys = rows.key if rows.key.max() > _INT16 else rows.key.astype(np.int16)  # those sort faster
    return rows.take(np.argsort(keys, kind="stable"))


def _straight(order: Order, rows: Rows) -> Order | None:
    """Return what is remembered when each row is newer than all before it, as most are; None when that is not so."""
    starts = rows.starts()
    keys = rows.key[starts]
    rises = rows.time[1:] > rows.time[:-1]
    rises[starts[1:] - 1] = True
    if not (rises.all() and (rows.time[starts] > np.maximum(order.newest[keys], order.done[keys])).all()):
        return None
    ends = np.append(starts[1:], len(rows)) - 1
    last = rows.time[ends]
    newest, arrived, done = order.newest.copy(), order.arrived.copy(), order.done.copy()
    seen_time, seen_sequence = order.seen_time.copy(), order.seen_sequence.copy()
    newest[keys], arrived[keys], done[keys] = last, rows.received[ends], last
    seen_time[rows.slot], seen_sequence[rows.slot] = rows.time, rows.sequence
    return Order(EMPTY, newest, arrived, done, seen_time, seen_sequence, order.clock, order.late, order.repeated)


def _accepted(order: Order, rows: Rows, lateness: int) -> tuple[Order, Rows]:
    """Return rows without those that are late, or were given on last; rows come by instance, in order of arrival."""
    begins = rows.starts()
    before = _newest_before(rows, order.newest, begins)
    rows, overtaken = _caught_up(rows, before, order.done, lateness)
    newer = before > rows.time
    out = rows.time < order.done[rows.key]
    if lateness:
        out |= rows.time == order.done[rows.key]
    if newer.any():
        out[newer] |= before[newer] - rows.time[newer] > lateness
    last = order.seen_time[rows.slot] == rows.time
    if last.any():
        last &= rows.sequence <= order.seen_sequence[rows.slot]
        last &= ~out
    late, again = int(out.sum()), int(last.sum())
    if late or again or overtaken:
        order = replace(order, late=order.late + late + overtaken, repeated=order.repeated + again)
        rows = rows.take(~(out | last))
        if not len(rows):
            return order, rows
        begins = rows.starts()
        before = _newest_before(rows, order.newest, begins)
    raises = rows.time > before
    newest, arrived = order.newest.copy(), order.arrived.copy()
    places = np.flatnonzero(raises)
    ends = places[np.flatnonzero(np.diff(rows.key[places], append=-1))]
    newest[rows.key[ends]], arrived[rows.key[ends]] = rows.time[ends], rows.received[ends]
    return replace(order, newest=newest, arrived=arrived), rows


def _caught_up(rows: Rows, before: Int64s, done: Int64s, lateness: int) -> tuple[Rows, int]:
    """Return rows in which those that the clock has overtaken come when that stands, and how many these are.

    They are newer than all before them, but something came due by the clock meanwhile: what they say holds from then
    on. They count as late.
    """
    passed = done[rows.key]
    behind = (rows.time > before) & (rows.time < passed + (lateness > 0))
    if not behind.any():
        return rows, 0
    count, starts = np.cumsum(behind), rows.starts()
    places: Int64s = count - np.repeat(
        (count - behind)[starts], np.diff(starts, append=len(rows))
    )  # one after the other
    return replace(rows, time=np.where(behind, passed + places, rows.time)), int(behind.sum())


def _newest_before(rows: Rows, newest: Int64s, begins: Int64s) -> Int64s:
    """Return the newest time that the instance of each row had before it, ns; `BEFORE_ALL` for none."""
    before = np.empty_like(rows.time)
    before[1:] = rows.time[:-1]
    before[begins] = newest[rows.key[begins]]
    falls = before[1:] < before[:-1]
    falls[begins[1:] - 1] = False
    if not falls.any():
        return before
    # one running maximum over all instances, each above the one before it
    levels, ranks = np.unique(before, return_inverse=True)
    base = (np.cumsum(np.diff(rows.key, prepend=-1) != 0) - 1) * len(levels)
    result: Int64s = levels[np.maximum.accumulate(ranks + base) - base]
    return result


def _sorted(rows: Rows, ranks: Int64s) -> tuple[Rows, int]:
    """Return rows by instance, time, element, sequence and input without those that repeat one, and how many did."""
    if not len(rows):
        return rows, 0
    low = int(rows.time.min())
    span = int(rows.time.max()) - low + 1
    if span * (int(rows.key.max()) + 1) < _MOST:
        instant = rows.key * np.int64(span) + (rows.time - low)
    else:
        instant = np.unique(rows.time, return_inverse=True)[1] + rows.key * np.int64(len(rows))
    if not (instant[1:] > instant[:-1]).all():
        order = np.lexsort((rows.input, rows.sequence, ranks[rows.slot], instant))
        rows, instant = rows.take(order), instant[order]
    same = (np.diff(instant) == 0) & (np.diff(rows.slot) == 0) & (np.diff(rows.sequence) == 0)
    if not same.any():
        return rows, 0
    return rows.take(np.append(True, ~same)), int(same.sum())


def _as_they_came(rows: Rows, order: Order) -> tuple[Rows, int]:
    """Return rows by instance without those that repeat one, and how many did; each instance's are in order of time."""
    rows = _by_instance(rows)
    ties = np.append(False, (np.diff(rows.time) == 0) & (np.diff(rows.key) == 0))
    if not ties.any():
        return rows, 0
    ties[:-1] |= ties[1:]
    places = np.flatnonzero(ties)
    slots, times, sequences = rows.slot[places], rows.time[places], rows.sequence[places].astype(np.int64)
    by_slot = np.lexsort((times, slots))  # those of one slot and time are in order of arrival
    slots, times, sequences = slots[by_slot], times[by_slot], sequences[by_slot]
    first = np.append(True, (np.diff(slots) != 0) | (np.diff(times) != 0))
    base = np.cumsum(first) * (1 << 32)
    highest = np.maximum.accumulate(sequences + base)
    again = ~first & (sequences + base <= np.append(0, highest[:-1]))
    if not again.any():
        return rows, 0
    keep = np.ones(len(rows), bool)
    keep[places[by_slot[again]]] = False
    return rows.take(keep), int(again.sum())


def _begun(rows: Rows, done: Int64s, shared: Mask) -> tuple[Rows, Rows]:
    """Return rows of instances that have begun, each from its beginning, and those that wait until theirs begins."""
    new = done[rows.key] == BEFORE_ALL
    if not new.any():
        return rows, EMPTY
    places = np.arange(len(rows))
    own = np.flatnonzero(~shared[rows.slot])
    first = np.full(len(done), len(rows))
    np.minimum.at(first, rows.key[own], own)
    early = new & (places < first[rows.key])
    last = np.full(len(shared), -1)
    np.maximum.at(last, rows.slot[early], places[early])
    counts = ~early | (places == last[rows.slot])
    waits = early & (first[rows.key] == len(rows))
    return rows.take(counts & ~waits), rows.take(counts & waits)


def _passed(order: Order, given: Rows) -> Order:
    """Return what is remembered after rows were given on."""
    seen_time, seen_sequence, done = order.seen_time.copy(), order.seen_sequence.copy(), order.done.copy()
    seen_time[given.slot], seen_sequence[given.slot] = given.time, given.sequence
    ends = np.append(given.starts()[1:], len(given)) - 1
    done[given.key[ends]] = given.time[ends]
    return replace(order, seen_time=seen_time, seen_sequence=seen_sequence, done=done)
