"""Reads: from rows in the database's order to samples in the archive's."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

import numpy as np
import pyarrow as pa
from sqlalchemy import Table

from archiver.backends.sql import columns
from archiver.backends.sql.dialects import Dialect
from archiver.backends.sql.tables import GroupTables
from archiver.model import Interval, SampleBatch
from archiver.model.identity import distinct, newest_versions
from archiver.model.time import MIN_TIME


def read(
    dialect: Dialect,
    tables: Sequence[Table],
    ids: Mapping[str, int],
    interval: Interval,
    as_of: int | None,
    versions: bool,
) -> Iterator[SampleBatch]:
    """Yield the samples of an interval in the order of name, source time and sequence.

    Parameters
    ----------
    tables : sequence of Table
        Samples of the groups to read.
    ids : mapping of element name to id
    """
    names = {key: name for name, key in ids.items()}
    ordered = [ids[name] for name in sorted(ids)]
    for batch in _whole(columns.decode(rows, names) for rows in dialect.read(tables, ordered, interval)):
        if as_of is not None:
            batch = batch.filter(batch.receive_time <= as_of)
        batch = distinct(batch) if versions else newest_versions(batch)
        if batch.num_rows:
            yield batch


def last_before(
    dialect: Dialect, groups: Sequence[GroupTables], ids: Mapping[str, int], time: int, as_of: int | None
) -> SampleBatch:
    """Return the last valid sample of each element before `time`, sorted by name.

    The newest row of an element is kept in a table of its own: only where that one is too new are the samples asked.
    """
    names = {key: name for name, key in ids.items()}
    ordered = [ids[name] for name in sorted(ids)]
    found: list[pa.RecordBatch] = []
    for tables in groups:
        left = set(ordered)
        for rows in dialect.read([tables.latest], ordered, Interval(MIN_TIME, time)):
            if as_of is not None:
                rows = rows.filter(pa.array(rows.column("receive_time").to_numpy() <= as_of))
            left -= set(rows.column("element_id").to_pylist())
            found.append(rows)
        if left:
            found += dialect.last_before([tables.samples], sorted(left), time, as_of)
    batch = newest_versions(SampleBatch.concat([columns.decode(rows, names) for rows in found]))
    return batch.filter(np.append(batch.codes[1:] != batch.codes[:-1], True)[: batch.num_rows])


def _whole(batches: Iterable[SampleBatch]) -> Iterator[SampleBatch]:
    """Cut between identities: all versions of a sample come in one batch."""
    held = SampleBatch.empty()
    for batch in batches:
        batch = SampleBatch.concat([held, batch])
        cut = _last_identity(batch)
        if cut:
            yield batch.slice(0, cut)
        held = batch.slice(cut)
    if held.num_rows:
        yield held


def _last_identity(batch: SampleBatch) -> int:
    """Return the first row that has the identity of the last one."""
    other = (
        (batch.codes != batch.codes[-1])
        | (batch.source_time != batch.source_time[-1])
        | (batch.sequence != batch.sequence[-1])
    )
    rows = np.flatnonzero(other)
    return int(rows[-1]) + 1 if len(rows) else 0
