"""What a smoothing would have kept of a history, and at what error: replayed, nothing is changed."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from archiver.model import Kind, SampleBatch, Smoothing, SmoothingKind
from archiver.smoothing.content import rows_of
from archiver.smoothing.kernels import Rows
from archiver.smoothing.smoother import Smoother

BYTES_PER_SAMPLE = 8.0
"""About what a Parquet lake takes for the time, number and status of a sample."""

_SCHEMA = pa.schema(
    [
        ("smoothing", pa.utf8()),
        ("tolerance", pa.float64()),
        ("min_interval_ns", pa.int64()),
        ("heartbeat_ns", pa.int64()),
        ("element", pa.utf8()),
        ("samples", pa.int64()),
        ("kept", pa.int64()),
        ("kept_percent", pa.float64()),
        ("bytes_saved", pa.float64()),
        ("largest_error", pa.float64()),
        ("rms_error", pa.float64()),
    ]
)
Floats = NDArray[np.float64]
Indices = NDArray[np.int64]
Mask = NDArray[np.bool_]


def what_if(
    batches: Iterable[SampleBatch], smoothings: Sequence[Smoothing], bytes_per_sample: float = BYTES_PER_SAMPLE
) -> pa.Table:
    """Return what each smoothing would keep of a history, per element and in total.

    Parameters
    ----------
    batches : iterable of SampleBatch
        The history, in order of arrival or of time; read once.
    smoothings : sequence of Smoothing
        The candidates.
    bytes_per_sample : float
        What a sample takes in the backend in question; bytes saved are estimated as this times the samples discarded.

    Returns
    -------
    pyarrow.Table
        For each candidate a row per element, by name, and one of all elements (``element`` is null):
        ``smoothing``, ``tolerance``, ``min_interval_ns``, ``heartbeat_ns``, ``element``, ``samples``, ``kept``,
        ``kept_percent``, ``bytes_saved``, ``largest_error``, ``rms_error``. Errors are in the element's unit, between
        each finite number received and what is drawn from the stored ones: for the swinging door the straight line
        between its stored neighbours, for all other kinds the last stored value before it. Both are null where no
        finite number was received.
    """
    replays = [_Replay(smoothing) for smoothing in smoothings]
    for batch in batches:
        finite = _finite(batch)
        for replay in replays:
            replay.add(batch, finite)
    rows = [row for replay in replays for row in replay.rows(bytes_per_sample)]
    return pa.Table.from_pylist(rows, schema=_SCHEMA)


@dataclass
class _Counts:
    samples: int = 0
    discarded: int = 0
    numbers: int = 0
    squares: float = 0.0
    largest: float = 0.0

    def add(self, other: _Counts) -> None:
        self.samples += other.samples
        self.discarded += other.discarded
        self.numbers += other.numbers
        self.squares += other.squares
        self.largest = max(self.largest, other.largest)


class _Replay:
    """One candidate: its smoother, counts per element, and the samples that are still needed to know an error.

    Those are the newest stored sample of each element, and what the swinging door discarded after it.
    """

    def __init__(self, smoothing: Smoothing) -> None:
        self.smoothing = smoothing
        self.smoother = Smoother(smoothing)
        self.linear = smoothing.kind is SmoothingKind.SWINGING_DOOR
        self.counts: defaultdict[str, _Counts] = defaultdict(_Counts)
        self.stored = self.discarded = SampleBatch.empty()

    def add(self, batch: SampleBatch, finite: Mask) -> None:
        """Replay a batch; `finite` is where it has a finite number."""
        result = self.smoother.apply(batch)
        self._count(batch, samples=np.ones(batch.num_rows, bool), numbers=finite)
        self._count(result.discarded, discarded=np.ones(result.discarded.num_rows, bool))
        self._measure(result.stored, result.discarded)

    def rows(self, bytes_per_sample: float) -> list[dict[str, Any]]:
        """Return a row per element and one of all."""
        self._measure(self.smoother.held(), SampleBatch.empty())
        total = _Counts()
        for counts in self.counts.values():
            total.add(counts)
        parts: list[tuple[str | None, _Counts]] = [*sorted(self.counts.items()), (None, total)]
        return [self._row(element, counts, bytes_per_sample) for element, counts in parts]

    def _row(self, element: str | None, counts: _Counts, bytes_per_sample: float) -> dict[str, Any]:
        kept = counts.samples - counts.discarded
        return {
            "smoothing": self.smoothing.kind.value,
            "tolerance": self.smoothing.tolerance,
            "min_interval_ns": self.smoothing.min_interval_ns,
            "heartbeat_ns": self.smoothing.heartbeat_ns,
            "element": element,
            "samples": counts.samples,
            "kept": kept,
            "kept_percent": 100 * kept / counts.samples if counts.samples else 100.0,
            "bytes_saved": counts.discarded * bytes_per_sample,
            "largest_error": counts.largest if counts.numbers else None,
            "rms_error": (counts.squares / counts.numbers) ** 0.5 if counts.numbers else None,
        }

    def _count(self, batch: SampleBatch, **amounts: Mask) -> None:
        for field, where in amounts.items():
            numbers = np.bincount(batch.codes[where], minlength=len(batch.elements))
            for code in np.flatnonzero(numbers).tolist():
                self.counts[batch.elements[code]].add(_Counts(**{field: int(numbers[code])}))

    def _measure(self, stored: SampleBatch, discarded: SampleBatch) -> None:
        """Count the error of every discarded sample whose neighbours are known by now."""
        stored = SampleBatch.concat([self.stored, stored])
        batch = SampleBatch.concat([stored, self.discarded, discarded])
        order = np.lexsort((batch.sequence, batch.source_time, batch.codes))
        batch, kept = batch.take(order), order < stored.num_rows
        before, after = _neighbours(batch.codes, kept)
        known = ~kept & ((after >= 0) | (not self.linear))
        where = np.flatnonzero(known)
        errors = _errors(batch, where, before[where], after[where] if self.linear else before[where])
        count = len(batch.elements)
        largest = np.zeros(count)
        np.maximum.at(largest, batch.codes[where], errors)
        with np.errstate(over="ignore"):
            squares = np.bincount(batch.codes[where], errors**2, count)
        for code in np.flatnonzero(largest).tolist():
            self.counts[batch.elements[code]].add(_Counts(squares=float(squares[code]), largest=float(largest[code])))
        newest = np.append(batch.codes[kept][1:] != batch.codes[kept][:-1], True)[: int(kept.sum())]
        self.stored, self.discarded = batch.take(np.flatnonzero(kept)[newest]), batch.filter(~kept & ~known)


def _finite(batch: SampleBatch) -> Mask:
    mask: Mask = np.isin(batch.kind_codes, (Kind.INT, Kind.UINT))
    floats = pc.is_finite(batch.values(Kind.FLOAT)).fill_null(False)
    mask |= floats.to_numpy(zero_copy_only=False)
    return mask


def _neighbours(codes: NDArray[np.int32], kept: Mask) -> tuple[Indices, Indices]:
    """Return the nearest kept row of the element at or before each row, and at or after it; -1 where there is none."""
    rows = np.arange(len(codes))
    before = np.maximum.accumulate(np.where(kept, rows, -1))
    after = np.minimum.accumulate(np.where(kept, rows, len(codes))[::-1])[::-1]
    bounded = np.append(codes, -1)  # the last place is read by both -1 and len(codes)
    return np.where(bounded[before] == codes, before, -1), np.where(bounded[after] == codes, after, -1)


def _errors(batch: SampleBatch, where: Indices, before: Indices, after: Indices) -> Floats:
    """Return how far samples are from the line between two others; from the first where no line can be drawn."""
    rows = rows_of(batch, batch.codes)
    number = np.isin(rows.category[where], (Kind.FLOAT, Kind.INT, Kind.UINT))
    comparable = number & (before >= 0) & (rows.category[before] == rows.category[where])
    sloped = comparable & (rows.category[after] == rows.category[where]) & (rows.time[after] > rows.time[before])
    with np.errstate(over="ignore", invalid="ignore"):
        error = _difference(rows, where, before)
        share = _ages(rows, where[sloped], before[sloped]) / _ages(rows, after[sloped], before[sloped])
        error[sloped] -= _difference(rows, after[sloped], before[sloped]) * share
    result: Floats = np.where(comparable, np.abs(error), 0.0)
    return result


def _difference(rows: Rows, first: Indices, second: Indices) -> Floats:
    """Return the values of some rows less those of others, of one category each; integers are subtracted exactly."""
    a, b = rows.high[first], rows.high[second]
    whole = np.where(a >= b, (a - b).astype(float), -(b - a).astype(float))
    result: Floats = np.where(rows.category[first] == Kind.FLOAT, rows.number[first] - rows.number[second], whole)
    return result


def _ages(rows: Rows, later: Indices, earlier: Indices) -> Floats:
    ages: Floats = (rows.time[later] - rows.time[earlier]).astype(float)
    return ages
