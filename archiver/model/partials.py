"""Samples reduced to what their aggregates are made of, a row per block of samples.

A block is at most `BLOCK` samples of one bucket, counted from the bucket's first. Blocks are summed as wholes and
then joined one after the other, so that a result does not depend on how the samples came in batches, to the last bit.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from archiver.model import Kind, SampleBatch
from archiver.model.batch import Int64s, Mask
from archiver.model.status import is_good

BLOCK = 65_536
NUMERIC = (Kind.FLOAT, Kind.INT, Kind.UINT, Kind.BOOL)
WEIGHTED = frozenset({"time_weighted_mean", "integral"})
"""Aggregates that count a value for as long as it was held."""
_SUMS = ("count", "good_count", "numbers", "sum", "area", "held")
_EXTREMES = {"min": np.minimum, "max": np.maximum}
_MINUS_ZERO = np.iinfo(np.int64).min
"""Bits of -0.0: no other float has lesser ones."""

Numbers = dict[str, NDArray[Any]]
Typed = dict[str, dict[Kind, pa.Array]]


@dataclass
class Samples:
    """Consecutive samples with the cell (element and bucket) of each.

    `good` is where a sample has a value that is not NaN, not bad, and no gap; `numeric` where that value is a
    number; `number` is it as float64, 0 elsewhere.
    """

    batch: SampleBatch
    cells: Int64s
    good: Mask = field(init=False)
    numeric: Mask = field(init=False)
    number: NDArray[np.float64] = field(init=False)

    def __post_init__(self) -> None:
        batch = self.batch
        self.good = batch.kind_codes != np.uint8(Kind.NONE)
        if batch.status.any():
            self.good &= is_good(batch.status)
        self.numeric = np.zeros(batch.num_rows, bool)
        self.number = np.zeros(batch.num_rows)
        for kind in batch.kinds:
            if kind not in NUMERIC:
                continue
            column = native(batch.values(kind)).astype(np.float64, copy=False)
            if kind is Kind.FLOAT and (nan := np.isnan(column)).any():
                self.good &= ~nan
            mask = self.good if len(batch.kinds) == 1 else self.good & (batch.kind_codes == kind)
            self.numeric = mask if len(batch.kinds) == 1 else self.numeric | mask
            self.number = column if mask.all() else np.where(mask, column, self.number)

    def __len__(self) -> int:
        return len(self.cells)


def native(values: pa.Array) -> NDArray[Any]:
    """Return values of a numeric kind in their own numpy type, 0 where there is none; bool as uint8."""
    if pa.types.is_boolean(values.type):
        values = values.cast(pa.uint8())
    filled: NDArray[Any] = (values.fill_null(0) if values.null_count else values).to_numpy()
    return filled


@dataclass
class Partials:
    """A row per block, in order of cell: `cells`, columns of numbers, and columns by aggregate and kind.

    ====================  =====================================================================================
    ``count``             samples
    ``good_count``        good ones
    ``numbers``, ``sum``  how many are numbers, and their sum: for mean and std
    ``squares``           sum of squared differences from their mean: for std
    ``held``, ``area``    ns over which numbers were held in the bucket, and value x ns: for what is `WEIGHTED`,
    ``first_time``        as is when the first sample comes, good or not,
    ``end_numeric``       whether the last one is a number that is held on,
    ``end_number``        and which
    ====================  =====================================================================================

    `typed` has min, max, first and last, of those that are wanted, a column per kind.
    """

    cells: Int64s
    numbers: Numbers
    typed: Typed

    @classmethod
    def none(cls) -> Partials:
        """Return no cells."""
        return cls(np.zeros(0, np.int64), {}, {})

    def __len__(self) -> int:
        return len(self.cells)

    def take(self, rows: Int64s) -> Partials:
        """Return some rows."""
        arrow = pa.array(rows)
        numbers = {name: column[rows] for name, column in self.numbers.items()}
        typed = {name: {kind: a.take(arrow) for kind, a in columns.items()} for name, columns in self.typed.items()}
        return Partials(self.cells[rows], numbers, typed)


def blocks_of(cells: Int64s) -> Int64s:
    """Return where blocks start; the first sample given starts one."""
    starts = np.append(0, np.flatnonzero(cells[1:] != cells[:-1]) + 1)
    lengths = np.diff(np.append(starts, len(cells)))
    if lengths.max() <= BLOCK:
        return starts
    pieces = [np.arange(start, start + length, BLOCK) for start, length in zip(starts, lengths, strict=True)]
    return np.concatenate(pieces)


def reduce_blocks(
    samples: Samples, starts: Int64s, ends: Int64s, held_ns: NDArray[np.uint64], wanted: Collection[str]
) -> Partials:
    """Return a row per block.

    Parameters
    ----------
    samples : Samples
    starts, ends : ndarray of int64
        Rows of each block; the blocks follow each other from row 0 on.
    held_ns : ndarray of uint64, per sample of the blocks
        For how long its value held within its bucket.
    wanted : collection of str
        Names of aggregates.
    """
    stop = int(ends[-1])
    good, numeric, number = samples.good[:stop], samples.numeric[:stop], samples.number[:stop]
    last = ends - 1
    numbers: Numbers = {"count": ends - starts, "good_count": _counted(good, starts)}
    if {"mean", "std"} & set(wanted):
        numbers["numbers"] = numbers["good_count"] if samples.numeric is samples.good else _counted(numeric, starts)
        numbers["sum"] = np.add.reduceat(number if numeric.all() else np.where(numeric, number, 0.0), starts)
    if "std" in wanted:
        means = numbers["sum"] / np.maximum(numbers["numbers"], 1)
        off = np.where(numeric, number - np.repeat(means, ends - starts), 0.0)
        numbers["squares"] = np.add.reduceat(off * off, starts)
    if WEIGHTED & set(wanted):
        numbers |= {"first_time": samples.batch.source_time[starts]}
        numbers |= {"end_numeric": numeric[last], "end_number": number[last]}
        held = np.where(numeric, held_ns, np.uint64(0))
        numbers["held"] = np.add.reduceat(held, starts)
        numbers["area"] = np.add.reduceat(areas(number, held), starts)
    return Partials(samples.cells[starts], numbers, _typed(samples, starts, ends, wanted))


def _counted(mask: Mask, starts: Int64s) -> Int64s:
    """Return how many rows of each block are in a mask; those are counted which are not, as they are few."""
    edges = np.append(starts, len(mask))
    counts: Int64s = np.diff(edges - np.searchsorted(np.flatnonzero(~mask), edges))
    return counts


def areas(number: NDArray[np.float64], held_ns: NDArray[Any]) -> NDArray[np.float64]:
    """Return value times duration, unit ns; 0 where nothing is held, of infinity too."""
    result: NDArray[np.float64] = np.multiply(number, held_ns, where=held_ns > 0, out=np.zeros(len(number)))
    return result


def _typed(samples: Samples, starts: Int64s, ends: Int64s, wanted: Collection[str]) -> Typed:
    batch, typed = samples.batch, Typed()
    for name in [name for name in ("first", "last") if name in wanted]:
        where = np.flatnonzero(samples.good)
        after = np.searchsorted(where, starts if name == "first" else ends)
        place = after if name == "first" else after - 1
        rows = np.append(where, -1)[place] if len(where) else np.full(len(starts), -1)
        taken = pa.array(rows, mask=(rows < starts) | (rows >= ends))
        typed[name] = {kind: batch.values(kind).take(taken) for kind in batch.kinds}
    stop = int(ends[-1])
    for name in [name for name in _EXTREMES if name in wanted]:
        typed[name] = {}
        for kind in [kind for kind in batch.kinds if kind in NUMERIC]:
            mask = samples.numeric[:stop] & (batch.kind_codes[:stop] == kind)
            typed[name][kind] = _extreme(name, kind, native(batch.values(kind))[:stop], mask, starts)
    return typed


def _extreme(name: str, kind: Kind, column: NDArray[Any], mask: Mask, starts: Int64s) -> pa.Array:
    """Return the least or greatest of each run of rows, of those in the mask; -0.0 is less than 0.0."""
    filled = column if mask.all() else np.where(mask, column, _neutral(column.dtype, name))
    extreme = _EXTREMES[name].reduceat(filled, starts)
    zero = extreme == 0
    if kind is Kind.FLOAT and zero.any() and filled.view(np.int64).min() == _MINUS_ZERO:
        minus = np.signbit(filled)
        other = np.logical_or.reduceat(minus if name == "min" else ~minus & (filled == 0), starts)
        extreme[zero] = np.where(other[zero] == (name == "min"), -0.0, 0.0)
    return pa.array(extreme, mask=~np.logical_or.reduceat(mask, starts)).cast(kind.arrow_type)


def _neutral(dtype: np.dtype[Any], name: str) -> Any:
    """Return the value that changes no minimum, or no maximum."""
    bounds = (-np.inf, np.inf) if dtype.kind == "f" else (np.iinfo(dtype).min, np.iinfo(dtype).max)
    return dtype.type(bounds[name == "min"])


def interleaved(streams: Sequence[Iterator[Partials]]) -> Iterator[Partials]:
    """Yield the cells of several streams in order; no cell is in two of them. Holds a piece of each."""
    heads = {number: head for number, stream in enumerate(streams) if (head := next(stream, None)) is not None}
    while heads:
        frontier = min(head.cells[-1] for head in heads.values())
        pieces = []
        for number, head in list(heads.items()):
            count = int(np.searchsorted(head.cells, frontier, "right"))
            pieces.append(head.take(np.arange(count)))
            rest = head.take(np.arange(count, len(head))) if count < len(head) else next(streams[number], None)
            if rest is None:
                del heads[number]
            else:
                heads[number] = rest
        yield together(pieces)


def together(parts: Sequence[Partials]) -> Partials:
    """Return the cells of several as one, in order; no cell is in two of them."""
    filled = [part for part in parts if len(part)]
    if len(filled) < 2:
        return filled[0] if filled else Partials.none()
    whole = concat(filled)
    return whole.take(np.argsort(whole.cells))


def joined(first: Partials | None, second: Partials) -> Partials:
    """Return rows of both, in order, with one row per cell."""
    both = second if first is None else concat([first, second])
    heads = np.append(True, both.cells[1:] != both.cells[:-1])
    if heads.all():
        return both
    starts = np.flatnonzero(heads)
    result = both.take(starts)
    ends = np.append(starts[1:], len(both))
    for row in np.flatnonzero(ends - starts > 1).tolist():
        _fold_numbers(result.numbers, both.numbers, row, int(starts[row]), int(ends[row]))
    result.typed = _fold_typed(both, starts, ends)
    return result


def concat(parts: Sequence[Partials]) -> Partials:
    """Return the rows of some that are not empty, one after the other."""
    if len(parts) == 1:
        return parts[0]
    numbers = {name: np.concatenate([part.numbers[name] for part in parts]) for name in parts[0].numbers}
    typed: Typed = {}
    for name in parts[0].typed:
        kinds = sorted({kind for part in parts for kind in part.typed[name]})
        typed[name] = {
            kind: pa.concat_arrays([part.typed[name].get(kind, pa.nulls(len(part), kind.arrow_type)) for part in parts])
            for kind in kinds
        }
    return Partials(np.concatenate([part.cells for part in parts]), numbers, typed)


def _fold_numbers(into: Numbers, columns: Numbers, row: int, start: int, end: int) -> None:
    """Join the blocks of one cell, strictly from left to right."""
    for block in range(start + 1, end):
        if "squares" in into:
            counts = int(into["numbers"][row]), int(columns["numbers"][block])
            if all(counts):
                apart = columns["sum"][block] / counts[1] - into["sum"][row] / counts[0]
                into["squares"][row] += apart * apart * (counts[0] * counts[1] / sum(counts))
            into["squares"][row] += columns["squares"][block]
        for name in _SUMS:
            if name in into:
                into[name][row] += columns[name][block]
    for name in {"end_numeric", "end_number"} & into.keys():
        into[name][row] = columns[name][end - 1]


def _fold_typed(both: Partials, starts: Int64s, ends: Int64s) -> Typed:
    good = np.flatnonzero(both.numbers["good_count"] > 0)
    rows = {"first": starts.copy(), "last": ends - 1}
    if len(good):
        first, last = np.searchsorted(good, starts), np.searchsorted(good, ends) - 1
        some = first <= last
        rows["first"][some], rows["last"][some] = good[first[some]], good[last[some]]
    result: Typed = {}
    for name, columns in both.typed.items():
        if name in rows:
            taken = pa.array(rows[name])
            result[name] = {kind: array.take(taken) for kind, array in columns.items()}
        else:
            result[name] = {
                kind: _extreme(name, kind, native(array), array.is_valid().to_numpy(zero_copy_only=False), starts)
                for kind, array in columns.items()
            }
    return result
