"""The statements that make tables and let go of what is old: what a DBA reviews, and what a first write runs.

The samples of a group are range-partitioned by source time, and Oracle makes the partition of an interval when its
first row comes. Such a table cannot be index-organised (Oracle has no interval partitions there), so that its key is
a local index, prefix-compressed: the first column repeats for every sample of an element.
"""

from __future__ import annotations

from collections.abc import Iterator

from sqlalchemy import Table
from sqlalchemy.dialects import registry
from sqlalchemy.engine import Dialect
from sqlalchemy.schema import CreateTable

from archiver.backends.sql.tables import GroupTables, Tables
from archiver.model import Interval

DIALECT: Dialect = registry.load("oracle.oracledb")()
HOUR_NS = 3_600_000_000_000
BEFORE_EPOCH = "before_epoch"
"""The partition of all times before 1970; partitions by interval begin after it."""


def archive_tables(tables: Tables) -> Iterator[tuple[str, str]]:
    """Yield name and statement of each table that an archive has once."""
    for table in tables.metadata.sorted_tables:
        yield table.name, _create(table)
    yield tables.staging.name, _create(tables.staging).replace("TEMPORARY", "GLOBAL TEMPORARY", 1)
    yield tables.landing.name, f"{_create(tables.landing)}\nPCTFREE 0 NOLOGGING"


def group_tables(tables: GroupTables, segment_ns: int) -> Iterator[tuple[str, str]]:
    """Yield name and statement of the tables of a group, whose partitions are `partition_ns` long."""
    body = _create(tables.samples).removesuffix("\n)")
    yield (
        tables.samples.name,
        f"{body} USING INDEX LOCAL COMPRESS 1\n)\nPCTFREE 0\n"
        f"PARTITION BY RANGE (source_time) INTERVAL ({partition_ns(segment_ns)})\n"
        f"(PARTITION {BEFORE_EPOCH} VALUES LESS THAN (0))",
    )
    yield tables.latest.name, f"{_create(tables.latest)}\nPCTFREE 50"


def partition_ns(segment_ns: int) -> int:
    """Return how long partitions are: a segment, or as many short ones as make an hour.

    Oracle numbers the partitions from 1970 on, and there are no more than 1,048,575.
    """
    return segment_ns * -(-HOUR_NS // segment_ns) if segment_ns < HOUR_NS else segment_ns


def drop_partition(samples: Table, time: int) -> str:
    """Return the statement that drops the partition which holds `time` (ns)."""
    return f"ALTER TABLE {samples.name} DROP PARTITION FOR ({time}) UPDATE INDEXES"


def delete_interval(samples: Table, interval: Interval, *, to_the_end: bool) -> str:
    """Return the statement that deletes rows of an interval that is no partition."""
    end = "" if to_the_end else f" AND source_time < {interval.end}"
    return f"DELETE FROM {samples.name} WHERE source_time >= {interval.start}{end}"


def partition_length() -> str:
    """Return the query for the length of the partitions of ``:name``, as text."""
    return "SELECT interval FROM user_part_tables WHERE table_name = :name"


def partition_bytes() -> str:
    """Return the query for the end (as text) and the bytes of each partition of ``:name``; its index not counted."""
    return (
        "SELECT p.high_value, s.bytes FROM user_tab_partitions p "
        "JOIN user_segments s ON s.segment_name = p.table_name AND s.partition_name = p.partition_name "
        "WHERE p.table_name = :name"
    )


def _create(table: Table) -> str:
    text = str(CreateTable(table).compile(dialect=DIALECT)).strip()
    return "\n".join(line.rstrip() for line in text.replace("\t", "    ").splitlines() if line.strip())
