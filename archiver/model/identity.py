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

from archiver.model.batch import Int64s, Mask, SampleBatch, by_code, sort_order
from archiver.model.kind import Kind
from archiver.model.time import MIN_TIME

_BITS = {
    Kind.FLOAT: np.int64,
    Kind.INT: np.int64,
    Kind.UINT: np.uint64,
    Kind.BOOL: np.uint8,
    Kind.ENUM: np.int32,
}
Key = NDArray[np.generic]


def content_codes(batch: SampleBatch) -> Int64s:
    """Return a number per sample that is equal for two samples just when kind, value and status are.

    Numbers compare within this batch only. Floats compare by their bits: NaN equals the same NaN, and 0.0 is not -0.0.
    """
    codes = np.zeros(batch.num_rows, np.int64)
    for key in _content_keys(batch):
        _, inverse = np.unique(key, return_inverse=True)
        codes = codes * (int(inverse.max(initial=0)) + 1) + inverse
        _, codes = np.unique(codes, return_inverse=True)
    return codes


def _content_keys(batch: SampleBatch) -> list[Key]:
    """Return integer columns that are all equal for two samples just when kind, value and status are."""
    keys: list[Key] = [batch.status, batch.kind_codes]
    for kind in batch.kinds:
        array = batch.values(kind)
        if kind in _BITS:
            keys.append(_bits(array.fill_null(False if kind is Kind.BOOL else 0), kind))
        else:
            keys.append(_numbers(_packed_lists(array, kind.item) if kind.is_list else array))
    return keys


def _bits(array: pa.Array, kind: Kind) -> Key:
    """Return values without null as integers of equal bits."""
    bits: Key = array.to_numpy(zero_copy_only=False).view(_BITS[kind])
    return bits


def _numbers(array: pa.Array) -> Key:
    """Return a number per distinct value; null has one too."""
    numbers: Key = pc.dictionary_encode(array, null_encoding="encode").indices.to_numpy(zero_copy_only=False)
    return numbers


def _packed_lists(array: pa.Array, item: Kind) -> pa.Array:
    """Return each list as bytes that are equal just when the lists are, null items and bits of floats included."""
    items = array.flatten()
    if item in _BITS and not items.null_count:
        packed = _bits(items, item)
    else:
        bits = items.view(pa.int64()) if item is Kind.FLOAT else items
        packed = _numbers(bits)
    lengths = pc.list_value_length(array).fill_null(0).to_numpy(zero_copy_only=False)
    offsets = np.zeros(len(array) + 1, np.int64)
    np.cumsum(lengths, out=offsets[1:])
    buffers = [None, pa.py_buffer(offsets * packed.itemsize), pa.py_buffer(np.ascontiguousarray(packed))]
    return pa.Array.from_buffers(pa.large_binary(), len(array), buffers)


def _repeats(*columns: Key) -> Mask:
    """Where a row equals the row before it in every column."""
    result = np.zeros(len(columns[0]), bool)
    if len(result) > 1:
        result[1:] = True
        for column in columns:
            result[1:] &= column[1:] == column[:-1]
    return result


def same_identity(batch: SampleBatch) -> Mask:
    """Where a row of a sorted batch has the identity of the row before it."""
    return _repeats(batch.codes, batch.source_time, batch.sequence)


def _said_before(runs: Int64s, content: Int64s) -> Mask:
    """Where an earlier row of the same run has the same content; `runs` ascends."""
    order = np.lexsort((content, runs))
    result = np.zeros(len(runs), bool)
    result[order] = _repeats(runs[order], content[order])
    return result


def newest_versions(batch: SampleBatch, as_of: int | None = None) -> SampleBatch:
    """Return one version per identity: the newest, or the newest received before or at `as_of` (ns).

    The result is sorted by element, source time and sequence.
    """
    if as_of is not None:
        batch = batch.filter(batch.receive_time <= as_of)
    batch = batch.sorted()
    same = same_identity(batch)
    if not same.any():
        return batch
    last = np.append(~same[1:], True)
    return batch.filter(last)


def distinct(batch: SampleBatch) -> SampleBatch:
    """Return every row once, sorted: what several groups or backends hold of one sample is one row.

    Rows are the same when identity, receive time and content are.
    """
    batch = batch.sorted()
    same = _repeats(batch.codes, batch.source_time, batch.sequence, batch.receive_time)
    where = _tied(same)
    if not len(where):
        return batch
    repeated = np.zeros(batch.num_rows, bool)
    repeated[where] = _said_before(np.cumsum(~same[where]), content_codes(batch.take(where)))
    return batch.filter(~repeated)


