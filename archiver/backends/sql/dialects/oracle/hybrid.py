"""A hybrid partitioned table: days before an instant are external, over the files of our lake.

The table that the archive writes to cannot be that table: Oracle enforces no key on a hybrid one, takes no LOB there,
and knows intervals there from 23ai on only. So it is a table beside it, with a view over both.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date

from archiver.backends.sql.tables import Tables, slug
from archiver.model.time import DAY_NS

HEAD = """As a DBA: days of the lake as external partitions, from Oracle 21c on (driver ORACLE_BIGDATA).
The server must see the folder of the lake. Compaction replaces the files of a day: print this again, and use
ALTER TABLE ... MODIFY PARTITION ... LOCATION for a day that has changed. The partition `hot` is in the database, for
what you take back. Rows are versions: of those that are equal in element, source_time and sequence, the one with the
greatest receive_time is valid. Arrays and binary values are left out."""

_COLUMNS = (
    ("element", "VARCHAR2(4000)"),
    ("source_time", "NUMBER(19)"),
    ("sequence", "NUMBER(10)"),
    ("receive_time", "NUMBER(19)"),
    ("status", "NUMBER(19)"),
    ("float_value", "BINARY_DOUBLE"),
    ("int_value", "NUMBER(19)"),
    ("uint_value", "NUMBER(20)"),
    ("bool_value", "NUMBER(1)"),
    ("enum_value", "NUMBER(10)"),
    ("text_value", "VARCHAR2(4000)"),
)
_NAMES = ", ".join(name for name, _ in _COLUMNS)
_EPOCH_DAY = date(1970, 1, 1).toordinal()
_LIVE = """e.name, s.source_time, s.sequence, s.receive_time, s.status,
    CASE WHEN s.kind = 1 THEN s.float_value END,
    CASE WHEN s.kind = 2 THEN s.int_value END,
    CASE WHEN s.kind = 3 THEN s.int_value + CASE WHEN s.int_value < 0 THEN 18446744073709551616 ELSE 0 END END,
    CASE WHEN s.kind = 4 THEN s.int_value END,
    CASE WHEN s.kind = 7 THEN s.int_value END,
    CASE WHEN s.kind = 5 THEN s.text_value END"""


@dataclass(frozen=True)
class ColdFiles:
    """Files of the lake that hold a day of a group.

    Parameters
    ----------
    group : str
    day : date
        UTC.
    folder : str
        Absolute, as the database server sees it.
    names : tuple of str
        In that folder.
    """

    group: str
    day: date
    folder: str
    names: tuple[str, ...]

    @property
    def end(self) -> int:
        """Where the day ends, ns."""
        return (self.day.toordinal() - _EPOCH_DAY + 1) * DAY_NS


def statements(tables: Tables, group: str, files: Sequence[ColdFiles], before: int) -> Iterator[str]:
    """Yield folders, table and view of a group; `files` of days from `before` (ns) on are left out."""
    stem = slug(group)
    table, view = f"{tables.prefix}hybrid_{stem}", f"{tables.prefix}view_{stem}"
    cold = sorted((part for part in files if part.end <= before), key=lambda part: (part.day, part.folder))
    if not cold:
        return
    for number, part in enumerate(cold):
        yield f"CREATE DIRECTORY {table}_{number} AS '{_quoted(part.folder)}';"
    yield f"{_table(table, cold)};"
    yield f"{_view(tables, group, table, view, cold[-1].end)};"


def _table(table: str, cold: Sequence[ColdFiles]) -> str:
    columns = ",\n".join(f"    {name} {kind}" for name, kind in _COLUMNS)
    fields = ", ".join(
        f'{{"col": "{name.upper()}", "field": "{name.removesuffix("_value")}"}}'
        for name, _ in _COLUMNS
        if name.endswith("_value")
    )
    ends = sorted({part.end for part in cold})
    partitions = [f"    {_partition(table, end, cold)}" for end in ends]
    partitions.append("    PARTITION hot VALUES LESS THAN (MAXVALUE)")
    return (
        f"CREATE TABLE {table} (\n{columns}\n)\n"
        f"EXTERNAL PARTITION ATTRIBUTES (\n    TYPE ORACLE_BIGDATA\n    DEFAULT DIRECTORY {table}_0\n"
        "    ACCESS PARAMETERS (\n        com.oracle.bigdata.fileformat = parquet\n"
        f"        com.oracle.bigdata.colmap = [{fields}]\n    )\n    REJECT LIMIT 0\n)\n"
        "PARTITION BY RANGE (source_time) (\n" + ",\n".join(partitions) + "\n)"
    )


def _partition(table: str, end: int, cold: Sequence[ColdFiles]) -> str:
    numbered = [(number, part) for number, part in enumerate(cold) if part.end == end]
    places = ", ".join(
        f"{table}_{number}:'{_quoted(name)}'" for number, part in numbered for name in sorted(part.names)
    )
    day = numbered[0][1].day
    return f"PARTITION d{day:%Y%m%d} VALUES LESS THAN ({end}) EXTERNAL LOCATION ({places})"


def _view(tables: Tables, group: str, table: str, view: str, cut: int) -> str:
    samples = tables.group(group).samples.name
    return (
        f"CREATE OR REPLACE VIEW {view} ({_NAMES}) AS\n"
        f"SELECT {_LIVE}\n"
        f"FROM {samples} s JOIN {tables.element.name} e ON e.id = s.element_id WHERE s.source_time >= {cut}\n"
        f"UNION ALL\nSELECT {_NAMES}\nFROM {table} WHERE source_time < {cut}"
    )


def _quoted(text: str) -> str:
    return text.replace("'", "''")
