"""Samples that come after newer ones, judged by what is archived around them; so a resend is discarded again."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from archiver.model import Kind, SampleBatch, Smoothing, SmoothingKind
from archiver.model.batch import Mask
from archiver.smoothing.rules import RULES
from archiver.smoothing.smoother import Smoother

_OUTCOME = RULES.index(SmoothingKind.SWINGING_DOOR)


def judge_late(smoothing: Smoothing, late: SampleBatch, archived: SampleBatch) -> tuple[Mask, NDArray[np.uint8]]:
    """Return which late samples need not be stored, and the rule that says so.

    A step kind compares a sample with the archived one before it, the swinging door with the line between its archived
    neighbours: as it was, or would have been, in order. So a sample that was discarded once is discarded again when it
    is sent again. One that shares its time with an archived sample is not discarded: it repeats or corrects it.

    Parameters
    ----------
    smoothing : Smoothing
    late : SampleBatch
        In any order.
    archived : SampleBatch
        What is stored of these elements: at least the neighbours in time of each late sample, any order.

    Returns
    -------
    discard : ndarray of bool, shape (late.num_rows,)
    rule : ndarray of uint8, shape (late.num_rows,)
        Index into `RULES`; meaningful where `discard` is set.
    """
    before, after = _neighbours(late, archived)
    if smoothing.kind is SmoothingKind.SWINGING_DOOR:
        discard, rule = _on_the_line(smoothing, late, archived, before, after)
    else:
        discard, rule = _as_in_order(smoothing, late, archived, before)
    return discard, rule


def _neighbours(late: SampleBatch, archived: SampleBatch) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the rows of the archived neighbours of each late sample; -1 where there is none, or one at its time."""
    count = archived.num_rows
    both = SampleBatch.concat([archived, late])
    order = np.lexsort((both.receive_time, both.sequence, both.source_time, both.codes))
    codes, time = both.codes[order], both.source_time[order]
    place = np.zeros(both.num_rows, np.int64)  # equal for samples of one element and time
    place[order[1:]] = np.cumsum((codes[1:] != codes[:-1]) | (time[1:] != time[:-1]))
    rows = order[order < count]
    first = np.searchsorted(place[rows], place[count:], "left")
    end = np.searchsorted(place[rows], place[count:], "right")
    shared = end > first
    padded, element = np.concatenate([rows, [-1]]), np.concatenate([both.codes, [-1]])
    before, after = padded[first - 1], padded[end]  # the row before the first, and after the last, is -1
    ours = both.codes[count:]
    return np.where(shared | (element[before] != ours), -1, before), np.where(
        shared | (element[after] != ours), -1, after
    )


def _as_in_order(
    smoothing: Smoothing, late: SampleBatch, archived: SampleBatch, before: NDArray[np.int64]
) -> tuple[Mask, NDArray[np.uint8]]:
    """Ask a smoother that has seen just the archived sample before: each pair is an element of its own."""
    where = np.flatnonzero(before >= 0)
    names = [str(i) for i in range(len(where))]
    codes = np.arange(len(where), dtype=np.int32)
    smoother = Smoother(smoothing)
    smoother.apply(archived.take(before[where]).with_elements(codes, names))
    result = smoother.apply(late.take(where).with_elements(codes, names))
    discard, rule = np.zeros(late.num_rows, bool), np.zeros(late.num_rows, np.uint8)
    numbers = np.array([int(name) for name in result.discarded.elements], np.int64)
    rows = where[numbers[result.discarded.codes]]
    discard[rows], rule[rows] = True, result.rule
    return discard, rule


def _on_the_line(
    smoothing: Smoothing,
    late: SampleBatch,
    archived: SampleBatch,
    before: NDArray[np.int64],
    after: NDArray[np.int64],
) -> tuple[Mask, NDArray[np.uint8]]:
    """Discard what is near the line between its archived neighbours, where all three are of one kind and status."""
    discard, rule = np.zeros(late.num_rows, bool), np.full(late.num_rows, _OUTCOME, np.uint8)
    rows = np.flatnonzero((before >= 0) & (after >= 0))
    if not len(rows):
        return discard, rule
    left, middle, right = archived.take(before[rows]), late.take(rows), archived.take(after[rows])
    mask = np.uint64(smoothing.status_mask)
    alike = (left.kind_codes == middle.kind_codes) & (right.kind_codes == middle.kind_codes)
    alike &= ((left.status ^ middle.status) | (right.status ^ middle.status)) & mask == 0
    span = (right.source_time - left.source_time).astype(float)
    part = (middle.source_time - left.source_time).astype(float) / span
    low, value, high = _numbers(left), _numbers(middle), _numbers(right)
    close = np.abs(low + (high - low) * part - value) <= smoothing.tolerance
    discard[rows] = alike & close  # NaN is never close
    return discard, rule


def _numbers(batch: SampleBatch) -> NDArray[np.float64]:
    """Return the values as float64, NaN where they are no numbers."""
    result = np.full(batch.num_rows, np.nan)
    for kind in (Kind.FLOAT, Kind.INT, Kind.UINT):
        if kind in batch.kinds:
            array = pc.cast(batch.values(kind), pa.float64(), safe=False)
            values = array.to_numpy(zero_copy_only=False)
            result = np.where(np.isnan(values), result, values)
    return result