def _tied(same: Mask) -> Int64s:
    """Return the rows that are equal to the row before or after."""
    tied = same.copy()
    tied[:-1] |= same[1:]
    return np.flatnonzero(tied)


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
    held = existing.num_rows
    result = np.zeros(held + incoming.num_rows, bool)
    columns = [_shared_codes(existing, incoming)]
    columns += [
        np.concatenate((getattr(existing, name), getattr(incoming, name))) for name in ("source_time", "sequence")
    ]
    order = sort_order(*columns)
    same = _repeats(*(columns if order is None else [column[order] for column in columns]))
    tied = _tied(same)
    if len(tied):
        rows = tied if order is None else order[tied]  # equal identities side by side, in order of arrival
        compared = np.zeros(len(result), bool)  # only these are compared by content
        compared[rows] = True
        batch = SampleBatch.concat([existing.filter(compared[:held]), incoming.filter(compared[held:])])
        number = np.cumsum(compared) - 1
        result[rows] = _repeated_content(batch, number[rows], np.cumsum(~same[tied]))
    return result[held:]


def _shared_codes(*batches: SampleBatch) -> Int64s:
    """Return the element of each sample of several batches as a number, the same name having the same number."""
    numbers: dict[str, int] = {}
    codes = []
    for batch in batches:
        table = np.array([numbers.setdefault(name, len(numbers)) for name in batch.elements], np.int64)
        codes.append(table[batch.codes])
    return np.concatenate(codes)


def _repeated_content(batch: SampleBatch, rows: Int64s, runs: Int64s) -> Mask:
    """Where the content of a row was there earlier in its run; row `i` of a run is row ``rows[i]`` of the batch."""
    result = _repeats(runs, *(key[rows] for key in _content_keys(batch)))
    longer = np.bincount(runs)[runs] > 2  # in a run of two the row before is all there is
    if longer.any():
        result[longer] = _said_before(runs[longer], content_codes(batch.take(rows[longer])))
    return result


def number_equals(batch: SampleBatch) -> SampleBatch:
    """Give samples of one batch that share element and time, but differ, the sequence 0, 1, 2, … in order of arrival.

    A batch in which any sequence is set is left as it is: then the source numbers them. Equal content repeats the
    number of its first occurrence, so that it is later recognised as a duplicate.
    """
    if batch.num_rows < 2 or batch.sequence.any():
        return batch
    order = sort_order(batch.codes, batch.source_time)
    keys = (batch.codes, batch.source_time)
    same = _repeats(*(keys if order is None else (key[order] for key in keys)))
    where = _tied(same)
    if not len(where):
        return batch
    rows = where if order is None else order[where]
    numbers = np.zeros(batch.num_rows, np.int32)
    numbers[rows] = _ranks(np.cumsum(~same[where]) - 1, content_codes(batch.take(rows)))
    return batch.with_sequence(numbers)


def last_of_ascending(batch: SampleBatch) -> Int64s | None:
    """Return the row of the last sample of each element, when times ascend from one to the next of each.

    None when they do not: then samples may share element and time, as they never do here.
    """
    order = by_code(batch.codes)
    codes, times = batch.codes[order], batch.source_time[order]
    other = codes[1:] != codes[:-1]
    if not (other | (times[1:] > times[:-1])).all():
        return None
    return order[np.flatnonzero(np.append(other, np.full(min(len(order), 1), True)))]


def _ranks(runs: Int64s, content: Int64s) -> Int64s:
    """Return the number of other contents that came up in the run before this content did; `runs` is 0, …, 1, …."""
    order = np.lexsort((content, runs))
    first = ~_repeats(runs[order], content[order])
    rows = order[first]  # where each content of each run comes up first
    came_up = np.zeros(len(runs), np.int64)
    came_up[rows] = 1
    count = np.cumsum(came_up) - 1
    starts = np.flatnonzero(~_repeats(runs))
    ranks = np.empty(len(runs), np.int64)
    ranks[order] = (count - count[starts][runs])[rows][np.cumsum(first) - 1]
    return ranks


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
