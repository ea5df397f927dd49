"""The statements on samples, as text with bind variables: few texts, so that the server parses each of them once.

Hints say what the planner cannot know: a list of ids is short, and each of them is one descent of the key.
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Table

from archiver.backends.sql.cells import Words
from archiver.backends.sql.tables import SAMPLE_COLUMNS

KEY = ("element_id", "source_time", "sequence", "receive_time")
VERSION = KEY[1:]
BLOCKS = (1, 10, 100)
"""How many ids a statement may take; a list is filled up with nulls to the next of these."""
WORDS = Words(quotient="FLOOR({0} / {1})", bits="BITAND({0}, {1})", real="CAST({0} AS BINARY_DOUBLE)", number=":{1}")
"""A quotient of times has less digits than NUMBER; the floats that have no order or sum are not in `float_value`."""

_COLUMNS = ", ".join(SAMPLE_COLUMNS)
_ORDER = ", ".join(VERSION)
_NEWEST_FIRST = ", ".join(f"{name} DESC" for name in VERSION)


def insert(table: Table, columns: Sequence[str]) -> str:
    """Return the insert of these columns; their values are bound by position."""
    marks = ", ".join(f":{index}" for index in range(1, len(columns) + 1))
    return f"INSERT INTO {table.name} ({', '.join(columns)}) VALUES ({marks})"


def merge_new(samples: Table, landing: Table) -> str:
    """Return the statement that takes over landed rows whose key is not there yet."""
    values = ", ".join(f"s.{name}" for name in SAMPLE_COLUMNS)
    return (
        f"MERGE INTO {samples.name} t USING {landing.name} s ON ({_equal(KEY)}) "
        f"WHEN NOT MATCHED THEN INSERT ({_COLUMNS}) VALUES ({values})"
    )


def merge_newest(latest: Table, staging: Table) -> str:
    """Return the statement that puts staged rows into `latest` where they are newer, or the first of an element."""
    settings = ", ".join(f"{name} = s.{name}" for name in SAMPLE_COLUMNS[1:])
    values = ", ".join(f"s.{name}" for name in SAMPLE_COLUMNS)
    return (
        f"MERGE INTO {latest.name} t USING {staging.name} s ON ({_equal(KEY[:1])}) "
        f"WHEN MATCHED THEN UPDATE SET {settings} WHERE {_newer()} "
        f"WHEN NOT MATCHED THEN INSERT ({_COLUMNS}) VALUES ({values})"
    )


def read(tables: Sequence[Table]) -> str:
    """Return the rows of one id from ``:first`` to before ``:last``, along the key."""
    where = "element_id = :id AND source_time >= :first AND source_time < :last"
    if len(tables) == 1:
        return f"SELECT {_COLUMNS} FROM {tables[0].name} WHERE {where} ORDER BY {_ORDER}"
    parts = " UNION ALL ".join(f"SELECT {_COLUMNS} FROM {table.name} WHERE {where}" for table in tables)
    return f"SELECT {_COLUMNS} FROM ({parts}) ORDER BY {_ORDER}"


def read_block(tables: Sequence[Table], size: int) -> str:
    """Return the rows of ``:id0``, ``:id1`` … from ``:first`` to before ``:last``, in the order of these."""
    ids = " UNION ALL ".join(f"SELECT CAST(:id{i} AS NUMBER(10)) AS id, {i} AS place FROM dual" for i in range(size))
    parts = " UNION ALL ".join(
        f"SELECT /*+ LEADING(ids) USE_NL(s) INDEX(s) */ place, {', '.join(f's.{name}' for name in SAMPLE_COLUMNS)} "
        f"FROM ({ids}) ids JOIN {table.name} s ON s.element_id = ids.id "
        f"WHERE s.source_time >= :first AND s.source_time < :last"
        for table in tables
    )
    return f"SELECT {_COLUMNS} FROM ({parts}) ORDER BY place, {_ORDER}"


def instants(samples: Table, staging: Table) -> str:
    """Return the rows of the ids and times that are staged, from ``:first`` to ``:last``, both included."""
    columns = ", ".join(f"s.{name}" for name in SAMPLE_COLUMNS)
    return (
        f"SELECT /*+ LEADING(i) USE_NL(s) INDEX(s) */ {columns} FROM {staging.name} i JOIN {samples.name} s "
        "ON s.element_id = i.element_id AND s.source_time = i.source_time "
        "WHERE s.source_time BETWEEN :first AND :last"  # lets partitions be left out
    )


def last_before(table: Table, size: int) -> str:
    """Return the last row of each of ``:id0``, ``:id1`` … before ``:time``, received at or before ``:known``."""
    return " UNION ALL ".join(
        f"SELECT * FROM (SELECT {_COLUMNS} FROM {table.name} WHERE element_id = :id{i} AND source_time < :time "
        f"AND receive_time <= :known ORDER BY {_NEWEST_FIRST}) WHERE ROWNUM = 1"
        for i in range(size)
    )


def any_of(size: int) -> str:
    """Return what an id equals that is one of ``:id0``, ``:id1`` … up to `size`."""
    return f"ANY ({', '.join(f':id{i}' for i in range(size))})"


def lock(archive: Table) -> str:
    """Return the statement that takes the writers' lock, or gives up after half a minute."""
    return f"SELECT generation FROM {archive.name} FOR UPDATE WAIT 30"


def _equal(names: Sequence[str]) -> str:
    return " AND ".join(f"t.{name} = s.{name}" for name in names)


def _newer() -> str:
    """Return the condition that the version of `s` is greater than that of `t`; Oracle compares no rows."""
    return " OR ".join(
        f"({' AND '.join([*(f's.{name} = t.{name}' for name in VERSION[:i]), f's.{VERSION[i]} > t.{VERSION[i]}'])})"
        for i in range(len(VERSION))
    )
