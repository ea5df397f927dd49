"""Elements side by side: what a join may be, its columns, its formats, and what it needs of memory."""

import json
import math
from io import BytesIO
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from archiver.backends.memory import MemoryBackend
from archiver.model import (
    Interval,
    InvalidInputError,
    LimitError,
    SampleBatch,
    Status,
    TransientError,
    UnsupportedError,
)
from archiver.ports import BackendContext, Options
from archiver.query import Condition, Join, Match, Query, Range, execute, windows
from archiver.query.formats import write
from archiver.query.limits import Limits

SPAN = Interval(0, 100)
SILENT = int(Status.DISCONNECTED)


def memory(*batches):
    backend = MemoryBackend(BackendContext("memory", Path()), Options())
    for batch in batches:
        backend.write({"g": batch})
    return backend


def ask(*elements, of, join=None, interval=None, **more):
    query = Query(elements, interval or SPAN, join=join or Join(), **more)
    return execute(query, of if isinstance(of, dict) else {"memory": of}, now=200)


def table(*elements, **more):
    return ask(*elements, **more).table().to_pylist()


A = SampleBatch.from_columns("a", [0, 10, 20], [1.0, 2.0, math.nan])
T = SampleBatch.from_columns("t", [5, 15], ["x", None], status=[0, SILENT])


def test_a_row_has_value_and_status_of_each_element():
    assert table("t", "a", of=memory(A, T), interval=Interval(0, 16)) == [
        {"source_time": 0, "t": None, "t status": None, "a": 1.0, "a status": 0},
        {"source_time": 5, "t": "x", "t status": 0, "a": 1.0, "a status": 0},
        {"source_time": 10, "t": "x", "t status": 0, "a": 2.0, "a status": 0},
        {"source_time": 15, "t": None, "t status": SILENT, "a": 2.0, "a status": 0},
    ]


def test_where_chooses_rows():
    rows = table("a", of=memory(A, T), where=Condition.parse("t = 'x'"))
    assert [row["source_time"] for row in rows] == [10]
    rows = table("a", of=memory(A, T), where=Condition.parse("t is disconnected"), join=Join(step_ns=10))
    assert [row["source_time"] for row in rows] == list(range(20, 100, 10))


def test_what_was_known_then():
    late = SampleBatch.from_columns("a", [10], [9.0], receive_time=7)
    assert [row["a"] for row in table("a", of=memory(A, late))][:2] == [1.0, 9.0]
    assert [row["a"] for row in table("a", of=memory(A, late), as_of=6)][:2] == [1.0, 2.0]


def test_an_element_of_several_kinds_has_a_column_of_each():
    changed = SampleBatch.from_columns("a", [30], [2**63 - 1])
    names = ask("a", of=memory(A, changed)).schema.names
    assert names == ["source_time", "a float", "a int", "a status"]
    assert table("a", of=memory(A, changed))[-1]["a int"] == 2**63 - 1


def test_a_kind_that_turns_up_late_is_an_error_in_arrow_only(monkeypatch):
    monkeypatch.setattr(windows, "WINDOW_ROWS", 2)
    backend = memory(SampleBatch.from_columns("a", range(0, 60, 5), np.arange(12.0)))
    backend.write({"g": SampleBatch.from_columns("a", [31, 33], ["odd", "odd"])})
    with pytest.raises(UnsupportedError, match="text"):
        ask("a", of=backend).table()
    assert b'"odd"' in b"".join(write(ask("a", of=backend), "csv"))


def test_the_formats():
    def formatted(name):
        return b"".join(write(ask("a", 'b, "c"', of=memory(A), join=Join(step_ns=50)), name))

    assert formatted("csv").decode().splitlines() == [
        'source_time,a,a status,"b, ""c""","b, ""c"" status"',
        "1970-01-01T00:00:00.000000000Z,1.0,0,,",
        "1970-01-01T00:00:00.000000050Z,NaN,0,,",
    ]
    first, _ = formatted("ndjson").splitlines()
    row = {"source_time": "1970-01-01T00:00:00.000000000Z", "a": 1.0, "a status": 0}
    assert json.loads(first) == {**row, 'b, "c"': None, 'b, "c" status': None}
    document = json.loads(formatted("json"))
    assert document["samples"][0]["a"] == 1.0
    assert [missing["elements"] for missing in document["missing"]] == [['b, "c"']]
    arrow = pa.ipc.open_stream(formatted("arrow")).read_all()
    parquet = pq.read_table(BytesIO(formatted("parquet")))
    assert parquet.schema.equals(arrow.schema)
    assert repr(parquet.to_pylist()) == repr(arrow.to_pylist())
    assert json.loads(arrow.schema.metadata[b"forebay.query"])["wide"] == "last"


