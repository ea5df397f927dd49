"""Aggregates of floats per bucket, computed by InfluxDB beside the data."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from archiver.backends.influx import layout, names, rows
from archiver.backends.influx.client import Client
from archiver.backends.influx.reading import Reader, within
from archiver.backends.influx.state import State
from archiver.model import Interval
from archiver.model.status import BAD, Status

FUNCTIONS = ("count", "min", "max", "mean", "sum", "first", "last")
_UNFIT = int(BAD | Status.DISCONNECTED | Status.PAUSED)
_SCHEMA = pa.schema(
    {"element": pa.utf8(), "start": pa.int64(), "count": pa.int64()} | dict.fromkeys(FUNCTIONS[1:], pa.float64())
)


_TYPES = {
    rows.TAGS: pa.dictionary(pa.int32(), pa.utf8()),
    "time": pa.int64(),
    **dict.fromkeys(FUNCTIONS, pa.float64()),
    "count": pa.int64(),
}


def bucketed(
    client: Client,
    reader: Reader,
    state: State,
    group: str,
    elements: Sequence[str],
    interval: Interval,
    bucket_ns: int,
) -> tuple[pa.Table, list[str]]:
    """Return aggregates per element and bucket, and the elements of which InfluxDB cannot give them.

    Those have, in the interval, corrected samples, several of one time, or good values that are no finite floats:
    their samples must be read.

    Parameters
    ----------
    group : str
        Of the state.
    interval : Interval
        Not empty.
    bucket_ns : int
        Length of a bucket, aligned to the epoch; 0 makes the interval the only one.

    Returns
    -------
    table : pyarrow.Table
        ``element``, ``start`` (of the bucket, ns), and `FUNCTIONS` of good samples (a value that is not NaN, a status
        neither bad nor a gap); only of buckets that have any, by element and start.
    unfit : list of str
        Sorted.
    """
    unfit, found = _unfit(client, reader, state, group, elements, interval), []
    for run in names.runs([name for name in elements if name not in unfit]):
        conditions = [
            within(interval),
            state.condition(),
            f'("status" & {_UNFIT}) = 0',
            reader.among(run),
        ]
        asked = ", ".join(f'{function}("float") AS "{function}"' for function in FUNCTIONS)
        by = f'"element", time({bucket_ns}ns) fill(none)' if bucket_ns else '"element"'
        statement = f"SELECT {asked} FROM {names.identifier(group)} WHERE {' AND '.join(conditions)} GROUP BY {by}"
        with client.csv(statement, reader.mark) as answer:
            found += [_table(part, interval, bucket_ns) for part in rows.tables(answer, _TYPES)]
    return pa.concat_tables([_SCHEMA.empty_table(), *found]), sorted(unfit)


def _unfit(
    client: Client, reader: Reader, state: State, group: str, elements: Sequence[str], interval: Interval
) -> set[str]:
    """Return the elements that have something else than single finite floats and samples without a value."""
    found: set[str] = set()
    special = (
        """("version" != '' OR "sequence" != '' OR "source_time" != '' OR ("kind" != 'float' AND "kind" != 'none'))"""
    )
    for run in names.runs(elements):
        conditions = [within(interval), reader.among(run), special, state.condition()]
        statement = f'SELECT last("write"), "element" FROM {names.identifier(group)} WHERE {" AND ".join(conditions)}'
        with client.csv(f'{statement} GROUP BY "element"', reader.mark) as answer:
            for table in rows.tables(answer, layout.TYPES):
                found |= {names.element_name(value) for value in table.column("element").to_pylist()}
    return found


def _table(part: pa.RecordBatch, interval: Interval, bucket_ns: int) -> pa.Table:
    columns = {name: part.column(name) for name in FUNCTIONS}
    tags = part.column(rows.TAGS)
    written = [text.removeprefix("element=").replace("\\", "") for text in tags.dictionary.to_pylist()]
    elements = pa.array([names.element_name(value) for value in written], pa.utf8()).take(tags.indices)
    start = part.column("time") if bucket_ns else pa.array(np.full(part.num_rows, interval.start))
    return pa.table({"element": elements, "start": start, **columns}, schema=_SCHEMA)
