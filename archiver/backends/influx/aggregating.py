"""Aggregates made by InfluxDB beside the data, and what it cannot tell exactly left out."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import pyarrow as pa

from archiver.backends.influx import layout, names
from archiver.backends.influx.cells import NOTHING, VALUED, Cells, Found
from archiver.model import Kind, Status
from archiver.model.batch import Int64s, Mask
from archiver.model.grid import Grid
from archiver.model.partials import Numbers, Partials, Typed, together
from archiver.ports import Aggregated

MADE = frozenset({"count", "good_count", "min", "max", "mean", "first", "last"})
"""Aggregates that InfluxDB makes.

Not std: its own takes the values for a sample of others. Nothing held by time: its integral joins values by lines.
"""
_AT_A_TIME = 65_536
"""About how many cells are asked for at a time."""
_MOST_BUCKETS = 1_000_000
"""Beyond this an element's cells take as much memory as its samples: these are read."""
_FAR = 2**62
"""Buckets that reach further are not asked for: their bounds overflow."""
_EXACT = 2.0**53
"""Integers up to this are the same as floats."""


def aggregate(
    elements: Sequence[str], grid: Grid, groups: Sequence[str], cells_of: Callable[[str], Cells]
) -> Iterator[Aggregated]:
    """Yield the cells of some elements, a few thousand at a time: see `archiver.ports.SupportsAggregation`.

    Parameters
    ----------
    elements : sequence of str
        Sorted.
    groups : sequence of str
        Where samples may be.
    cells_of : callable
        Gives what is asked of a group.
    """
    end = grid.interval.end
    far = grid.bucket_ns and (grid.interval.start - grid.bucket_ns < -_FAR or end + grid.bucket_ns > _FAR)
    if far or grid.count > _MOST_BUCKETS:
        yield Aggregated(elements, Partials.none(), elements, end)
    elif not grid.count or not groups:
        yield Aggregated(elements, Partials.none(), (), end)
    else:
        asked = [cells_of(group) for group in groups]
        places = [cells.places() for cells in asked]
        size = min(max(1, _AT_A_TIME // grid.count), names.NAMES_PER_QUERY)
        for first in range(0, len(elements), size):
            chosen = elements[first : first + size]
            found = [_Found(cells, chosen, held) for cells, held in zip(asked, places, strict=True)]
            yield _joined(chosen, grid, found)


def _joined(elements: Sequence[str], grid: Grid, found: Sequence[_Found]) -> Aggregated:
    """Return the cells of all groups; an element of which one cannot be told exactly is left out."""
    held = np.sum([part.held for part in found], axis=0)
    left = np.any([part.left for part in found], axis=0) | (held > 1)  # a sample that two groups have counts once
    cells = together([part.partials(~left) for part in found])
    return Aggregated(
        elements, cells, [name for name, out in zip(elements, left.tolist(), strict=True) if out], grid.interval.end
    )


class _Found:
    """What was found of some elements in a group.

    `held` is which elements have samples, `left` of which of them these are to be read: a bool per element.
    """

    def __init__(self, asked: Cells, elements: Sequence[str], places: Sequence[str]) -> None:
        self._asked = asked
        self._other = asked.other(elements)
        good = [asked.good(elements, place) for place in places if place != NOTHING]
        self._good = [part for part in good if len(part.cells)]
        self._all = np.unique(np.concatenate([part.cells for part in (self._other, *self._good)]))
        self.held = np.zeros(len(elements), bool)
        self.held[self._owners(self._all)] = True
        self.left = np.zeros(len(elements), bool)
        for owners in self._untold(elements, places):
            self.left[owners] = True

    def _owners(self, cells: Int64s) -> Int64s:
        return cells // self._asked.grid.count

    # -- what cannot be told --------------------------------------------------------------------------

    def _untold(self, elements: Sequence[str], places: Sequence[str]) -> Iterator[Int64s]:
        """Yield the numbers of elements of which samples are to be read."""
        wanted = self._asked.wanted
        yield self._odd(elements, places)
        yield self._disconnected(elements)
        for part in self._good:
            if part.kind is Kind.UINT and "min" in part.table.column_names:
                yield self._owners(part.cells[part.numbers("min") < 0])  # beyond int64
            if part.kind in (Kind.INT, Kind.UINT) and "mean" in wanted:
                largest = np.maximum(*(np.abs(part.numbers(name).astype(np.float64)) for name in ("min", "max")))
                yield self._owners(part.cells[largest * part.numbers("count") > _EXACT])
        if wanted & {"first", "last"} and self._good:  # which of two kinds comes first is not said
            cells, kinds = np.unique(np.concatenate([part.cells for part in self._good]), return_counts=True)
            yield self._owners(cells[kinds > 1])

    def _odd(self, elements: Sequence[str], places: Sequence[str]) -> Int64s:
        """Return the elements with versions, several samples of an instant, or values that are not to be had."""
        odd = ["\"version\" != ''", "\"sequence\" != ''", "\"source_time\" != ''"]
        odd += [f"\"kind\" = '{place}'" for place in places if self._is_odd(place)]
        return self._asked.having(elements, f"({' OR '.join(odd)})")

    def _is_odd(self, place: str) -> bool:
        wanted = self._asked.wanted
        return (
            place == layout.FLOAT_BITS
            or (place == Kind.BOOL.column and "mean" in wanted)
            or (place not in (NOTHING, *VALUED) and bool(wanted & {"first", "last"}))
        )

    def _disconnected(self, elements: Sequence[str]) -> Int64s:
        """Return the elements with samples that say so: among those that have some which are not good."""
        numbers = np.unique(self._owners(self._other.cells))
        if not len(numbers):
            return numbers
        some = [elements[number] for number in numbers.tolist()]
        return numbers[self._asked.having(some, f'("status" & {int(Status.DISCONNECTED)}) != 0')]

    # -- cells ----------------------------------------------------------------------------------------

    def partials(self, fine: Mask) -> Partials:
        """Return the cells of some elements: a bool per element."""
        cells = self._all[fine[self._owners(self._all)]]
        good = np.zeros(len(cells), np.int64)
        numbers: Numbers = {"count": good.copy(), "good_count": good}
        if "mean" in self._asked.wanted:
            numbers |= {"numbers": good.copy(), "sum": np.zeros(len(cells))}
        typed: Typed = {name: {} for name in ("min", "max", "first", "last") if name in self._asked.wanted}
        for part in (self._other, *self._good):
            rows, where = _matched(part.cells, cells)
            count = part.numbers("count")[rows]
            numbers["count"][where] += count
            if part is self._other:
                continue
            numbers["good_count"][where] += count
            if "sum" in part.table.column_names:
                numbers["numbers"][where] += count
                numbers["sum"][where] += part.numbers("sum")[rows]
            places = np.full(len(cells), -1)
            places[where] = rows
            for name in typed.keys() & set(part.table.column_names):
                typed[name][part.kind] = _spread(part, name, pa.array(places, mask=places < 0))
        return Partials(cells, numbers, typed)


def _matched(cells: Int64s, among: Int64s) -> tuple[Int64s, Int64s]:
    """Return which of some cells are among others, and where; both are in order."""
    where = np.searchsorted(among, cells)
    there = np.append(among, -1)[where] == cells
    return np.flatnonzero(there), where[there]


def _spread(part: Found, name: str, places: pa.Int64Array) -> pa.Array:
    """Return a column, a row per cell; null where it has none."""
    values = part.table.column(name).combine_chunks().take(places)
    return values.view(pa.uint64()) if part.kind is Kind.UINT else values.cast(part.kind.arrow_type)
