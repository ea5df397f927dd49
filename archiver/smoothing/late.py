"""Samples that come after newer ones, judged by what is archived around them; so a resend is discarded again."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from archiver.model import SampleBatch, Smoothing
from archiver.model.batch import Mask
from archiver.smoothing.smoother import Smoother

_ARCHIVED = -1


def judge_late(smoothing: Smoothing, late: SampleBatch, archived: SampleBatch) -> tuple[Mask, NDArray[np.uint8]]:
    """Return which late samples need not be stored, and the rule that says so.

    Between two archived samples, late ones are smoothed as if they had come in order: from the archived sample before,
    one after the other, to the archived sample after. So what was discarded once is discarded again when it is sent
    again, and what fills a gap is thinned out like everything else. A sample that shares its time with an archived one
    is not discarded: it repeats or corrects it.

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
    discard, rule = np.zeros(late.num_rows, bool), np.zeros(late.num_rows, np.uint8)
    both = SampleBatch.concat([archived, late])
    before, after, shared = _neighbours(both, archived.num_rows)
    rows = np.flatnonzero(~shared)
    if not len(rows):
        return discard, rule
    rows = rows[np.lexsort((late.sequence[rows], late.source_time[rows]))]
    ours = both.codes[archived.num_rows :]
    # a gap is what lies behind one archived sample, or before the first one of an element
    _, first, gap = np.unique(
        np.where(before[rows] >= 0, before[rows], -2 - ours[rows]), return_index=True, return_inverse=True
    )
    names = [str(index) for index in range(len(first))]
    start, end = before[rows[first]], after[rows[first]]
    sequence = [
        _as(archived.take(start[start >= 0]), np.flatnonzero(start >= 0), names, None),
        _as(late.take(rows), gap, names, rows),
        _as(archived.take(end[end >= 0]), np.flatnonzero(end >= 0), names, None),
    ]
    result = Smoother(smoothing).apply(SampleBatch.concat(sequence))
    numbers = result.discarded.receive_time
    found = numbers != _ARCHIVED
    discard[numbers[found]], rule[numbers[found]] = True, result.rule[found]
    return discard, rule


def _neighbours(both: SampleBatch, count: int) -> tuple[NDArray[np.int64], NDArray[np.int64], Mask]:
    """Return, for the late samples behind the first `count`, the rows of their archived neighbours (-1: there is none).

    The third array says which share their time with an archived sample.
    """
    order = np.lexsort((both.receive_time, both.sequence, both.source_time, both.codes))
    codes, time = both.codes[order], both.source_time[order]
    place = np.zeros(both.num_rows, np.int64)  # equal for samples of one element and time
    place[order[1:]] = np.cumsum((codes[1:] != codes[:-1]) | (time[1:] != time[:-1]))
    rows = order[order < count]
    first = np.searchsorted(place[rows], place[count:], "left")
    end = np.searchsorted(place[rows], place[count:], "right")
    padded, element = np.concatenate([rows, [-1]]), np.concatenate([both.codes, [-1]])
    before, after = padded[first - 1], padded[end]  # the row before the first, and after the last, is -1
    ours = both.codes[count:]
    before = np.where(element[before] == ours, before, -1)
    return before, np.where(element[after] == ours, after, -1), end > first


def _as(
    batch: SampleBatch, codes: NDArray[np.int64], names: list[str], numbers: NDArray[np.int64] | None
) -> SampleBatch:
    """Return samples under the names of their gaps, with their numbers in place of receive times."""
    named = batch.with_elements(codes.astype(np.int32), names)
    return SampleBatch.from_columns(
        named.column("element"),
        named.source_time,
        {kind: named.values(kind) for kind in named.kinds},
        status=named.status,
        sequence=named.sequence,
        receive_time=_ARCHIVED if numbers is None else numbers,
    )
