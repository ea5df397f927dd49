"""Connections that only read a SQLite file, lent to one thread at a time."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from queue import LifoQueue

_MOST = 4


class Readers:
    """A few connections, made when they are needed and then kept; threads beyond that number wait for one.

    Parameters
    ----------
    connect : callable
        Makes a connection that any thread may use.
    """

    def __init__(self, connect: Callable[[], sqlite3.Connection]) -> None:
        self._connect = connect
        self._slots: LifoQueue[sqlite3.Connection | None] = LifoQueue()
        for _ in range(_MOST):
            self._slots.put(None)

    @contextmanager
    def lend(self) -> Iterator[sqlite3.Connection]:
        """Give a connection until the end of the block; one under which the block failed is not used again."""
        connection, kept = self._slots.get(), None
        try:
            connection = connection or self._connect()
            yield connection
            kept = connection
        finally:
            if connection is not None and kept is None:
                connection.close()
            self._slots.put(kept)

    def close(self) -> None:
        """Close all of them, when they are back."""
        for connection in [self._slots.get() for _ in range(_MOST)]:
            if connection is not None:
                connection.close()
            self._slots.put(None)
