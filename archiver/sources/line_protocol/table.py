"""The series seen so far: bytes of series and field to the code of an element, as arrays that compiled code reads."""

from __future__ import annotations

import secrets

import numpy as np
from numpy.typing import NDArray

HASH, OFFSET, KEY_LENGTH, FIELD_LENGTH, CODE = range(5)
UNKNOWN = -1
STATUS = -2
"""Code of the status field of lines that name their element: no element, but status bits."""

SEED = 0xCBF29CE484222325
LARGEST = 1_000_000
"""Entries after which a table says that it is full; its owner then starts a new one."""
_LAST = 2**64 - 1
_WORD = 8


class SeriesTable:
    """Open addressing with linear probing; an entry is verified by its bytes, so equal hashes do no harm.

    Parameters
    ----------
    multiplier : int, optional
        64-bit factor of the hash; random and odd when left out, so that nobody can prepare colliding names.

    Attributes
    ----------
    slots : int64 array of shape (slots, 5)
        Hash, offset in the pool (-1: free), bytes of the key, bytes of the field, code. A power of two of slots.
    pool : uint8 array
        Bytes of all keys and fields.
    """

    def __init__(self, multiplier: int | None = None) -> None:
        self.multiplier = np.uint64(secrets.randbits(64) | 1 if multiplier is None else multiplier)
        self.slots = np.full((2048, 5), -1, np.int64)
        self.pool = np.zeros(65536, np.uint8)
        self._count = 0
        self._used = 0

    @property
    def is_full(self) -> bool:
        """Whether it has as many entries as it should ever have."""
        return self._count >= LARGEST

    def add(self, key: bytes, field: bytes, code: int) -> None:
        """Enter a series and field that are not in there."""
        if 2 * self._count == len(self.slots):
            old = self.slots[self.slots[:, OFFSET] >= 0]
            self.slots = np.full((2 * len(self.slots), 5), -1, np.int64)
            for entry in old:
                self._place(entry)
        text = key + field
        while self._used + len(text) + _WORD > len(self.pool):  # compiled code compares whole words
            self.pool = np.concatenate([self.pool, np.zeros_like(self.pool)])
        self.pool[self._used : self._used + len(text)] = np.frombuffer(text, np.uint8)
        self._place(np.array([self._hash(key, field), self._used, len(key), len(field), code], np.int64))
        self._used += len(text)
        self._count += 1

    def _hash(self, *texts: bytes) -> int:
        multiplier = int(self.multiplier)
        code = SEED ^ multiplier
        for text in texts:
            for start in range(0, len(text) + 1, _WORD):  # the last one is shorter than a word, if only by being empty
                product = (code ^ int.from_bytes(text[start : start + _WORD], "little")) * multiplier
                code = (product >> 64) ^ (product & _LAST)
        return code - 2**64 if code >= 2**63 else code

    def _place(self, entry: NDArray[np.int64]) -> None:
        last = len(self.slots) - 1
        slot = (int(entry[HASH]) & _LAST) >> 32 & last
        while self.slots[slot, OFFSET] >= 0:
            slot = (slot + 1) & last
        self.slots[slot] = entry
