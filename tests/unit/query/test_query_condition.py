"""What a condition may look like, what is said of one that cannot be read, and what a value says to it."""

from fractions import Fraction
from pathlib import Path

import pyarrow as pa
import pytest

from archiver.backends.memory import MemoryBackend
from archiver.model import Interval, InvalidInputError, Kind, SampleBatch, Status
from archiver.ports import BackendContext, Options
from archiver.query import Condition, Missing, Query, execute
from archiver.query.comparison import Comparison, Number, StateTest, judged
from archiver.query.condition import DEEPEST, LONGEST, Not, Several

ONE = Comparison("y", "=", (Number(Fraction(1)),))


def term(text):
    return Condition.parse(text).term


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("y = 1", ONE),
        ("y=1", ONE),
        (" y == +1 ", ONE),
        ("'y' = 1", ONE),
        ("y = TRUE", ONE),
        ("y <> 1", Comparison("y", "!=", ONE.literals)),
        ("y", Comparison("y", "!=", (Number(Fraction(0)),))),
        ("y in (1)", ONE),
        ("y not in (1)", Not(ONE)),
        ("not y = 1", Not(ONE)),
        ("y is not bad", Not(StateTest("y", "bad"))),
        ("y IS Disconnected", StateTest("y", "disconnected")),
        ("plant:a/b.c-1 = 'it''s'", Comparison("plant:a/b.c-1", "=", ("it's",))),
        ('"not" = "a ""b"""', Comparison("not", "=", ('a "b"',))),
        ("y = -0.5e-1", Comparison("y", "=", (Number(Fraction(-5, 100), is_decimal=True),))),
        ("y = 1 and y or y = 1", Several(False, (Several(True, (ONE, term("y"))), ONE))),
        ("y = 1 and (y or y = 1)", Several(True, (ONE, Several(False, (term("y"), ONE))))),
        ("not y = 1 and y", Several(True, (Not(ONE), term("y")))),
    ],
)
def test_what_a_text_says(text, expected):
    assert term(text) == expected


@pytest.mark.parametrize(
    ("text", "place", "message"),
    [
        ("", 1, "expected the name of an element"),
        ("y = ", 5, "expected a number, a text in quotes, true or false, and found its end"),
        ("y = x", 5, "expected a number, a text in quotes, true or false, and found 'x'"),
        ("y = 1 y = 2", 7, "expected and, or, or the end, and found 'y'"),
        ("y and", 6, "expected the name of an element"),
        ("y and or y", 7, "found 'or'"),
        ("(y", 3, "expected ), and found its end"),
        ("y)", 2, "expected and, or, or the end, and found ')'"),
        ("y in 1", 6, "expected (, and found '1'"),
        ("y in (1 2)", 9, "expected a comma or ), and found '2'"),
        ("y not 1", 7, "expected in, and found '1'"),
        ("y is baad", 6, "did you mean 'bad'?"),
        ("y = 'x", 5, "the text that begins here does not end"),
        ("y ! 1", 3, "! is no operator"),
        ("y = 1e9999", 5, "expected a number"),
        ("not " * (DEEPEST + 1) + "y", 4 * DEEPEST + 1, "nested deeper"),
    ],
)
def test_what_cannot_be_read_is_said_with_its_place(text, place, message):
    with pytest.raises(InvalidInputError) as error:
        Condition.parse(text)
    assert f"at character {place}: " in str(error.value)
    assert message in str(error.value)


def test_a_condition_of_any_length_is_refused_before_it_is_read():
    with pytest.raises(InvalidInputError, match=f"it may have {LONGEST}"):
        Condition.parse("y" * (LONGEST + 1))


@pytest.mark.parametrize(
    ("kind", "value", "text"),
    [
        (Kind.INT, 1, "y = 'x'"),
        (Kind.TEXT, "1", "y = 1"),
        (Kind.TEXT, "1", "y"),
        (Kind.ENUM, 1, "y < 'OPEN'"),
        (Kind.INTS, [1], "y = 1"),
        (Kind.BINARY, b"1", "y = '1'"),
        (Kind.ENUM, 1, "y = 'OPENED'"),
    ],
)
def test_what_cannot_be_compared_is_an_error(kind, value, text):
    sample = SampleBatch.from_columns("y", [0], pa.array([value], kind.arrow_type), kind=kind)
    [test] = Condition.parse(text).tests
    with pytest.raises(InvalidInputError, match=r"y (holds|has no state)"):
        judged(test, sample, lambda name: {1: "OPEN", 2: "SHUT"})


def test_a_state_goes_by_its_name():
    sample = SampleBatch.from_columns("y", [0, 1, 2], pa.array([1, 2, 3], pa.int32()), kind=Kind.ENUM)
    states = {1: "OPEN", 2: "SHUT", 3: "OPEN"}
    [is_open] = Condition.parse("y = 'OPEN'").tests
    [is_not] = Condition.parse("y != 'OPEN'").tests
    assert judged(is_open, sample, lambda name: states).tolist() == [1, -1, 1]
    assert judged(is_not, sample, lambda name: states).tolist() == [-1, 1, -1]


