"""The statements that make cells of samples: InfluxDB counts, adds and compares the values of one place at a time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from archiver.backends.influx import layout, names, rows
from archiver.backends.influx.client import Client
from archiver.backends.influx.reading import Reader, within
from archiver.backends.influx.state import State
from archiver.model import Kind, Status
from archiver.model.batch import Int64s
from archiver.model.grid import Grid
from archiver.model.status import BAD

NOTHING = "none"
"""Place of samples that have no value."""
_CHOICE = frozenset({"first", "last"})
_ORDER = _CHOICE | {"min", "max"}
_ALL = _ORDER | {"sum"}
VALUED = {
    **{kind.column: _ALL for kind in (Kind.FLOAT, Kind.INT, Kind.UINT)},
    Kind.BOOL.column: _ORDER,
    **{kind.column: _CHOICE for kind in (Kind.ENUM, Kind.TEXT)},
}
"""Places that hold values as they are, and what InfluxDB makes of these."""
_NOT_GOOD = f'("status" & {int(BAD | Status.DISCONNECTED | Status.PAUSED)})'
_TAGS = {rows.TAGS: pa.dictionary(pa.int32(), pa.utf8()), "time": pa.int64()}


class Found(NamedTuple):
    """What a statement gave: a row per cell that has samples, in order.

    Parameters
    ----------
    place : str
        Where the values are.
    cells : ndarray of int64
    table : pyarrow.Table
        ``count``, and what else was asked.
    """

    place: str
    cells: Int64s
    table: pa.Table

    @property
    def kind(self) -> Kind:
        """Kind of the values."""
        return layout.KINDS[self.place]

    def numbers(self, name: str) -> NDArray[Any]:
        """Return a column of numbers."""
        column: NDArray[Any] = self.table.column(name).to_numpy()
        return column


@dataclass(frozen=True)
class Cells:
    """What is asked of the cells of some elements in one group.

    Parameters
    ----------
    client : Client
    reader : Reader
    state : State
        What counts.
    grid : Grid
        Not empty.
    group : str
        Of the state.
    wanted : frozenset of str
        Aggregates.
    """

    client: Client
    reader: Reader
    state: State
    grid: Grid
    group: str
    wanted: frozenset[str]

    def places(self) -> list[str]:
        """Return which places of values the points have, or had, or would have, had their writes not failed."""
        statement = f'SHOW TAG VALUES FROM {names.identifier(self.group)} WITH KEY = "kind"'
        return sorted(str(row["value"]) for row in self.client.query(statement))

    def having(self, elements: Sequence[str], condition: str) -> Int64s:
        """Return the numbers of elements that have a sample of some sort."""
        statement = f'SELECT last("write"){self._of(elements, condition)} GROUP BY "element"'
        with self.client.csv(statement, self.reader.mark) as answer:
            found = [_owners(part, elements) for part in rows.tables(answer, _TAGS)]
        return np.concatenate([np.zeros(0, np.int64), *found])

    def other(self, elements: Sequence[str]) -> Found:
        """Return how many samples are not good, or have no value."""
        return self._found(elements, NOTHING, f"({_NOT_GOOD} != 0 OR \"kind\" = '{NOTHING}')", ())

    def good(self, elements: Sequence[str], place: str) -> Found:
        """Return what is wanted of the good samples that have their values in a place."""
        wanted = set(self.wanted)
        if "mean" in wanted:
            wanted |= {"sum"} if place == Kind.FLOAT.column else {"sum", "min", "max"}  # these say whether it is exact
        if place == Kind.UINT.column and "max" in wanted:
            wanted.add("min")
        functions = sorted(wanted & VALUED.get(place, frozenset()))
        return self._found(elements, place, f"\"kind\" = '{place}' AND {_NOT_GOOD} = 0", functions)

    def _found(self, elements: Sequence[str], place: str, condition: str, functions: Sequence[str]) -> Found:
        grid = self.grid
        asked = ['count("status") AS "count"', *(f'{name}("{place}") AS "{name}"' for name in functions)]
        by = f'"element", time({grid.bucket_ns}ns) fill(none)' if grid.bucket_ns else '"element"'
        statement = f"SELECT {', '.join(asked)}{self._of(elements, condition)} GROUP BY {by}"
        types = {"count": pa.int64()} | dict.fromkeys(functions, layout.TYPES.get(place))
        cells, parts = [np.zeros(0, np.int64)], [pa.schema(types).empty_table()]
        with self.client.csv(statement, self.reader.mark) as answer:
            for part in rows.tables(answer, _TAGS | types):
                buckets = grid.numbers(part.column("time").to_numpy())
                cells.append(_owners(part, elements) * grid.count + buckets)
                parts.append(pa.table([part.column(name) for name in types], list(types)))
        whole = np.concatenate(cells)
        order = np.argsort(whole, kind="stable")
        return Found(place, whole[order], pa.concat_tables(parts).take(order))

    def _of(self, elements: Sequence[str], condition: str) -> str:
        conditions = [within(self.grid.interval), self.state.condition(), condition, self.reader.among(elements)]
        return f" FROM {names.identifier(self.group)} WHERE {' AND '.join(conditions)}"


def _owners(part: pa.RecordBatch, elements: Sequence[str]) -> Int64s:
    """Return the number of the element of each row."""
    index = {name: number for number, name in enumerate(elements)}
    tags = part.column(rows.TAGS)
    written = [text.removeprefix("element=").replace("\\", "") for text in tags.dictionary.to_pylist()]
    numbers = np.array([index[names.element_name(value)] for value in written], np.int64)
    owners: Int64s = numbers[tags.indices.to_numpy()]
    return owners
