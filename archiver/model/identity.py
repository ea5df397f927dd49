"""Which samples are the same: duplicates dropped, corrections kept as versions.

`(element, source_time, sequence)` is the identity of a sample. A sample whose identity and content (kind, value,
status) are known already is a duplicate, whichever version it repeats: a resend changes nothing. One that differs
in content is a new version; the version with the newest `receive_time` is valid.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from archiver.model.batch import Int64s, Mask, SampleBatch
from archiver.model.kind import Kind
from archiver.model.time import MIN_TIME

_BITS = {
    Kind.FLOAT: np.int64,
    Kind.INT: np.int64,
    Kind.UINT: np.uint64,
    Kind.BOOL: np.bool_,
    Kind.ENUM: np.int32,
}


def content_codes(batch: SampleBatch) -> Int64s:
    """Return a number per sample that is equal for two samples just when kind, value and status are.

    Numbers compare within this batch only. Floats compare by their bits: NaN equals the same NaN, and 0.0 is not -0.0.
    """
    keys: list[NDArray[np.generic]] = [batch.status, batch.kind_codes]
    for kind in batch.kinds:
        array = batch.values(kind)
        if kind in _BITS:
            filled = array.fill_null(False if kind is Kind.BOOL else 0)
            keys.append(filled.to_numpy(zero_copy_only=False).view(_BITS[kind]))
        else:
            plain = array if not kind.is_list else pa.array([repr(item) for item in array.to_pylist()])
            keys.append(pc.dictionary_encode(plain, null_encoding="encode").indices.to_numpy(zero_copy_only=False))
    codes = np.zeros(batch.num_rows, np.int64)
    for key in keys:
        _, inverse = np.unique(key, return_inverse=True)
        codes = codes * (int(inverse.max(initial=0)) + 1) + inverse
        _, codes = np.unique(codes, return_inverse=True)
    return codes


def _same_identity(batch: SampleBatch) -> Mask:
    """Where a row of a sorted batch has the identity of the row before it."""
    result = np.zeros(batch.num_rows, bool)
    if batch.num_rows > 1:
        result[1:] = (
            (batch.codes[1:] == batch.codes[:-1])
            & (batch.source_time[1:] == batch.source_time[:-1])
            & (batch.sequence[1:] == batch.sequence[:-1])
        )
    return result


def newest_versions(batch: SampleBatch, as_of: int | None = None) -> SampleBatch:
    """Return one version per identity: the newest, or the newest received before or at `as_of` (ns).

    The result is sorted by element, source time and sequence.
    """
    if as_of is not None:
        batch = batch.filter(batch.receive_time <= as_of)
    batch = batch.sorted()
    same = _same_identity(batch)
    if not same.any():
        return batch
    last = np.append(~same[1:], True)
    return batch.filter(last)


def distinct(batch: SampleBatch) -> SampleBatch:
    """Return every row once, sorted: what several groups or backends hold of one sample is one row.

    Rows are the same when identity, receive time and content are.
    """
    batch = batch.sorted()
    same = _same_identity(batch)
    if not same.any():
        return batch
    content = content_codes(batch)
    order = np.lexsort((content, batch.receive_time, batch.sequence, batch.source_time, batch.codes))
    same[1:] &= (batch.receive_time[order][1:] == batch.receive_time[order][:-1]) & (
        content[order][1:] == content[order][:-1]
    )
    repeated = np.zeros(batch.num_rows, bool)
    repeated[order[same]] = True
    return batch.filter(~repeated)


def duplicates(incoming: SampleBatch, existing: SampleBatch) -> Mask:
    """Return which incoming samples are known already, in `existing` or earlier in `incoming` itself.

    Parameters
    ----------
    incoming : SampleBatch
        Any order.
    existing : SampleBatch
        All stored versions of at least every identity in `incoming`.

    Returns
    -------
    ndarray of bool, shape (incoming.num_rows,)
    """
    both = SampleBatch.concat([existing, incoming])
    result = np.zeros(incoming.num_rows, bool)
    if not incoming.num_rows:
        return result
    names = np.argsort(np.argsort(np.array(both.elements, dtype=object)))
    content = content_codes(both)
    order = np.lexsort((content, both.sequence, both.source_time, names[both.codes]))
    content = content[order]
    rows = both.take(order)
    repeated = _same_identity(rows)
    repeated[1:] &= content[1:] == content[:-1]
    where = order - existing.num_rows
    ours = where >= 0
    result[where[ours]] = repeated[ours]
    return result


def number_equals(batch: SampleBatch) -> SampleBatch:
    """Give samples of one batch that share element and time, but differ, the sequence 0, 1, 2, … in order of arrival.

    A batch in which any sequence is set is left as it is: then the source numbers them. Equal content repeats the
    number of its first occurrence, so that it is later recognised as a duplicate.
    """
    if batch.num_rows < 2 or batch.sequence.any():
        return batch
    order = np.lexsort((batch.source_time, batch.codes))
    rows = batch.take(order)
    same = _same_identity(rows)
    if not same.any():
        return batch
    tied = same.copy()
    tied[:-1] |= same[1:]
    where = np.flatnonzero(tied)
    content = content_codes(rows.take(where))
    numbers = np.zeros(batch.num_rows, np.int32)
    seen: dict[int, int] = {}
    for index, code in zip(where.tolist(), content.tolist(), strict=True):
        if not same[index]:
            seen = {}
        numbers[order[index]] = seen.setdefault(code, len(seen))
    return batch.with_sequence(numbers)


@dataclass
class Watermarks:
    """The newest source time stored of each element: what lies above it cannot be a duplicate.

    A backend keeps one per group, so that only late samples are compared with what is stored.
    """

    newest: dict[str, int] = field(default_factory=dict)

    def at_or_below(self, batch: SampleBatch) -> Mask:
        """Return which samples are not newer than what is stored, bool per sample."""
        marks = np.fromiter((self.newest.get(name, MIN_TIME) for name in batch.elements), np.int64, len(batch.elements))
        result: Mask = batch.source_time <= marks[batch.codes] if len(marks) else np.zeros(batch.num_rows, bool)
        return result

    def advance(self, batch: SampleBatch) -> None:
        """Take the samples as stored."""
        if not batch.num_rows:
            return
        newest = np.full(len(batch.elements), MIN_TIME, np.int64)
        np.maximum.at(newest, batch.codes, batch.source_time)
        get = self.newest.get
        for name, time in zip(batch.elements, newest.tolist(), strict=True):
            if time > get(name, MIN_TIME):
                self.newest[name] = time
