"""One transaction of the data base of events."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Sequence
from operator import attrgetter
from typing import Any

from analytics.alarms.actions import Action
from analytics.alarms.alarm import Alarm
from analytics.alarms.encoding import decode_alarm, encode
from analytics.alarms.life import Step, step
from analytics.alarms.transition import SCHEMA, Effect
from analytics.events.event import Event
from archiver.model import Interval, InvalidInputError, NotFoundError, TransientError
from services.events.frames import Annotation, Frame

COLUMNS = ", ".join(SCHEMA.names)
_FIELDS = attrgetter(*SCHEMA.names)
_TOLD = f"""
INSERT INTO transition ({COLUMNS}) VALUES ({", ".join("?" * len(SCHEMA.names))}) ON CONFLICT (id) DO NOTHING
"""
_EVENT = "INSERT INTO event VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO NOTHING"
_ALARM = """
INSERT INTO alarm (id, state, until, revision, document) VALUES (?, ?, ?, ?, ?)
ON CONFLICT (id) DO UPDATE SET
    state = excluded.state, until = excluded.until, revision = excluded.revision, document = excluded.document
"""
_FRAME = """
INSERT INTO frame (id, rule, key, opened, closed, attributes) VALUES (?, ?, ?, ?, ?, ?)
ON CONFLICT (id) DO UPDATE SET closed = excluded.closed, attributes = excluded.attributes
"""
_ANNOTATION = """
INSERT INTO annotation (frame, rule, key, opened, closed, time, user, text) VALUES (?, ?, ?, ?, ?, ?, ?, ?)
"""


class Commit:
    """What belongs together: all of it is there when the block of `EventStore.commit` has ended, or nothing.

    Parameters
    ----------
    connection : sqlite3.Connection
        Inside a transaction, which others may add to.
    """

    def __init__(self, connection: sqlite3.Connection) -> None:
        self.connection = connection

    def events(self, events: Iterable[Event]) -> list[Event]:
        """Keep events; return those that were not kept before, in order. Only these are to be acted upon."""
        return [event for event in events if self._keep(event)]

    def _keep(self, event: Event) -> bool:
        row = (event.id, event.rule, event.key, event.kind, event.time, event.ordinal)
        said = json.dumps(event.value), json.dumps(dict(event.attributes))
        return self.connection.execute(_EVENT, (*row, *said)).rowcount == 1

    def alarm(self, alarm: str) -> Alarm | None:
        """Return an alarm by its id as it is in this transaction, None where there is none."""
        row = self.connection.execute("SELECT document FROM alarm WHERE id = ?", (alarm,)).fetchone()
        return None if row is None else decode_alarm(json.loads(row[0]))

    def alarms(self, steps: Iterable[Step]) -> None:
        """Keep what `analytics.alarms.life.step` returned, in the order in which it was done.

        ``(alarm, ())`` keeps an alarm that is new, or of which no more than its class or position has changed.

        Raises
        ------
        TransientError
            Somebody else changed the alarm since it was read: read it again, in the transaction that keeps it.
        """
        for alarm, transitions in steps:
            made = sum(told.effect is not Effect.LATE for told in transitions)
            self._unchanged(alarm, alarm.revision - made)
            until = None if alarm.shelving is None else alarm.shelving.until
            plain, found = encode(alarm), alarm.occurrence
            self.connection.execute(_ALARM, (alarm.id, alarm.state, until, alarm.revision, json.dumps(plain)))
            if found is not None:
                kept = (found.id, alarm.id, found.came, json.dumps(plain["occurrence"]))
                self.connection.execute("INSERT OR REPLACE INTO occurrence VALUES (?, ?, ?, ?)", kept)
            self.connection.executemany(_TOLD, map(_FIELDS, transitions))

    def _unchanged(self, alarm: Alarm, revision: int) -> None:
        row = self.connection.execute("SELECT revision FROM alarm WHERE id = ?", (alarm.id,)).fetchone()
        if row is not None and row[0] != revision:
            raise TransientError(f"the alarm {alarm.name} was changed meanwhile: read it again, and try once more")

    def act(self, alarm: str, action: Action) -> Step:
        """Do something to an alarm as it is now, and keep what became of it.

        Raises
        ------
        NotFoundError
            There is no alarm of this id.
        InvalidInputError
            Its state does not allow that (`IllegalActionError`), or the action does not say all that it has to.
        """
        before = self.alarm(alarm)
        if before is None:
            raise unknown_alarm(alarm)
        done = step(before, action)
        self.alarms([done])
        return done

    def state(self, name: str, state: bytes) -> None:
        """Keep what a runner remembers, in place of what it did."""
        self.connection.execute("INSERT OR REPLACE INTO state VALUES (?, ?)", (name, state))

    def keep_states(self, names: Sequence[str]) -> None:
        """Forget all states but those of these names."""
        marks = ", ".join("?" * len(names))
        self.connection.execute(f"DELETE FROM state WHERE name NOT IN ({marks})", tuple(names))

    def position(self, stream: str, offset: int) -> None:
        """Keep how far a stream has been read."""
        self.connection.execute("INSERT OR REPLACE INTO position VALUES (?, ?)", (stream, offset))

    def frames(self, frames: Iterable[Frame]) -> None:
        """Keep frames; one that is known gets its end and its attributes anew."""
        self.connection.executemany(_FRAME, map(_row, frames))

    def open_frame(self, rule: str, key: str) -> Frame | None:
        """Return the newest frame of a rule and key that lasts, None where there is none."""
        query = "SELECT id, opened, attributes FROM frame WHERE rule = ? AND key = ? AND closed IS NULL"
        row = self.connection.execute(f"{query} ORDER BY opened DESC LIMIT 1", (rule, key)).fetchone()
        return None if row is None else Frame(row[0], rule, key, row[1], None, json.loads(row[2]))

    def recalculate(self, rule: str, interval: Interval, frames: Iterable[Frame]) -> None:
        """Keep frames in place of those of a rule that opened in an interval; annotations stay."""
        clause = "rule = ? AND opened >= ? AND opened < ?"
        self.connection.execute(f"DELETE FROM frame WHERE {clause}", (rule, interval.start, interval.end))
        self.frames(frames)

    def annotate(self, frame: str, time: int, user: str, text: str) -> Annotation:
        """Write something about a frame, for good.

        Raises
        ------
        NotFoundError
            There is no frame of this id.
        InvalidInputError
            Nobody is named who wrote it, or nothing is said.
        """
        if not user.strip() or not text.strip():
            raise InvalidInputError("an annotation says something and names who wrote it: give text and user")
        query = "SELECT rule, key, opened, closed FROM frame WHERE id = ?"
        row: tuple[Any, ...] | None = self.connection.execute(query, (frame,)).fetchone()
        if row is None:
            raise NotFoundError(f"there is no event frame {frame!r}: list frames to see their ids")
        said = (frame, *row, time, user, text)
        done = self.connection.execute(_ANNOTATION, said)
        return Annotation(done.lastrowid or 0, *said)


def unknown_alarm(alarm: str) -> NotFoundError:
    """Return the error for an id that no alarm has."""
    return NotFoundError(f"there is no alarm {alarm!r}: list alarms to see their ids")


def _row(frame: Frame) -> tuple[object, ...]:
    return frame.id, frame.rule, frame.key, frame.opened, frame.closed, json.dumps(dict(frame.attributes))
