"""Which instance, slot and input of a rule its samples go to."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from analytics.events.matching import Inputs
from analytics.events.ordering import Slots
from analytics.events.rows import NEVER, Int64s, Mask, Rows

_NONE = np.empty(0, np.int64)


class Places:
    """Numbers of instances, and of the elements in them ("slots"), in the order in which they came up.

    An element that feeds a rule is a feed: it has one place, several, or, where it is common to all instances, one in
    each of them. An instance that comes up is given the latest samples of those.

    Parameters
    ----------
    inputs : Inputs
    owns : callable, optional
        Says of the key of an instance whether it is looked after here; all are when left out.

    Attributes
    ----------
    keys : list of str
        Instances.
    elements : list of str
        Elements that feed, in the order in which they came up: asked for in that order again, they get the same places.
    """

    def __init__(self, inputs: Inputs, owns: Callable[[str], bool] | None = None) -> None:
        self._inputs = inputs
        self._owns = owns
        self.keys: list[str] = []
        self.elements: list[str] = []
        self._number: dict[str, int] = {}
        self._feed: dict[str, int] = {}
        self._places: list[list[tuple[int, int, int]]] = []
        """Per feed: instance, slot and input of each place that it goes to."""
        self._common: dict[int, list[int]] = {}
        """Inputs of the feeds that go to every instance."""
        self._joined: dict[tuple[int, int], list[tuple[int, int, int]]] = {}
        """Places of such a feed in one instance."""
        self._slots: list[str] = []
        """Element of each."""
        self._shared: list[bool] = []
        self._known = Slots(_NONE)
        self._flat: Int64s | None = None

    def slots(self) -> Slots:
        """Return what is known of the slots."""
        if len(self._known.ranks) != len(self._slots):
            ranks = {name: rank for rank, name in enumerate(sorted(set(self._slots)))}
            ordered = np.fromiter((ranks[name] for name in self._slots), np.int64, len(self._slots))
            self._known = Slots(ordered, np.array(self._shared) if self._common else None)
        return self._known

    def members(self) -> dict[str, list[str]]:
        """Return the elements of each instance."""
        members: dict[str, list[str]] = {key: [] for key in self.keys}
        for element, places in zip(self.elements, self._places, strict=True):
            for key in dict.fromkeys(self.keys[key] for key, _, _ in places):
                members[key].append(element)
        return members

    def feed(self, element: str) -> int | None:
        """Return the number of an element's feed, a new one for a new element; None where it feeds nothing."""
        if element in self._feed:
            return self._feed[element]
        places = self._inputs.places(element)
        if self._owns is not None:
            places = [(place, key) for place, key in places if key is None or self._owns(key)]
        if not places:
            return None
        number = self._feed[element] = len(self.elements)
        self.elements.append(element)
        self._places.append([])
        self._flat = None
        for place, key in places:
            if key is not None:
                self._places[number].append((self._instance(key), self._slot(element), place))
        common = [place for place, key in places if key is None]
        if common:
            self._common[number] = common
            for key_number in range(len(self.keys)):
                self._join(number, key_number)
        return number

    def _instance(self, key: str) -> int:
        if key not in self._number:
            self._number[key] = len(self.keys)
            self.keys.append(key)
            for feed in self._common:
                self._join(feed, len(self.keys) - 1)
        return self._number[key]

    def _join(self, feed: int, key: int) -> None:
        joined = [(key, self._slot(self.elements[feed], shared=True), place) for place in self._common[feed]]
        self._joined[feed, key] = joined
        self._places[feed] += joined
        self._flat = None

    def _slot(self, element: str, *, shared: bool = False) -> int:
        self._slots.append(element)
        self._shared.append(shared)
        return len(self._slots) - 1

    def rows(self, fed: Rows, shared: Rows, known: int, lateness: int) -> tuple[Rows, Rows]:
        """Return samples that feed the rule once for each place they go to.

        Parameters
        ----------
        fed : Rows
            In order of arrival; `slot` is the number of the feed.
        shared : Rows
            What this gave before; none at first.
        known : int
            Number of instances before these samples.
        lateness : int
            Of the rule, ns.

        Returns
        -------
        rows : Rows
            In order of arrival.
        shared : Rows
            The latest samples of the common elements, for instances that come up later; `slot` is the number of the
            feed there.
        """
        rows, origin = self._spread(fed)
        if not self._common:
            return rows, shared
        places = np.flatnonzero(np.isin(fed.slot, list(self._common)))
        mine = fed.take(places)
        rows = self._with_seeds(rows, origin, mine, places, shared, known, lateness)
        return rows, _latest(Rows.concat([shared, mine]), lateness)

    def _spread(self, fed: Rows) -> tuple[Rows, Int64s]:
        """Return a row per place that a sample goes to, and which sample each is."""
        if self._flat is None:
            self._flat = np.array([place for places in self._places for place in places], np.int64).reshape(-1, 3)
            self._counts = np.array([len(places) for places in self._places], np.int64)
            self._begins = np.cumsum(self._counts) - self._counts
            self._is_single = bool((self._counts == 1).all())
        begins = self._begins[fed.slot]
        origin = np.arange(len(fed))
        if self._is_single:
            return fed.placed(self._flat[begins]), origin
        counts = self._counts[fed.slot]
        origin = np.repeat(origin, counts)
        within = np.arange(len(origin)) - np.repeat(np.cumsum(counts) - counts, counts)
        return fed.take(origin).placed(self._flat[np.repeat(begins, counts) + within]), origin

    def _with_seeds(
        self, rows: Rows, origin: Int64s, mine: Rows, mine_at: Int64s, shared: Rows, known: int, lateness: int
    ) -> Rows:
        """Return the rows where instances that come up begin with the latest of the common samples before them."""
        if len(self.keys) == known:
            return rows
        is_common = np.array(self._shared)[rows.slot]
        keep: Mask = np.ones(len(rows), bool)
        seeds = []
        for key in range(known, len(self.keys)):
            own = rows.key == key
            first = int(origin[own & ~is_common].min(initial=NEVER))
            keep &= ~(own & is_common & (origin < first))
            latest = _latest(Rows.concat([shared, mine.take(mine_at < first)]), lateness)
            feeds = latest.slot.tolist()
            places = [(row, *place) for row, feed in enumerate(feeds) for place in self._joined[feed, key]]
            table = np.array(places, np.int64).reshape(-1, 4)
            seeds.append(latest.take(table[:, 0]).placed(table[:, 1:]))
        return Rows.concat([*seeds, rows.take(keep)])


def _latest(rows: Rows, lateness: int) -> Rows:
    """Return of each element what is no older than its newest less the lateness, and the one before."""
    order = np.lexsort((rows.time, rows.slot))
    slots, times = rows.slot[order], rows.time[order]
    ends = np.flatnonzero(np.diff(slots, append=-1))
    newest = np.repeat(times[ends], np.diff(ends, prepend=-1))
    recent = newest - times <= lateness
    kept = recent | np.append(recent[1:] & (np.diff(slots) == 0), False)
    return rows.take(np.sort(order[kept]))
