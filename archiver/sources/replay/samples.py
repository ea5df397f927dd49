"""Tables that are samples already, as queries give them."""

from __future__ import annotations

import pyarrow as pa

from archiver.model import InvalidInputError, Kind, SampleBatch, parse_time
from archiver.model.kind import kind_of
from archiver.sources.replay.cells import is_text


def long_table(table: pa.Table) -> SampleBatch:
    """Return the samples of a table with columns element, source_time, value and, if it has one, status.

    Parameters
    ----------
    table : pyarrow.Table
        Times are ISO-8601 with zone, Arrow timestamps or int64 ns; the kind of the values is that of their type.

    Raises
    ------
    InvalidInputError
        A column is missing, or a cell means nothing.
    """
    missing = [name for name in ("element", "source_time", "value") if name not in table.column_names]
    if missing:
        raise InvalidInputError(f"no column {', '.join(missing)}; there are: {', '.join(table.column_names)}")
    columns = {name: _whole(table.column(name)) for name in table.column_names}
    times, values = columns["source_time"], columns["value"]
    if times.null_count:
        raise InvalidInputError(f"{times.null_count} samples have no source_time")
    if is_text(times):
        times = pa.array([parse_time(text) for text in times.to_pylist()], pa.int64())
    elif pa.types.is_timestamp(times.type):
        times = times.cast(pa.timestamp("ns", times.type.tz)).cast(pa.int64())
    kind = kind_of(values.type)
    try:
        return SampleBatch.from_columns(
            columns["element"].cast(pa.utf8()),
            times,
            {} if kind is Kind.NONE else {kind: values},
            status=columns["status"].cast(pa.uint64()) if "status" in columns else 0,
        )
    except pa.ArrowInvalid as exc:
        raise InvalidInputError(f"not a table of samples: {exc}") from exc


def _whole(column: pa.ChunkedArray) -> pa.Array:
    return pa.concat_arrays(column.chunks) if column.num_chunks else pa.array([], column.type)
