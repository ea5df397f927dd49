"""What the elements of an instance say at each of its samples: a row per sample, a column per element."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import numpy as np

from analytics.events.rows import Floats, Int32s, Int64s, Rows, grown

_CELLS = 1_000_000
"""Of the table that is in memory at once."""


@dataclass(frozen=True)
class Members:
    """What is remembered of the elements of all instances, in the order in which they came up.

    Parameters
    ----------
    key, place : ndarray of int32
        Per slot: its instance, and its number among the elements of that; -1 for one without a sample.
    size : ndarray of int32
        Per instance: how many elements had samples by now.
    value : ndarray of float64
        Per slot: what it says; NaN for nothing that is known.
    """

    key: Int32s = field(default_factory=lambda: np.empty(0, np.int32))
    place: Int32s = field(default_factory=lambda: np.empty(0, np.int32))
    size: Int32s = field(default_factory=lambda: np.empty(0, np.int32))
    value: Floats = field(default_factory=lambda: np.empty(0, np.float64))

    def with_slots(self, rows: Rows, count: int) -> Members:
        """Return it with the elements of some rows, for so many instances."""
        slots = int(rows.slot.max(initial=-1)) + 1
        size = grown(self.size, count, 0)
        key, place, value = grown(self.key, slots, -1), grown(self.place, slots, -1), grown(self.value, slots, np.nan)
        fresh = place[rows.slot] < 0
        if not fresh.any():
            return Members(key, place, size, value)
        slot, at = np.unique(rows.slot[fresh], return_index=True)
        owner = rows.key[fresh][at]
        order = np.argsort(owner, kind="stable")
        slot, owner = slot[order], owner[order]
        starts = np.flatnonzero(np.diff(owner, prepend=-1))
        added = np.diff(starts, append=len(owner))
        key, place, size = key.copy(), place.copy(), size.copy()
        key[slot] = owner
        place[slot] = size[owner] + np.arange(len(owner)) - np.repeat(starts, added)
        size[owner[starts]] += added.astype(np.int32)
        return Members(key, place, size, value)

    def tables(self, rows: Rows, value: Floats, count: int) -> Iterator[tuple[Members, slice, Floats]]:
        """Yield what all elements of an instance say at each of some rows, some rows at a time.

        Parameters
        ----------
        rows : Rows
            By instance and time.
        value : ndarray of float64
            What each row says of its element: NaN for nothing that is known.
        count : int
            Number of instances.

        Yields
        ------
        state : Members
            As after these rows.
        slice
            The rows.
        ndarray of float64
            A row for each of them, a column for each element; NaN for one that says nothing, or is not there.
        """
        state = self.with_slots(rows, count)
        width = int(state.size[rows.key].max(initial=1))
        step = max(1, _CELLS // width)
        for begin in range(0, len(rows), step):
            part = slice(begin, begin + step)
            table = state._table(rows.key[part], rows.slot[part], value[part], width)
            held = state.value.copy()
            held[rows.slot[part]] = value[part]
            state = replace(state, value=held)
            yield state, part, table

    def _table(self, key: Int32s, slot: Int32s, value: Floats, width: int) -> Floats:
        starts = np.flatnonzero(np.diff(key, prepend=-1))
        sizes = np.diff(starts, append=len(key))
        group = np.full(len(self.size), -1)
        group[key[starts]] = np.arange(len(starts))
        mine = np.flatnonzero((self.place >= 0) & (group[self.key] >= 0))
        held = np.full((len(starts), width), np.nan)
        held[group[self.key[mine]], self.place[mine]] = self.value[mine]
        latest: Int64s = np.full((len(key), width), -1)
        places = np.arange(len(key))
        latest[places, self.place[slot]] = places
        np.maximum.accumulate(latest, axis=0, out=latest)
        fresh = latest >= np.repeat(starts, sizes)[:, None]
        result: Floats = np.where(fresh, value[latest], np.repeat(held, sizes, axis=0))
        return result
