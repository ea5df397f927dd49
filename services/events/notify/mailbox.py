"""What a channel has taken from the queue: one row for each occurrence of an alarm, until that is over and told.

What waits to be told is known after a crash, and told then.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from archiver.pipeline.store import Store
from services.events.notify.notice import CAME, Notice
from services.events.notify.notifier import Grouping
from services.events.notify.routing import Route

LARGEST = 1000
"""Most notices that are told for the first time in one message."""

_TAKEN_AT_ONCE = 500
_STANDING = """
SELECT seq, created, body FROM notify_notice WHERE stands
    AND seq = (SELECT max(seq) FROM notify_notice AS later WHERE later.alarm = notify_notice.alarm) ORDER BY seq
"""
_NEXT = """
SELECT seq, created, body FROM notify_notice
WHERE seq > (SELECT position FROM notify_channel WHERE name = ?) ORDER BY seq LIMIT ?
"""
_PUT = """
INSERT INTO notify_member VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT DO UPDATE SET seq = excluded.seq, state = excluded.state, stands = excluded.stands, waits = excluded.waits
"""
_GROUPS = """
SELECT member."group", min(waits), sum(stands AND (? OR state <> 'acknowledged')), coalesce(sent, 0),
    coalesce(number, 0)
FROM notify_member AS member LEFT JOIN notify_group USING (channel, "group")
WHERE channel = ? AND (waits IS NOT NULL OR stands) GROUP BY member."group" ORDER BY min(seq)
"""
_MEMBERS = """
SELECT seq, waits, body FROM notify_member JOIN notify_notice USING (seq)
WHERE channel = ? AND "group" = ? AND (waits IS NOT NULL OR notify_member.stands) ORDER BY seq
"""
_SENT = """
INSERT INTO notify_group VALUES (?, ?, ?, ?)
ON CONFLICT DO UPDATE SET sent = excluded.sent, number = number + excluded.number
"""
_EMPTY_GROUPS = """
DELETE FROM notify_group WHERE channel = ? AND sent < ? AND NOT EXISTS (
    SELECT 1 FROM notify_member AS member WHERE member.channel = notify_group.channel
    AND member."group" = notify_group."group" AND (waits IS NOT NULL OR stands)
)
"""


@dataclass(frozen=True, slots=True)
class Pending:
    """A group of alarms, as far as it matters for when it is told.

    Parameters
    ----------
    key : str
        What its alarms share, as JSON.
    waits : int or None
        Since when something in it waits to be told, ns; None where nothing does.
    repeats : bool
        Whether an alarm in it is to be told again and again.
    sent : int
        When its last message was sent, ns; 0 where there was none.
    number : int
        How many messages were sent.
    """

    key: str
    waits: int | None
    repeats: bool
    sent: int
    number: int

    @property
    def labels(self) -> Mapping[str, str]:
        """What its alarms share: names and values."""
        shared: dict[str, str] = json.loads(self.key)
        return shared


@dataclass(frozen=True, slots=True)
class Member:
    """An occurrence in a group: its last notice, the place of that in the queue, and since when it waits to be told."""

    seq: int
    waits: int | None
    notice: Notice


class Mailbox:
    """What one channel has taken, and what it has told of that. For one thread.

    Parameters
    ----------
    store : Store
        Of the `Outbox`.
    channel : str
    route : Route
    grouping : Grouping
    """

    def __init__(self, store: Store, channel: str, route: Route, grouping: Grouping) -> None:
        self._store = store
        self._channel = channel
        self._route = route
        self._grouping = grouping

    def open(self) -> None:
        """Take part: a new channel begins with the alarms that stand, an old one groups anew what it has taken."""
        with self._store.transaction() as connection:
            query = "SELECT 1 FROM notify_channel WHERE name = ?"
            if connection.execute(query, (self._channel,)).fetchone():
                self._regroup(connection)
                return
            last = connection.execute("SELECT coalesce(max(seq), 0) FROM notify_notice").fetchone()[0]
            connection.execute("INSERT INTO notify_channel VALUES (?, ?)", (self._channel, last))
            for row in connection.execute(_STANDING).fetchall():
                self._put(connection, *row)

    def take(self, time: int) -> int:
        """Take over what was queued since the last time, some hundreds at most; return how many notices that were.

        Parameters
        ----------
        time : int
            Now, ns: groups that have been empty for an interval are forgotten.
        """
        with self._store.reading() as connection:
            rows = connection.execute(_NEXT, (self._channel, _TAKEN_AT_ONCE)).fetchall()
        if not rows:
            return 0
        with self._store.transaction() as connection:
            connection.execute(_EMPTY_GROUPS, (self._channel, time - self._grouping.interval_ns))
            for row in rows:
                self._put(connection, *row)
            connection.execute("UPDATE notify_channel SET position = ? WHERE name = ?", (rows[-1][0], self._channel))
        return len(rows)

    def pending(self) -> Sequence[Pending]:
        """Return the groups in which something waits or stands."""
        given = (self._grouping.repeat_acknowledged, self._channel)
        with self._store.reading() as connection:
            rows = connection.execute(_GROUPS, given).fetchall()
        return [Pending(key, waits, bool(standing), *rest) for key, waits, standing, *rest in rows]

    def members(self, group: Pending) -> Sequence[Member]:
        """Return what is in a message of a group: what waits, `LARGEST` at most, and what stands; in order."""
        with self._store.reading() as connection:
            rows = connection.execute(_MEMBERS, (self._channel, group.key)).fetchall()
        found = [Member(seq, waits, Notice.from_json(body)) for seq, waits, body in rows]
        left = {member.seq for member in [member for member in found if member.waits is not None][LARGEST:]}
        return [member for member in found if member.seq not in left]

    def told(self, group: Pending, members: Sequence[Member], time: int) -> None:
        """Note that a message was sent at a time (ns)."""
        with self._store.transaction() as connection:
            self._settle(connection, members, "told = 1")
            connection.execute(_SENT, (self._channel, group.key, time, 1))

    def fail(self, group: Pending, members: Sequence[Member], reason: str, time: int) -> None:
        """Set aside what cannot be told: it does not wait any more, and is shown as failed."""
        with self._store.transaction() as connection:
            self._settle(connection, members, "told = told")
            connection.execute(_SENT, (self._channel, group.key, time, 0))
            rows = [(self._channel, group.key, m.seq, time, reason) for m in members if m.waits is not None]
            connection.executemany(
                'INSERT OR REPLACE INTO notify_failed (channel, "group", seq, time, reason) VALUES (?, ?, ?, ?, ?)',
                rows,
            )

    def backlog(self) -> tuple[int, int | None, int]:
        """Return how many notices wait to be told, since when the oldest does (ns), and how many have failed."""
        with self._store.reading() as connection:
            waiting, oldest = connection.execute(
                "SELECT count(*), min(waits) FROM notify_member WHERE channel = ? AND waits IS NOT NULL",
                (self._channel,),
            ).fetchone()
            query = "SELECT count(*) FROM notify_failed WHERE channel = ?"
            (failed,) = connection.execute(query, (self._channel,)).fetchone()
        return waiting, oldest, failed

    # -- rows -----------------------------------------------------------------------------------------

    def _put(self, connection: sqlite3.Connection, seq: int, created: int, body: str) -> None:
        """Take one notice over."""
        notice = Notice.from_json(body)
        occurrence = (self._channel, notice.alarm, notice.occurrence)
        query = "SELECT waits, told FROM notify_member WHERE channel = ? AND alarm = ? AND occurrence = ?"
        known = connection.execute(query, occurrence).fetchone()
        if known is None:
            if not self._route(notice) or not (notice.stands or notice.state == CAME):
                return
            older = "DELETE FROM notify_member WHERE channel = ? AND alarm = ? AND waits IS NULL"
            connection.execute(older, occurrence[:2])
        waits, told = known or (None, 0)
        if told and not self._grouping.tells(notice.state):
            waits = None
        elif waits is None:
            waits = created
        key = _key(self._route.labels(notice))
        connection.execute(_PUT, (*occurrence, key, seq, notice.state, notice.stands, waits, told))

    def _regroup(self, connection: sqlite3.Connection) -> None:
        """Put what was taken into the groups of now; what the channel is not told of any more is let go, once told."""
        query = "SELECT waits, body FROM notify_member JOIN notify_notice USING (seq) WHERE channel = ?"
        for waits, body in connection.execute(query, (self._channel,)).fetchall():
            notice = Notice.from_json(body)
            where = (self._channel, notice.alarm, notice.occurrence)
            if waits is None and not self._route(notice):
                connection.execute(
                    "DELETE FROM notify_member WHERE channel = ? AND alarm = ? AND occurrence = ?", where
                )
            else:
                connection.execute(
                    'UPDATE notify_member SET "group" = ? WHERE channel = ? AND alarm = ? AND occurrence = ?',
                    (_key(self._route.labels(notice)), *where),
                )

    def _settle(self, connection: sqlite3.Connection, members: Sequence[Member], change: str) -> None:
        connection.executemany(
            f"UPDATE notify_member SET waits = NULL, {change} WHERE channel = ? AND alarm = ? AND occurrence = ?",
            [(self._channel, m.notice.alarm, m.notice.occurrence) for m in members if m.waits is not None],
        )


def _key(labels: Mapping[str, str]) -> str:
    return json.dumps(labels)
