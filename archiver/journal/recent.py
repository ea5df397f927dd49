"""Entries of a journal as columns, and how many of them are handed on or kept at once."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from itertools import islice

from archiver.ports import READ_BYTES, JournalEntry

Sized = tuple[JournalEntry, int]
"""An entry, and its size in the journal in bytes."""


def run_of(entries: Iterable[Sized], rows: int) -> list[JournalEntry]:
    """Return entries from the first on, until a number of samples or `READ_BYTES` is reached."""
    result: list[JournalEntry] = []
    count = size = 0
    for entry, more in entries:
        result.append(entry)
        count, size = count + entry.batch.num_rows, size + more
        if count >= rows or size >= READ_BYTES:
            break
    return result


class Recent:
    """The newest entries of a journal, without a gap, so that lanes that keep up never read the file.

    Calls are to be made by one thread at a time.

    Parameters
    ----------
    limit : int
        Bytes that the entries take in the journal, at most.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._entries: deque[Sized] = deque()
        self._bytes = 0

    def add(self, entry: JournalEntry, size: int) -> None:
        """Keep the entry that follows the newest, and forget the oldest where that is too much."""
        self._entries.append((entry, size))
        self._bytes += size
        while self._bytes > self._limit:
            self._pop()

    def forget_before(self, first: int) -> None:
        """Forget the entries before an offset."""
        while self._entries and self._entries[0][0].offset < first:
            self._pop()

    def clear(self) -> None:
        """Forget all."""
        self._entries.clear()
        self._bytes = 0

    def after(self, offset: int) -> Iterator[Sized] | None:
        """Return the entries after an offset, None when not all of them are here."""
        if not self._entries or offset + 1 < self._entries[0][0].offset:
            return None
        return islice(self._entries, offset + 1 - self._entries[0][0].offset, None)

    def _pop(self) -> None:
        self._bytes -= self._entries.popleft()[1]
