"""Aggregates made by the database, and what it cannot tell exactly left out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from sqlalchemy import Table

from archiver.backends.sql import columns
from archiver.backends.sql.cells import INSTANTS, Cells
from archiver.backends.sql.dialects import CellDialect, Dialect
from archiver.model import Kind, SampleBatch, Status
from archiver.model.batch import Int64s, Mask
from archiver.model.grid import Grid
from archiver.model.identity import newest_versions
from archiver.model.partials import NUMERIC, Numbers, Partials, Samples, Typed, together
from archiver.model.time import MAX_TIME, MIN_TIME
from archiver.ports import Aggregated

MADE = frozenset({"count", "good_count", "min", "max", "mean", "first", "last"})
"""Aggregates that a database makes.

Not std, which needs the mean before its sum, and nothing held by time: that needs the next sample of each, which takes
a database as long as to give the samples (1.4 times less in PostgreSQL, twice as long in SQLite).
"""
_AT_A_TIME = 65_536
"""About how many cells are asked for at a time."""
_MOST_BUCKETS = 1_000_000
"""Beyond this an element's cells take as much memory as its samples: these are read."""
_FAR = 2**62
"""Times from here on are not reckoned with in statements: their differences overflow."""
_LARGEST = 1e290
"""Numbers up to this, however many, do not overflow in a sum."""


@dataclass(frozen=True)
class Request:
    """What is asked; see `archiver.ports.SupportsAggregation.aggregate`."""

    grid: Grid
    wanted: frozenset[str]


