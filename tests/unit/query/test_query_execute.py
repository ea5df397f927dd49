"""Plans, outages, what is missing, pages, and values at an instant."""

import threading
from pathlib import Path

import numpy as np
import pytest

from archiver.backends.memory import MemoryBackend
from archiver.model import (
    ArchiveGroup,
    Interval,
    InvalidInputError,
    NotFoundError,
    SampleBatch,
    Status,
    TransientError,
    UnsupportedError,
)
from archiver.ports import BackendContext, Coverage, Options
from archiver.query import Missing, Query, Range, Role, Step, execute, plan, shape, values_at
from archiver.query.cursor import Cursor, decode
from archiver.query.limits import Limits
from archiver.query.reading import chunks
from archiver.testing.patience import SOON_S

HOUR = 3_600_000_000_000
NEVER_LATE = Limits(hedge_s=SOON_S)


def memory(batch=None):
    backend = MemoryBackend(BackendContext("memory", Path()), Options())
    if batch is not None:
        backend.write({"g": batch})
    return backend


class Dead:
    """Refuses everything."""

    def read(self, elements, interval, **how):
        raise TransientError("connection refused")
        yield

    def last_before(self, elements, time, **how):
        raise TransientError("connection refused")

    def elements(self):
        raise TransientError("connection refused")

    def coverage(self):
        raise TransientError("connection refused")


@pytest.fixture
def batch():
    return SampleBatch.from_columns(["a", "a", "b", "a"], [10, 20, 20, 30], [1.0, 2.0, 3.0, 4.0], receive_time=5)


def rows(answer):
    return [(e, t, v) for b in answer.batches for e, t, _, _, _, _, v in b.to_pylist()]


# -- plan ---------------------------------------------------------------------------------------------


def test_plan_takes_the_first_backend_that_stores_the_element(batch):
    readers = {"lake": memory(), "warm": memory(batch)}
    groups = {"all": ArchiveGroup("all", ("*",), ("warm", "lake")), "b": ArchiveGroup("b", ("b",), ("lake",))}
    query = Query(("b", "a", "a"), Interval(0, 40))
    assert plan(query, readers, groups=groups).steps == (Step(("a", "b"), query.interval, ("lake", "warm")),)
    in_b = Query(("b",), Interval(0, 40), groups=("b",))
    assert plan(in_b, readers, groups=groups).steps == (Step(("b",), query.interval, ("lake",)),)
    assert plan(query, readers).steps == (Step(("a", "b"), query.interval, ("warm",)),)


def test_plan_asks_unhealthy_backends_last(batch):
    readers = {"lake": memory(batch), "warm": memory(batch)}
    chosen = plan(Query(("a",), Interval(0, 40)), readers, healthy=lambda name: name != "lake")
    assert chosen.backends == ("warm",)
    assert chosen.steps[0].backends == ("warm", "lake")


def test_plan_names_an_unknown_backend(batch):
    with pytest.raises(NotFoundError, match=r"'oracle'; there are lake"):
        plan(Query(("a",), Interval(0, 1), backend="oracle"), {"lake": memory(batch)})
    with pytest.raises(NotFoundError, match="oracle"):
        plan(Query(("a",), Interval(0, 1), ranges=(Range("oracle", Interval(0, 1)),)), {"lake": memory(batch)})


def test_what_no_range_covers_is_missing(batch):
    ranges = (Range("lake", Interval(25, 30)), Range("lake", Interval(-5, 20)))
    answer = execute(Query(("a",), Interval(0, 40), ranges=ranges), {"lake": memory(batch)})
    assert rows(answer) == [("a", 10, 1.0)]
    assert [(m.interval, m.backend) for m in answer.missing] == [(Interval(20, 25), ""), (Interval(30, 40), "")]
    assert [part.interval for part in answer.parts] == [Interval(0, 20), Interval(25, 30)]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"elements": ()}, "no element"),
        ({"backend": "x", "ranges": (Range("x", Interval(0, 1)),)}, "leave out one"),
        ({"before": 2}, "before = 2"),
        ({"limit": 0}, "limit = 0"),
        ({"aggregates": ("meen",)}, "meen; there are count"),
        ({"aggregates": ("mean", "mean")}, "twice"),
        ({"bucket_ns": 5}, "without an aggregate"),
        ({"aggregates": ("mean",), "bucket_ns": -5}, "bucket_ns = -5"),
        ({"aggregates": ("mean",), "versions": True}, "versions"),
        ({"aggregates": ("mean",), "before": 1}, "before"),
    ],
)
def test_a_query_that_contradicts_itself_says_what_to_write(changes, message):
    with pytest.raises(InvalidInputError, match=message):
        Query(**{"elements": ("a",), "interval": Interval(0, 1), **changes})


