"""A query over several backends, whatever their batches, outages and pages, against sorting everything by hand."""

from pathlib import Path

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from archiver.backends.memory import MemoryBackend
from archiver.model import Interval, SampleBatch, TransientError
from archiver.ports import BackendContext, Options
from archiver.query import Query, Range, execute

ELEMENTS = ("B", "a", "b", "é")
samples = st.tuples(
    st.sampled_from(ELEMENTS), st.integers(0, 12), st.integers(0, 1), st.integers(1, 3), st.integers(0, 2)
)
"""Element, source time, sequence, receive time, value."""


class Reader:
    """A backend in memory that gives batches of a few rows, and fails when it has given `until` of them."""

    def __init__(self, rows, size, until=None):
        self._backend = MemoryBackend(BackendContext("memory", Path()), Options())
        self._backend.write({"g": batch_of(rows)})
        self._size = size
        self._left = until

    def _count(self):
        if self._left is not None:
            self._left -= 1
            if self._left < 0:
                raise TransientError("unplugged")

    def read(self, elements, interval, **how):
        self._count()
        for batch in self._backend.read(elements, interval, **how):
            for offset in range(0, batch.num_rows, self._size):
                yield batch.slice(offset, self._size)
                self._count()

    def last_before(self, elements, time, **how):
        self._count()
        return self._backend.last_before(elements, time, **how)

    def elements(self):
        return self._backend.elements()

    def coverage(self):
        return self._backend.coverage()


def batch_of(rows):
    columns = list(zip(*rows, strict=True)) or [()] * 5
    element, time, sequence, receive_time, value = (list(column) for column in columns)
    return SampleBatch.from_columns(
        element,
        np.array(time, np.int64),
        np.array(value, float),
        sequence=np.array(sequence, np.int32),
        receive_time=np.array(receive_time, np.int64),
    )


def stored(rows):
    """What a backend makes of rows: the content that an identity had already is not stored again."""
    seen, kept = set(), []
    for row in sorted(rows, key=lambda r: r[3]):
        if (*row[:3], row[4]) not in seen:
            seen.add((*row[:3], row[4]))
            kept.append(row)
    return kept


def valid(rows):
    newest = {}
    for row in sorted(set(rows), key=lambda r: r[3]):
        newest[row[:3]] = row
    return sorted(newest.values())


def rows_of(answer):
    found = []
    for batch in answer.batches:
        found += [(e, t, s, r, int(v)) for e, t, s, r, _, _, v in batch.to_pylist()]
    return found


# one version of an identity per receive time, as the intake stamps them
consistent = st.lists(samples, max_size=40, unique_by=lambda row: row[:4])
intervals = st.tuples(st.integers(0, 12), st.integers(0, 12)).map(lambda ends: Interval(min(ends), max(ends)))


@given(
    consistent,
    st.lists(st.tuples(st.sets(st.integers(0, 39)), intervals, st.integers(1, 5)), min_size=1, max_size=3),
    intervals,
    st.booleans(),
)
def test_query_merge_is_the_union_of_the_ranges_each_sample_once(rows, parts, interval, versions):
    readers, ranges, union = {}, [], []
    for number, (lost, range_, size) in enumerate(parts):
        held = stored([row for index, row in enumerate(rows) if index not in lost])
        readers[f"r{number}"] = Reader(held, size)
        ranges.append(Range(f"r{number}", range_))
        mine = [row for row in held if row[1] in range_ and row[1] in interval]
        union += mine if versions else valid(mine)
    query = Query(ELEMENTS, interval, ranges=tuple(ranges), versions=versions)
    expected = sorted(set(union), key=lambda r: (*r[:4], r[4])) if versions else valid(union)
    assert rows_of(execute(query, readers)) == expected


@given(consistent, st.integers(1, 4), st.integers(1, 7), st.booleans(), st.integers(0, 1), intervals)
def test_query_merge_in_pages_is_the_whole(rows, size, limit, versions, before, interval):
    readers = {"r": Reader(stored(rows), size)}
    query = Query(ELEMENTS, interval, backend="r", versions=versions, before=before)
    whole = rows_of(execute(query, readers))
    found, cursor = [], None
    while True:
        answer = execute(Query(**{**query.__dict__, "limit": limit, "cursor": cursor}), readers)
        page = rows_of(answer)
        found += page
        cursor = answer.cursor
        if cursor is None:
            break
        assert len(page) == limit
    assert found == whole


@given(consistent, st.integers(0, 8), st.integers(1, 4), st.integers(1, 4), st.booleans())
def test_query_merge_goes_on_in_the_next_backend_after_an_outage(rows, until, first, second, versions):
    held = stored(rows)
    readers = {"first": Reader(held, first, until + 1), "second": Reader(held, second)}
    query = Query(ELEMENTS, Interval(0, 13), versions=versions)
    answer = execute(query, readers)
    expected = sorted(held, key=lambda r: r[:4]) if versions else valid(held)
    assert rows_of(answer) == expected


@given(consistent, st.integers(1, 12), st.integers(1, 5), st.integers(1, 6))
def test_query_merge_aggregates_in_pages_are_the_whole(rows, bucket, size, limit):
    readers = {"r": Reader(stored(rows), size)}
    query = Query(ELEMENTS, Interval(1, 12), backend="r", aggregates=("count", "integral", "last"), bucket_ns=bucket)
    whole = execute(query, readers, now=100).table().to_pylist()
    found, cursor = [], None
    while True:
        answer = execute(Query(**{**query.__dict__, "limit": limit, "cursor": cursor}), readers, now=100)
        found += answer.table().to_pylist()
        cursor = answer.cursor
        if cursor is None:
            break
    assert found == whole
