"""What became of every sample: each one received is in exactly one column of this account.

The ledger holds *segments*: a segment is what one lane made of the journal up to an offset, as columns (element,
group, outcome, reason, how many, first and last source time). A lane records its segment just before the backend
commits the data with the same position, so a segment counts when the backend's position has reached it, and one
that a crash left behind is replaced when the lane does the work again. What no lane has dealt with is buffered.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from archiver.model import Interval, SampleBatch
from archiver.model.batch import ELEMENT_TYPE, Mask
from archiver.model.ipc import to_ipc
from archiver.model.time import DAY_NS, NANOSECONDS
from archiver.pipeline.store import Store

INTAKE = "intake"
"""The lane name under which the intake accounts for what it refused."""

HELD = "held by the smoothing"
"""Why a sample is buffered that the journal need not keep any more: it is not decided yet whether it is stored."""


class Outcome(StrEnum):
    """The columns of the ledger."""

    STORED = "stored"
    SMOOTHED = "smoothed"
    DUPLICATE = "duplicate"
    REJECTED = "rejected"
    BUFFERED = "buffered"
    DEAD = "dead-lettered"
    DROPPED = "dropped"


SCHEMA = pa.schema(
    [
        ("element", ELEMENT_TYPE),
        ("group", pa.dictionary(pa.int32(), pa.utf8())),
        ("outcome", pa.dictionary(pa.int32(), pa.utf8())),
        ("reason", pa.dictionary(pa.int32(), pa.utf8())),
        ("count", pa.int64()),
        ("first", pa.int64()),
        ("last", pa.int64()),
    ]
)
_KEYS = ["element", "group", "outcome", "reason"]
_MERGE_EVERY = 32
_HOUR_NS = 3600 * NANOSECONDS
_DAILY_LEVEL = 2
_TABLES = """
CREATE TABLE IF NOT EXISTS segment (
    lane TEXT, stream TEXT, offset INTEGER, level INTEGER NOT NULL DEFAULT 0,
    first INTEGER NOT NULL, last INTEGER NOT NULL, payload BLOB NOT NULL,
    PRIMARY KEY (lane, stream, offset)
);
CREATE TABLE IF NOT EXISTS total (
    lane TEXT, "group" TEXT, outcome TEXT, reason TEXT, count INTEGER NOT NULL,
    PRIMARY KEY (lane, "group", outcome, reason)
) WITHOUT ROWID;
"""


@dataclass(frozen=True, slots=True)
class Total:
    """How many samples of a group ended in one column, and why, in one lane (a backend, or the intake)."""

    lane: str
    group: str
    outcome: str
    reason: str
    count: int


def account(
    batch: SampleBatch, outcome: Outcome, *, group: str = "", reason: str = "", where: Mask | None = None
) -> pa.Table:
    """Return the rows of the ledger for the samples of a batch, one per element.

    Parameters
    ----------
    where : ndarray of bool, optional
        Only these samples.
    """
    codes, times = batch.codes, batch.source_time
    if where is not None:
        codes, times = codes[where], times[where]
    counts = np.bincount(codes, minlength=len(batch.elements))
    present = np.flatnonzero(counts)
    first = np.full(len(counts), np.iinfo(np.int64).max)
    last = np.full(len(counts), np.iinfo(np.int64).min)
    np.minimum.at(first, codes, times)
    np.maximum.at(last, codes, times)
    return pa.Table.from_arrays(
        [
            pa.DictionaryArray.from_arrays(pa.array(present, pa.int32()), batch.column("element").dictionary),
            *(_constant(text, len(present)) for text in (group, str(outcome), reason)),
            pa.array(counts[present], pa.int64()),
            pa.array(first[present]),
            pa.array(last[present]),
        ],
        schema=SCHEMA,
    )


def _constant(text: str, count: int) -> pa.DictionaryArray:
    return pa.DictionaryArray.from_arrays(pa.array(np.zeros(count, np.int32)), pa.array([text]))


def join(tables: Iterable[pa.Table]) -> pa.Table:
    """Return several accounts as one table."""
    filled = [table for table in tables if table.num_rows]
    return pa.concat_tables(filled).unify_dictionaries() if filled else SCHEMA.empty_table()


def encode(table: pa.Table) -> bytes:
    """Return an account as bytes, nothing for an empty one."""
    if not table.num_rows:
        return b""
    return to_ipc(table.unify_dictionaries().combine_chunks(), "zstd")


def decode(payload: bytes) -> pa.Table:
    """Return the account that `encode` was given."""
    if not payload:
        return SCHEMA.empty_table()
    with pa.ipc.open_stream(payload) as reader:
        return reader.read_all()


class Ledger:
    """The account of all samples, kept in the archive's database."""

    def __init__(self, store: Store) -> None:
        self._store = store
        store.create(_TABLES)

    def record(self, lane: str, stream: str, offset: int, table: pa.Table) -> None:
        """Keep the account of a lane up to an offset, in place of one that was recorded for the same offset."""
        if not table.num_rows:
            return
        first, last = pc.min(table["first"]).as_py(), pc.max(table["last"]).as_py()
        with self._store.transaction() as connection:
            self._withdraw(connection, "lane = ? AND stream = ? AND offset = ?", (lane, stream, offset))
            row = (lane, stream, offset, first, last, encode(table))
            connection.execute("INSERT INTO segment VALUES (?, ?, ?, 0, ?, ?, ?)", row)
            self._add(connection, lane, table, 1)
            level, merged = 0, True
            while merged:
                merged = self._merge(connection, lane, stream, offset, level)
                level += 1

    def forget_after(self, lane: str, stream: str, offset: int) -> None:
        """Withdraw what a lane recorded beyond the position that its backend really has."""
        with self._store.transaction() as connection:
            self._withdraw(connection, "lane = ? AND stream = ? AND offset > ?", (lane, stream, offset))

    def position(self, lane: str, stream: str) -> int:
        """Return the last offset that a lane has accounted for, 0 when there is none."""
        with self._store.transaction() as connection:
            query = "SELECT max(offset) FROM segment WHERE lane = ? AND stream = ?"
            return int(connection.execute(query, (lane, stream)).fetchone()[0] or 0)

    def certain(self, lane: str, stream: str) -> int:
        """Return the last offset but one that a lane has accounted for: its backend has that, whatever happened since.

        The last account may be of a write that was never committed.
        """
        with self._store.transaction() as connection:
            query = "SELECT offset FROM segment WHERE lane = ? AND stream = ? ORDER BY offset DESC LIMIT 1 OFFSET 1"
            row = connection.execute(query, (lane, stream)).fetchone()
            return int(row[0]) if row else 0

    def span_after(self, lane: str, stream: str, offset: int) -> Interval | None:
        """Return the source times of what a lane accounted for after an offset, None when there is nothing."""
        with self._store.transaction() as connection:
            query = "SELECT min(first), max(last) FROM segment WHERE lane = ? AND stream = ? AND offset > ?"
            first, last = connection.execute(query, (lane, stream, offset)).fetchone()
        return None if first is None else Interval(first, last + 1)

    def totals(self) -> list[Total]:
        """Return the counts by lane, group, outcome and reason."""
        with self._store.transaction() as connection:
            query = 'SELECT lane, "group", outcome, reason, count FROM total WHERE count != 0 ORDER BY 1, 2, 3, 4'
            return [Total(*row) for row in connection.execute(query)]

    def accounts(self, element: str | None = None, interval: Interval | None = None) -> pa.Table:
        """Return the rows of the ledger, with a column ``lane``, of an element and around an interval.

        A row whose span (first to last source time) touches the interval is in.
        """
        clause, values = "1", []
        if interval is not None:
            clause, values = "first < ? AND last >= ?", [interval.end, interval.start]
        with self._store.transaction() as connection:
            query = f"SELECT lane, payload FROM segment WHERE {clause} ORDER BY first"
            segments = connection.execute(query, values).fetchall()
        tables = []
        for lane, payload in segments:
            table = decode(payload)
            if element is not None:
                table = table.filter(pc.equal(table["element"].cast(pa.utf8()), element))
            if interval is not None:
                touches = pc.and_(
                    pc.less(table["first"], interval.end), pc.greater_equal(table["last"], interval.start)
                )
                table = table.filter(touches)
            if table.num_rows:
                tables.append(table.append_column("lane", pa.array([lane] * table.num_rows, pa.utf8())))
        empty = SCHEMA.append(pa.field("lane", pa.utf8())).empty_table()
        return pa.concat_tables(tables) if tables else empty

    def counters(self) -> pa.Table:
        """Return counts by lane, element, group, outcome and reason, over all time."""
        table = self.accounts()
        plain = [pc.cast(table[name], pa.utf8()) for name in _KEYS]
        flat = pa.table([table["lane"], *plain, table["count"]], names=["lane", *_KEYS, "count"])
        return flat.group_by(["lane", *_KEYS]).aggregate([("count", "sum")]).rename_columns({"count_sum": "count"})

    def _withdraw(self, connection: sqlite3.Connection, clause: str, values: Sequence[object]) -> None:
        query = f"SELECT lane, payload FROM segment WHERE {clause}"
        for lane, payload in connection.execute(query, values).fetchall():
            self._add(connection, lane, decode(payload), -1)
        connection.execute(f"DELETE FROM segment WHERE {clause}", values)

    def _add(self, connection: sqlite3.Connection, lane: str, table: pa.Table, sign: int) -> None:
        names = ["group", "outcome", "reason"]
        flat = pa.table([*(pc.cast(table[name], pa.utf8()) for name in names), table["count"]], names=[*names, "count"])
        for row in flat.group_by(names).aggregate([("count", "sum")]).to_pylist():
            connection.execute(
                "INSERT INTO total VALUES (?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET count = count + excluded.count",
                (lane, row["group"], row["outcome"], row["reason"], sign * row["count_sum"]),
            )

    def _merge(self, connection: sqlite3.Connection, lane: str, stream: str, before: int, level: int) -> bool:
        """Join the segments of a level that are certain, when there are many; so their number grows as a logarithm."""
        clause = "lane = ? AND stream = ? AND offset < ? AND level = ?"
        values = (lane, stream, before, level)
        count = f"SELECT count(*) FROM segment WHERE {clause}"
        if connection.execute(count, values).fetchone()[0] < _MERGE_EVERY:
            return False
        query = f"SELECT offset, payload FROM segment WHERE {clause} ORDER BY offset"
        rows = connection.execute(query, values).fetchall()
        merged = _by_bucket(join(decode(payload) for _, payload in rows), _HOUR_NS if level < _DAILY_LEVEL else DAY_NS)
        first, last = pc.min(merged["first"]).as_py(), pc.max(merged["last"]).as_py()
        connection.execute(f"DELETE FROM segment WHERE {clause}", values)
        row = (lane, stream, rows[-1][0], level + 1, first, last, encode(merged))
        connection.execute("INSERT INTO segment VALUES (?, ?, ?, ?, ?, ?, ?)", row)
        return True


def _by_bucket(table: pa.Table, bucket_ns: int) -> pa.Table:
    bucket = pc.divide(table["first"], bucket_ns)
    flat = [pc.cast(table[name], pa.utf8()) for name in _KEYS]
    names = [*_KEYS, "bucket", "count", "first", "last"]
    grouped = (
        pa.table([*flat, bucket, table["count"], table["first"], table["last"]], names=names)
        .group_by([*_KEYS, "bucket"])
        .aggregate([("count", "sum"), ("first", "min"), ("last", "max")])
    )
    columns = [pc.dictionary_encode(grouped[name]) for name in _KEYS]
    columns += [grouped["count_sum"], grouped["first_min"], grouped["last_max"]]
    return pa.Table.from_arrays(columns, schema=SCHEMA)
