"""Cells made into buckets; `archiver.query.buckets` says what each aggregate is."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import pyarrow as pa

from archiver.model import Interval, InvalidInputError, Kind, SampleBatch
from archiver.model.batch import Int64s, Mask
from archiver.model.grid import Grid
from archiver.model.partials import WEIGHTED, Numbers, Partials, Samples, Typed, areas
from archiver.model.reducing import codes_in, span_of
from archiver.model.time import NANOSECONDS
from archiver.query.buckets import COUNTS, KEEPING_KIND, Buckets

MAX_CELLS = 100_000_000
"""Most buckets of an answer."""
_PIECE = 65_536
"""Most buckets that are given at a time."""


Before = Callable[[Sequence[str]], SampleBatch]


def aggregate(
    partials: Iterator[Partials],
    before: Before,
    elements: Sequence[str],
    grid: Grid,
    aggregates: Sequence[str],
    until: int,
) -> Iterator[Buckets]:
    """Yield the buckets that some cells make, by element and time.

    Parameters
    ----------
    partials : iterator of Partials
        The cells that have samples (`archiver.model.reducing.reduced`), in order, each once.
    before : callable
        Gives the last sample before the interval of each of some elements that has one. It is called for all of
        them when a value is held by time, else just for those without a sample in the interval.
    elements : sequence of str
        Sorted.
    until : int
        Instant beyond which no value is held, ns (`end_of_holding`).
    """
    if grid.count and elements:
        yield from _Aggregation(before, elements, grid, aggregates, until).run(partials)


def check_size(grid: Grid, elements: Sequence[str]) -> None:
    """Raise `InvalidInputError` when that would be more than `MAX_CELLS` buckets."""
    if grid.count * len(elements) > MAX_CELLS:
        raise InvalidInputError(
            f"{grid.count} buckets of {len(elements)} elements are more than {MAX_CELLS}: ask for longer buckets, "
            f"fewer elements or a shorter interval"
        )


def end_of_holding(interval: Interval, now: int) -> int:
    """Return the instant beyond which no value is held, ns: the end of the interval, or `now`."""
    return max(min(interval.end, now), interval.start)


class _Aggregation:
    """What is known between two pieces: what each element holds, and which buckets were given."""

    def __init__(
        self, before: Before, elements: Sequence[str], grid: Grid, aggregates: Sequence[str], until: int
    ) -> None:
        self._grid = grid
        self._elements = elements
        self._index = {name: number for number, name in enumerate(elements)}
        self._aggregates = tuple(aggregates)
        self._weighted = bool(WEIGHTED & set(aggregates))
        self._until = until
        self._before = before
        self._asked = np.zeros(len(elements), bool)
        self._seen = np.zeros(len(elements), bool)
        self._held = np.zeros(len(elements), bool)
        self._number = np.zeros(len(elements))
        self._next = 0

    def run(self, partials: Iterator[Partials]) -> Iterator[Buckets]:
        if self._weighted:
            self._look_before(np.arange(len(self._elements)))
        for complete in partials:
            self._seen[complete.cells // self._grid.count] = True
            yield from self._fill(complete)
        yield from self._give(self._grid.count * len(self._elements), None)

    def _look_before(self, numbers: Int64s) -> None:
        """Take what elements, by number, had before the interval."""
        self._asked[numbers] = True
        found = self._before([self._elements[number] for number in numbers.tolist()])
        if found.num_rows:
            last = Samples(found, codes_in(found, self._index))
            self._seen[last.cells] = True
            self._held[last.cells] = last.numeric
            self._number[last.cells] = last.number

    # -- cells to buckets -----------------------------------------------------------------------------

    def _fill(self, partials: Partials) -> Iterator[Buckets]:
        """Give the buckets up to the last of complete cells, the empty ones between them too."""
        start = 0
        while start < len(partials):
            end = int(np.searchsorted(partials.cells, self._next + _PIECE))
            if end == start:
                yield from self._give(int(partials.cells[start]), None)
            else:
                piece = partials.take(np.arange(start, end)) if end - start < len(partials) else partials
                yield from self._give(int(partials.cells[end - 1]) + 1, piece)
                start = end

    def _give(self, stop: int, partials: Partials | None) -> Iterator[Buckets]:
        """Give the buckets before a cell. With partials these are at most a piece; without, all are empty."""
        for begin in range(self._next, stop, _PIECE):
            cells = np.arange(begin, min(begin + _PIECE, stop))
            owners = cells // self._grid.count
            present = self._seen[owners]
            if not present.all():
                silent = np.unique(owners[~present & ~self._asked[owners]])
                if len(silent):
                    self._look_before(silent)
                    present = self._seen[owners]
                cells, owners = cells[present], owners[present]
            if len(cells):
                yield self._buckets(cells, owners, partials)
        self._next = stop

    def _buckets(self, cells: Int64s, owners: Int64s, partials: Partials | None) -> Buckets:
        filled = np.full(len(cells), -1)
        numbers: Numbers = {}
        typed: Typed = {}
        if partials is not None and len(partials) == len(cells):  # none is empty
            filled, numbers, typed = np.arange(len(cells)), dict(partials.numbers), partials.typed
        elif partials is not None:
            where = np.searchsorted(cells, partials.cells)
            filled[where] = np.arange(len(where))
            for name, column in partials.numbers.items():
                numbers[name] = np.zeros(len(cells), column.dtype)
                numbers[name][where] = column
            rows = pa.array(filled, mask=filled < 0)
            typed = {name: {kind: a.take(rows) for kind, a in by.items()} for name, by in partials.typed.items()}
        else:
            numbers = {name: np.zeros(len(cells), np.int64) for name in COUNTS}
        buckets = cells % self._grid.count
        starts, ends = self._grid.starts(buckets), self._grid.ends(buckets)
        if self._weighted:
            self._add_held(numbers, owners, np.maximum(starts, self._grid.interval.start), ends, filled, partials)
        results = {name: _result(name, numbers, len(cells)) for name in self._aggregates if name not in KEEPING_KIND}
        kept = {name: _of_one_kind(typed.get(name, {}), name) for name in self._aggregates if name in KEEPING_KIND}
        return Buckets(self._named(owners), starts, ends, results, kept)

    def _add_held(
        self,
        numbers: Numbers,
        owners: Int64s,
        starts: Int64s,
        ends: Int64s,
        filled: Int64s,
        partials: Partials | None,
    ) -> None:
        """Add to each bucket what is held from its start to its first sample; note what is held after the last."""
        held, number = self._held[owners], self._number[owners]
        if partials is not None:
            last = np.maximum.accumulate(filled)
            before = np.append(-1, last[:-1])  # the last cell with samples before this one
            mine = before >= 0
            mine[mine] = (partials.cells // self._grid.count)[before[mine]] == owners[mine]
            held[mine] = partials.numbers["end_numeric"][before[mine]]
            number[mine] = partials.numbers["end_number"][before[mine]]
            owner = partials.cells // self._grid.count
            self._held[owner] = partials.numbers["end_numeric"]  # of an owner's several cells the last one stays
            self._number[owner] = partials.numbers["end_number"]
            ends = np.where(filled >= 0, numbers["first_time"], ends)
        span = np.where(held, span_of(starts, np.minimum(ends, self._until)), np.uint64(0))
        with np.errstate(invalid="ignore", over="ignore"):
            numbers["held"] = numbers.get("held", 0) + span
            numbers["area"] = areas(number, span) + numbers.get("area", 0.0)

    def _named(self, owners: Int64s) -> pa.DictionaryArray:
        first = int(owners[0])
        names = self._elements[first : int(owners[-1]) + 1]
        return pa.DictionaryArray.from_arrays(pa.array((owners - first).astype(np.int32)), pa.array(names, pa.utf8()))


def _result(name: str, numbers: Numbers, count: int) -> pa.Array:
    """Return the column of an aggregate; null where there is nothing to aggregate."""
    if name in COUNTS:
        return pa.array(numbers[name])
    if name in ("mean", "std"):
        many = numbers.get("numbers", np.zeros(count))
        total = numbers["sum" if name == "mean" else "squares"] if "numbers" in numbers else np.zeros(count)
        least = 1 if name == "mean" else 2
        with np.errstate(invalid="ignore"):
            mean = total / np.maximum(many - least + 1, 1)
            return pa.array(mean if name == "mean" else np.sqrt(mean), mask=many < least)
    held, area = numbers["held"], numbers["area"]
    unheld: Mask = held == 0
    with np.errstate(invalid="ignore"):
        result = area / NANOSECONDS if name == "integral" else area / np.where(unheld, np.uint64(1), held)
    return pa.array(result, mask=unheld)


def _of_one_kind(columns: dict[Kind, pa.Array], name: str) -> dict[Kind, pa.Array]:
    """Return columns of which one is set in each row: several numbers of different kinds become one float."""
    if len(columns) < 2 or name in ("first", "last"):
        return columns
    several = np.sum([array.is_valid() for array in columns.values()], axis=0) > 1
    if not several.any():
        return columns
    choose = min if name == "min" else max
    lists = {kind: array.to_pylist() for kind, array in columns.items()}
    lists.setdefault(Kind.FLOAT, [None] * len(several))
    for row in np.flatnonzero(several).tolist():
        found = [float(values[row]) for values in lists.values() if values[row] is not None]
        for values in lists.values():
            values[row] = None
        lists[Kind.FLOAT][row] = choose(found)
    return {kind: pa.array(values, kind.arrow_type) for kind, values in lists.items()}
