"""Row groups as they were decoded, and those of late kept: what is looked at once is mostly looked at again."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from archiver.model.batch import Int64s


@dataclass(frozen=True, slots=True)
class RowGroup:
    """Some columns of a row group, or of chosen rows of several.

    Parameters
    ----------
    rows : int
    columns : mapping of str to pyarrow.Array
        Without `element`, which the index knows.
    constants : mapping of str to int
        Columns that have one value and were not read.
    """

    rows: int
    columns: Mapping[str, pa.Array]
    constants: Mapping[str, int]

    @property
    def times(self) -> Int64s:
        """Source times, ns."""
        result: Int64s = self.columns["source_time"].to_numpy()
        return result

    @property
    def size(self) -> int:
        """Bytes that it takes."""
        return sum(int(column.nbytes) for column in self.columns.values())

    def column(self, name: str, type_: pa.DataType) -> pa.Array:
        """Return a column by name; null in all rows when there is none."""
        if name in self.columns:
            return self.columns[name]
        if name in self.constants:
            return constant(name, self.constants[name], self.rows)
        return pa.nulls(self.rows, type_)


def constant(name: str, value: int, count: int) -> pa.Array:
    """Return a column that has one value."""
    return pa.array(np.full(count, value, np.int32 if name == "sequence" else np.int64))


def one(column: pa.ChunkedArray) -> pa.Array:
    """Return a column as one array; without a copy, where it is in one chunk."""
    return column.chunk(0) if column.num_chunks == 1 else pa.concat_arrays(column.chunks)


class KeptRowGroups:
    """The row groups used last, up to a number of bytes; a data file never changes, so they stay right.

    Parameters
    ----------
    limit : int
        Bytes; 0 keeps nothing.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._bytes = 0
        self._kept: OrderedDict[tuple[str, int], RowGroup] = OrderedDict()
        self._lock = threading.Lock()  # the lane and readers

    def get(self, path: str, number: int) -> RowGroup | None:
        """Return a row group of a file, if it is kept."""
        with self._lock:
            found = self._kept.get((path, number))
            if found is not None:
                self._kept.move_to_end((path, number))
            return found

    def put(self, path: str, number: int, group: RowGroup) -> None:
        """Keep a row group, and forget what was not used for longest."""
        with self._lock:
            if (path, number) in self._kept:
                return
            self._kept[path, number] = group
            self._bytes += group.size
            while self._bytes > self.limit:
                self._bytes -= self._kept.popitem(last=False)[1].size
