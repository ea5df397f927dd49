"""Functions of the range before each of some times, from buckets that are shorter than both range and step."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

Numbers = NDArray[np.float64]
Times = NDArray[np.int64]

AGGREGATES = {
    "avg": ("good_count", "mean"),
    "sum": ("good_count", "mean"),
    "count": ("good_count",),
    "min": ("min",),
    "max": ("max",),
    "last": ("last",),
}
"""Which aggregates of buckets a function is made from."""


@dataclass(frozen=True)
class Cells:
    """Aggregates of some buckets of one element, by their number among all; NaN where there is nothing."""

    place: Times
    columns: Mapping[str, Numbers]


@dataclass(frozen=True)
class Windows:
    """The ranges ``[t - range, t)`` before some times, cut into buckets.

    Parameters
    ----------
    start : int
        Of the first range, ns.
    buckets : int
        From there to the last time.
    bucket_ns : int
        Length of one; 0 when there is only one.
    width, stride : int
        Buckets in a range, and from one time to the next.
    """

    start: int
    buckets: int
    bucket_ns: int
    width: int
    stride: int

    @classmethod
    def of(cls, times: Times, range_ns: int, step: int) -> Windows:
        """Return the ranges before times that are the multiples of a step; of one time, whatever it is, with step 0."""
        start = int(times[0]) - range_ns
        if not step:
            return cls(start, 1, 0, 1, 1)
        bucket = math.gcd(range_ns, step)
        return cls(start, (int(times[-1]) - start) // bucket, bucket, range_ns // bucket, step // bucket)

    def reduce(self, function: str, parts: Sequence[Cells]) -> Numbers:
        """Return a function's value of each range, NaN where it has no good sample."""
        names = AGGREGATES[function]
        columns = {name: np.full(self.buckets, np.nan) for name in names}
        for cells in parts:
            for name in names:
                columns[name][cells.place] = cells.columns[name]
        return _REDUCE[function](self, columns)

    def _over(self, column: Numbers) -> Numbers:
        result: Numbers = sliding_window_view(column, self.width)[:: self.stride]
        return result

    def _counts(self, columns: Mapping[str, Numbers]) -> Numbers:
        count: Numbers = self._over(np.nan_to_num(columns["good_count"])).sum(axis=1)
        return np.where(count > 0, count, np.nan)

    def _sums(self, columns: Mapping[str, Numbers]) -> Numbers:
        total = self._over(np.nan_to_num(columns["good_count"] * columns["mean"])).sum(axis=1)
        return np.where(np.isnan(self._counts(columns)), np.nan, total)

    def _averages(self, columns: Mapping[str, Numbers]) -> Numbers:
        if self.width == 1:
            result: Numbers = columns["mean"][:: self.stride]
            return result
        return self._sums(columns) / self._counts(columns)

    def _least(self, columns: Mapping[str, Numbers]) -> Numbers:
        result: Numbers = np.fmin.reduce(self._over(columns["min"]), axis=1)
        return result

    def _greatest(self, columns: Mapping[str, Numbers]) -> Numbers:
        result: Numbers = np.fmax.reduce(self._over(columns["max"]), axis=1)
        return result

    def _last(self, columns: Mapping[str, Numbers]) -> Numbers:
        column = columns["last"]
        newest = np.maximum.accumulate(np.where(np.isnan(column), -1, np.arange(self.buckets)))
        first = np.arange(0, self.buckets - self.width + 1, self.stride)
        at = newest[first + self.width - 1]
        return np.where(at >= first, column[np.maximum(at, 0)], np.nan)


_REDUCE: Mapping[str, Callable[[Windows, Mapping[str, Numbers]], Numbers]] = {
    "avg": Windows._averages,
    "sum": Windows._sums,
    "count": Windows._counts,
    "min": Windows._least,
    "max": Windows._greatest,
    "last": Windows._last,
}


def runs(element: pa.DictionaryArray) -> Iterator[tuple[str, slice]]:
    """Yield each element and its rows, of rows that are ordered by element."""
    codes = element.indices.to_numpy()
    names = element.dictionary.to_pylist()
    starts = np.flatnonzero(np.append(True, codes[1:] != codes[:-1])[: len(codes)])
    for start, end in zip(starts.tolist(), [*starts[1:].tolist(), len(codes)], strict=True):
        yield names[codes[start]], slice(start, end)