# -- outages and what is missing ----------------------------------------------------------------------


def test_the_next_backend_answers_after_an_outage_and_the_answer_says_so(batch):
    groups = {"all": ArchiveGroup("all", ("*",), ("dead", "warm"))}
    sources = {"dead": Dead(), "warm": memory(batch)}
    answer = execute(Query(("a",), Interval(0, 40)), sources, groups, limits=NEVER_LATE)
    assert len(rows(answer)) == 3
    assert answer.complete
    assert answer.missing == []
    assert [(part.backend, part.role, part.rows, part.trouble) for part in answer.parts] == [
        ("dead", Role.FIRST, 0, "connection refused"),
        ("warm", Role.STAND_BY, 3, ""),
    ]


def test_an_outage_is_told_once_though_it_is_met_twice(batch):
    groups = {"all": ArchiveGroup("all", ("*",), ("dead", "warm"))}
    query = Query(("a",), Interval(0, 40), aggregates=("integral",))
    answer = execute(query, {"dead": Dead(), "warm": memory(batch)}, groups)
    assert answer.table().num_rows == 1
    assert {part.backend for part in answer.parts if part.trouble} == {"dead"}
    assert answer.complete


def test_an_answer_without_any_backend_is_an_error(batch):
    groups = {"all": ArchiveGroup("all", ("*",), ("dead",))}
    for how in ({"backend": "dead"}, {"aggregates": ("mean",)}):
        with pytest.raises(TransientError, match="connection refused"):
            execute(Query(("a",), Interval(0, 40), **how), {"dead": Dead()}, groups).table()
    with pytest.raises(TransientError, match="dead cannot be asked"):
        execute(Query(("a",), Interval(0, 40)), {"dead": Dead()})


def test_a_range_whose_backend_is_out_is_missing(batch):
    ranges = (Range("lake", Interval(0, 20)), Range("dead", Interval(20, 40)))
    answer = execute(Query(("a",), Interval(0, 40), ranges=ranges), {"lake": memory(batch), "dead": Dead()})
    assert rows(answer) == [("a", 10, 1.0)]
    assert answer.missing == [Missing(Interval(20, 40), "dead", "connection refused")]


def test_an_element_that_nobody_has_is_missing_and_a_silent_one_is_not(batch):
    answer = execute(Query(("a", "b", "zz"), Interval(0, 15)), {"lake": memory(batch)})
    assert rows(answer) == [("a", 10, 1.0)]
    assert [(m.elements, m.reason) for m in answer.missing] == [(("zz",), "no backend has a sample of it")]


def test_an_abandoned_answer_leaves_no_thread(batch):
    before = set(threading.enumerate())
    ranges = (Range("x", Interval(0, 20)), Range("y", Interval(20, 40)))
    answer = execute(Query(("a", "b"), Interval(0, 40), ranges=ranges), {"x": memory(batch), "y": memory(batch)})
    batches = answer.rows
    next(batches)
    answer.close()
    assert set(threading.enumerate()) <= before


def test_an_error_of_a_part_reaches_the_reader_of_the_answer(batch):
    class Broken(Dead):
        def read(self, elements, interval, **how):
            raise UnsupportedError("not here")
            yield

    ranges = (Range("x", Interval(0, 20)), Range("y", Interval(20, 40)))
    answer = execute(Query(("a",), Interval(0, 40), ranges=ranges), {"x": memory(batch), "y": Broken()})
    with pytest.raises(UnsupportedError, match="not here"):
        rows(answer)


# -- before, versions, pages --------------------------------------------------------------------------


def test_the_value_before_the_start_comes_first_with_each_element(batch):
    ranges = (Range("x", Interval(15, 25)), Range("y", Interval(25, 40)))
    answer = execute(
        Query(("a", "b"), Interval(15, 40), ranges=ranges, before=1), {"x": memory(batch), "y": memory(batch)}
    )
    assert rows(answer) == [("a", 10, 1.0), ("a", 20, 2.0), ("a", 30, 4.0), ("b", 20, 3.0)]


def test_as_of_and_versions():
    both = [SampleBatch.from_columns("a", [10], [v], receive_time=r) for v, r in ((1.0, 5), (2.0, 8))]
    lake = memory()
    for part in both:
        lake.write({"g": part})
    query = {"elements": ("a",), "interval": Interval(0, 40)}
    assert rows(execute(Query(**query), {"lake": lake})) == [("a", 10, 2.0)]
    assert rows(execute(Query(**query, as_of=7), {"lake": lake})) == [("a", 10, 1.0)]
    assert rows(execute(Query(**query, versions=True), {"lake": lake})) == [("a", 10, 1.0), ("a", 10, 2.0)]