def aggregate(
    dialect: Dialect, tables: Sequence[Table], elements: Sequence[str], ids: Mapping[str, int], request: Request
) -> Iterator[Aggregated]:
    """Yield the cells of some elements, a few thousand at a time.

    Parameters
    ----------
    tables : sequence of Table
        Samples of the groups to read.
    elements : sequence of str
        Sorted.
    ids : mapping of element name to id
    """
    grid = request.grid
    start, end = grid.interval.start - grid.bucket_ns, grid.interval.end + grid.bucket_ns
    if not isinstance(dialect, CellDialect) or grid.count > _MOST_BUCKETS or start < -_FAR or end > _FAR:
        yield Aggregated(elements, Partials.none(), elements, grid.interval.end)
        return
    size = max(1, _AT_A_TIME // max(1, grid.count))
    for first in range(0, len(elements), size):
        names = elements[first : first + size]
        if tables and any(name in ids for name in names):
            yield _Chunk(dialect, names, ids, request).made(tables)
        else:
            yield Aggregated(names, Partials.none(), (), grid.interval.end)


class _Chunk:
    """The cells of a few elements."""

    def __init__(self, dialect: CellDialect, names: Sequence[str], ids: Mapping[str, int], request: Request) -> None:
        self._dialect, self._names, self._request = dialect, names, request
        places = {ids[name]: place for place, name in enumerate(names) if name in ids}
        self._keys = np.array(sorted(places), np.int64)
        self._places = np.array([places[key] for key in sorted(places)], np.int64)
        self._ids = {key: names[place] for key, place in places.items()}
        self._asked = Cells(request.grid, request.wanted, dialect.words)

    def made(self, tables: Sequence[Table]) -> Aggregated:
        """Return the cells; an element of which one cannot be told exactly is left out."""
        end = self._request.grid.interval.end
        left = np.zeros(len(self._names), bool)
        times = np.zeros(len(self._names), np.int64)
        found = [(table, rows) for table in tables if len((rows := self._rows(table))["cell"])]
        for table, rows in found:
            times[np.unique(rows["place"])] += 1
            left[self._untold(table, rows)] = True
        left |= times > 1  # in several groups: a sample that both have counts once
        parts: list[Partials] = []
        for table, rows in found:
            fine = ~left[rows["place"]]
            part = self._partials(table, {name: column[fine] for name, column in rows.items()})
            if part is None:
                return Aggregated(self._names, Partials.none(), self._names, end)
            parts.append(part)
        names = [name for name, is_left in zip(self._names, left.tolist(), strict=True) if is_left]
        return Aggregated(self._names, together(parts), names, end)

    def _rows(self, table: Table) -> Numbers:
        """Return the rows of the statement as columns, with the place of the element and the cell, in order of cell."""
        asked = self._asked
        statement = partial(asked.select, table.name)
        batches = list(self._dialect.each(self._keys.tolist(), statement, asked.numbers, asked.schema))
        whole = pa.Table.from_batches(batches, asked.schema)
        rows: Numbers = {name: _filled(whole.column(name)) for name in whole.column_names}
        rows["place"] = self._places[np.searchsorted(self._keys, rows["element_id"])]
        rows["cell"] = rows["place"] * self._request.grid.count + rows["bucket"]
        order = np.argsort(rows["cell"], kind="stable")
        return {name: column[order] for name, column in rows.items()}

    # -- what cannot be told --------------------------------------------------------------------------

    def _untold(self, table: Table, rows: Numbers) -> Int64s:
        """Return the places of elements of which the samples have to be read."""
        untold: Mask = (rows["flags"] & int(Status.DISCONNECTED)) != 0
        untold |= rows["instants"] < rows["samples"]  # versions, or several samples of an instant
        floats = rows["kind"] == Kind.FLOAT
        untold |= floats & ((rows["floats"] < rows["samples"]) | np.isnan(rows["greatest"]))
        untold |= (rows["kind"] == Kind.UINT) & (rows["least_int"] < 0)  # beyond int64
        if self._request.wanted & {"min", "max"}:
            untold |= floats & (rows["minus_zeros"] > 0)
        if "mean" in self._request.wanted:
            untold |= floats & ((rows["greatest"] > _LARGEST) | (rows["least"] < -_LARGEST))
        places = np.unique(rows["place"][untold])
        same_cell = np.append(False, rows["cell"][1:] == rows["cell"][:-1])
        several = np.setdiff1d(rows["place"][same_cell], places)  # a version may be of another kind or status
        return np.concatenate([places, self._repeating(table, several)])

    def _repeating(self, table: Table, places: Int64s) -> Int64s:
        """Return which of some elements have more samples than instants."""
        keys = self._keys[np.isin(self._places, places)].tolist()
        statement = partial(self._asked.instants, table.name)
        batches = self._dialect.each(keys, statement, self._asked.bounds, INSTANTS) if keys else []
        rows = pa.Table.from_batches(list(batches), INSTANTS)
        fewer = rows.column("instants").to_numpy() < rows.column("samples").to_numpy()
        found: Int64s = self._places[np.searchsorted(self._keys, rows.column("element_id").to_numpy()[fewer])]
        return found

    # -- cells ----------------------------------------------------------------------------------------

    def _partials(self, table: Table, rows: Numbers) -> Partials | None:
        """Return a row per cell; None when the samples changed between two statements."""
        if not len(rows["cell"]):
            return Partials.none()
        starts = np.flatnonzero(np.append(True, rows["cell"][1:] != rows["cell"][:-1]))
        good = (rows["flags"] == 0) & (rows["kind"] != Kind.NONE)
        numeric = good & np.isin(rows["kind"], NUMERIC)

        def summed(column: NDArray[Any], where: Mask | bool = True) -> NDArray[Any]:
            result: NDArray[Any] = np.add.reduceat(np.where(where, column, column.dtype.type(0)), starts)
            return result

        numbers: Numbers = {"count": summed(rows["samples"]), "good_count": summed(rows["samples"], good)}
        if "mean" in self._request.wanted:
            totals = np.where(rows["kind"] == Kind.FLOAT, rows["total"], rows["int_total"])
            numbers |= {"numbers": summed(rows["samples"], numeric), "sum": summed(totals, numeric)}
        typed = {n: _extreme(n, rows, numeric, starts) for n in ("min", "max") if n in self._request.wanted}
        values = self._values(table, rows, good, starts)
        return None if values is None else Partials(rows["cell"][starts], numbers, typed | values)

    def _values(self, table: Table, rows: Numbers, good: Mask, starts: Int64s) -> Typed | None:
        """Return the first and last good values, of which the rows have the times; None if they changed since."""
        wanted = [name for name in ("first", "last") if name in self._request.wanted]
        some = np.logical_or.reduceat(good, starts)
        if not wanted or not some.any():
            return {name: {} for name in wanted}
        first = np.minimum.reduceat(np.where(good, rows["first_time"], MAX_TIME), starts)
        last = np.maximum.reduceat(np.where(good, rows["last_time"], MIN_TIME), starts)
        times = np.concatenate([{"first": first, "last": last}[name][some] for name in wanted])
        places = np.tile(rows["place"][starts][some], len(wanted))
        instants, where = np.unique(np.stack([places, times], axis=1), axis=0, return_inverse=True)
        keys = self._keys[np.argsort(self._places)][np.searchsorted(np.sort(self._places), instants[:, 0])]
        batches = self._dialect.read_instants(table, np.stack([keys, instants[:, 1]], axis=1))
        samples = newest_versions(SampleBatch.concat([columns.decode(batch, self._ids) for batch in batches]))
        if samples.num_rows != len(instants) or not Samples(samples, samples.source_time).good.all():
            return None
        taken = np.zeros((len(wanted), len(some)), np.int64)
        taken[:, some] = where.reshape(len(wanted), -1)
        chosen = {name: pa.array(row, mask=~some) for name, row in zip(wanted, taken, strict=True)}
        return {n: {kind: samples.values(kind).take(rows_) for kind in samples.kinds} for n, rows_ in chosen.items()}


def _filled(column: pa.ChunkedArray) -> NDArray[Any]:
    """Return a column of numbers; 0 where there was nothing to add or compare."""
    result: NDArray[Any] = column.fill_null(0).to_numpy()
    return result


def _extreme(name: str, rows: Numbers, numeric: Mask, starts: Int64s) -> dict[Kind, pa.Array]:
    """Return the least or greatest numbers of each cell by kind."""
    result = {}
    which = {"min": "least", "max": "greatest"}[name]
    for kind in NUMERIC:
        ours = numeric & (rows["kind"] == kind)
        if ours.any():
            column = rows[which if kind is Kind.FLOAT else f"{which}_int"]
            values = np.add.reduceat(np.where(ours, column, column.dtype.type(0)), starts)
            result[kind] = pa.array(values, mask=~np.logical_or.reduceat(ours, starts)).cast(kind.arrow_type)
    return result
