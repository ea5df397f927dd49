"""Parquet files as record batches."""

from __future__ import annotations

from collections.abc import Iterator

import pyarrow as pa
import pyarrow.parquet

from archiver.model import InvalidInputError
from archiver.sources.replay.options import ReplayOptions

_ROWS = 65_536


class ParquetRows:
    """The rows of a Parquet file; see `TextRows`. A row's line is its number from 1."""

    def __init__(self, options: ReplayOptions) -> None:
        try:
            self._file = pa.parquet.ParquetFile(options.file)
            self.total = options.file.stat().st_size
        except (OSError, pa.ArrowInvalid) as exc:
            raise InvalidInputError(f"{options.file} cannot be read as Parquet: {exc}") from exc
        self.columns: list[str] = self._file.schema_arrow.names
        self.malformed: list[tuple[int, str]] = []
        self._rows = 0

    @property
    def done(self) -> int:
        """Bytes of the file that were read, in proportion to its rows."""
        return int(self.total * self._rows / max(self._file.metadata.num_rows, 1))

    def line_of(self, row: int) -> int:
        """Return the number from 1 of a row counted from 0."""
        return row + 1

    def read(self, columns: list[str]) -> Iterator[pa.RecordBatch]:
        """Yield these columns as they are stored."""
        try:
            for batch in self._file.iter_batches(_ROWS, columns=columns, use_threads=False):
                self._rows += batch.num_rows
                yield batch
        finally:
            self._file.close()
