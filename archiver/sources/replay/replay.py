"""A file as sample batches, block by block: the good rows go through, each refused one is reported."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from archiver.model import InvalidInputError, Kind, SampleBatch
from archiver.model.near import did_you_mean
from archiver.sources.replay.cells import ValueColumn
from archiver.sources.replay.options import COLUMN, KINDS, PLACEHOLDER, ReplayOptions
from archiver.sources.replay.parquet import ParquetRows
from archiver.sources.replay.text import TextRows
from archiver.sources.replay.times import TimeColumn

Flags = NDArray[np.bool_]


class Refusal(NamedTuple):
    """A row, or one value of it, that was not taken: its line in the file (of Parquet: row, from 1), and why."""

    line: int
    reason: str


@dataclass(frozen=True)
class Chunk:
    """Samples of some rows, what was refused of them, and how many bytes of the file are read by now."""

    batch: SampleBatch
    refused: tuple[Refusal, ...]
    done: int


class Replay:
    """Iterates over the `Chunk`s of a file once; memory stays bounded.

    Parameters
    ----------
    options : ReplayOptions
        The file, and which of its columns are what.

    Attributes
    ----------
    total : int
        Bytes of the file; `Chunk.done` counts up to it.

    Raises
    ------
    InvalidInputError
        The file cannot be read, or lacks a column; while iterating: it is badly encoded, or the time of no row of
        its first block can be read.
    """

    def __init__(self, options: ReplayOptions) -> None:
        self._options = options
        self._rows: TextRows | ParquetRows = ParquetRows(options) if options.is_parquet else TextRows(options)
        self.total = self._rows.total
        columns = self._rows.columns
        for name in (*options.time, *options.value, *options.name_columns):
            if name not in columns:
                hint = did_you_mean(name, columns, f"it has: {', '.join(columns)}")
                raise InvalidInputError(f"{options.file} has no column {name!r}; {hint}")
        used = {*options.time, *options.name_columns}
        kind = KINDS.get(options.kind)
        names = options.value or tuple(name for name in columns if name not in used)
        if not names:
            raise InvalidInputError(f"{options.file} has no value column; it has: {', '.join(columns)}")
        if len(names) > 1 and COLUMN not in PLACEHOLDER.findall(options.element):
            raise InvalidInputError(
                f"element {options.element!r} would be the name of {len(names)} columns; "
                "name one value column, or put {column} into the name"
            )
        self._values = [ValueColumn(name, kind, options.decimal, options.missing) for name in names]
        self._time = TimeColumn(options)

    def __iter__(self) -> Iterator[Chunk]:
        needed = dict.fromkeys([*self._options.time, *self._options.name_columns, *(v.name for v in self._values)])
        first, reported = 0, 0
        for rows in self._rows.read(list(needed)):
            batch, refused = self._convert(rows, first)
            first += rows.num_rows
            malformed = self._rows.malformed[reported:]
            reported += len(malformed)
            refused += [Refusal(*entry) for entry in malformed]
            yield Chunk(batch, tuple(sorted(refused)), self._rows.done)
        rest = self._rows.malformed[reported:]
        if rest:
            yield Chunk(SampleBatch.empty(), tuple(Refusal(*entry) for entry in rest), self.total)

    def _convert(self, rows: pa.RecordBatch, first: int) -> tuple[SampleBatch, list[Refusal]]:
        count = rows.num_rows
        times, untimed = self._time.convert([rows.column(name) for name in self._options.time], first, count)
        empty = _all_null(rows)
        good = ~empty
        good[untimed] = False
        refused = [self._refusal(rows, first, row) for row in untimed.tolist() if not empty[row]]
        if refused and first == 0 and not good.any():
            raise InvalidInputError(
                f"{self._options.file}: no time can be read: line {refused[0].line}: {refused[0].reason}; "
                "name the right column, or its form with time_format or time_unit"
            )
        parts = []
        for column in self._values:
            kind, values, bad = column.convert(rows.column(column.name))
            taken = good.copy()
            taken[bad] = False
            if self._options.skip_missing:
                taken &= values.is_valid().to_numpy(zero_copy_only=False)
            refused += [
                Refusal(self._rows.line_of(first + row), self._not_a(rows, column.name, row, kind))
                for row in bad.tolist()
                if good[row]
            ]
            parts.append(self._part(rows, column.name, kind, values, times, taken))
        return SampleBatch.concat(parts), refused

    def _part(
        self, rows: pa.RecordBatch, column: str, kind: Kind, values: pa.Array, times: NDArray[np.int64], taken: Flags
    ) -> SampleBatch:
        names = self._names(rows, column)
        mask = pa.array(taken)
        element = names if isinstance(names, str) else names.filter(mask)
        return SampleBatch.from_columns(element, times[taken], {kind: values.filter(mask)})

    def _names(self, rows: pa.RecordBatch, column: str) -> str | pa.Array:
        template = self._options.element
        if not self._options.name_columns:
            return PLACEHOLDER.sub(lambda match: column, template)
        pieces = []
        for index, piece in enumerate(PLACEHOLDER.split(template)):
            if index % 2 == 0 or piece == COLUMN:
                pieces.append(pa.scalar(column if index % 2 else piece))
            else:
                pieces.append(pc.fill_null(rows.column(piece).cast(pa.utf8()), ""))
        return pc.binary_join_element_wise(*pieces, "").dictionary_encode()

    def _refusal(self, rows: pa.RecordBatch, first: int, row: int) -> Refusal:
        cells = [rows.column(name)[row].as_py() for name in self._options.time]
        reason = "no time" if None in cells else f"time {' '.join(map(str, cells))!r} cannot be read"
        return Refusal(self._rows.line_of(first + row), reason)

    def _not_a(self, rows: pa.RecordBatch, column: str, row: int, kind: Kind) -> str:
        cell = rows.column(column)[row].as_py()
        return f"{column} = {cell!r} does not fit kind {kind.column}"


def _all_null(rows: pa.RecordBatch) -> Flags:
    result = np.ones(rows.num_rows, bool)
    for column in rows.columns:
        result &= column.is_null().to_numpy(zero_copy_only=False)
    return result
