"""What a batch holds, as columns of fixed width in which equal values are equal numbers."""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import blake2b
from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from archiver.model import Kind, SampleBatch
from archiver.smoothing.kernels import Rows

NAN, PLUS_INFINITY, MINUS_INFINITY = 32, 33, 34
"""Categories of a float that is no finite number; all other categories are the codes of `Kind`."""

_BIAS = np.uint64(2**63)
_DIGEST_BYTES = 16


def key_of(numbers: NDArray[Any]) -> NDArray[np.uint64]:
    """Return signed integers as uint64 in the same order."""
    keys: NDArray[np.uint64] = numbers.astype(np.int64, copy=False).view(np.uint64) ^ _BIAS
    return keys


def number_of(keys: NDArray[np.uint64]) -> NDArray[np.int64]:
    """Return the int64 numbers of keys: the inverse of `key_of`."""
    numbers: NDArray[np.int64] = (keys ^ _BIAS).view(np.int64)
    return numbers


def rows_of(batch: SampleBatch, slot: NDArray[np.int32]) -> Rows:
    """Return a batch as the kernels read it.

    Parameters
    ----------
    batch : SampleBatch
    slot : ndarray of int32, shape (batch.num_rows,)
        Number of each sample's element.

    Returns
    -------
    Rows
        Read-only columns. Texts, binaries and arrays are represented by a 128-bit BLAKE2b digest of their content.
    """
    count = batch.num_rows
    number, high, low = np.zeros(count), np.zeros(count, np.uint64), np.zeros(count, np.uint64)
    for kind in batch.kinds:
        array = batch.values(kind)
        if array.null_count == count:
            continue  # a filter left the column behind
        if kind is Kind.FLOAT and not array.null_count:
            number = array.to_numpy()
            continue
        where = slice(None) if not array.null_count else array.is_valid().to_numpy(zero_copy_only=False)
        present = array.drop_null() if array.null_count else array
        if kind is Kind.FLOAT:
            number[where] = present.to_numpy()
        elif kind.is_list or kind in (Kind.TEXT, Kind.BINARY):
            words = _digests(present, kind)
            high[where], low[where] = words[:, 0], words[:, 1]
        else:
            plain = present.to_numpy(zero_copy_only=False)
            high[where] = plain if kind is Kind.UINT else key_of(plain)
            number[where] = plain
    rows = Rows(
        slot=slot,
        time=key_of(batch.source_time),
        sequence=batch.sequence,
        category=_categories(batch.kind_codes, number),
        status=batch.status,
        number=number,
        high=high,
        low=low,
    )
    for column in rows:
        column.setflags(write=False)  # so that the compiled kernel sees one type, whatever Arrow lent
    return rows


def _categories(kinds: NDArray[np.uint8], number: NDArray[np.float64]) -> NDArray[np.uint8]:
    finite = np.isfinite(number)
    if finite.all():
        return kinds
    categories = kinds.copy()
    odd = np.flatnonzero(~finite)
    values = number[odd]
    categories[odd] = np.where(np.isnan(values), NAN, np.where(values > 0, PLUS_INFINITY, MINUS_INFINITY))
    return categories


def _digests(array: pa.Array, kind: Kind) -> NDArray[np.uint64]:
    """Return a digest per value, uint64 of shape (n, 2); neither a value nor an item is null."""
    if not kind.is_list:
        encoded = pc.dictionary_encode(array.cast(pa.binary()))
        words: NDArray[np.uint64] = _words(encoded.dictionary.to_pylist())[encoded.indices.to_numpy()]
        return words
    offsets = array.offsets.to_numpy()
    items = array.values.slice(offsets[0], offsets[-1] - offsets[0])
    if kind.item in (Kind.TEXT, Kind.BINARY):
        plain: NDArray[Any] = _digests(items, kind.item)
    else:
        plain = items.to_numpy(zero_copy_only=False)
    bounds = (offsets - offsets[0]).tolist()
    return _words(plain[start:end].tobytes() for start, end in pairwise(bounds))


def _words(contents: Iterable[bytes]) -> NDArray[np.uint64]:
    joined = b"".join([blake2b(content, digest_size=_DIGEST_BYTES).digest() for content in contents])
    return np.frombuffer(joined, np.uint64).reshape(-1, 2)
