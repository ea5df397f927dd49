"""Aggregates made of row groups: what is made beside the data, what is left to be read, and that both are the same."""

from __future__ import annotations

import numpy as np
import pytest

from archiver.backends.parquet import aggregating, reading
from archiver.backends.parquet import query as querying
from archiver.backends.parquet.reading import DataFiles
from archiver.model import Interval, Kind, SampleBatch, Status
from archiver.model.grid import Grid
from archiver.query import Query, execute
from archiver.query.request import AGGREGATES
from archiver.testing.backend_suite.aggregation import Samples

START = 1_767_225_600_000_000_000
SECOND = 1_000_000_000
HOUR = 3600 * SECOND
NEVER = 2**62
SPAN = Interval(START - HOUR, START + 30 * HOUR)


@pytest.fixture(autouse=True)
def of_row_groups(monkeypatch):
    """Make aggregates of row groups, however few the samples are."""
    monkeypatch.setattr(querying, "FEW_ROWS", -1)


def asked(backend, elements=("T1",), aggregates=("count",), bucket=0, interval=SPAN, **choice):
    grid = Grid(interval, bucket)
    return list(backend.aggregate(elements, grid, aggregates, NEVER, **choice))


def left(backend, elements=("T1", "T2"), aggregates=("mean",), bucket=600 * SECOND):
    return sorted(name for answer in asked(backend, elements, aggregates, bucket) for name in answer.left)


def check_same(backend, elements=("T1", "T2"), interval=SPAN):
    """Compare all aggregates with those of the samples: exactly, but for sums."""
    exact = [name for name in AGGREGATES if name in ("count", "good_count", "min", "max", "first", "last")]
    for bucket in (0, 7 * SECOND, 600 * SECOND, HOUR, 24 * HOUR):
        query = Query(elements, interval, backend="it", aggregates=AGGREGATES, bucket_ns=bucket)
        mine = execute(query, {"it": backend}, now=NEVER).table()
        theirs = execute(query, {"it": Samples(backend)}, now=NEVER).table()
        assert mine.schema == theirs.schema
        for name in mine.column_names:
            if name in AGGREGATES and name not in exact:
                ours, reference = (t.column(name).to_numpy(zero_copy_only=False) for t in (mine, theirs))
                np.testing.assert_allclose(ours, reference, rtol=1e-12, atol=1e-9 if name == "std" else 0)
            else:
                assert list(map(repr, mine.column(name).to_pylist())) == list(
                    map(repr, theirs.column(name).to_pylist())
                ), (name, bucket)


def test_files_that_follow_each_other(lake, samples):
    """Cells that several files share are joined, compacted or not; nothing is left."""
    backend = lake()
    backend.open()
    for hour in (2, 0, 1, 25):
        for part in (0, 1000):
            start = START + hour * HOUR + part * SECOND
            backend.write({"g": SampleBatch.concat([samples("T1", 900, start), samples("T2", 7, start, base=-3.0)])})
    assert left(backend, aggregates=AGGREGATES) == []
    check_same(backend)
    check_same(backend, interval=Interval(START + 500 * SECOND, START + HOUR + 3 * SECOND))
    backend.compact()
    assert left(backend, aggregates=AGGREGATES) == []
    check_same(backend)
    check_same(backend, elements=("T0", "T1", "T3"))


def test_elements_of_which_pieces_overlap_are_left(lake, samples):
    backend = lake()
    backend.open()
    backend.write({"g": SampleBatch.concat([samples("T1", 100), samples("T2", 100)])})
    backend.write({"g": samples("T1", 1, START + 50 * SECOND, base=9.0, receive=2)})
    assert left(backend) == ["T1"]
    check_same(backend)


def test_elements_that_two_groups_have_are_left(lake, samples):
    backend = lake()
    backend.open()
    both = samples("T1", 100)
    backend.write({"g": SampleBatch.concat([both, samples("T2", 5)]), "h": both})
    assert left(backend) == ["T1"]
    assert [answer.left for answer in asked(backend, groups=("h",))] == [[]]
    check_same(backend)


def test_versions_in_one_file_leave_their_element_only(lake, samples):
    backend = lake()
    backend.open()
    twice = SampleBatch.from_columns("T1", [START] * 3, [1.0, 2.0, 3.0], receive_time=[1, 2, 3], sequence=[0, 0, 1])
    several = SampleBatch.from_columns("T2", [START] * 3, [1.0, 2.0, 3.0], receive_time=1, sequence=[0, 1, 2])
    backend.write({"g": SampleBatch.concat([twice, several])})
    assert left(backend) == ["T1"]
    check_same(backend)


def test_what_the_answer_is_to_list_is_left(lake, samples):
    backend = lake()
    backend.open()
    gone = SampleBatch.from_columns("T1", [START, START + 1], [1.0, None], status=[0, int(Status.DISCONNECTED)])
    backend.write({"g": SampleBatch.concat([gone, samples("T2", 50)])})
    assert left(backend, aggregates=("count",)) == ["T1"]
    check_same(backend)


@pytest.mark.parametrize(("value", "names"), [(1e150, ["std"]), (1e300, ["integral", "mean", "std"])])
def test_sums_that_may_overflow_are_left(lake, samples, value, names):
    backend = lake()
    backend.open()
    large = SampleBatch.from_columns("T1", [START, START + 1, START + 2], [value, -value, np.nan])
    backend.write({"g": SampleBatch.concat([large, samples("T2", 50)])})
    for name in ("min", "mean", "std", "integral"):
        assert left(backend, aggregates=(name,)) == (["T1"] if name in names else []), name
    backend.write({"g": SampleBatch.from_columns("T1", [START + 3], [np.inf])})
    check_same(backend)


