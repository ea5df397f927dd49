"""The upsert that SQLite and PostgreSQL share."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Executable, Table, select, true, tuple_

_VERSION = ("source_time", "sequence", "receive_time")


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
