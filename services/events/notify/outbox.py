"""The durable queue of what is to be told: tables in the data base of events, read by each channel at its own pace.

A notice is queued in the transaction that changes its alarm. What becomes of it in a channel is kept by `mailbox`.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from archiver.model import NotFoundError, format_time
from archiver.model.time import DAY_NS, now
from archiver.pipeline.store import Store
from services.events.notify.notice import Notice

KEPT_NS = 30 * DAY_NS
"""Age at which a notice that every channel is done with is forgotten; queued again after that, it is a new one."""

_TRIM_EVERY = 1000
_TABLES = """
CREATE TABLE IF NOT EXISTS notify_notice (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, alarm TEXT NOT NULL, stands INTEGER NOT NULL,
    created INTEGER NOT NULL, body TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS notify_notice_of_alarm ON notify_notice (alarm, seq);
CREATE TABLE IF NOT EXISTS notify_channel (name TEXT PRIMARY KEY, position INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS notify_member (
    channel TEXT NOT NULL, alarm TEXT NOT NULL, occurrence TEXT NOT NULL, "group" TEXT NOT NULL, seq INTEGER NOT NULL,
    state TEXT NOT NULL, stands INTEGER NOT NULL, waits INTEGER, told INTEGER NOT NULL,
    PRIMARY KEY (channel, alarm, occurrence)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS notify_member_in_group ON notify_member (channel, "group", seq)
    WHERE waits IS NOT NULL OR stands;
CREATE INDEX IF NOT EXISTS notify_member_notice ON notify_member (seq);
CREATE TABLE IF NOT EXISTS notify_group (
    channel TEXT NOT NULL, "group" TEXT NOT NULL, sent INTEGER NOT NULL, number INTEGER NOT NULL,
    PRIMARY KEY (channel, "group")
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS notify_failed (
    id INTEGER PRIMARY KEY AUTOINCREMENT, channel TEXT NOT NULL, "group" TEXT NOT NULL, seq INTEGER NOT NULL,
    time INTEGER NOT NULL, reason TEXT NOT NULL, UNIQUE (channel, seq)
);
"""
_QUEUE = """
INSERT OR IGNORE INTO notify_notice (id, alarm, stands, created, body) VALUES (?, ?, ?, ?, ?)
"""
_OLD = "seq IN (SELECT seq FROM notify_notice WHERE created < ?)"
_TRIM = """
DELETE FROM notify_notice WHERE created < ?
    AND seq <= (SELECT coalesce(min(position), 9223372036854775807) FROM notify_channel)
    AND NOT (stands AND seq = (SELECT max(seq) FROM notify_notice AS later WHERE later.alarm = notify_notice.alarm))
    AND NOT EXISTS (SELECT 1 FROM notify_member WHERE notify_member.seq = notify_notice.seq)
    AND NOT EXISTS (SELECT 1 FROM notify_failed WHERE notify_failed.seq = notify_notice.seq)
"""
_FOUND = (
    'SELECT channel, "group", seq, body FROM notify_failed JOIN notify_notice USING (seq) WHERE notify_failed.id = ?'
)
_FAILED = "SELECT notify_failed.id, channel, time, reason, body FROM notify_failed JOIN notify_notice USING (seq)"


def enqueue(cursor: sqlite3.Cursor | sqlite3.Connection, notices: Iterable[Notice]) -> int:
    """Queue notices in the transaction of the caller, in order; return how many were not in the queue before.

    Parameters
    ----------
    cursor : sqlite3.Cursor or sqlite3.Connection
        Of the data base of an `Outbox`, inside the transaction that changes the alarms. The channels see them once it
        is committed: within a second, or at once after `Notifications.wake`.
    """
    created = now()
    added = 0
    for notice in notices:
        row = (notice.id, notice.alarm, notice.stands, created, notice.to_json())
        done = cursor.execute(_QUEUE, row)
        if done.rowcount == 1:
            added += 1
            if done.lastrowid is not None and done.lastrowid % _TRIM_EVERY == 0:
                trim(cursor, created - KEPT_NS)
    return added


def trim(cursor: sqlite3.Cursor | sqlite3.Connection, before: int) -> None:
    """Forget what was queued before a time (ns), is told, and is over; the last notice of what stands is kept."""
    cursor.execute(f"DELETE FROM notify_member WHERE waits IS NULL AND NOT stands AND {_OLD}", (before,))
    cursor.execute(_TRIM, (before,))


@dataclass(frozen=True, slots=True)
class Failed:
    """A notice that a channel was not able to tell: when that was certain (ns), and why."""

    id: int
    channel: str
    time: int
    reason: str
    notice: Notice

    def to_row(self) -> dict[str, Any]:
        """Return it as plain values."""
        return {
            "id": self.id,
            "channel": self.channel,
            "time": format_time(self.time),
            "reason": self.reason,
            "notice": self.notice.to_row(),
        }


class Outbox:
    """The queue, and what could not be told.

    Parameters
    ----------
    place : Path or Store
        The data base of events: its file, which is created when it is not there, or as it is open already.

    Attributes
    ----------
    store : Store
        Where the tables are.
    """

    def __init__(self, place: Path | Store) -> None:
        self._close = isinstance(place, Path)
        self.store = Store(place) if isinstance(place, Path) else place
        self.store.create(_TABLES)

    def close(self) -> None:
        """Let go of the file, where it was opened here."""
        if self._close:
            self.store.close()

    def add(self, notices: Iterable[Notice]) -> int:
        """Queue notices in a transaction of their own; return how many were not in the queue before."""
        with self.store.transaction() as connection:
            return enqueue(connection, notices)

    def keep_only(self, channels: Iterable[str]) -> None:
        """Forget every other channel; what these have not told yet is kept as failed."""
        with self.store.transaction() as connection:
            known = {name for (name,) in connection.execute("SELECT name FROM notify_channel")}
            for gone in known - set(channels):
                connection.execute(
                    'INSERT OR IGNORE INTO notify_failed (channel, "group", seq, time, reason)'
                    ' SELECT channel, "group", seq, ?, ? FROM notify_member WHERE channel = ? AND waits IS NOT NULL',
                    (now(), "the channel was taken out of the configuration", gone),
                )
                for table, column in (("member", "channel"), ("group", "channel"), ("channel", "name")):
                    connection.execute(f"DELETE FROM notify_{table} WHERE {column} = ?", (gone,))

    # -- what could not be told -----------------------------------------------------------------------

    def failed(self, channel: str = "") -> Sequence[Failed]:
        """Return what a channel, or any, was not able to tell, oldest first."""
        clause, given = ("WHERE channel = ?", (channel,)) if channel else ("", ())
        with self.store.reading() as connection:
            rows = connection.execute(f"{_FAILED} {clause} ORDER BY notify_failed.id", given).fetchall()
        return [Failed(number, name, time, reason, Notice.from_json(body)) for number, name, time, reason, body in rows]

    def retry(self, failed: int) -> None:
        """Let a channel try once more to tell what failed; when its alarm has changed since then, its last change.

        Raises
        ------
        NotFoundError
            There is no such failure, or its channel is not there any more.
        """
        with self.store.transaction() as connection:
            channel, group, seq, body = _found(connection, failed)
            known = connection.execute("SELECT 1 FROM notify_channel WHERE name = ?", (channel,)).fetchone()
            if known is None:
                raise NotFoundError(
                    f"there is no channel {channel} in the configuration any more: add it, or drop this"
                )
            notice = Notice.from_json(body)
            connection.execute(
                "INSERT INTO notify_member VALUES (?, ?, ?, ?, ?, ?, ?, ?, 0)"
                " ON CONFLICT DO UPDATE SET waits = excluded.waits",
                (channel, notice.alarm, notice.occurrence, group, seq, notice.state, notice.stands, now()),
            )
            connection.execute("DELETE FROM notify_failed WHERE id = ?", (failed,))

    def drop(self, failed: int) -> None:
        """Forget a failure.

        Raises
        ------
        NotFoundError
        """
        with self.store.transaction() as connection:
            _found(connection, failed)
            connection.execute("DELETE FROM notify_failed WHERE id = ?", (failed,))


def _found(connection: sqlite3.Connection, failed: int) -> tuple[str, str, int, str]:
    row: tuple[str, str, int, str] | None = connection.execute(_FOUND, (failed,)).fetchone()
    if row is None:
        raise NotFoundError(f"there is no failed notice {failed}")
    return row
