"""Rows of bytes from columns: what a protobuf encoder does per message, done per column.

A row is made of parts side by side. A part is a `Matrix`, where its bytes are few and of about the same number in each
row, or `Ragged`, where it is a text or an array.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

Bytes = NDArray[np.uint8]
Lengths = NDArray[np.int64]
Mask = NDArray[np.bool_]
_SEVEN, _LOW = np.uint64(7), np.uint64(0x7F)
_ESCAPE, _LINE_FEED, _RETURN = 0x1B, 0x0A, 0x0D
_CODES = bytes({_ESCAPE: 1, _LINE_FEED: 2, _RETURN: 3}.get(byte, 0) for byte in range(256))


@dataclass(frozen=True)
class Matrix:
    """A part of all rows: the first bytes of each row of a matrix, as many as the mask says."""

    content: Bytes
    used: Mask

    def __len__(self) -> int:
        return len(self.content)

    def where(self, rows: Mask) -> Matrix:
        """Return the part with only the bytes of some rows."""
        return self if rows.all() else Matrix(self.content, self.used & rows[:, None])


@dataclass(frozen=True)
class Ragged:
    """A part of all rows: their bytes one after the other, and how many belong to each row."""

    content: Bytes
    lengths: Lengths

    def __len__(self) -> int:
        return len(self.lengths)

    def grouped(self, counts: Lengths) -> Ragged:
        """Return the part with so many rows each joined to one."""
        bounds = np.append(0, np.cumsum(self.lengths))
        return Ragged(self.content, np.diff(bounds[np.append(0, np.cumsum(counts))]))


def same(content: bytes, rows: int) -> Matrix:
    """Return a part that is the same in all rows."""
    matrix = np.broadcast_to(np.frombuffer(content, np.uint8), (rows, len(content)))
    return Matrix(matrix, np.ones(matrix.shape, bool))


def varint(numbers: NDArray[Any]) -> Matrix:
    """Return integers (not negative) as base-128 varints.

    Examples
    --------
    >>> joined([varint(np.array([1, 300]))]).content.tolist()
    [1, 172, 2]
    """
    rest = np.asarray(numbers).astype(np.uint64)
    widest = max(1, -(-int(rest.max(initial=0)).bit_length() // 7))
    content, used = np.empty((len(rest), widest), np.uint8), np.ones((len(rest), widest), bool)
    for column in range(widest):
        if column:
            used[:, column] = rest > 0
        digits, rest = rest & _LOW, rest >> _SEVEN
        content[:, column] = digits | ((rest > 0).astype(np.uint64) << _SEVEN)
    return Matrix(content, used)


def fixed(numbers: NDArray[Any]) -> Matrix:
    """Return numbers as their bytes in memory, little-endian."""
    little = np.ascontiguousarray(numbers, numbers.dtype.newbyteorder("<"))
    content = little.view(np.uint8).reshape(len(numbers), little.itemsize)
    return Matrix(content, np.ones(content.shape, bool))


def variable(array: pa.Array) -> Ragged:
    """Return texts or bytes; nothing where the array is null."""
    large = array.cast(pa.large_binary())
    bounds = np.frombuffer(large.buffers()[1], np.int64)[large.offset : large.offset + len(large) + 1]
    data = large.buffers()[2]
    content = np.empty(0, np.uint8) if data is None else np.frombuffer(data, np.uint8)
    return Ragged(content[bounds[0] : bounds[-1]], np.diff(bounds))


def joined(parts: Sequence[Matrix | Ragged]) -> Ragged:
    """Return parts side by side as one."""
    runs: list[Ragged] = []
    for _, group in groupby(parts, key=lambda part: isinstance(part, Matrix)):
        alike = list(group)
        narrow = [part for part in alike if isinstance(part, Matrix)]
        runs += [_beside(narrow)] if narrow else [part for part in alike if isinstance(part, Ragged)]
    if len(runs) == 1:
        return runs[0]
    lengths = np.sum([run.lengths for run in runs], axis=0)
    ends = np.cumsum(lengths)
    result, at = np.empty(int(lengths.sum()), np.uint8), ends - lengths
    for run in runs:
        before = np.cumsum(run.lengths) - run.lengths
        result[np.repeat(at - before, run.lengths) + np.arange(len(run.content))] = run.content
        at = at + run.lengths
    return Ragged(result, lengths)


def lines(rows: Sequence[Matrix | Ragged]) -> bytes:
    r"""Return rows of bytes as escaped lines, each ended by a line feed.

    Examples
    --------
    >>> lines([same(b"A\x1b", 2)])
    b'A\x1b\x01\nA\x1b\x01\n'
    """
    ended = joined([*rows, same(b"\n", len(rows[0]))])
    content = ended.content
    codes = np.frombuffer(bytearray(content.tobytes().translate(_CODES)), np.uint8)
    codes[np.cumsum(ended.lengths) - 1] = 0  # the line feed that ends the row
    special = np.flatnonzero(codes != 0)
    content[special] = _ESCAPE
    return np.insert(content, special + 1, codes[special]).tobytes()


def _beside(parts: Sequence[Matrix]) -> Ragged:
    used = np.concatenate([part.used for part in parts], axis=1)
    content = np.concatenate([part.content for part in parts], axis=1)
    return Ragged(content[used], used.sum(axis=1))