def test_pages_are_stable_while_samples_come_in(batch):
    lake = memory(batch)
    query = {"elements": ("a", "b"), "interval": Interval(0, 40), "limit": 2}
    first = execute(Query(**query), {"lake": lake})
    assert rows(first) == [("a", 10, 1.0), ("a", 20, 2.0)]
    late = SampleBatch.from_columns(["a", "a", "b"], [15, 35, 5], [9.0, 9.0, 9.0], receive_time=6)
    lake.write({"g": late})
    second = execute(Query(**query, cursor=first.cursor), {"lake": lake})
    assert rows(second) == [("a", 30, 4.0), ("a", 35, 9.0)]
    moved = {**query, "interval": Interval(0, 1000)}  # "now" moved on: the first question's interval stays
    third = execute(Query(**moved, cursor=second.cursor), {"lake": lake})
    assert rows(third) == [("b", 5, 9.0), ("b", 20, 3.0)]
    assert third.cursor is None


def test_times_may_be_integers_of_numpy(batch):
    query = Query(("a",), Interval(np.int64(0), np.int64(40)), limit=1)
    answer = execute(query, {"lake": memory(batch)})
    assert rows(answer) == [("a", 10, 1.0)]
    assert answer.cursor


def test_a_cursor_that_was_altered_or_belongs_to_another_query_is_refused():
    query = Query(("a",), Interval(0, 40), limit=1)
    text = Cursor(query.interval, "élé", 10, 2, 5).encode(query)
    assert decode(text, query) == Cursor(query.interval, "élé", 10, 2, 5)
    altered = [text[:-4], text[:20] + ("A" if text[20] != "A" else "B") + text[21:], "", "~~", "é", text + text]
    for wrong in altered:
        with pytest.raises(InvalidInputError, match="cursor"):
            decode(wrong, query)
    with pytest.raises(InvalidInputError, match="cursor"):
        decode(text, Query(("a",), Interval(0, 40), limit=1, versions=True))


# -- how much is asked at once ------------------------------------------------------------------------


class Covering:
    def __init__(self, rows, first, last, elements):
        self._coverage = [Coverage("g", first, last, rows)]
        self._elements = elements

    def coverage(self):
        return self._coverage

    def elements(self):
        return self._elements


