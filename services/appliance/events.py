"""Samples as clients of the appliance see them: columns of one kind of value, with EPICS severity and alarm status.

The appliance has no sample that says "disconnected": what comes next says when the connection was lost and regained, in
fields of its own. `Events.of` turns the one into the other.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from archiver.model import Kind, SampleBatch
from archiver.model.alarm import INVALID, UDF, Numbers, alarm_of
from archiver.model.batch import Int64s
from archiver.model.status import is_gap
from archiver.model.time import NANOSECONDS

LOST, REGAINED = "cnxlostepsecs", "cnxregainedepsecs"
_SHOWN_AS = {Kind.BOOL: Kind.ENUM, Kind.BOOLS: Kind.ENUMS}
_TEXTS = (Kind.TEXT, Kind.BINARY)

Floats = NDArray[np.float64]
Rows = NDArray[np.int64]


@dataclass(frozen=True)
class Events:
    """Columns of samples in order of time.

    Parameters
    ----------
    kind : Kind
        Of all values; a boolean is shown as an enumeration.
    time : ndarray of int64, ns
    value : pyarrow.Array
        Of the kind's Arrow type, nothing null.
    severity, status : ndarray of uint8
        EPICS' numbers.
    fields : mapping of str to pyarrow.StringArray
        Further values of some samples by name, null where a sample has none.
    """

    kind: Kind
    time: Int64s
    value: pa.Array
    severity: Numbers
    status: Numbers
    fields: Mapping[str, pa.Array] = field(default_factory=dict)

    @property
    def num_rows(self) -> int:
        """Number of samples."""
        return len(self.time)

    def take(self, rows: Rows) -> Events:
        """Return the samples at these row numbers, in that order."""
        chosen = pa.array(rows)
        fields = {name: column.take(chosen) for name, column in self.fields.items()}
        value = self.value.take(chosen)
        return Events(self.kind, self.time[rows], value, self.severity[rows], self.status[rows], fields)

    def slice(self, start: int, stop: int) -> Events:
        """Return the samples from one row to before another, without a copy."""
        part = slice(start, stop)
        fields = {name: column[part] for name, column in self.fields.items()}
        return Events(self.kind, self.time[part], self.value[part], self.severity[part], self.status[part], fields)

    def at(self, time: Int64s) -> Events:
        """Return the samples with other times, ns."""
        return replace(self, time=time)

    def numbers(self) -> Floats | None:
        """Return the values as float64, of arrays the first item (NaN where there is none); None of text."""
        if self.kind.item in _TEXTS:
            return None
        value = self.value
        if self.kind.is_list:
            lengths = pc.list_value_length(value).to_numpy()
            starts = np.append(0, np.cumsum(lengths))[:-1]
            items = value.flatten().cast(pa.float64()).to_numpy()
            first = np.minimum(starts, max(0, len(items) - 1))
            padded = items if len(items) else np.full(1, np.nan)
            return np.where(lengths > 0, padded[first], np.nan)
        numbers: Floats = value.cast(pa.float64(), safe=False).to_numpy()
        return numbers

    def reconnected(self) -> NDArray[np.bool_]:
        """Return where a connection was regained, bool per sample."""
        if REGAINED not in self.fields:
            return np.zeros(self.num_rows, bool)
        regained: NDArray[np.bool_] = self.fields[REGAINED].is_valid().to_numpy(zero_copy_only=False)
        return regained


class EventReader:
    """Makes events of the batches of one element, in order; what was lost in one batch is regained in a later one."""

    def __init__(self) -> None:
        self._lost: int | None = None

    def read(self, batch: SampleBatch) -> Iterator[Events]:
        """Yield the events of a batch: one per run of values of the same kind."""
        codes = batch.kind_codes
        nothing = codes == 0
        if not nothing.any() and self._lost is None and len(batch.kinds) == 1:
            yield _columns(batch, batch.kinds[0])
            return
        gap = nothing & is_gap(batch.status)
        codes = np.where(nothing & ~gap, np.uint8(Kind.FLOAT), codes)  # a bad sample without a value is NaN
        rows = np.flatnonzero(~gap)
        fields = self._fields(batch.source_time, np.flatnonzero(gap), rows)
        if not len(rows):
            return
        ends = [*(np.flatnonzero(np.diff(codes[rows])) + 1).tolist(), len(rows)]
        start = 0
        for end in ends:
            part = batch.take(rows[start:end])
            cut = {name: column[start:end] for name, column in fields.items()}
            yield replace(_columns(part, Kind(int(codes[rows[start]]))), fields=_without_empty(cut))
            start = end

    def _fields(self, time: Int64s, gaps: Rows, rows: Rows) -> Mapping[str, pa.Array]:
        """Return when the connection was lost and regained, for the rows that came next."""
        after = np.searchsorted(rows, gaps)
        next_row, first = np.unique(after, return_index=True)
        lost = dict(zip(next_row.tolist(), time[gaps[first]].tolist(), strict=True))
        if self._lost is not None:
            lost[0] = self._lost
        self._lost = lost.pop(len(rows), None)
        if not lost:
            return {}
        where = np.array(sorted(lost), np.int64)
        instants = {LOST: np.array([lost[row] for row in where.tolist()]), REGAINED: time[rows[where]]}
        present = np.zeros(len(rows), bool)
        present[where] = True
        seconds = {name: np.zeros(len(rows), np.int64) for name in instants}
        for name, times in instants.items():
            seconds[name][where] = times // NANOSECONDS
        return {name: pa.array(column, mask=~present).cast(pa.utf8()) for name, column in seconds.items()}


def _without_empty(fields: Mapping[str, pa.Array]) -> Mapping[str, pa.Array]:
    return {name: column for name, column in fields.items() if column.null_count < len(column)}


def _columns(batch: SampleBatch, kind: Kind) -> Events:
    severity, status = alarm_of(batch.status)
    value = batch.values(kind)
    if value.null_count:  # of floats only: samples that say there is no value
        absent = value.is_null().to_numpy(zero_copy_only=False)
        value = value.fill_null(float("nan"))
        status = np.where(absent & (severity < INVALID), np.uint8(UDF), status)
        severity = np.where(absent, np.uint8(INVALID), severity)
    shown = _SHOWN_AS.get(kind, kind)
    return Events(shown, batch.source_time, value.cast(shown.arrow_type), severity, status)
