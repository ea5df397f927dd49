"""Reads the rows of some elements from one data file: only the row groups and columns that are needed."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from archiver.backends.parquet.entry import FileEntry, Ints, Pieces, ranges
from archiver.backends.parquet.schema import from_stored
from archiver.model import Interval, SampleBatch

_OPTIONAL = ("sequence", "status")
"""Columns that are mostly one value: where a file's statistics say so, they are not read."""
_MOST_SLICES = 10_000
_GROUPS_AT_A_TIME = 8
"""Row groups decoded at once: what is decoded and not asked for stays small, and its memory is used again."""


class DataFiles:
    """Reads data files of a table; their footers are kept, the files are mapped into memory for each read.

    Parameters
    ----------
    root : Path
        The table.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._footer = lru_cache(4096)(self._load_footer)

    def read(
        self, entry: FileEntry, rows: Ints, interval: Interval | None, names: Sequence[str], ids: Ints
    ) -> SampleBatch:
        """Return the samples of some pieces of a file that lie in an interval (all when None), in file order.

        Parameters
        ----------
        rows : ndarray of int64
            Row numbers in ``entry.pieces``.
        names, ids
            The elements that may come up: sorted names, and the id of each.

        Raises
        ------
        FileNotFoundError
            Compaction in another process has replaced the file and removed it.
        """
        pieces = entry.pieces.take(rows).in_file_order()
        metadata, constants = self._footer(entry.path)
        groups = np.unique(pieces.row_group)
        same = {name: found[0] for name, found in constants.items() if _all_equal([found[g] for g in groups.tolist()])}
        columns = [name for name in ("source_time", "sequence", "receive_time", "status") if name not in same]
        columns += [kind.column for kind in entry.kinds]
        tables: list[pa.Table] = []
        counts: list[Ints] = []
        with pa.memory_map(str(self._root / entry.path)) as source:
            file = pq.ParquetFile(source, metadata=metadata)
            for start in range(0, len(groups), _GROUPS_AT_A_TIME):
                some = groups[start : start + _GROUPS_AT_A_TIME]
                part = pieces.take(np.flatnonzero((pieces.row_group >= some[0]) & (pieces.row_group <= some[-1])))
                table = file.read_row_groups(some.tolist(), columns=columns)
                chosen, count = _chosen(table, metadata, some, part, interval)
                tables.append(chosen)
                counts.append(count)
        joined = pa.concat_tables(tables)
        for name, value in same.items():
            joined = joined.append_column(name, _constant(name, value, joined.num_rows))
        rank = np.argsort(ids)
        codes = rank[np.searchsorted(ids, pieces.ids, sorter=rank)]
        return from_stored(joined, names, np.repeat(codes, np.concatenate(counts)).astype(np.int32))

    def _load_footer(self, path: str) -> tuple[pq.FileMetaData, dict[str, list[Any]]]:
        """Return the footer, and for the columns that may be constant their value per row group (None: it varies)."""
        metadata = pq.read_metadata(self._root / path)
        columns = metadata.schema.names
        constants = {
            name: [
                _constant_in(metadata.row_group(g).column(columns.index(name))) for g in range(metadata.num_row_groups)
            ]
            for name in _OPTIONAL
        }
        return metadata, constants


def _constant_in(column: pq.ColumnChunkMetaData) -> int | None:
    statistics = column.statistics
    if statistics is None or not statistics.has_min_max or statistics.min != statistics.max:
        return None
    return int(statistics.min)


def _all_equal(values: list[Any]) -> bool:
    return values[0] is not None and all(value == values[0] for value in values)


def _constant(name: str, value: int, count: int) -> pa.Array:
    return pa.array(np.full(count, value, np.int32 if name == "sequence" else np.int64))


def _chosen(
    table: pa.Table, metadata: pq.FileMetaData, groups: Ints, pieces: Pieces, interval: Interval | None
) -> tuple[pa.Table, Ints]:
    """Return the rows of the pieces in the interval, from a table of whole row groups, and their number per piece."""
    sizes = np.array([metadata.row_group(group).num_rows for group in groups.tolist()], np.int64)
    bases = np.cumsum(sizes) - sizes
    position = np.searchsorted(groups, pieces.row_group)
    offsets, counts = pieces.offset, pieces.count
    if interval is not None:
        times = _by_group(table.column("source_time"), bases)
        offsets, counts = _narrowed(times, position, pieces, interval)
    return _gather(table, bases[position] + offsets, counts), counts


def _by_group(column: pa.ChunkedArray, bases: Ints) -> list[Ints]:
    """Return a column as an array per row group; without a copy, as pyarrow reads a chunk per row group."""
    if column.num_chunks == len(bases):
        return [chunk.to_numpy() for chunk in column.chunks]
    return np.split(column.to_numpy(), bases[1:])


def _narrowed(times: list[Ints], position: Ints, pieces: Pieces, interval: Interval) -> tuple[Ints, Ints]:
    """Return offset and number of rows of each piece within the interval; times ascend in a piece."""
    offsets, counts = pieces.offset.copy(), pieces.count.copy()
    edges = np.array([interval.start, interval.end])
    for index in np.flatnonzero((pieces.first < interval.start) | (pieces.last >= interval.end)).tolist():
        start = offsets[index]
        low, high = np.searchsorted(times[position[index]][start : start + counts[index]], edges)
        offsets[index], counts[index] = start + low, high - low
    return offsets, counts


def _gather(table: pa.Table, starts: Ints, counts: Ints) -> pa.Table:
    """Return some runs of rows, one after the other."""
    kept = counts > 0
    starts, ends = starts[kept], (starts + counts)[kept]
    if not len(starts):
        return table.slice(0, 0)
    breaks = np.flatnonzero(starts[1:] != ends[:-1]) + 1  # runs that touch are one
    first, last = starts[np.append(0, breaks)], ends[np.append(breaks - 1, -1)]
    if len(first) > _MOST_SLICES:
        return table.take(pa.array(ranges(first, last - first)))
    spans = list(zip(first.tolist(), (last - first).tolist(), strict=True))
    columns = [[chunk for span in spans for chunk in column.slice(*span).chunks] for column in table.columns]
    return pa.table(
        [pa.concat_arrays(chunks) if len(chunks) > 1 else chunks[0] for chunks in columns], table.column_names
    )