def test_chunks_ask_for_about_as_many_rows_as_wanted():
    names = [f"e{number}" for number in range(10)]
    reader = Covering(10_000, 0, HOUR - 1, names)
    assert list(chunks(reader, names, Interval(0, HOUR), 100_000)) == [(names, Interval(0, HOUR))]
    by_two = list(chunks(reader, names, Interval(-HOUR, HOUR), 2_000))
    assert [len(elements) for elements, _ in by_two] == [2] * 5
    windows = list(chunks(reader, names[:1], Interval(-HOUR, 2 * HOUR), 300))
    assert [elements for elements, _ in windows] == [["e0"]] * 4
    edges = [interval.start for _, interval in windows] + [windows[-1][1].end]
    assert edges == [-HOUR, HOUR // 4, HOUR // 2, 3 * HOUR // 4, 2 * HOUR]


def test_a_query_in_chunks_is_the_whole(monkeypatch):
    monkeypatch.setattr("archiver.query.reading.CHUNK_ROWS", 7)
    times = np.arange(30) * (HOUR // 30)
    batch = SampleBatch.concat([SampleBatch.from_columns(name, times, np.arange(30.0)) for name in "ab"])
    answer = execute(Query(("a", "b"), Interval(0, HOUR), backend="lake"), {"lake": memory(batch)})
    assert rows(answer) == [(name, int(time), float(i)) for name in "ab" for i, time in enumerate(times)]


@pytest.mark.parametrize("in_process", [True, False])
def test_what_this_process_works_on_is_read_by_the_reader_itself(batch, in_process):
    class Noting(MemoryBackend):
        def read(self, elements, interval, **how):
            threads.add(threading.current_thread())
            yield from super().read(elements, interval, **how)

    threads = set()
    readers = {name: Noting(BackendContext(name, Path()), Options()) for name in ("old", "new")}
    for reader in readers.values():
        reader.write({"g": batch})
        reader.in_process = in_process
    ranges = (Range("old", Interval(0, 20)), Range("new", Interval(20, 40)))
    answer = execute(Query(("a",), Interval(0, 40), ranges=ranges), readers, limits=NEVER_LATE)
    assert rows(answer) == [("a", 10, 1.0), ("a", 20, 2.0), ("a", 30, 4.0)]
    assert (threads == {threading.current_thread()}) == in_process


# -- aggregates and shapes ----------------------------------------------------------------------------


def test_a_gap_ends_what_is_held_and_the_value_before_the_start_begins_it():
    second = 1_000_000_000
    batch = SampleBatch.from_columns(
        "a",
        np.array([-5, 4, 6, 8]) * second,
        [10.0, 20.0, 0.0, 40.0],
        status=np.array([0, 0, int(Status.DISCONNECTED), 0], np.uint64),
    )
    query = Query(("a",), Interval(0, 10 * second), aggregates=("integral", "time_weighted_mean", "count"))
    [row] = execute(query, {"lake": memory(batch)}, now=9 * second).table().to_pylist()
    # 10 for 4 s, 20 for 2 s, nothing for 2 s, 40 for 1 s until now
    assert (row["integral"], row["time_weighted_mean"], row["count"]) == (120.0, 120.0 / 7, 3)


def test_too_many_buckets_are_refused(batch):
    query = Query(("a",), Interval(0, HOUR), aggregates=("mean",), bucket_ns=1)
    with pytest.raises(InvalidInputError, match="longer buckets"):
        execute(query, {"lake": memory(batch)}).table()


def test_integers_stay_exact_and_kinds_get_columns_of_their_own():
    big = 2**63 - 1
    whole = SampleBatch.from_columns("i", [1, 2], np.array([big, big - 1]))
    text = SampleBatch.from_columns("t", [1], ["x"])
    lake = {"lake": memory(SampleBatch.concat([whole, text]))}
    names = ("min", "last")
    alone = execute(Query(("i",), Interval(0, 5), aggregates=names), lake).table()
    assert alone.select(names).to_pylist() == [{"min": big - 1, "last": big - 1}]
    both = execute(Query(("i", "t"), Interval(0, 5), aggregates=names), lake).table()
    assert both.column_names[3:] == ["min_int", "min_text", "last_int", "last_text"]
    assert both["last_text"].to_pylist() == [None, "x"]
    samples = execute(Query(("i", "t"), Interval(0, 5)), lake).table()
    assert samples.column_names == ["element", "source_time", "int", "text", "status", "receive_time", "sequence"]
    assert execute(Query(("t",), Interval(0, 5)), lake).table()["value"].to_pylist() == ["x"]


def test_a_kind_that_turns_up_after_the_columns_were_fixed_is_an_error(monkeypatch):
    monkeypatch.setattr(shape, "SETTLE_ROWS", 1)
    numbers = SampleBatch.from_columns(["a", "c"], [1, 1], [1.0, 1.0])
    lake = memory(SampleBatch.concat([numbers, SampleBatch.from_columns("b", [1], ["x"])]))

    class OneByOne(Dead):
        def read(self, elements, interval, **how):
            for batch in lake.read(elements, interval, **how):
                yield from (batch.slice(row, 1) for row in range(batch.num_rows))

        def last_before(self, elements, time, **how):
            return lake.last_before(self.known, time, **how)

    reader = OneByOne()
    reader.known = ["a", "b", "c"]
    query = Query(("a", "b", "c"), Interval(0, 5), backend="x")
    assert execute(query, {"x": reader}).table().column_names[2:4] == ["float", "text"]
    reader.known = ["a", "c"]  # the last values do not betray it
    with pytest.raises(UnsupportedError, match="text"):
        execute(query, {"x": reader}).table()


# -- at an instant ------------------------------------------------------------------------------------


def test_values_at_an_instant_from_several_backends(batch):
    groups = {"a": ArchiveGroup("a", ("a",), ("x",)), "b": ArchiveGroup("b", ("b",), ("y",))}
    readers = {"x": memory(batch), "y": memory(batch)}
    at = [values_at(["b", "a", "c"], time, readers, groups) for time in (9, 10, 20)]
    assert [[(e, t) for e, t, *_ in found.to_pylist()] for found in at] == [
        [],
        [("a", 10)],
        [("a", 20), ("b", 20)],
    ]
    assert values_at([], 10, readers).num_rows == 0


def test_values_at_an_instant_fall_over_or_fail(batch):
    groups = {"all": ArchiveGroup("all", ("*",), ("dead", "x"))}
    assert values_at(["a"], 10, {"dead": Dead(), "x": memory(batch)}, groups).num_rows == 1
    with pytest.raises(TransientError, match="connection refused"):
        values_at(["a"], 10, {"dead": Dead()}, groups)
