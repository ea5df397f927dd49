"""What SQLite and PostgreSQL share: statements that make tables belong to a transaction, and ON CONFLICT."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, Executable, Table, delete, select, true, tuple_
from sqlalchemy.schema import CreateTable

from archiver.backends.sql.tables import GroupTables

_VERSION = ("source_time", "sequence", "receive_time")


def make_group(connection: Connection, tables: GroupTables) -> None:
    """Make the tables of a group that are missing, within the transaction."""
    for table in (tables.samples, tables.latest):
        connection.execute(CreateTable(table, if_not_exists=True))


def empty_staging(connection: Connection, staging: Table) -> Table:
    """Return the temporary table of this connection, made if it is not there, and empty."""
    connection.execute(CreateTable(staging, if_not_exists=True))
    connection.execute(delete(staging))
    return staging


def on_conflict(insert: Any, latest: Table, staging: Table) -> Executable:
    """Return INSERT … SELECT … ON CONFLICT DO UPDATE, by the `insert` function of either database."""
    columns = [column.name for column in latest.columns]
    statement = insert(latest).from_select(columns, select(*(staging.c[name] for name in columns)).where(true()))
    new = statement.excluded
    newer = tuple_(*(new[name] for name in _VERSION)) > tuple_(*(latest.c[name] for name in _VERSION))
    result: Executable = statement.on_conflict_do_update(
        index_elements=["element_id"], set_={name: new[name] for name in columns}, where=newer
    )
    return result
