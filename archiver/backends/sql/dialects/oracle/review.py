"""What a DBA reads before an archive comes into a database: every statement that it would run, and who may run it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from textwrap import indent

from archiver.backends.sql.dialects.oracle import hybrid, schema
from archiver.backends.sql.dialects.oracle.hybrid import ColdFiles
from archiver.backends.sql.tables import Tables
from archiver.model import ArchiveGroup, format_duration


@dataclass(frozen=True)
class Review:
    """An archive as a DBA sees it.

    Parameters
    ----------
    user : str
        The schema that owns the tables.
    tables : Tables
    groups : sequence of ArchiveGroup
        What the backend stores.
    """

    user: str
    tables: Tables
    groups: Sequence[ArchiveGroup]

    def accounts(self) -> Iterator[str]:
        """Yield the owner of the tables, and what it may do."""
        yield _comment("As a DBA: the owner of the tables. Choose password and tablespace.")
        yield f'CREATE USER {self.user} IDENTIFIED BY "..." DEFAULT TABLESPACE users QUOTA UNLIMITED ON users;'
        yield f"GRANT CREATE SESSION TO {self.user};"
        yield _comment(
            "Only if the archive is to make its tables itself; partitions come without it, for the quota is enough."
        )
        yield f"GRANT CREATE TABLE TO {self.user};"

    def definitions(self) -> Iterator[str]:
        """Yield the tables; the archive makes those that are missing, with the same statements."""
        yield _comment(
            "As the owner: the tables. Times are nanoseconds since 1970-01-01 UTC. A table that is there already\n"
            "is left alone: add TABLESPACE, INITRANS or STORE IN as you see fit."
        )
        for _, statement in self._definitions():
            yield f"{statement};"

    def readers(self) -> Iterator[str]:
        """Yield the role of those who read past the archive."""
        yield _comment("As a DBA: a role for those who read the tables themselves. Nobody else is to write to them.")
        yield f"CREATE ROLE {self.user}_reader;"
        tables = [self.tables.element, self.tables.segment]
        for group in self.groups:
            tables += [self.tables.group(group.name).samples, self.tables.group(group.name).latest]
        yield "\n".join(f"GRANT SELECT ON {self.user}.{table.name} TO {self.user}_reader;" for table in tables)

    def retention(self) -> Iterator[str]:
        """Yield what lets go of old samples."""
        yield _comment("What the archive runs when a segment is older than its group keeps it.")
        for group in self.groups:
            samples = self.tables.group(group.name).samples
            length = schema.partition_ns(group.segment_ns)
            keeps = f"for {format_duration(group.retention_ns)}" if group.retention_ns else "for ever"
            yield _comment(f"Group {group.name} keeps samples {keeps}; a partition holds {format_duration(length)}.")
            if group.retention_ns:
                yield _comment(f"{schema.drop_partition(samples, length)};")

    def hybrid(self, cold: Sequence[ColdFiles], before: int) -> Iterator[str]:
        """Yield the tables over the files of the lake before an instant (ns), and what joins them with the others."""
        yield _comment(hybrid.HEAD)
        for group in self.groups:
            ours = [files for files in cold if files.group == group.name]
            yield from hybrid.statements(self.tables, group.name, ours, before)

    def _definitions(self) -> Iterator[tuple[str, str]]:
        yield from schema.archive_tables(self.tables)
        for group in self.groups:
            yield from schema.group_tables(self.tables.group(group.name), group.segment_ns)


def _comment(text: str) -> str:
    return indent(text, "-- ")
