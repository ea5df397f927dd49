"""Hashes of what samples are: equal for equal samples wherever and in whatever order they are stored.

A sample's hash is 64 bits over source time, sequence, kind, value and status; floats by their bits. That of a set of
samples is the sum of theirs, so it needs no order, and parts of a set can be added up.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from archiver.model.batch import SampleBatch
from archiver.model.kind import Kind

Hashes = NDArray[np.uint64]

_FIXED = {
    Kind.FLOAT: np.dtype(np.uint64),
    Kind.INT: np.dtype(np.uint64),
    Kind.UINT: np.dtype(np.uint64),
    Kind.BOOL: np.dtype(np.uint8),
    Kind.ENUM: np.dtype(np.uint32),
}
# Odd numbers of 64 random bits: one for each thing that goes into a hash.
_TIME, _SEQUENCE, _KIND, _STATUS, _VALUE, _RECEIVED, _PLACE, _LENGTH, _NAME = (
    np.uint64(number)
    for number in (
        0x9E3779B97F4A7C15,
        0xC2B2AE3D27D4EB4F,
        0x165667B19E3779F9,
        0xD6E8FEB86659FD93,
        0xA0761D6478BD642F,
        0xE7037ED1A0B428DB,
        0x8EBC6AF09C88C6E3,
        0x589965CC75374CC3,
        0x1D8E4E27C47D124F,
    )
)


def sample_hashes(batch: SampleBatch, *, received: bool = False) -> Hashes:
    """Return a hash per sample that tells one sample of an element from another; the name is not in it.

    Parameters
    ----------
    received : bool
        Whether the receive time counts too, as where versions are told apart.

    Returns
    -------
    ndarray of uint64, shape (batch.num_rows,)
    """
    words = identity_words(batch, received=received)
    words += batch.status * _STATUS
    words += batch.kind_codes * _KIND
    for kind in batch.kinds:
        array = batch.values(kind)
        value = _words(array, kind)
        if array.null_count:
            value[array.is_null().to_numpy(zero_copy_only=False)] = 0
        words += value * _VALUE
    return mixed(words)


def identity_words(batch: SampleBatch, *, received: bool = False) -> Hashes:
    """Return a number per sample for its source time and sequence, and if asked for, its receive time."""
    words: Hashes = batch.source_time.view(np.uint64) * _TIME
    words += batch.sequence.astype(np.uint64) * _SEQUENCE
    if received:
        words += batch.receive_time.view(np.uint64) * _RECEIVED
    return words


def name_hashes(names: list[str]) -> Hashes:
    """Return a hash per name."""
    return mixed(_words(pa.array(names, pa.utf8()), Kind.TEXT) * _NAME)


def mixed(words: Hashes) -> Hashes:
    """Return numbers of which every bit depends on every bit of those given (the finaliser of splitmix64)."""
    result = words ^ (words >> np.uint64(30))
    result *= np.uint64(0xBF58476D1CE4E5B9)
    result ^= result >> np.uint64(27)
    result *= np.uint64(0x94D049BB133111EB)
    result ^= result >> np.uint64(31)
    return result


def _words(array: pa.Array, kind: Kind) -> Hashes:
    """Return 64 bits per value that tell it from other values of its kind; anything where it is null."""
    if kind.is_list:
        lengths = pc.list_value_length(array).fill_null(0).to_numpy(zero_copy_only=False)
        return _folded(_words(array.flatten(), kind.item), lengths)
    if kind in _FIXED:
        plain = array.fill_null(False if kind is Kind.BOOL else 0).to_numpy(zero_copy_only=False)
        bits: Hashes = plain.view(_FIXED[kind]).astype(np.uint64)
        return bits
    encoded = pc.dictionary_encode(array)  # texts repeat: each is looked at once
    distinct = _folded(*_bytes(encoded.dictionary))
    if not len(distinct):
        return np.zeros(len(array), np.uint64)
    result: Hashes = distinct[encoded.indices.fill_null(0).to_numpy(zero_copy_only=False)]
    return result


def _bytes(array: pa.Array) -> tuple[Hashes, NDArray[np.int64]]:
    """Return the bytes of texts without null one after the other, and how many each has."""
    _, offsets, content = array.cast(pa.large_binary()).buffers()
    ends = np.frombuffer(offsets, np.int64)[array.offset : array.offset + len(array) + 1] if offsets else np.zeros(1)
    ends = ends.astype(np.int64)
    data = np.frombuffer(content, np.uint8)[ends[0] : ends[-1]] if content else np.empty(0, np.uint8)
    return data.astype(np.uint64), np.diff(ends)


def _folded(items: Hashes, lengths: NDArray[np.integer]) -> Hashes:
    """Return a number per run of items that depends on each, on its place, and on how many there are."""
    ends = np.zeros(len(lengths) + 1, np.int64)
    np.cumsum(lengths, out=ends[1:])
    place = np.arange(len(items), dtype=np.int64) - np.repeat(ends[:-1], lengths)
    sums = np.zeros(len(items) + 1, np.uint64)
    np.cumsum(mixed(items * _VALUE + place.astype(np.uint64) * _PLACE), out=sums[1:])
    return mixed(sums[ends[1:]] - sums[ends[:-1]] + lengths.astype(np.uint64) * _LENGTH)
