"""Samples that a backend refuses for good: kept with their reason until somebody mends, replays or drops them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

import numpy as np

from archiver.model import Interval, NotFoundError, SampleBatch, format_time
from archiver.model.ipc import from_ipc, to_ipc
from archiver.model.time import now
from archiver.pipeline.store import Store

_TABLES = """
CREATE TABLE IF NOT EXISTS dead_letter (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    lane TEXT NOT NULL, "group" TEXT NOT NULL, reason TEXT NOT NULL, created INTEGER NOT NULL,
    rows INTEGER NOT NULL, identity TEXT NOT NULL, payload BLOB NOT NULL, replayed INTEGER,
    UNIQUE (lane, "group", identity)
);
CREATE TABLE IF NOT EXISTS dead_letter_element (
    letter INTEGER NOT NULL, element TEXT NOT NULL, first INTEGER NOT NULL, last INTEGER NOT NULL,
    PRIMARY KEY (letter, element)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS dead_letter_of_element ON dead_letter_element (element, last);
"""
_SHOWN = 3
_LETTERS = f"""
SELECT id, lane, "group", reason, created, rows, replayed, (
    SELECT json_group_array(element)
    FROM (SELECT element FROM dead_letter_element WHERE letter = id ORDER BY element LIMIT {_SHOWN + 1})
) FROM dead_letter
"""
_REFUSED = """
SELECT element, lane, "group", first, last, reason FROM dead_letter_element JOIN dead_letter ON letter = id
WHERE replayed IS NULL
"""
_HOLDING = "id IN (SELECT letter FROM dead_letter_element WHERE element = ? AND last >= ? AND first < ?)"


@dataclass(frozen=True)
class DeadLetter:
    """Samples that could not be stored; `DeadLetters.samples` gives them.

    Parameters
    ----------
    id : int
    lane, group : str
        The backend that refused them, and the archive group they belong to.
    reason : str
        What the backend said.
    created : int
        ns.
    rows : int
        How many samples it holds.
    replayed : int or None
        When they were sent through the intake again, ns.
    elements : tuple of str
        Of the samples: the first few by name, and one more than is shown where there are more.
    """

    id: int
    lane: str
    group: str
    reason: str
    created: int
    rows: int
    replayed: int | None
    elements: tuple[str, ...]

    def to_row(self) -> dict[str, Any]:
        """Return it as plain values."""
        return {
            "id": self.id,
            "backend": self.lane,
            "group": self.group,
            "samples": self.rows,
            "elements": ", ".join([*self.elements[:_SHOWN], *("…" for _ in self.elements[_SHOWN:])]),
            "created": format_time(self.created),
            "replayed": None if self.replayed is None else format_time(self.replayed),
            "reason": self.reason,
        }


@dataclass(frozen=True, slots=True)
class Refused:
    """Samples of one element in a dead letter: lane, group, span of their source times (both included), and why."""

    lane: str
    group: str
    first: int
    last: int
    reason: str


class DeadLetters:
    """The dead letters of all lanes."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._waiting: dict[str, list[Refused]] | None = None
        store.create(_TABLES)

    def add(self, lane: str, group: str, reason: str, samples: SampleBatch) -> None:
        """Keep samples; durable when it returns, and harmless to repeat."""
        payload = to_ipc(samples.compacted().to_arrow())
        identity = sha256(repr(samples.to_pylist()).encode()).hexdigest()  # not of the payload: its padding may differ
        with self._store.transaction() as connection:
            added = connection.execute(
                'INSERT OR IGNORE INTO dead_letter (lane, "group", reason, created, rows, identity, payload)'
                " VALUES (?, ?, ?, ?, ?, ?, ?)",
                (lane, group, reason, now(), samples.num_rows, identity, payload),
            )
            if added.rowcount:
                rows = ((added.lastrowid, *span) for span in _spans(samples))
                connection.executemany("INSERT INTO dead_letter_element VALUES (?, ?, ?, ?)", rows)
            self._waiting = None

    def list(self, *, replayed: bool = False) -> Sequence[DeadLetter]:
        """Return the dead letters that wait, or all with `replayed`, oldest first."""
        return self._select("1" if replayed else "replayed IS NULL")

    def holding(self, names: Sequence[str], interval: Interval) -> Sequence[DeadLetter]:
        """Return the dead letters that wait and may hold samples of an element in an interval, oldest first.

        Parameters
        ----------
        names : sequence of str
            Every name of the element.
        interval : Interval
            It meets the span of the element's samples in each.
        """
        found = [
            letter
            for name in names
            for letter in self._select(f"replayed IS NULL AND {_HOLDING}", name, interval.start, interval.end)
        ]
        return sorted(dict.fromkeys(found), key=lambda letter: letter.id)

    def waiting(self) -> Mapping[str, Sequence[Refused]]:
        """Return by element what waits here: what its backends were not able to store."""
        waiting = self._waiting
        if waiting is None:
            waiting = {}
            with self._store.transaction() as connection:
                for element, *row in connection.execute(_REFUSED):
                    waiting.setdefault(element, []).append(Refused(*row))
                self._waiting = waiting
        return waiting

    def get(self, letter_id: int) -> DeadLetter:
        """Return one dead letter.

        Raises
        ------
        NotFoundError
        """
        found = self._select("id = ?", letter_id)
        if not found:
            raise _unknown(letter_id)
        return found[0]

    def samples(self, letter_id: int) -> SampleBatch:
        """Return the samples of a dead letter.

        Raises
        ------
        NotFoundError
        """
        with self._store.transaction() as connection:
            row = connection.execute("SELECT payload FROM dead_letter WHERE id = ?", (letter_id,)).fetchone()
        if row is None:
            raise _unknown(letter_id)
        return SampleBatch(from_ipc(row[0]))

    def mark_replayed(self, letter_id: int) -> None:
        """Note that the samples went through the intake again."""
        with self._store.transaction() as connection:
            connection.execute("UPDATE dead_letter SET replayed = ? WHERE id = ?", (now(), letter_id))
            self._waiting = None

    def count(self, lane: str) -> int:
        """Return how many samples of a lane wait here."""
        with self._store.transaction() as connection:
            query = "SELECT coalesce(sum(rows), 0) FROM dead_letter WHERE lane = ? AND replayed IS NULL"
            return int(connection.execute(query, (lane,)).fetchone()[0])

    def _select(self, clause: str, *parameters: object) -> Sequence[DeadLetter]:
        with self._store.transaction() as connection:
            rows = connection.execute(f"{_LETTERS} WHERE {clause} ORDER BY id", parameters).fetchall()
        return [
            DeadLetter(number, lane, group, reason, created, count, sent, tuple(json.loads(names)))
            for number, lane, group, reason, created, count, sent, names in rows
        ]


def _spans(samples: SampleBatch) -> Iterator[tuple[str, int, int]]:
    """Yield name, first and last source time of each element."""
    order = np.lexsort((samples.source_time, samples.codes))
    codes, times = samples.codes[order], samples.source_time[order]
    starts = np.flatnonzero(np.diff(codes, prepend=-1))
    ends = np.append(starts[1:], len(codes)) - 1
    for code, first, last in zip(codes[starts].tolist(), times[starts].tolist(), times[ends].tolist(), strict=True):
        yield samples.elements[code], first, last


def _unknown(letter_id: int) -> NotFoundError:
    return NotFoundError(f"there is no dead letter {letter_id}; see `forebay dead-letters list`")