# -- in a query -------------------------------------------------------------------------------------------


def archive(*batches):
    backend = MemoryBackend(BackendContext("memory", Path()), Options())
    for batch in batches:
        backend.write({"g": batch})
    return {"memory": backend}


def times(query, readers):
    return execute(query, readers, now=100).table().column("source_time").to_pylist()


def where(text, **more):
    return Query(("x",), Interval(10, 50), where=Condition.parse(text), **more)


X = SampleBatch.from_columns("x", range(10, 50, 10), [1.0, 2.0, 3.0, 4.0])


def test_what_was_before_the_interval_counts():
    assert times(where("y = 1"), archive(X, SampleBatch.from_columns("y", [5, 30], [1, 0]))) == [10, 20]


def test_before_the_first_sample_nothing_is_known():
    readers = archive(X, SampleBatch.from_columns("y", [30], [1]))
    assert times(where("y = 0"), readers) == times(where("not y = 1"), readers) == []
    assert times(where("y = 1"), readers) == [30, 40]


def test_a_source_that_is_gone_says_nothing():
    gone = SampleBatch.from_columns("y", [20], [1], status=int(Status.DISCONNECTED))
    readers = archive(X, SampleBatch.from_columns("y", [5, 40], [1, 1]), gone)
    assert times(where("y = 1"), readers) == [10, 40]
    assert times(where("not y = 1"), readers) == []
    assert times(where("y is disconnected"), readers) == [20, 30]
    answer = execute(where("y = 1"), readers, now=100)
    answer.table()
    assert [(m.interval, m.elements) for m in answer.missing] == [(Interval(20, 40), ("y",))]
    assert answer.complete  # the archive has all that there was


def test_what_was_known_then_decides_then():
    first = SampleBatch.from_columns("y", [5], [1], receive_time=1)
    corrected = SampleBatch.from_columns("y", [5], [0], receive_time=7)
    readers = archive(X, first, corrected)
    assert times(where("y = 1"), readers) == []
    assert times(where("y = 1", as_of=6), readers) == [10, 20, 30, 40]


def test_versions_are_chosen_by_their_time():
    readers = archive(X, SampleBatch.from_columns("x", [20], [9.0], receive_time=7), archive_y())
    assert times(where("y = 1", versions=True), readers) == [10, 20, 20]


def archive_y():
    return SampleBatch.from_columns("y", [5, 30], [1, 0])


def test_aggregates_are_of_what_is_chosen():
    query = where("y = 1", aggregates=("count", "max", "mean"))
    [row] = execute(query, archive(X, archive_y()), now=100).table().to_pylist()
    assert (row["count"], row["max"], row["mean"]) == (2, 2.0, 1.5)


def test_an_element_that_does_not_exist_is_said_to_be_missing():
    answer = execute(where("z = 1"), archive(X), now=100)
    assert answer.table().num_rows == 0
    assert [missing.elements for missing in answer.missing] == [("z",)]
    assert isinstance(answer.missing[0], Missing)
    assert not answer.complete


@pytest.mark.parametrize(
    "more", [{"before": 1}, {"aggregates": ("integral",)}, {"aggregates": ("time_weighted_mean",)}]
)
def test_what_does_not_go_with_a_condition(more):
    with pytest.raises(InvalidInputError, match="where"):
        where("y = 1", **more)


def test_a_cursor_goes_with_its_condition():
    readers = archive(X, archive_y())
    cursor = execute(where("y = 1", limit=1), readers, now=100)
    cursor.table()
    with pytest.raises(InvalidInputError, match="condition"):
        execute(where("y = 0", limit=1, cursor=cursor.cursor), readers, now=100)


@pytest.mark.parametrize(
    ("text", "values", "expected"),
    [
        ("y < 1.5", [1, 2], [1, -1]),
        ("y <= 1.5", [1, 2], [1, -1]),
        ("y > 1.5", [1, 2], [-1, 1]),
        ("y >= 1.5", [1, 2], [-1, 1]),
        ("y != 1.5", [1, 2], [1, 1]),
        ("y = 9007199254740993", [2**53, 2**53 + 1], [-1, 1]),
        ("y = 9007199254740993", [2.0**53, 2.0**53 + 2], [-1, -1]),
        ("y < 9007199254740993", [2.0**53, 2.0**53 + 2], [1, -1]),
        ("y > 9007199254740993", [2.0**53, 2.0**53 + 2], [-1, 1]),
        ("y >= 9007199254740995", [2.0**53 + 2, 2.0**53 + 4], [-1, 1]),
        ("y <= 9007199254740995", [2.0**53 + 2, 2.0**53 + 4], [1, -1]),
        ("y = 0.1", [0.1, 0.3 - 0.2], [1, -1]),
    ],
)
def test_numbers_are_compared_as_they_are_written(text, values, expected):
    [test] = Condition.parse(text).tests
    assert judged(test, SampleBatch.from_columns("y", [0, 1], values), lambda name: {}).tolist() == expected
