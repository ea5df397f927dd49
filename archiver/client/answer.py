"""The answer to a query, as columns of whichever library the caller works with."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.ipc

if TYPE_CHECKING:
    import pandas as pd
    import polars as pl

_OUTCOME = b"forebay.outcome"
_TIMES = ("source_time", "receive_time", "start", "end")
_TIMESTAMP = pa.timestamp("ns", "UTC")
_UNSIGNED = {pa.uint64(): pa.decimal128(20), pa.uint32(): pa.int64(), pa.uint16(): pa.int32(), pa.uint8(): pa.int16()}


class Answer:
    """Rows in Arrow, and what is known of them.

    Parameters
    ----------
    table : pyarrow.Table
        ``element, source_time, value, status, …``; of an aggregation a row per bucket, of a wide table one per time.
        Times are int64, ns since the epoch.
    outcome : dict
        `complete`, `parts`, `missing` and `cursor`, as ``POST /v1/query`` gives them.
    """

    def __init__(self, table: pa.Table, outcome: dict[str, Any]) -> None:
        self.table = table
        self._outcome = outcome

    @classmethod
    def read(cls, source: Any, watch: Callable[[int], object] = lambda rows: None) -> Answer:
        """Return the answer in an Arrow IPC stream; `watch` is told how many rows came so far."""
        batches: list[pa.RecordBatch] = []
        outcome: dict[str, Any] = {}
        rows = 0
        with pa.ipc.open_stream(source) as reader:
            while (found := _next(reader)) is not None:
                batches.append(found.batch)
                outcome = json.loads((found.custom_metadata or {}).get(_OUTCOME, "null")) or outcome
                rows += found.batch.num_rows
                watch(rows)
            return cls(pa.Table.from_batches(batches, reader.schema), outcome)

    def __len__(self) -> int:
        return int(self.table.num_rows)

    def __repr__(self) -> str:
        return (
            f"<Answer {len(self)} rows of {', '.join(self.table.column_names)}{'' if self.complete else ', partial'}>"
        )

    @property
    def complete(self) -> bool:
        """Whether it has everything that was acknowledged."""
        return bool(self._outcome.get("complete", True))

    @property
    def parts(self) -> list[dict[str, Any]]:
        """Which backend gave which interval, how many rows, and in how many seconds."""
        return list(self._outcome.get("parts", ()))

    @property
    def missing(self) -> list[dict[str, Any]]:
        """What is missing, and why."""
        return list(self._outcome.get("missing", ()))

    @property
    def cursor(self) -> str | None:
        """What continues an answer that had a limit; None when it is whole."""
        return self._outcome.get("cursor")

    def arrow(self) -> pa.Table:
        """Return an Arrow table with times as timestamps (ns, UTC)."""
        table = self.table
        for index, name in enumerate(table.column_names):
            if name in _TIMES:
                table = table.set_column(index, name, table.column(name).cast(_TIMESTAMP))
        return table

    def pandas(self) -> pd.DataFrame:
        """Return a pandas data frame; times are timestamps in UTC, names are categories."""
        frame: pd.DataFrame = self.arrow().to_pandas()
        return frame

    def polars(self) -> pl.DataFrame:
        """Return a polars data frame, without a copy where there can be one."""
        import polars

        frame = polars.from_arrow(self.arrow())
        assert isinstance(frame, polars.DataFrame), "it was made from a table"
        return frame

    def spark(self, session: Any) -> Any:
        """Return a Spark data frame; Spark counts time in microseconds, so times stay int64 ns.

        It has no unsigned numbers: status bits are in a signed one, unsigned values are decimals.

        Parameters
        ----------
        session : pyspark.sql.SparkSession
            Also of Spark Connect.
        """
        plain = [_plain(name, self.table.column(name)) for name in self.table.column_names]
        return session.createDataFrame(pa.table(plain, self.table.column_names))


def _next(reader: Any) -> Any:
    try:
        return reader.read_next_batch_with_custom_metadata()
    except StopIteration:
        return None


def _plain(name: str, column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return a column in types that Spark has."""
    if pa.types.is_dictionary(column.type):
        return column.cast(pa.utf8())
    if pa.types.is_uint64(column.type) and name == "status":
        return pa.chunked_array([chunk.view(pa.int64()) for chunk in column.chunks], pa.int64())
    return column.cast(_signed(column.type))


def _signed(kind: pa.DataType) -> pa.DataType:
    if pa.types.is_list(kind):
        return pa.list_(_signed(kind.value_type))
    return _UNSIGNED.get(kind, kind)
