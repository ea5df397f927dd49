"""The tables: four of the archive and two for rows on their way, and two of each group."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from functools import lru_cache

from sqlalchemy import (
    BigInteger,
    Column,
    Double,
    Integer,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    SmallInteger,
    String,
    Table,
    Text,
    UniqueConstraint,
)
from sqlalchemy.dialects import oracle

SCHEMA_VERSION = 1
NAME = Text().with_variant(String(1024), "oracle")  # a key; as long as a name may be
SAMPLE_COLUMNS = (
    "element_id",
    "source_time",
    "sequence",
    "receive_time",
    "status",
    "kind",
    "float_value",
    "int_value",
    "text_value",
    "bytes_value",
)


@dataclass(frozen=True)
class GroupTables:
    """The samples of a group, and the newest of each element."""

    samples: Table
    latest: Table


class Tables:
    """The tables of one archive.

    Parameters
    ----------
    prefix : str
        Start of every name: lower-case letters, digits and ``_``.
    """

    def __init__(self, prefix: str) -> None:
        self.prefix = prefix
        self.metadata = MetaData()
        self.archive = Table(
            f"{prefix}archive",
            self.metadata,
            Column("id", Integer, primary_key=True, autoincrement=False),
            Column("schema_version", Integer, nullable=False),
            Column("generation", BigInteger, nullable=False, comment="goes up with every write; its row is the lock"),
        )
        self.position = Table(
            f"{prefix}position",
            self.metadata,
            Column("stream", NAME, primary_key=True),
            Column("last_offset", BigInteger, nullable=False),
        )
        self.element = Table(
            f"{prefix}element",
            self.metadata,
            Column("id", Integer, primary_key=True, autoincrement=False),
            Column("name", NAME, nullable=False),
            UniqueConstraint("name", name=f"{prefix}element_name"),
        )
        self.segment = Table(
            f"{prefix}segment",
            self.metadata,
            Column("archive_group", NAME, primary_key=True),
            Column("start_time", BigInteger, primary_key=True, autoincrement=False),
            Column("end_time", BigInteger, nullable=False),
            Column("row_count", BigInteger, nullable=False),
            Column("first_time", BigInteger),
            Column("last_time", BigInteger),
        )
        self.staging = Table(
            f"{prefix}staging",
            MetaData(),
            *_sample_columns(nullable=True),
            prefixes=["TEMPORARY"],
            postgresql_on_commit="DELETE ROWS",
            oracle_on_commit="DELETE ROWS",
        )
        self.landing = Table(f"{prefix}landing", MetaData(), *_sample_columns(nullable=True))
        self.group = lru_cache(maxsize=None)(self._group)

    def _group(self, name: str) -> GroupTables:
        stem, metadata = slug(name), MetaData()
        samples = Table(
            f"{self.prefix}samples_{stem}",
            metadata,
            *_sample_columns(nullable=False),
            PrimaryKeyConstraint("element_id", "source_time", "sequence", "receive_time"),
            sqlite_with_rowid=False,
            postgresql_partition_by="RANGE (source_time)",
        )
        latest = Table(
            f"{self.prefix}latest_{stem}",
            metadata,
            *_sample_columns(nullable=False),
            PrimaryKeyConstraint("element_id"),
            postgresql_with={"fillfactor": 50},
        )
        return GroupTables(samples, latest)


def slug(group: str) -> str:
    """Return a part of a table name for a group: its own name where that is safe, else with a digest.

    Examples
    --------
    >>> slug("fast"), slug("Fast")
    ('fast', 'fast_6c582b62')
    """
    if re.fullmatch(r"[a-z0-9_]{1,16}", group):
        return group
    safe = re.sub(r"[^a-z0-9_]", "_", group.lower())[:16]
    return f"{safe}_{hashlib.sha256(group.encode('utf-8', 'surrogatepass')).hexdigest()[:8]}"


def _sample_columns(*, nullable: bool) -> list[Column[object]]:
    return [
        Column("element_id", Integer, nullable=False),
        Column("source_time", BigInteger, nullable=False, comment="ns since the epoch"),
        Column("sequence", Integer, nullable=nullable),
        Column("receive_time", BigInteger, nullable=nullable, comment="ns since the epoch"),
        Column("status", BigInteger, nullable=nullable, comment="64 bits, as signed"),
        Column("kind", SmallInteger, nullable=nullable, comment="archiver.model.Kind"),
        Column("float_value", Double().with_variant(oracle.BINARY_DOUBLE(), "oracle")),
        Column("int_value", BigInteger),
        Column("text_value", Text().with_variant(String(4000), "oracle")),
        Column("bytes_value", LargeBinary),
    ]
