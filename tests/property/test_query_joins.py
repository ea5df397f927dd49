"""Elements side by side, against a model that looks for the sample of each cell, and against join_asof of Polars."""

import math
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from archiver.backends.memory import MemoryBackend
from archiver.model import Interval, Kind, SampleBatch, Status
from archiver.model.status import BAD
from archiver.model.time import MAX_TIME, MIN_TIME
from archiver.ports import BackendContext, Options
from archiver.query import Join, Match, Query, execute, joining, windows
from archiver.query.join import align
from archiver.testing.rows import batch_of

ELEMENTS = ("b", "a", "c")
INTERVAL = Interval(0, 40)
values = st.one_of(
    st.floats(-1e9, 1e9).map(lambda v: (Kind.FLOAT, v)),
    st.floats(-1e9, 1e9).map(lambda v: (Kind.FLOAT, v)),
    st.sampled_from([math.nan, math.inf, -math.inf, 1e308, -1e308, -0.0]).map(lambda v: (Kind.FLOAT, v)),
    st.sampled_from([2**63 - 1, 2**53 + 1]).map(lambda v: (Kind.INT, v)),
    st.sampled_from(["", "x"]).map(lambda v: (Kind.TEXT, v)),
    st.lists(st.integers(0, 2), max_size=2).map(lambda v: (Kind.INTS, v)),
    st.just((Kind.NONE, None)),
)
statuses = st.sampled_from([0, 0, 0, int(Status.ACTIVE), int(Status.AUT_INV), int(Status.DISCONNECTED)])
samples = st.lists(st.tuples(st.sampled_from(ELEMENTS), st.integers(-9, 49), values, statuses), max_size=30)
joins = st.builds(
    Join,
    st.sampled_from(Match),
    st.sampled_from([0, 1, 3, 10, 1000]),
    step_ns=st.just(0),
    times_of=st.sampled_from([None, None, "a", "d"]),
) | st.builds(Join, st.sampled_from(Match), st.sampled_from([0, 2, 50]), step_ns=st.sampled_from([1, 7, 100]))
forever = st.builds(Join, st.just(Match.LAST), st.none(), step_ns=st.sampled_from([0, 3]))


def batch(rows):
    return batch_of([(name, time, order, 0, status, *value) for order, (name, time, value, status) in enumerate(rows)])


def archive(rows):
    backend = MemoryBackend(BackendContext("memory", Path()), Options())
    backend.write({"g": batch(rows)})
    return {"memory": backend}


def times_of(rows, join):
    if join.step_ns:
        return [t for t in range(INTERVAL.start, INTERVAL.end) if t % join.step_ns == 0]
    return sorted({t for name, t, *_ in rows if t in INTERVAL and join.times_of in (None, name)})


def cell(mine, time, join):
    """Kind, value and status of an element at a time, looked for among its samples; None where nothing is."""
    tolerance = math.inf if join.tolerance_ns is None else join.tolerance_ns
    at = {t: (t, *value, status) for _, t, value, status in mine}  # of several the last one stays
    before = max((t for t in at if t <= time), default=None)
    after = min((t for t in at if t > time), default=None)
    before = None if before is None or time - before > tolerance else before
    after = None if after is None or after - time > tolerance else after
    if join.match is Match.NEAREST and after is not None and (before is None or after - time < time - before):
        return at[after][1:]
    if join.match is not Match.LINEAR:
        return None if before is None else at[before][1:]
    if before is None or before == time or at[before][1] is not Kind.FLOAT:
        return None if before is None else at[before][1:]
    return None if after is None else line(at[before], at[after], time)


def line(one, other, time):
    (t0, _, v0, s0), (t1, k1, v1, s1) = one, other
    good = k1 is Kind.FLOAT and not math.isnan(v0) and not math.isnan(v1) and not (s0 | s1) & int(BAD | GAP)
    return (Kind.FLOAT, None if not good else (t0, v0, t1, v1, time), s0 | s1)


GAP = Status.DISCONNECTED | Status.PAUSED


def column_of(table, name):
    """Values and status of an element, whatever its columns of values are called."""
    kinds = [c for c in table.column_names if c == name or (c.startswith(f"{name} ") and c != f"{name} status")]
    by_kind = [table.column(c).to_pylist() for c in kinds]
    found = [next((v for v in row if v is not None), None) for row in zip(*by_kind, strict=True)]
    return list(zip(found, table.column(f"{name} status").to_pylist(), strict=True))


