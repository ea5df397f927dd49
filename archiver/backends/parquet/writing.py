"""Writes one Parquet file of sorted samples, a row group at a time, and notes where each element lies in it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from archiver.backends.parquet.encoding import Encodings, encodings_of, writer_properties
from archiver.backends.parquet.entry import Cell, FileEntry, Level, Names, PieceBuilder
from archiver.backends.parquet.schema import to_stored
from archiver.model import Kind, SampleBatch, disk, schema_of

ROW_GROUP_ROWS = 131_072


@dataclass(frozen=True)
class WrittenFile:
    """A file that is on the disk: its entry, the newest sample of each element in it, and the names behind its ids."""

    entry: FileEntry
    newest: SampleBatch
    names: Names


class FileWriter:
    """Writes one data file; nothing refers to it before it is committed.

    Parameters
    ----------
    root : Path
        The table.
    names : Names
        Numbers the elements.
    cell, level
        Where it belongs.
    kinds : sequence of Kind
        The value columns it has.
    """

    def __init__(self, root: Path, names: Names, cell: Cell, level: Level, kinds: Sequence[Kind]) -> None:
        self.path = cell.new_path(level)
        self._file = root / self.path
        self._names = names
        self._cell, self._level, self._kinds = cell, level, tuple(sorted(kinds))
        self._builder = PieceBuilder()
        self._writer: pq.ParquetWriter | None = None
        self._sink: pa.NativeFile | None = None
        self._rows, self._first, self._last = 0, 2**63 - 1, -(2**63)

    def write(self, batch: SampleBatch, encodings: Encodings | None = None) -> None:
        """Append sorted samples that come after those before; the first ones decide the encodings."""
        batch = with_kinds(batch, self._kinds)
        stored = to_stored(batch)
        if self._writer is None:
            self._writer = self._open(stored.schema, encodings or encodings_of(batch))
        for start, stop in row_groups(batch):
            part = batch.slice(start, stop - start)
            self._builder.add(part, self._names)
            table = pa.Table.from_batches([stored.slice(start, stop - start)])
            self._writer.write_table(table, row_group_size=stop - start)
        self._rows += batch.num_rows
        self._first = min(self._first, int(batch.source_time.min()))
        self._last = max(self._last, int(batch.source_time.max()))

    def _open(self, schema: pa.Schema, encodings: Encodings) -> pq.ParquetWriter:
        disk.make_folder(self._file.parent)
        self._sink = pa.OSFile(str(self._file), "wb")
        properties = writer_properties(encodings, 3 if self._level is Level.DAY else 1)
        return pq.ParquetWriter(self._sink, schema, write_page_index=True, **properties)

    def close(self) -> WrittenFile:
        """Finish the file and sync it and its folder."""
        assert self._writer is not None, "a file without samples is not written"
        assert self._sink is not None
        self._writer.close()
        self._sink.close()
        disk.sync(self._file)
        disk.sync(self._file.parent)
        entry = FileEntry(
            path=self.path,
            cell=self._cell,
            level=self._level,
            size=self._file.stat().st_size,
            rows=self._rows,
            unique=self._builder.unique,
            kinds=self._kinds,
            first=self._first,
            last=self._last,
            pieces=self._builder.pieces(),
        )
        return WrittenFile(entry, self._builder.newest(), self._names)

    def abandon(self) -> None:
        """Forget the file: it was not committed."""
        self._file.unlink(missing_ok=True)
        if self._writer is not None:
            self._writer.is_open = False  # else pyarrow writes a footer when the object goes, to a closed file
        if self._sink is not None:
            self._sink.close()


def row_groups(batch: SampleBatch) -> Iterator[tuple[int, int]]:
    """Yield start and end of row groups of about 100,000 rows; they end where an element ends, if one does there."""
    changes = np.flatnonzero(batch.codes[1:] != batch.codes[:-1]) + 1
    start = 0
    while start < batch.num_rows:
        stop = min(start + ROW_GROUP_ROWS, batch.num_rows)
        if stop < batch.num_rows:
            near = int(np.searchsorted(changes, stop, "right")) - 1
            if near >= 0 and changes[near] > start + ROW_GROUP_ROWS * 3 // 4:
                stop = int(changes[near])
        yield start, stop
        start = stop


def with_kinds(batch: SampleBatch, kinds: Sequence[Kind]) -> SampleBatch:
    """Return the batch with exactly these value columns; those that it lacks are null."""
    if batch.kinds == tuple(kinds):
        return batch
    arrays = [*batch.to_arrow().columns[:5], *(batch.values(kind) for kind in kinds)]
    return SampleBatch(pa.RecordBatch.from_arrays(arrays, schema=schema_of(kinds)))
