"""Samples that a backend refuses for good: kept with their reason until somebody mends, replays or drops them."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from archiver.model import NotFoundError, SampleBatch, format_time
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
"""


@dataclass(frozen=True)
class DeadLetter:
    """Samples that could not be stored.

    Parameters
    ----------
    id : int
    lane, group : str
        The backend that refused them, and the archive group they belong to.
    reason : str
        What the backend said.
    created : int
        ns.
    samples : SampleBatch
    replayed : int or None
        When they were sent through the intake again, ns.
    """

    id: int
    lane: str
    group: str
    reason: str
    created: int
    samples: SampleBatch
    replayed: int | None

    def to_row(self) -> dict[str, Any]:
        """Return it as plain values, with the number of samples and their elements in place of the samples."""
        names = self.samples.present()
        return {
            "id": self.id,
            "backend": self.lane,
            "group": self.group,
            "samples": self.samples.num_rows,
            "elements": ", ".join(names[:3]) + (", …" if len(names) > 3 else ""),
            "created": format_time(self.created),
            "replayed": None if self.replayed is None else format_time(self.replayed),
            "reason": self.reason,
        }


class DeadLetters:
    """The dead letters of all lanes."""

    def __init__(self, store: Store) -> None:
        self._store = store
        store.create(_TABLES)

    def add(self, lane: str, group: str, reason: str, samples: SampleBatch) -> None:
        """Keep samples; durable when it returns, and harmless to repeat."""
        payload = to_ipc(samples.compacted().to_arrow())
        identity = sha256(repr(samples.to_pylist()).encode()).hexdigest()  # not of the payload: its padding may differ
        with self._store.transaction() as connection:
            connection.execute(
                'INSERT OR IGNORE INTO dead_letter (lane, "group", reason, created, rows, identity, payload)'
                " VALUES (?, ?, ?, ?, ?, ?, ?)",
                (lane, group, reason, now(), samples.num_rows, identity, payload),
            )

    def list(self, *, replayed: bool = False) -> list[DeadLetter]:
        """Return the dead letters that wait, or all with `replayed`."""
        with self._store.transaction() as connection:
            clause = "1" if replayed else "replayed IS NULL"
            query = f'SELECT id, lane, "group", reason, created, payload, replayed FROM dead_letter WHERE {clause}'
            return [_letter(row) for row in connection.execute(query + " ORDER BY id")]

    def get(self, letter_id: int) -> DeadLetter:
        """Return one dead letter.

        Raises
        ------
        NotFoundError
        """
        for letter in self.list(replayed=True):
            if letter.id == letter_id:
                return letter
        raise NotFoundError(f"there is no dead letter {letter_id}; see `forebay dead-letters list`")

    def mark_replayed(self, letter_id: int) -> None:
        """Note that the samples went through the intake again."""
        with self._store.transaction() as connection:
            connection.execute("UPDATE dead_letter SET replayed = ? WHERE id = ?", (now(), letter_id))

    def count(self, lane: str) -> int:
        """Return how many samples of a lane wait here."""
        with self._store.transaction() as connection:
            query = "SELECT coalesce(sum(rows), 0) FROM dead_letter WHERE lane = ? AND replayed IS NULL"
            return int(connection.execute(query, (lane,)).fetchone()[0])


def _letter(row: tuple[int, str, str, str, int, bytes, int | None]) -> DeadLetter:
    return DeadLetter(row[0], row[1], row[2], row[3], row[4], SampleBatch(from_ipc(row[5])), row[6])
