"""The data base of events: what a restart continues from, and what people ask for."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa

from analytics.alarms.alarm import Alarm, Occurrence, State
from analytics.alarms.encoding import decode_alarm, decode_occurrence
from analytics.alarms.transition import SCHEMA
from analytics.events.event import Event
from archiver.model import Interval
from archiver.model.time import ALWAYS
from archiver.pipeline.store import Store
from services.events.commit import COLUMNS, Commit, unknown_alarm
from services.events.frames import Annotation, Frame
from services.events.schema import migrate

FILE = "events.db"
"""Its name in a data directory."""

HISTORY = pa.schema([("number", pa.int64()), *SCHEMA])
"""Columns of `EventStore.transitions`: `number` grows with each, then those of a transition."""

_EVENT = "SELECT rule, key, kind, time, ordinal, value, attributes FROM event"
_FRAME = "SELECT id, rule, key, opened, closed, attributes FROM frame"
_OWN = "SELECT number, frame, rule, key, opened, closed, time, user, text FROM annotation"
_LOST = "NOT EXISTS (SELECT 1 FROM frame WHERE frame.id = annotation.frame)"
_MEETS = "rule = ? AND key = ? AND opened < ? AND (closed IS NULL OR closed > ? OR opened = ?)"


class EventStore:
    """Alarms and their history, events, frames, annotations, and where a runner stands.

    What is read is what is committed; reading keeps no commit waiting.

    Parameters
    ----------
    path : Path
        Created when it is not there; a file of an earlier version is led to this one.

    Attributes
    ----------
    store : Store
        For others who keep tables in this file.

    Raises
    ------
    PermanentError
        The file is broken or of a newer version; it is left as it was.
    TransientError
        The file cannot be opened now.
    """

    def __init__(self, path: Path) -> None:
        self.store = Store(path)
        try:
            migrate(self.store, path)
        except BaseException:
            self.store.close()
            raise

    def close(self) -> None:
        """Close the file."""
        self.store.close()

    @contextmanager
    def commit(self) -> Iterator[Commit]:
        """Give a transaction: durable when the block has ended, as if it had never been when an error leaves it."""
        with self.store.transaction() as connection:
            yield Commit(connection)

    def state(self, name: str) -> bytes | None:
        """Return what a runner remembered, None for nothing."""
        found = self._rows("SELECT state FROM state WHERE name = ?", name)
        return bytes(found[0][0]) if found else None

    def position(self, stream: str) -> int | None:
        """Return how far a stream has been read, None for not at all."""
        found = self._rows("SELECT offset FROM position WHERE stream = ?", stream)
        return int(found[0][0]) if found else None

    def events(
        self, interval: Interval = ALWAYS, rules: Collection[str] = (), limit: int | None = None
    ) -> Sequence[Event]:
        """Return events of an interval, of some rules or all, by time, rule, key and ordinal."""
        clause, given = _within("time", interval)
        if rules:
            clause, given = f"{clause} AND rule IN ({', '.join('?' * len(rules))})", (*given, *rules)
        rows = self._rows(f"{_EVENT} WHERE {clause} ORDER BY time, rule, key, ordinal{_first(limit)}", *given)
        return [_event(*row) for row in rows]

    def alarm(self, alarm: str) -> Alarm:
        """Return an alarm by its id.

        Raises
        ------
        NotFoundError
        """
        found = self._rows("SELECT document FROM alarm WHERE id = ?", alarm)
        if not found:
            raise unknown_alarm(alarm)
        return decode_alarm(json.loads(found[0][0]))

    def alarms(self, states: Collection[State] = ()) -> Sequence[Alarm]:
        """Return the alarms that are in one of some states, or all, by rule and key."""
        clause = f" WHERE state IN ({', '.join('?' * len(states))})" if states else ""
        rows = self._rows(f"SELECT document FROM alarm{clause}", *states)
        found = [decode_alarm(json.loads(row[0])) for row in rows]
        return sorted(found, key=lambda alarm: (alarm.rule, alarm.key))

    def due(self, time: int) -> Sequence[str]:
        """Return the ids of alarms whose shelving ends at a time (ns) or before, the first to end first."""
        return [row[0] for row in self._rows("SELECT id FROM alarm WHERE until <= ? ORDER BY until", time)]

    def occurrences(
        self, interval: Interval = ALWAYS, alarm: str = "", limit: int | None = None
    ) -> Sequence[tuple[Alarm, Occurrence]]:
        """Return what came in an interval, of one alarm or any, newest first, each with its alarm as it is now."""
        clause, given = _within("came", interval)
        if alarm:
            clause, given = f"{clause} AND alarm = ?", (*given, alarm)
        joined = "SELECT alarm.document, occurrence.document FROM occurrence JOIN alarm ON alarm.id = alarm"
        rows = self._rows(f"{joined} WHERE {clause} ORDER BY came DESC{_first(limit)}", *given)
        return [(decode_alarm(json.loads(now)), decode_occurrence(json.loads(then))) for now, then in rows]

    def transitions(
        self, interval: Interval = ALWAYS, alarm: str = "", after: int = 0, limit: int | None = None
    ) -> pa.Table:
        """Return the history in the order in which it was kept, as columns of `HISTORY`.

        Parameters
        ----------
        interval : Interval
            Of the transitions' times.
        alarm : str
            An id; any where it is empty.
        after : int
            Number of the last transition that is known already.
        limit : int, optional
            No more than this.
        """
        clause, given = _within("time", interval)
        if alarm:
            clause, given = f"{clause} AND alarm = ?", (*given, alarm)
        query = f"SELECT number, {COLUMNS} FROM transition WHERE {clause} AND number > ? ORDER BY number{_first(limit)}"
        rows = self._rows(query, *given, after)
        columns = zip(*rows, strict=True) if rows else [()] * len(HISTORY)
        arrays = [_array(column, kind) for column, kind in zip(columns, HISTORY.types, strict=True)]
        return pa.table(arrays, schema=HISTORY)

    def last_transition(self) -> int:
        """Return the number of the newest transition, 0 when there is none."""
        return int(self._rows("SELECT coalesce(max(number), 0) FROM transition")[0][0])

    def frames(
        self, interval: Interval = ALWAYS, rule: str = "", keys: Sequence[str] = (), limit: int | None = None
    ) -> Sequence[Frame]:
        """Return the frames of a rule and of keys, or of any, that an interval meets, by when they opened."""
        clause, given = "opened < ? AND (closed IS NULL OR closed > ? OR opened = ?)", _span(interval)
        if rule:
            clause, given = f"{clause} AND rule = ?", (*given, rule)
        if keys:
            clause, given = f"{clause} AND key IN (SELECT value FROM json_each(?))", (*given, json.dumps(list(keys)))
        rows = self._rows(f"{_FRAME} WHERE {clause} ORDER BY opened, rule, key{_first(limit)}", *given)
        return [_frame(*row) for row in rows]

    def frame(self, frame: str) -> Frame | None:
        """Return a frame by its id, None where there is none."""
        rows = self._rows(f"{_FRAME} WHERE id = ?", frame)
        return _frame(*rows[0]) if rows else None

    def annotations(self, frame: Frame) -> Sequence[Annotation]:
        """Return what was written about a frame, oldest first.

        What was written about a frame that a recalculation took away belongs to the frames of its rule and key that lie
        where it lay.
        """
        end = ALWAYS.end if frame.closed is None else max(frame.closed, frame.opened + 1)
        given = (frame.id, frame.rule, frame.key, *_span(Interval(frame.opened, end)))
        rows = self._rows(f"{_OWN} WHERE frame = ? OR ({_MEETS} AND {_LOST}) ORDER BY number", *given)
        return [Annotation(*row) for row in rows]

    def lost_annotations(self) -> Sequence[Annotation]:
        """Return what was written about frames that are not there any more, oldest first."""
        return [Annotation(*row) for row in self._rows(f"{_OWN} WHERE {_LOST} ORDER BY number")]

    def _rows(self, query: str, *given: object) -> list[tuple[Any, ...]]:
        with self.store.reading() as connection:
            return connection.execute(query, given).fetchall()


def _event(rule: str, key: str, kind: str, time: int, ordinal: int, value: str, attributes: str) -> Event:
    return Event(rule, key, kind, time, ordinal, json.loads(value), json.loads(attributes))


def _frame(frame: str, rule: str, key: str, opened: int, closed: int | None, attributes: str) -> Frame:
    return Frame(frame, rule, key, opened, closed, json.loads(attributes))


def _within(column: str, interval: Interval) -> tuple[str, tuple[object, ...]]:
    return f"{column} >= ? AND {column} < ?", (interval.start, interval.end)


def _span(interval: Interval) -> tuple[object, ...]:
    """What the conditions of `opened` and `closed` ask for: a span without a length lies where it begins."""
    return interval.end, interval.start, interval.start


def _first(limit: int | None) -> str:
    return "" if limit is None else f" LIMIT {limit:d}"


def _array(column: Sequence[Any], kind: pa.DataType) -> pa.Array:
    return pa.array([bool(value) for value in column] if pa.types.is_boolean(kind) else column, kind)
