"""The index of a data file, kept in a small file beside it so that `open` need not read the data.

A sidecar is never synced: it carries a checksum, and is made again from the data file when it is missing or torn.
"""

from __future__ import annotations

import zlib
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from archiver.backends.parquet.entry import Cell, FileEntry, Level, Names, PieceBuilder, Pieces
from archiver.backends.parquet.schema import from_stored, kinds_in
from archiver.backends.parquet.writing import WrittenFile
from archiver.model import Kind, SampleBatch
from archiver.model.ipc import to_ipc

FOLDER = "_forebay/index"
_FORMAT = b"forebay-index-1\n"
_COLUMNS = ("name", "row_group", "offset", "count", "first", "last")


def path_of(root: Path, path: str) -> Path:
    """Return where the sidecar of a data file lies; file names are unique in the whole table."""
    return root / FOLDER / (Path(path).stem + ".arrow")


def save(root: Path, file: WrittenFile) -> None:
    """Write the sidecar of a data file; it has the names themselves, for numbers mean nothing to the next process."""
    pieces = file.entry.pieces
    ids, codes = np.unique(pieces.ids, return_inverse=True)
    element = pa.DictionaryArray.from_arrays(pa.array(codes, pa.int32()), pa.array(file.names.names(ids), pa.utf8()))
    numbers = [pieces.row_group, pieces.offset, pieces.count, pieces.first, pieces.last]
    columns = pa.RecordBatch.from_arrays([element, *map(pa.array, numbers)], names=_COLUMNS)
    kinds = ",".join(str(int(kind)) for kind in file.entry.kinds)
    facts = {"unique": str(int(file.entry.unique)), "kinds": kinds, "size": str(file.entry.size)}
    columns = columns.replace_schema_metadata(facts)
    body = to_ipc(columns, "zstd") + to_ipc(file.newest.to_arrow(), "zstd")
    target = path_of(root, file.entry.path)
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(_FORMAT + zlib.crc32(body).to_bytes(4, "little") + body)


def load(root: Path, path: str, partition: dict[str, str], names: Names) -> WrittenFile:
    """Return the index of a data file, from its sidecar or else from the file itself."""
    cell, level = Cell.of_path(path, partition)
    try:
        raw = path_of(root, path).read_bytes()
    except FileNotFoundError:
        raw = b""
    head = len(_FORMAT) + 4
    body = memoryview(raw)[head:]
    intact = raw[: len(_FORMAT)] == _FORMAT and zlib.crc32(body).to_bytes(4, "little") == raw[len(_FORMAT) : head]
    return _parse(path, cell, level, body, names) if intact else rebuild(root, path, cell, level, names)


def rebuild(root: Path, path: str, cell: Cell, level: Level, names: Names) -> WrittenFile:
    """Return the index of a data file by reading the file, a row group at a time."""
    builder = PieceBuilder()
    with pq.ParquetFile(root / path) as file:
        for group in range(file.num_row_groups):
            table = file.read_row_group(group)
            element = table.column("element").combine_chunks().dictionary_encode()
            codes = element.indices.to_numpy(zero_copy_only=False)
            columns = {name: table.column(name).combine_chunks() for name in table.column_names}
            builder.add(from_stored(columns, element.dictionary.to_pylist(), codes), names)
        kinds = tuple(kinds_in(file.schema_arrow.names))
        rows = file.metadata.num_rows
    size = (root / path).stat().st_size
    pieces = builder.pieces()
    first, last = int(pieces.first.min()), int(pieces.last.max())
    entry = FileEntry(path, cell, level, size, rows, builder.unique, kinds, first, last, pieces)
    return WrittenFile(entry, builder.newest(), names)


def _parse(path: str, cell: Cell, level: Level, body: memoryview, names: Names) -> WrittenFile:
    reader = pa.BufferReader(body)
    columns = pa.ipc.open_stream(reader)
    table = columns.read_all().combine_chunks().to_batches()[0]
    newest = pa.ipc.open_stream(reader).read_all().combine_chunks().to_batches()[0]
    element = table.column("name")
    ids = names.number(element.dictionary.to_pylist())[element.indices.to_numpy()]
    pieces = Pieces(ids, *(table.column(name).to_numpy() for name in _COLUMNS[1:]))
    pieces = pieces.take(np.argsort(ids, kind="stable"))
    facts = table.schema.metadata
    kinds = tuple(Kind(int(code)) for code in facts[b"kinds"].decode().split(",") if code)
    entry = FileEntry(
        path=path,
        cell=cell,
        level=level,
        size=int(facts[b"size"]),
        rows=int(pieces.count.sum()),
        unique=facts[b"unique"] == b"1",
        kinds=kinds,
        first=int(pieces.first.min()),
        last=int(pieces.last.max()),
        pieces=pieces,
    )
    return WrittenFile(entry, SampleBatch(newest), names)
