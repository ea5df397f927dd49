"""The series seen so far: bytes of series and field to the code of an element, as arrays that compiled code reads."""

from __future__ import annotations

import secrets
from typing import Any

import numpy as np

UNKNOWN = -1
STATUS = -2
"""Code of the status field of lines that name their element: no element, but status bits."""

SEED = 0xCBF29CE484222325
LARGEST = 1_000_000
"""Entries after which a table says that it is full; its owner then starts a new one."""
_LAST = 2**64 - 1


class SeriesTable:
    """Open addressing with linear probing; an entry is verified by its bytes, so equal hashes do no harm.

    Parameters
    ----------
    multiplier : int, optional
        Odd 64-bit factor of the hash; random when left out, so that nobody can prepare colliding names.
    """

    def __init__(self, multiplier: int | None = None) -> None:
        self.multiplier = np.uint64(secrets.randbits(64) | 1 if multiplier is None else multiplier)
        self._count = 0
        self._used = 0
        self._slots = np.full(2048, -1, np.int32)
        self._hashes = np.zeros(1024, np.uint64)
        self._entries = np.zeros((1024, 4), np.int64)
        self._pool = np.zeros(65536, np.uint8)

    def __len__(self) -> int:
        return self._count

    @property
    def is_full(self) -> bool:
        """Whether it has as many entries as it should ever have."""
        return self._count >= LARGEST

    @property
    def arrays(self) -> tuple[Any, ...]:
        """Slots (entry or -1), shift from hash to slot, hash per entry, (offset, key length, field length, code), bytes."""
        return self._slots, 65 - len(self._slots).bit_length(), self._hashes, self._entries, self._pool

    def add(self, key: bytes, field: bytes, code: int) -> None:
        """Enter a series and field that are not in there."""
        text = key + field
        index = self._count
        if index == len(self._hashes):
            self._hashes = np.concatenate([self._hashes, np.zeros_like(self._hashes)])
            self._entries = np.concatenate([self._entries, np.zeros_like(self._entries)])
            self._rehash(2 * len(self._slots))
        while self._used + len(text) > len(self._pool):
            self._pool = np.concatenate([self._pool, np.zeros_like(self._pool)])
        self._pool[self._used : self._used + len(text)] = np.frombuffer(text, np.uint8)
        self._hashes[index] = self._hash(text)
        self._entries[index] = (self._used, len(key), len(field), code)
        self._used += len(text)
        self._count += 1
        self._place(index)

    def _hash(self, text: bytes) -> int:
        code, multiplier = SEED, int(self.multiplier)
        for byte in text:
            code = (code ^ byte) * multiplier & _LAST
        return code

    def _place(self, index: int) -> None:
        slot = int(self._hashes[index]) >> (65 - len(self._slots).bit_length())
        while self._slots[slot] >= 0:
            slot = (slot + 1) & (len(self._slots) - 1)
        self._slots[slot] = index

    def _rehash(self, size: int) -> None:
        self._slots = np.full(size, -1, np.int32)
        for index in range(self._count):
            self._place(index)
