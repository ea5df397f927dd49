"""The newest sample of every element, kept over restarts together with the position that it belongs to."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import numpy as np

from archiver.model import SampleBatch
from archiver.model.ipc import from_ipc, to_ipc
from archiver.model.time import MIN_TIME
from archiver.ports import Position

_SPARE_ROWS = 10_000
_SCHEMA = """
CREATE TABLE IF NOT EXISTS piece (number INTEGER PRIMARY KEY, payload BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS position (stream TEXT PRIMARY KEY, offset INTEGER NOT NULL) WITHOUT ROWID;
"""


def newest_of(batch: SampleBatch) -> SampleBatch:
    """Return the sample with the greatest source time of each element, its last version, ordered by name."""
    if not batch.num_rows:
        return batch
    last = np.full(len(batch.elements), MIN_TIME)
    np.maximum.at(last, batch.codes, batch.source_time)
    rows = batch.filter(batch.source_time == last[batch.codes]).sorted()
    codes = rows.codes
    return rows.filter(np.append(codes[1:] != codes[:-1], True))


class Newest:
    """A file of pieces, each the newest samples of one change; when they are many they become one.

    Calls are to be made by one thread at a time.

    Parameters
    ----------
    path : Path
        Of the SQLite file.
    """

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._connection = sqlite3.connect(path, isolation_level=None, timeout=30, check_same_thread=False)
        self._connection.execute("PRAGMA journal_mode=WAL")
        self._connection.execute("PRAGMA synchronous=FULL")
        self._connection.executescript(_SCHEMA)
        rows = self._connection.execute("SELECT number, payload FROM piece ORDER BY number").fetchall()
        self._pieces = [SampleBatch(from_ipc(payload)) for _, payload in rows]
        self._loose = sum(piece.num_rows for piece in self._pieces[1:])
        self.number = int(rows[-1][0]) if rows else 0
        self.offsets = dict(self._connection.execute("SELECT stream, offset FROM position").fetchall())

    def close(self) -> None:
        """Let go of the file."""
        self._connection.close()

    def batch(self) -> SampleBatch:
        """Return the newest sample of every element, ordered by name."""
        if len(self._pieces) > 1:
            self._pieces = [newest_of(SampleBatch.concat(self._pieces))]
        return self._pieces[0] if self._pieces else SampleBatch.empty()

    def commit(self, batch: SampleBatch, position: Position | None) -> None:
        """Take samples into account, as the change of the next number, with the position; return when it is durable."""
        number, piece = self.number + bool(batch.num_rows), newest_of(batch)
        rows = self._loose + piece.num_rows
        joined = batch.num_rows > 0 and rows > (self._pieces[0].num_rows if self._pieces else 0) + _SPARE_ROWS
        whole = newest_of(SampleBatch.concat([*self._pieces, piece])) if joined else piece
        connection = self._connection
        connection.execute("BEGIN IMMEDIATE")
        try:
            if joined:
                connection.execute("DELETE FROM piece")
            if batch.num_rows:
                connection.execute("INSERT INTO piece VALUES (?, ?)", (number, to_ipc(whole.to_arrow())))
            if position is not None:
                connection.execute("INSERT OR REPLACE INTO position VALUES (?, ?)", (position.stream, position.offset))
            connection.execute("COMMIT")
        except BaseException:
            connection.execute("ROLLBACK")
            raise
        self.number = number
        if position is not None:
            self.offsets[position.stream] = position.offset
        if batch.num_rows:
            self._pieces = [whole] if joined else [*self._pieces, piece]
            self._loose = 0 if joined else rows