def test_two_columns_of_one_name_are_refused():
    with pytest.raises(InvalidInputError, match="'a status'"):
        ask("a", "a status", of=memory(A))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (("nearest",), "nearest needs a tolerance"),
        (("linear", "", "1s"), "linear needs a tolerance"),
        (("last", "", "1s", "a"), "leave out one"),
        (("last", "", "0s"), "more than zero"),
        (("best", "1s"), "one of last, nearest, linear"),
        (("last", "soon"), "not a duration"),
        (("", "1s"), "a tolerance is of a wide table"),
        (("", "", "", "a"), "an element for the times is of a wide table"),
    ],
)
def test_what_a_join_cannot_be(given, message):
    with pytest.raises(InvalidInputError, match=message):
        Join.parse(*given)


@pytest.mark.parametrize("more", [{"before": 1}, {"versions": True}, {"aggregates": ("mean",)}])
def test_what_does_not_go_with_a_join(more):
    with pytest.raises(InvalidInputError, match="a join"):
        Query(("a",), SPAN, join=Join(), **more)


def test_the_samples_behind_the_end_count_as_far_as_the_tolerance_reaches():
    of = memory(SampleBatch.from_columns("a", [0, 102], [0.0, 102.0]))
    [row] = table("a", of=of, join=Join(Match.LINEAR, 1000, step_ns=51), interval=Interval(1, 100))
    assert row["a"] == 51.0
    [row] = table("a", of=of, join=Join(Match.NEAREST, 3, step_ns=99), interval=Interval(1, 100))
    assert row["a"] == 102.0
    assert (
        ask("a", of=of, join=Join(Match.NEAREST, 2, step_ns=99), interval=Interval(1, 100)).table()["a"][0].as_py()
        is None
    )


def test_a_gap_has_no_line_over_it():
    of = memory(SampleBatch.from_columns("a", [0, 40, 60], [0.0, 4.0, 6.0], status=[0, SILENT, 0]))
    rows = table("a", of=of, join=Join(Match.LINEAR, 100, step_ns=20))
    assert [(row["a"], row["a status"]) for row in rows[:4]] == [(0.0, 0), (None, SILENT), (4.0, SILENT), (6.0, 0)]


def test_a_backend_that_fails_makes_an_answer_partial():
    class Half:
        def __init__(self, inner):
            self._inner = inner

        def read(self, elements, interval, **how):
            if interval.end > 50:
                raise TransientError("connection refused")
            yield from self._inner.read(elements, interval, **how)

        def __getattr__(self, name):
            return getattr(self._inner, name)

    ranges = (Range("good", Interval(0, 50)), Range("bad", Interval(50, 100)))
    answer = ask("a", of={"good": memory(A), "bad": Half(memory(A))}, ranges=ranges)
    assert answer.table().num_rows == 3
    assert not answer.complete
    assert [(missing.backend, missing.interval) for missing in answer.missing] == [("bad", Interval(50, 100))]


def test_the_rows_of_a_request_are_limited_and_the_samples_read_for_them_are_not():
    query = Query(("a",), SPAN, join=Join(step_ns=50))
    execute(query, {"memory": memory(A)}, limits=Limits(rows=2)).table()
    with pytest.raises(LimitError, match="more than 1 rows"):
        execute(query, {"memory": memory(A)}, limits=Limits(rows=1)).table()


def test_millions_of_rows_are_held_a_window_at_a_time(monkeypatch):
    monkeypatch.setattr(windows, "WINDOW_ROWS", 20_000)
    count, held = 300_000, []
    times = np.arange(count)
    of = memory(*(SampleBatch.from_columns(name, times * 2 + shift, times) for shift, name in enumerate("abc")))
    read = windows.Windows.read

    def watched(self, query):
        for window, samples in read(self, query):
            held.append(samples.num_rows)
            yield window, samples

    monkeypatch.setattr(windows.Windows, "read", watched)
    answer = ask("a", "b", "c", of=of, interval=Interval(0, 2 * count), join=Join(Match.NEAREST, 5))
    rows = 0
    for wide in answer.rows:
        assert (np.diff(wide.time) > 0).all()
        assert wide.columns["a"].status.null_count == 0
        rows += wide.num_rows
    assert rows == 2 * count
    assert sum(held) == 3 * count
    assert max(held) <= 20_000
    [whole] = [part for part in answer.parts if part.rows]
    assert (whole.interval, whole.rows) == (Interval(0, 2 * count + 5), 3 * count)


def test_of_two_samples_as_close_the_earlier_counts():
    of = memory(SampleBatch.from_columns("a", [0, 10], [1.0, 2.0]))
    rows = table("a", of=of, join=Join(Match.NEAREST, 10, step_ns=5), interval=Interval(0, 11))
    assert [row["a"] for row in rows] == [1.0, 1.0, 2.0]


def test_a_row_waits_for_the_window_that_its_tolerance_reaches(monkeypatch):
    monkeypatch.setattr(windows, "WINDOW_ROWS", 3)
    times = np.arange(0, 100, 10)
    of = memory(SampleBatch.from_columns("a", times, times.astype(float)))
    rows = table("a", of=of, join=Join(Match.LINEAR, 10, step_ns=1), interval=Interval(0, 90))
    assert [row["a"] for row in rows] == pytest.approx(list(range(90)))
