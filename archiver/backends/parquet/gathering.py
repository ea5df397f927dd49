"""Runs of rows, taken from decoded row groups and put in order of element and time by copying each column once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa

from archiver.backends.parquet.entry import FileEntry, Ints, Pieces, ranges
from archiver.backends.parquet.rowgroups import RowGroup, constant, one
from archiver.backends.parquet.schema import TABLE_SCHEMA
from archiver.model.batch import Int32s

_MOST_SLICES = 10_000
Spread = Callable[[Callable[[str], pa.Array], Sequence[str]], Iterable[pa.Array]]
"""Calls something for each of some columns, like `map`."""


@dataclass(frozen=True)
class Runs:
    """Runs of rows found in data files, in file order: a piece of the index each, or a part of it.

    Parameters
    ----------
    groups : list of RowGroup
    ids, first, last : ndarray of int64
        Element of each run, and times between which it lies.
    file : ndarray of int64
        Equal for runs of the same file.
    group, offset, count : ndarray of int64
        Where the rows are: index in `groups`, and rows in there.
    unique : bool
        No two rows of a file share an identity.
    """

    groups: list[RowGroup]
    ids: Ints
    first: Ints
    last: Ints
    file: Ints
    group: Ints
    offset: Ints
    count: Ints
    unique: bool

    @classmethod
    def of(
        cls, entry: FileEntry, groups: list[RowGroup], pieces: Pieces, group: Ints, offset: Ints, count: Ints
    ) -> Runs:
        """Return the runs of some pieces of a file, empty ones left out."""
        kept = np.flatnonzero(count)
        pieces, file = pieces.take(kept), np.full(len(kept), id(entry))
        place = group[kept], offset[kept], count[kept]
        return cls(groups if len(kept) else [], pieces.ids, pieces.first, pieces.last, file, *place, entry.unique)

    def gathered(self, ids: Ints, spread: Spread) -> tuple[dict[str, pa.Array], Int32s, bool]:
        """Return the columns, the element of each row, and whether this is their order and each identity is there once.

        Columns are copied by `spread`. Rows are in order of the place of their element in `ids`, and of time where runs
        do not overlap.
        """
        sorter = np.argsort(ids)
        code = sorter[np.searchsorted(ids, self.ids, sorter=sorter)]
        order = np.lexsort((self.first, code))  # stable: runs of a file that share an instant stay as they lie
        code, first, last, file = code[order], self.first[order], self.last[order], self.file[order]
        apart = (code[1:] != code[:-1]) | (first[1:] > last[:-1])
        apart |= (first[1:] == last[:-1]) & (file[1:] == file[:-1])
        columns, total = self._columns(order, spread), int(self.count.sum())
        columns |= {name: constant(name, value, total) for name, value in self._constants().items()}
        codes = np.repeat(code.astype(np.int32), self.count[order])
        return columns, codes, self.unique and bool(apart.all())

    def compacted(self) -> Runs:
        """Return the same runs over one row group that has nothing else."""
        if not self.groups:
            return self
        ends = np.cumsum(self.count)
        group = RowGroup(int(ends[-1]), self._columns(np.arange(len(ends)), map), self._constants())
        return replace(self, groups=[group], group=np.zeros_like(self.group), offset=ends - self.count)

    def _columns(self, order: Ints, spread: Spread) -> dict[str, pa.Array]:
        """Return the columns of the runs in an order, without those that are constant."""
        group, offset, count = _touching(self.group[order], self.offset[order], self.count[order])
        arrays = self._arrays()
        if not arrays:
            return {}
        if len(group) == 1:
            at, start, rows = int(group[0]), int(offset[0]), int(count[0])
            return {name: of_groups[at].slice(start, rows) for name, of_groups in arrays.items()}
        if len(group) > _MOST_SLICES:
            sizes = np.array([g.rows for g in self.groups])
            rows = pa.array(ranges((np.cumsum(sizes) - sizes)[group] + offset, count))
            copies = spread(lambda name: pa.concat_arrays(arrays[name]).take(rows), list(arrays))
        else:
            columns = zip(*arrays.values(), strict=True)  # slices of all columns at once cost a third of slices of each
            batches = [pa.RecordBatch.from_arrays(list(of_group), list(arrays)) for of_group in columns]
            spans = zip(group.tolist(), offset.tolist(), count.tolist(), strict=True)
            runs = pa.Table.from_batches([batches[at].slice(start, rows) for at, start, rows in spans])
            copies = spread(lambda name: one(runs.column(name)), list(arrays))
        return dict(zip(arrays, copies, strict=True))

    def _arrays(self) -> dict[str, list[pa.Array]]:
        """Return by column name its array in each row group, for columns that are not constant in all of them."""
        same = self._constants()
        types = {name: TABLE_SCHEMA.field(name).type for g in self.groups for name in g.constants}
        types |= {name: array.type for g in self.groups for name, array in g.columns.items()}
        return {name: [g.column(name, t) for g in self.groups] for name, t in types.items() if name not in same}

    def _constants(self) -> dict[str, int]:
        """Return the columns that have the same one value in all row groups."""
        first, *others = (group.constants for group in self.groups)
        return {name: value for name, value in first.items() if all(other.get(name) == value for other in others)}


def joined(parts: Sequence[Runs]) -> Runs:
    """Return the runs of several as one."""
    if len(parts) == 1:
        return parts[0]
    sizes = np.array([len(part.groups) for part in parts], np.int64)
    bases = np.cumsum(sizes) - sizes
    numbers = [part.group + base for part, base in zip(parts, bases.tolist(), strict=True)]
    names = ("ids", "first", "last", "file", "offset", "count")
    columns = {name: np.concatenate([getattr(part, name) for part in parts]) for name in names}
    groups = [group for part in parts for group in part.groups]
    return Runs(groups, **columns, group=np.concatenate(numbers), unique=all(part.unique for part in parts))


def _touching(group: Ints, offset: Ints, count: Ints) -> tuple[Ints, Ints, Ints]:
    """Return runs that touch as one."""
    if len(group) == 1:
        return group, offset, count
    breaks = np.flatnonzero((group[1:] != group[:-1]) | (offset[1:] != (offset + count)[:-1])) + 1
    starts = np.append(0, breaks)
    return group[starts], offset[starts], np.add.reduceat(count, starts)