def test_zeros_of_both_signs(lake):
    """Whichever comes first, and however they lie in files: -0.0 is the lesser."""
    backend = lake()
    backend.open()
    for number, values in enumerate([[0.0, -0.0, 5.0], [-0.0, 0.0, -5.0], [-0.0, -0.0], [0.0, 0.0]]):
        for place, value in enumerate(values):
            time = START + (number * 10 + place) * SECOND
            backend.write({"g": SampleBatch.from_columns("T1", [time], [value])})
    check_same(backend)
    query = Query(("T1",), Interval(START, START + 40 * SECOND), backend="it", aggregates=("min", "max"))
    table = execute(Query(**{**query.__dict__, "bucket_ns": 10 * SECOND}), {"it": backend}).table()
    assert list(map(repr, table["min"].to_pylist())) == ["-0.0", "-5.0", "-0.0", "0.0"]
    assert list(map(repr, table["max"].to_pylist())) == ["5.0", "0.0", "-0.0", "0.0"]


def test_kinds_side_by_side(lake):
    """Numbers, texts and arrays of one file, an element that changes its kind, and samples without a value."""
    backend = lake()
    backend.open()
    kinds = {Kind.INT: [2**63 - 1, -5, 7], Kind.UINT: [2**64 - 1, 3, 4], Kind.TEXT: ["b", "", "a"]}
    kinds |= {Kind.BOOL: [True, False, True], Kind.FLOATS: [[1.0], [], [2.0, 3.0]], Kind.FLOAT: [0.5, None, np.nan]}
    for number, (kind, values) in enumerate(kinds.items()):
        times = [START + (number * 3 + place) * SECOND for place in range(3)]
        same = SampleBatch.from_columns("T1", times, values, kind=kind, status=[0, int(Status.EXP_INV), 0])
        own = SampleBatch.from_columns(f"K{number}", times, values, kind=kind)
        backend.write({"g": SampleBatch.concat([same, own])})
    names = ("T1", *(f"K{number}" for number in range(len(kinds))))
    assert left(backend, sorted(names), ("count", "min", "last")) == []
    check_same(backend, names)
    backend.compact()
    check_same(backend, names)


def test_many_cells_are_made_a_few_at_a_time(lake, samples, monkeypatch):
    backend = lake()
    backend.open()
    names = [f"T{number}" for number in range(10)]
    backend.write({"g": SampleBatch.concat([samples(name, 100) for name in names])})
    monkeypatch.setattr(aggregating, "_CELLS", 250)
    answers = asked(backend, names, bucket=SECOND)
    assert [name for answer in answers for name in answer.elements] == names
    assert len(answers) > 3
    assert max(len(answer.cells) for answer in answers) <= 250 + 100  # an element more
    monkeypatch.setattr(aggregating, "_CELLS", 99)  # less than one element has
    assert [name for answer in asked(backend, names, bucket=SECOND) for name in answer.left] == names
    check_same(backend, tuple(names))


def test_only_what_is_needed_is_decoded(lake, samples, monkeypatch):
    """Times are not read where each piece lies in one bucket, values not for a count."""
    backend = lake()
    backend.open()
    backend.write({"g": samples("T1", 100)})
    decoded = []
    real = DataFiles._decode

    def spy(self, entry, numbers, total, wanted=()):
        decoded.append(set(wanted))
        return real(self, entry, numbers, total, wanted)

    monkeypatch.setattr(DataFiles, "_decode", spy)
    monkeypatch.setattr(reading, "_ROW_BYTES", 2**40)  # nothing is kept
    asked(backend, aggregates=("count",))
    asked(backend, aggregates=("max",), bucket=HOUR)
    asked(backend, aggregates=("max",), bucket=SECOND)
    asked(backend, aggregates=("integral",))
    with_times = {"source_time", "status", "float"}
    assert decoded == [{"status"}, {"status", "float"}, with_times, with_times]


def test_a_file_that_compaction_took_away_is_looked_for_again(lake, samples):
    writer, reader = lake(keep_removed="0s"), lake(read_only=True)
    writer.open()
    for part in range(3):
        writer.write({"g": samples("T1", 100, START + part * 200 * SECOND)})
    reader.open()
    answers = reader.aggregate(("T1", "T2"), Grid(SPAN, 0), ("count",), NEVER)
    writer.compact()
    assert [int(n) for answer in answers for n in answer.cells.numbers["count"]] == [300]


def test_few_samples_are_read_and_reduced(lake, samples, monkeypatch):
    """Nothing of them is left but what the answer is to list; of more, what overlaps is."""
    backend = lake()
    backend.open()
    gone = SampleBatch.from_columns("T3", [START, START + 1], [1.0, None], status=[0, int(Status.DISCONNECTED)])
    backend.write({"g": SampleBatch.concat([samples("T1", 100), samples("T2", 100), gone])})
    backend.write({"g": samples("T1", 1, START + 50 * SECOND, base=9.0, receive=2)})
    names = ("T0", "T1", "T2", "T3")
    for few, expected in ((203, ["T3"]), (202, ["T1", "T3"])):
        monkeypatch.setattr(querying, "FEW_ROWS", few)
        (answer,) = asked(backend, names, ("mean", "integral"), HOUR)
        assert (answer.elements, sorted(answer.left)) == (names, expected)
        check_same(backend, names)
