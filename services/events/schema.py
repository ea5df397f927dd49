"""The tables of the data base of events, and how a file of an earlier version becomes one of this."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from pathlib import Path

from archiver.model import PermanentError
from archiver.pipeline.store import Store

Migration = Sequence[str]

_ONLY_APPENDED = """
CREATE TRIGGER {table}_stays_{verb} BEFORE {verb} ON {table}
BEGIN SELECT raise(ABORT, '{table} is only appended to'); END
"""

_FIRST: Migration = (
    """
    CREATE TABLE event (
        id TEXT PRIMARY KEY, rule TEXT NOT NULL, key TEXT NOT NULL, kind TEXT NOT NULL, time INTEGER NOT NULL,
        ordinal INTEGER NOT NULL, value TEXT NOT NULL, attributes TEXT NOT NULL
    ) WITHOUT ROWID
    """,
    "CREATE INDEX event_in_order ON event (time, rule, key, ordinal)",
    """
    CREATE TABLE alarm (
        id TEXT PRIMARY KEY, state TEXT NOT NULL, until INTEGER, revision INTEGER NOT NULL, document TEXT NOT NULL
    ) WITHOUT ROWID
    """,
    "CREATE INDEX alarm_by_state ON alarm (state)",
    "CREATE INDEX alarm_due ON alarm (until) WHERE until IS NOT NULL",
    """
    CREATE TABLE occurrence (
        id TEXT PRIMARY KEY, alarm TEXT NOT NULL, came INTEGER NOT NULL, document TEXT NOT NULL
    ) WITHOUT ROWID
    """,
    "CREATE INDEX occurrence_of_alarm ON occurrence (alarm, came)",
    "CREATE INDEX occurrence_in_order ON occurrence (came)",
    """
    CREATE TABLE transition (
        number INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, alarm TEXT NOT NULL, rule TEXT NOT NULL,
        key TEXT NOT NULL, position TEXT NOT NULL, alarm_class TEXT NOT NULL, priority INTEGER NOT NULL,
        time INTEGER NOT NULL, change TEXT NOT NULL, effect TEXT NOT NULL, before TEXT NOT NULL, after TEXT NOT NULL,
        condition TEXT NOT NULL, occurrence TEXT NOT NULL, annunciated INTEGER NOT NULL, user TEXT NOT NULL,
        comment TEXT NOT NULL, until INTEGER
    )
    """,
    "CREATE INDEX transition_in_order ON transition (time)",
    "CREATE INDEX transition_of_alarm ON transition (alarm, time)",
    *(_ONLY_APPENDED.format(table="transition", verb=verb) for verb in ("UPDATE", "DELETE")),
    "CREATE TABLE state (name TEXT PRIMARY KEY, state BLOB NOT NULL) WITHOUT ROWID",
    "CREATE TABLE position (stream TEXT PRIMARY KEY, offset INTEGER NOT NULL) WITHOUT ROWID",
    """
    CREATE TABLE frame (
        id TEXT PRIMARY KEY, rule TEXT NOT NULL, key TEXT NOT NULL, opened INTEGER NOT NULL, closed INTEGER,
        attributes TEXT NOT NULL
    ) WITHOUT ROWID
    """,
    "CREATE INDEX frame_of_rule ON frame (rule, opened)",
    "CREATE INDEX frame_in_order ON frame (opened)",
    """
    CREATE TABLE annotation (
        number INTEGER PRIMARY KEY AUTOINCREMENT, frame TEXT NOT NULL, rule TEXT NOT NULL, key TEXT NOT NULL,
        opened INTEGER NOT NULL, closed INTEGER, time INTEGER NOT NULL, user TEXT NOT NULL, text TEXT NOT NULL
    )
    """,
    "CREATE INDEX annotation_of_frame ON annotation (frame)",
    "CREATE INDEX annotation_of_rule ON annotation (rule, key, opened)",
    *(_ONLY_APPENDED.format(table="annotation", verb=verb) for verb in ("UPDATE", "DELETE")),
)

MIGRATIONS: Sequence[Migration] = (_FIRST,)
"""Statements that lead from each version to the next; the version of a file is how many it has seen."""


def migrate(store: Store, path: Path, migrations: Sequence[Migration] = MIGRATIONS) -> None:
    """Lead the file to the newest version, each step in a transaction of its own.

    Raises
    ------
    PermanentError
        The file is of a newer version; it is left as it was.
    """
    for number in range(_version(store, path, len(migrations)), len(migrations)):
        with store.transaction() as connection:
            for statement in migrations[number]:
                connection.execute(statement)
            _note(connection, number + 1)


def _version(store: Store, path: Path, newest: int) -> int:
    with store.transaction() as connection:
        if connection.execute("SELECT 1 FROM sqlite_schema WHERE name = 'version'").fetchone() is None:
            return 0
        version = int(connection.execute("SELECT version FROM version").fetchone()[0])
    if version > newest:
        raise PermanentError(f"{path} has version {version}, newer than {newest}: upgrade forebay")
    return version


def _note(connection: sqlite3.Connection, version: int) -> None:
    connection.execute("CREATE TABLE IF NOT EXISTS version (one INTEGER PRIMARY KEY CHECK (one = 1), version INTEGER)")
    connection.execute("INSERT OR REPLACE INTO version VALUES (1, ?)", (version,))
