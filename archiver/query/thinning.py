"""Samples thinned for a plot: the few without which a line over the same time would look different.

Numbers are chosen by MinMaxLTTB: the extremes of each short span of time first, then of those the ones that carry the
shape (largest triangle, three buckets). What a plot draws by other means than a line is kept besides: where values
become bad or stop, and the changes of texts, states and booleans.

References
----------
Van Der Donckt et al., MinMaxLTTB, 2023, https://arxiv.org/abs/2305.00332 (the package tsdownsample).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from archiver.model import Interval, Kind, SampleBatch, UnsupportedError
from archiver.model.batch import Mask
from archiver.model.status import Status, is_bad, is_gap

_HELD_ROWS = 262_144
_RATIO = 4
_LINES = (Kind.FLOAT, Kind.INT, Kind.UINT)
_IS_LINE = np.isin(np.arange(256), _LINES)  # by code of the kind
_BAD, _NOTHING = 1, 2  # of what is drawn; 0 is good

_LONGEST_NS = 2**62  # spans of more than a century are cut by rows, not by time
_GAP = np.uint64(Status.DISCONNECTED | Status.PAUSED)

Rows = NDArray[np.intp]
Times = NDArray[np.int64]
Numbers = NDArray[Any]


def thinned(batches: Iterator[SampleBatch], interval: Interval, points: int) -> Iterator[SampleBatch]:
    """Yield of each element about `points` of its samples, all of them where there are no more.

    Parameters
    ----------
    batches : iterator of SampleBatch
        In order of element and time. A few hundred thousand samples of one element are held at a time.
    interval : Interval
        What the plot shows.
    points : int
        Per element; where qualities or states change very often, some times more.

    Raises
    ------
    UnsupportedError
        The package that chooses is not installed.
    """
    element = _Element(interval, points)
    for batch in batches:
        for run in _runs(batch, points):
            if element.rows and run.elements[int(run.codes[0])] != element.name:
                yield element.take()
            if run.codes[0] == run.codes[-1]:
                element.add(run)
            else:
                yield run
    if element.rows:
        yield element.take()


def _runs(batch: SampleBatch, points: int) -> Iterator[SampleBatch]:
    """Yield slices in order: the samples of one element each, or of several that are whole and few enough."""
    last, codes = len(batch), batch.codes
    if last and codes[0] == codes[-1]:
        yield batch
        return
    few = 0  # where elements begin that are given together
    for start, end in pairwise([0, *(np.flatnonzero(codes[1:] != codes[:-1]) + 1).tolist(), last]):
        is_whole = start > 0 and end < last
        if is_whole and end - start <= points:
            continue
        if few < start:
            yield batch.slice(few, start - few)
        if start < end:
            yield batch.slice(start, end - start)
        few = end


class _Element:
    """The samples of one element, as far as they came: of long runs only those that may be chosen in the end."""

    def __init__(self, interval: Interval, points: int) -> None:
        self._points = points
        self._per_ns = _RATIO * points / (interval.end - interval.start)
        self._held: list[SampleBatch] = []
        self._held_rows = 0
        self.rows = 0
        self.name = ""

    def add(self, run: SampleBatch) -> None:
        """Take samples that come after those that are held."""
        self.name = run.elements[int(run.codes[0])]
        self.rows += len(run)
        self._hold(self._extremes(run))
        if self._held_rows > _HELD_ROWS:
            held, self._held, self._held_rows = SampleBatch.concat(self._held), [], 0
            self._hold(self._extremes(held))

    def take(self) -> SampleBatch:
        """Return what is left of them, and forget them."""
        held, rows = SampleBatch.concat(self._held), self.rows
        self._held, self._held_rows, self.rows = [], 0, 0
        return held if rows <= self._points else held.take(_chosen(held, self._points, self._points, _by_shape))

    def _hold(self, batch: SampleBatch) -> None:
        self._held.append(batch)
        self._held_rows += len(batch)

    def _extremes(self, batch: SampleBatch) -> SampleBatch:
        spans = 2 + int(self._per_ns * (int(batch.source_time[-1]) - int(batch.source_time[0])))  # fewer it cannot do
        if len(batch) <= max(2 * spans, self._points):
            return batch
        return batch.take(_chosen(batch, spans, self._points, _by_extremes))


def _chosen(batch: SampleBatch, count: int, edges: int, choose: Callable[[Times, Numbers, int], Rows]) -> Rows:
    """Return which samples of one element to keep: `count` for its line, both ends of it, and about so many edges."""
    times, numbers = batch.source_time, _unbroken(batch)
    kept = np.zeros(len(batch), bool)
    kept[[0, -1]] = True
    if numbers is not None:
        state = is_bad(batch.status).view(np.int8)
        changed = state[1:] != state[:-1]
        kept[choose(times, numbers, count)] = True
    else:
        state = _states(batch)
        changed = _changed(batch, state)
        line = np.flatnonzero((state < _NOTHING) & _IS_LINE[batch.kind_codes])
        kept[line[choose(times[line], _numbers(batch)[line], count)] if len(line) > count else line] = True
    kept[_fewer(_both_sides(changed), times, state, edges)] = True
    return np.flatnonzero(kept)


def _unbroken(batch: SampleBatch) -> Numbers | None:
    """Return the values when a line goes through all of them, be they good or bad, as it nearly always is."""
    if len(batch.kinds) != 1 or batch.kinds[0] not in _LINES or np.bitwise_or.reduce(batch.status) & _GAP:
        return None
    values = batch.values(batch.kinds[0])
    if values.null_count:
        return None
    numbers: Numbers = values.to_numpy()
    return None if np.isnan(numbers.min()) else numbers


def _states(batch: SampleBatch) -> NDArray[np.int8]:
    """Return how each sample is drawn: as good, as bad, or not at all."""
    nothing = is_gap(batch.status) | (batch.kind_codes == Kind.NONE)
    if Kind.FLOAT in batch.kinds:
        nothing |= pc.fill_null(pc.is_nan(batch.values(Kind.FLOAT)), False).to_numpy(zero_copy_only=False)
    states: NDArray[np.int8] = np.maximum(
        nothing.view(np.int8) * np.int8(_NOTHING), is_bad(batch.status).view(np.int8) * np.int8(_BAD)
    )
    return states


def _changed(batch: SampleBatch, state: NDArray[np.int8]) -> Mask:
    """Return where the next row begins something that is no slope of a line, one fewer than there are rows."""
    changed: Mask = (state[1:] != state[:-1]) | (batch.kind_codes[1:] != batch.kind_codes[:-1])
    for kind in batch.kinds:
        if kind in _LINES:
            continue
        values = batch.values(kind)
        if kind.is_list:
            changed |= pc.is_valid(values).to_numpy(zero_copy_only=False)[1:]
        else:
            codes: Any = pc.dictionary_encode(values).indices if not pa.types.is_integer(values.type) else values
            numbers = pc.fill_null(codes, -1).to_numpy(zero_copy_only=False)
            changed |= numbers[1:] != numbers[:-1]
    return changed


def _both_sides(changed: Mask) -> Rows:
    """Return the rows before and after each change."""
    return np.flatnonzero(np.append(changed, False) | np.append(False, changed))


def _fewer(rows: Rows, times: Times, state: NDArray[np.int8], count: int) -> Rows:
    """Return of very many rows the first and last of each state in each of `count` spans of time."""
    if len(rows) <= count:
        return rows
    since = (times - times[0]).view(np.uint64)  # centuries do not fit in an int64
    span = since[rows] // np.uint64(int(since[-1]) // count + 1)
    key = span.astype(np.int64) * (_NOTHING + 1) + state[rows]
    order = np.argsort(key, kind="stable")
    change = np.flatnonzero(np.diff(key[order])) + 1
    ends = np.concatenate([[0], change, change - 1, [len(rows) - 1]])
    fewer: Rows = rows[order[ends]]
    return fewer


def _numbers(batch: SampleBatch) -> Numbers:
    """Return the values that a line goes through, NaN where there is none."""
    result = np.full(len(batch), np.nan)
    for kind in _LINES:
        if kind in batch.kinds:
            here = batch.kind_codes == kind
            result[here] = batch.values(kind).cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False)[here]
    return result


def _by_extremes(times: Times, numbers: Numbers, count: int) -> Rows:
    """Return the rows of the smallest and largest value in each of `count` equal spans of time."""
    return _downsampled("MinMaxDownsampler", times, numbers, n_out=2 * count)


def _by_shape(times: Times, numbers: Numbers, count: int) -> Rows:
    """Return `count` rows that carry the shape of the line."""
    return _downsampled("MinMaxLTTBDownsampler", times, numbers, n_out=count, minmax_ratio=_RATIO)


def _downsampled(name: str, times: Times, numbers: Numbers, **how: int) -> Rows:
    try:
        import tsdownsample
    except ImportError as exc:
        raise UnsupportedError("points needs the package tsdownsample: pip install 'forebay[http]'") from exc
    is_long = int(times[-1]) - int(times[0]) >= _LONGEST_NS
    chosen = getattr(tsdownsample, name)().downsample(*([] if is_long else [times]), numbers, **how)
    rows: Rows = np.asarray(chosen, np.intp)
    return rows
