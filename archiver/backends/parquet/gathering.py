"""Runs of rows, taken from decoded row groups and put in order of element and time by copying each column once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa

from archiver.backends.parquet.entry import Ints, Pieces, ranges
from archiver.backends.parquet.rowgroups import RowGroup, constant
from archiver.backends.parquet.schema import TABLE_SCHEMA

_MOST_SLICES = 10_000


@dataclass
class Runs:
    """Runs of rows found in data files, in file order: a piece of the index each, or a part of it."""

    groups: list[RowGroup] = field(default_factory=list)
    _found: list[tuple[Ints, ...]] = field(default_factory=list)
    _unique: bool = True
    _files: int = 0

    def begin(self, unique: bool) -> None:
        """Begin with the next file; in a unique one no two rows share an identity."""
        self._files += 1
        self._unique &= unique

    def add(self, groups: Sequence[RowGroup], position: Ints, pieces: Pieces, offsets: Ints, counts: Ints) -> None:
        """Add rows of pieces: `position` is the index of each piece's row group in `groups`."""
        file = np.full(len(offsets), self._files)
        columns = (pieces.ids, pieces.first, pieces.last, file, position + len(self.groups), offsets, counts)
        kept = counts > 0
        self._found.append(columns if kept.all() else tuple(column[kept] for column in columns))
        self.groups += groups

    def gathered(self, ids: Ints) -> tuple[dict[str, pa.Array], Ints, bool]:
        """Return the columns, the element of each row, and whether this is their order and each identity is there once.

        Rows are in order of the place of their element in `ids`, and of time where runs do not overlap.
        """
        id_, first, last, file, group, offsets, counts = map(np.concatenate, zip(*self._found, strict=True))
        sorter = np.argsort(ids)
        code = sorter[np.searchsorted(ids, id_, sorter=sorter)]
        order = np.lexsort((first, code))  # stable: runs of a file that share an instant stay as they lie
        code, first, last, file = code[order], first[order], last[order], file[order]
        apart = (code[1:] != code[:-1]) | (first[1:] > last[:-1])
        apart |= (first[1:] == last[:-1]) & (file[1:] == file[:-1])
        columns = self.columns(group[order], offsets[order], counts[order])
        return columns, np.repeat(code, counts[order]), self._unique and bool(apart.all())

    def columns(self, group: Ints, offsets: Ints, counts: Ints) -> dict[str, pa.Array]:
        """Return the columns of some runs: index in `groups`, offset in there, and number of rows of each."""
        group, offsets, counts = _joined(group, offsets, counts)
        if len(group) > _MOST_SLICES:
            sizes = np.array([g.rows for g in self.groups])
            starts = (np.cumsum(sizes) - sizes)[group] + offsets
            rows = pa.array(ranges(starts, counts))
            columns = {name: pa.concat_arrays(arrays).take(rows) for name, arrays in self._arrays().items()}
        else:
            spans = list(zip(group.tolist(), offsets.tolist(), counts.tolist(), strict=True))
            columns = {name: _concat(arrays, spans) for name, arrays in self._arrays().items()}
        total = int(counts.sum())
        return columns | {name: constant(name, value, total) for name, value in self._constants().items()}

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


def compacted(
    groups: Sequence[RowGroup], position: Ints, offsets: Ints, counts: Ints
) -> tuple[list[RowGroup], Ints, Ints]:
    """Return one row group that has the runs only, and position and offsets of the runs in it."""
    part = Runs(list(groups))
    kept = counts > 0
    columns = part.columns(position[kept], offsets[kept], counts[kept])
    return [RowGroup(int(counts.sum()), columns, {})], np.zeros_like(position), np.cumsum(counts) - counts


def _joined(group: Ints, offsets: Ints, counts: Ints) -> tuple[Ints, Ints, Ints]:
    """Return runs that touch as one."""
    breaks = np.flatnonzero((group[1:] != group[:-1]) | (offsets[1:] != (offsets + counts)[:-1])) + 1
    starts = np.append(0, breaks)
    return group[starts], offsets[starts], np.add.reduceat(counts, starts)


def _concat(arrays: Sequence[pa.Array], spans: Sequence[tuple[int, int, int]]) -> pa.Array:
    slices = [arrays[group].slice(offset, count) for group, offset, count in spans]
    return slices[0] if len(slices) == 1 else pa.concat_arrays(slices)