def check(given_cell, expected):
    value, status = given_cell
    if expected is None:
        assert (value, status) == (None, None)
        return
    _, wanted, bits = expected
    assert status == bits
    if isinstance(wanted, tuple):  # a point on a line, which is computed
        t0, v0, t1, v1, time = wanted
        assert min(v0, v1) <= value <= max(v0, v1) or math.isnan(value)
        if math.isfinite(v0) and math.isfinite(v1):
            exact = v0 * ((t1 - time) / (t1 - t0)) + v1 * ((time - t0) / (t1 - t0))
            assert value == pytest.approx(exact, rel=1e-12, abs=1e-300)
        return
    assert repr(value) == repr(wanted)


@pytest.mark.parametrize(("most_rows", "cells"), [(1_000_000, 1_000_000), (3, 1_000_000), (5, 1)])
@given(rows=samples, join=joins | forever)
def test_every_cell_is_that_of_a_model(most_rows, cells, rows, join):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(windows, "WINDOW_ROWS", most_rows)
        patch.setattr(joining, "PIECE_CELLS", cells)
        patch.setattr(joining, "PIECE_ROWS", 2 if cells == 1 else joining.PIECE_ROWS)
        answer = execute(Query(ELEMENTS, INTERVAL, join=join), archive(rows), now=100)
        pieces = list(answer.rows)
    assert [int(t) for piece in pieces for t in piece.time] == times_of(rows, join)
    for piece in pieces:
        assert tuple(piece.columns) == ELEMENTS
        for name, column in piece.columns.items():
            mine = [sample for sample in rows if sample[0] == name]
            by_kind = [array.to_pylist() for array in column.values.values()]
            for number, time in enumerate(piece.time.tolist()):
                set_values = [array[number] for array in by_kind if array[number] is not None]
                assert len(set_values) <= 1
                found = (set_values[0] if set_values else None, column.status[number].as_py())
                check(found, cell(mine, time, join))


@given(rows=samples, join=joins | forever)
def test_the_table_has_what_the_rows_have(rows, join):
    table = execute(Query(ELEMENTS, INTERVAL, join=join), archive(rows), now=100).table()
    times = times_of(rows, join)
    assert table.column("source_time").to_pylist() == times
    for name in ELEMENTS:
        mine = [sample for sample in rows if sample[0] == name]
        for time, given_cell in zip(times, column_of(table, name), strict=True):
            check(given_cell, cell(mine, time, join))


@given(rows=samples, join=joins | forever, cut=st.integers(0, 40))
def test_a_row_is_the_same_whatever_interval_was_asked(rows, join, cut):
    readers = archive(rows)

    def rows_in(*bounds):
        table = execute(Query(ELEMENTS, Interval(*bounds), join=join), readers, now=100).table()
        return list(zip(table.column("source_time").to_pylist(), *(column_of(table, n) for n in ELEMENTS), strict=True))

    assert repr(rows_in(0, 40)) == repr(rows_in(0, cut) + rows_in(cut, 40))


@given(rows=samples, join=joins | forever)
def test_pages_make_the_whole(rows, join):
    readers = archive(rows)

    def ask(**page):
        return execute(Query(ELEMENTS, INTERVAL, join=join, **page), readers, now=100)

    whole = [time for wide in ask().rows for time in wide.time.tolist()]
    paged, cursor = [], None
    for _ in range(100):
        page = ask(limit=4, cursor=cursor)
        paged += [time for wide in page.rows for time in wide.time.tolist()]
        cursor = page.cursor
        if cursor is None:
            break
    assert paged == whole


far = st.one_of(st.integers(MIN_TIME, MAX_TIME), st.sampled_from([MIN_TIME, MAX_TIME - 1, 0, 1, -1]))


@given(
    known=st.lists(far, min_size=1, max_size=20, unique=True).map(sorted),
    times=st.lists(far, min_size=1, max_size=30, unique=True).map(sorted),
    match=st.sampled_from([Match.LAST, Match.NEAREST]),
    tolerance=st.integers(0, 2**63 - 1),
)
def test_polars_finds_the_same_samples(known, times, match, tolerance):
    if match is Match.NEAREST:  # of two that are as near, and of differences beyond int64, Polars says nothing
        assume(max(*known, *times) - min(*known, *times) < 2**62)
        assume(all(len({abs(t - k) for k in known}) == len(known) for t in times))
    else:
        assume(all(t - tolerance >= MIN_TIME for t in times))
    numbers = np.arange(len(known), dtype=np.int64)
    column = align(SampleBatch.from_columns("a", known, numbers), np.array(times), Join(match, tolerance))
    ours = column.values[Kind.INT].to_pylist()
    left = pl.DataFrame({"t": pl.Series(times, dtype=pl.Int64)}).set_sorted("t")
    right = pl.DataFrame({"t": pl.Series(known, dtype=pl.Int64), "v": numbers}).set_sorted("t")
    strategy = "backward" if match is Match.LAST else "nearest"
    assert ours == left.join_asof(right, on="t", strategy=strategy, tolerance=tolerance)["v"].to_list()
