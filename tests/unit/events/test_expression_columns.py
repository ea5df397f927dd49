"""Expressions over columns: samples of every kind, what is unknown, exactness, functions, and how they are told."""

import math
import pickle
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from analytics.events.expressions import Columns, Expression, Held, Input, Shape, Texts, Wanted
from archiver.model import Kind, SampleBatch, Status

SECOND = 1_000_000_000
ANY = {"value": Shape.ANY}
TWO = {"a": Shape.NUMBER, "b": Shape.NUMBER}


def column(*values, known=None):
    """What a name holds, number by number; None is not known."""
    known = np.array([value is not None for value in values]) if known is None else np.array(known)
    return Held(known, np.array([math.nan if value is None else value for value in values], float))


def truth(text, names=None, **inputs):
    """What a condition is, given what its names hold."""
    held = {name: given if isinstance(given, Input) else Input(given) for name, given in inputs.items()}
    count = len(next(iter(held.values())).value.known)
    shapes = names or dict.fromkeys(inputs, Shape.ANY)
    return Expression.parse(text, shapes).truth(Columns(count, held)).tolist()


def value(text, names=None, **inputs):
    held = {name: given if isinstance(given, Input) else Input(given) for name, given in inputs.items()}
    count = len(next(iter(held.values())).value.known)
    shapes = names or dict.fromkeys(inputs, Shape.NUMBER)
    values, known = Expression.parse(text, shapes).value(Columns(count, held))
    return [one if is_known else None for one, is_known in zip(values.tolist(), known.tolist(), strict=True)]


# -- samples ----------------------------------------------------------------------------------------------


def of_samples(text, values, status=0, kind=None):
    batch = SampleBatch.from_columns("T", np.arange(len(values)), values, status=status, kind=kind)
    return Expression.parse(text, ANY).truth(Columns.of(batch)).tolist()


def test_samples_of_every_kind_are_what_they_are():
    assert of_samples("value > 80.0", [79.0, 81.0, None, math.nan]) == [-1, 1, 0, 0]
    assert of_samples("value == 9007199254740993", [2**53 + 1, 2**53]) == [1, -1]
    assert of_samples("value >= 9223372036854775807", [2**63 - 1, 2**63, 5], kind=Kind.UINT) == [1, 1, -1]
    assert of_samples("value", [True, False, None]) == [1, -1, 0]
    assert of_samples("value == 2", [2, 1], kind=Kind.ENUM) == [1, -1]
    assert of_samples("value.startsWith('O')", ["OPEN", "SHUT", None]) == [1, -1, 0]
    assert of_samples("value > 0 || good", [[1.0], [2.0]]) == [1, 1], "an array is good, and no number"
    assert of_samples("value > 0", [[1.0], [2.0]]) == [0, 0]
    assert of_samples("value == 1", [b"1"], kind=Kind.BINARY) == [0]


def test_samples_of_several_kinds_in_one_batch():
    values = {
        Kind.FLOAT: pa.array([80.5, None, None, None]),
        Kind.TEXT: pa.array([None, "OPEN", None, None]),
        Kind.INT: pa.array([None, None, 2**53 + 1, None]),
    }
    batch = SampleBatch.from_columns("T", [0, 1, 2, 3], values)
    columns = Columns.of(batch)

    def told(text):
        return Expression.parse(text, ANY).truth(columns).tolist()

    assert told("value > 80") == [1, 0, 1, 0]
    assert told("value == 'OPEN'") == [-1, 1, -1, 0]
    assert told("value == 9007199254740993") == [-1, -1, 1, 0]
    assert told("value == 80.5") == [1, -1, -1, 0]
    assert told("value == value") == [1, 1, 1, 0]
    assert told("value <= value") == [1, 1, 1, 0]
    assert told("size(value) == 4") == [0, 1, 0, 0]
    assert told("value in ['OPEN', 'SHUT']") == [-1, 1, -1, 0]
    assert told("has(value)") == [1, 1, 1, -1]


@pytest.mark.parametrize("bit", [Status.AUT_INV, Status.OUT_PRANGE, Status.DISCONNECTED, Status.PAUSED])
def test_what_is_not_good_is_unknown_unless_it_is_asked_for(bit):
    status = np.array([0, bit], np.uint64)
    assert of_samples("value > 80", [81.0, 81.0], status) == [1, 0]
    assert of_samples("!(value > 80)", [81.0, 81.0], status) == [-1, 0]
    assert of_samples("good", [81.0, 81.0], status) == [1, -1]
    assert of_samples("!good || value > 80", [81.0, 81.0], status) == [1, 1]
    assert of_samples(f"bit(status, '{bit.name.lower()}')", [81.0, 81.0], status) == [-1, 1]
    assert of_samples(f"bit(status, {int(bit).bit_length() - 1})", [81.0, 81.0], status) == [-1, 1]
    assert of_samples(f"math.bitAnd(status, {int(bit)}u) != 0u", [81.0, 81.0], status) == [-1, 1]


def test_an_input_without_a_sample_is_unknown_and_not_good():
    nothing = Input.nothing(2)
    for text in (
        "a > 1",
        "a.status == 0u",
        "a.time > timestamp('2026-01-01T00:00:00Z')",
        "a.age > 1",
        "a.previous > 1",
    ):
        assert truth(text, a=nothing) == [0, 0]
    for text in (
        "a.good",
        "has(a.value)",
        "has(a.status)",
        "has(a.time)",
        "has(a.age)",
        "has(a.previous)",
        "has(a.good)",
    ):
        assert truth(text, a=nothing) == [-1, -1]


def test_the_columns_that_are_given_are_not_changed():
    known, number = np.array([True, False]), np.array([1.0, 2.0])
    for array in (known, number):
        array.flags.writeable = False
    values, is_known = Expression.parse("a", TWO, Wanted.VALUE).value(Columns(2, {"a": Input(Held(known, number))}))
    assert values.tolist()[0] == 1.0
    assert math.isnan(values[1])
    assert is_known.tolist() == [True, False]


def test_a_constant_is_repeated():
    assert truth("1 < 2 && 'a' != 'b'", a=column(1.0, 2.0)) == [1, 1]
    assert value("1 + 1", a=column(1.0, 2.0)) == [2.0, 2.0]
    assert Expression.parse("true", {}).truth(Columns(0, {})).tolist() == []
    assert Expression.parse("value > 1", ANY).truth(Columns(0, {"value": Input(column())})).tolist() == []


# -- exactness --------------------------------------------------------------------------------------------


def integers(*values):
    array = np.array(values, np.int64)
    return Held(np.ones(len(values), bool), array.astype(float), integer=array)


@pytest.mark.parametrize(
    ("text", "held", "expected"),
    [
        ("a == 9007199254740993", [2**53, 2**53 + 1, 2**53 + 2], [-1, 1, -1]),
        ("a > 9007199254740992", [2**53, 2**53 + 1], [-1, 1]),
        ("a < 9223372036854775807", [2**63 - 2, 2**63 - 1], [1, -1]),
        ("a >= -9223372036854775808", [-(2**63)], [1]),
        ("a < 1.5", [1, 2], [1, -1]),
        ("a == 1.5", [1, 2], [-1, -1]),
        ("a != 1.5", [1, 2], [1, 1]),
        ("a < 1e300", [2**63 - 1], [1]),
        ("a > -1e999", [-(2**63)], [1]),
        ("a in [9007199254740993]", [2**53, 2**53 + 1], [-1, 1]),
        ("a == 9007199254740993u", [2**53, 2**53 + 1], [-1, 1]),
    ],
)
def test_integers_compare_exactly_with_what_is_written(text, held, expected):
    assert truth(text, a=integers(*held)) == expected


def test_integers_of_two_columns_compare_exactly():
    a, b = integers(2**53 + 1, 2**63 - 1), integers(2**53, 2**63 - 2)
    assert truth("a == b", a=a, b=b) == [-1, -1]
    assert truth("a > b", a=a, b=b) == [1, 1]
    assert truth("a == a.previous", a=Input(a, previous=b)) == [-1, -1]


def test_floats_compare_exactly_with_integers_that_are_written():
    assert truth("a == 9007199254740993", a=column(2.0**53, 2.0**53 + 2)) == [-1, -1]
    assert truth("a > 9007199254740993", a=column(2.0**53, 2.0**53 + 2)) == [-1, 1]
    assert truth("a >= 9007199254740993", a=column(2.0**53, 2.0**53 + 2)) == [-1, 1]
    assert truth("a < 9007199254740993", a=column(2.0**53, 2.0**53 + 2)) == [1, -1]
    assert truth("a == 0.1", a=column(0.1, 0.1 + 1e-18, 0.2)) == [1, 1, -1]


def test_the_status_is_exact_in_all_64_bits():
    given = Input(column(1.0, 1.0), np.array([2**64 - 1, 2**63], np.uint64))
    assert truth("a.status == 18446744073709551615u", a=given) == [1, -1]
    assert truth("a.status > 9223372036854775807", a=given) == [1, 1]
    assert truth("a.status == -1", a=given) == [-1, -1]
    assert truth("int(a.status) > 0", a=given) == [0, 0]
    assert truth("math.bitOr(a.status, 1u) == math.bitXor(a.status, 0u)", a=given) == [1, -1]


# -- arithmetic -------------------------------------------------------------------------------------------


def test_arithmetic_on_floats_is_that_of_floats():
    a, b = column(1.0, 0.0, -1.0, None), column(0.0, 0.0, 0.0, 1.0)
    assert value("a / b", a=a, b=b) == [math.inf, None, -math.inf, None]
    assert value("a + b * 2 - 1", a=a, b=b) == [0.0, -1.0, -2.0, None]
    assert truth("a / b == a / b", a=a, b=b) == [1, 0, 1, 0]
    assert truth("a / b != a / b", a=a, b=b) == [-1, 0, -1, 0]
    assert value("a / 2", a=integers(5)) == [2.5]
    assert value("math.sqrt(a)", a=a) == [1.0, 0.0, None, None]


def test_whole_numbers_have_a_result_in_64_bits_or_none():
    a = column(9.3e18, -7.9, 7.9, None)
    assert value("int(a)", a=a) == [None, -7.0, 7.0, None]
    assert value("int(a) / 2", a=a) == [None, -3.0, 3.0, None]
    assert value("int(a) % 2", a=a) == [None, -1.0, 1.0, None]
    assert value("1 / int(a - a)", a=a) == [None] * 4
    assert value("int(a) % int(a - a)", a=a) == [None] * 4
    assert truth("9223372036854775807 + int(a) > 0", a=column(1.0, 0.0)) == [0, 1]
    assert truth("-9223372036854775808 - int(a) < 0", a=column(1.0, 0.0)) == [0, 1]
    assert truth("int(a) * 9223372036854775807 != 0", a=column(1.0, -1.0, 2.0, 0.0)) == [1, 1, 0, -1]
    assert truth("int(a) * -9223372036854775808 != 0", a=column(1.0, -1.0)) == [1, 0]
    assert truth("abs(-9223372036854775808 + int(a)) > 0", a=column(0.0, 1.0)) == [0, 1]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("abs(a)", [2.5, 2.5, 0.49999999999999994, None]),
        ("math.ceil(a)", [-2.0, 3.0, 1.0, None]),
        ("math.floor(a)", [-3.0, 2.0, 0.0, None]),
        ("math.round(a)", [-3.0, 3.0, 0.0, None]),
        ("math.trunc(a)", [-2.0, 2.0, 0.0, None]),
        ("math.sign(a)", [-1.0, 1.0, 1.0, None]),
        ("min(a, 1)", [-2.5, 1.0, 0.49999999999999994, None]),
        ("math.greatest(a, 1.0, 2)", [2.0, 2.5, 2.0, None]),
        ("max(3, 4)", [4.0] * 4),
        ("double(3)", [3.0] * 4),
        ("a > 0.0 ? 1 : 0", [0.0, 1.0, 1.0, None]),
    ],
)
def test_functions_of_numbers(text, expected):
    assert value(text, a=column(-2.5, 2.5, 0.49999999999999994, None)) == expected


def test_a_choice_looks_only_at_what_it_chooses():
    assert value("a > 0.0 ? a : b", a=column(1.0, -1.0, None), b=column(None, 2.0, 3.0)) == [1.0, 2.0, None]
    assert truth("a > 0.0 ? b > 0.0 : true", a=column(1.0, -1.0, 1.0), b=column(None, None, 1.0)) == [0, 1, 1]


def test_a_chain_may_be_long():
    text = " + ".join(["a"] * 2_400)
    assert value(text, a=column(1.0)) == [2_400.0]
    assert truth(" && ".join(["a > 0"] * 1_000), a=column(1.0)) == [1]
    assert truth("a in [" + ", ".join(map(str, range(1_500))) + "]", a=column(1_499.0, 1_500.0)) == [1, -1]


# -- time -------------------------------------------------------------------------------------------------


def test_ages_times_and_durations():
    times = np.array([0, 5 * SECOND], np.int64)
    a = Input(column(1.0, 1.0), time=times)
    b = Input(column(1.0, 1.0), time=np.array([-SECOND, 20 * SECOND], np.int64))
    columns = Columns(2, {"a": a, "b": b}, times=times + 10 * SECOND)

    def told(text):
        return Expression.parse(text, TWO).truth(columns).tolist()

    assert told("a.age == 10 && a.age == duration('10s') && a.age == 10.0 && 9.99 < a.age") == [1, 1]
    assert told("a.age > 10.000000001") == [-1, -1]
    assert told("b.age > duration('-6s')") == [1, 1]
    assert told("a.time - b.time > duration('900ms')") == [1, -1]
    assert told("b.time > a.time") == [-1, 1]
    assert told("a.time + duration('10s') < b.time") == [-1, 1]
    assert told("a.time == timestamp('1970-01-01T00:00:05Z')") == [-1, 1]
    assert told("abs(a.time - b.time) > duration('14s')") == [-1, 1]
    assert told("(b.time - a.time).getSeconds() == 15") == [-1, 1]
    assert told("max(a.age, b.age) > 10.5") == [1, -1]
    assert told("a.age / 2 == 5") == [1, 1]
    values, known = Expression.parse("a.age", TWO).value(columns)
    assert (values.tolist(), known.all()) == ([10.0, 10.0], True)


def test_the_parts_of_an_instant_are_in_utc():
    # Monday, and a Sunday before the epoch
    times = np.array([1_767_600_000 * SECOND + 3_723 * SECOND, -4 * 86_400 * SECOND], np.int64)
    a = Input(column(1.0, 1.0), time=times)
    assert value("a.time.getHours()", a=a) == [9.0, 0.0]
    assert value("a.time.getMinutes()", a=a) == [2.0, 0.0]
    assert value("a.time.getSeconds()", a=a) == [3.0, 0.0]
    assert value("a.time.getDayOfWeek()", a=a) == [1.0, 0.0]
    assert value("a.time.getDate()", a=a) == [5.0, 28.0]


@pytest.mark.skipif(not Path("/usr/share/zoneinfo/Europe/Berlin").exists(), reason="needs the system's tzdata")
def test_the_parts_of_an_instant_in_a_time_zone():
    summer, winter = 1_751_320_800 * SECOND, 1_767_222_000 * SECOND  # 2025-06-30 22:00 and 2025-12-31 23:00 in UTC
    a = Input(column(1.0, 1.0), time=np.array([summer, winter], np.int64))
    assert value("a.time.getHours('Europe/Berlin')", a=a) == [0.0, 0.0]
    assert value("a.time.getDate('Europe/Berlin')", a=a) == [1.0, 1.0]
    assert truth("a.time.getHours('Asia/Kolkata') == 3 && a.time.getMinutes('Asia/Kolkata') == 30", a=a) == [1, -1]
    assert truth("timestamp('2025-06-30T22:00:00Z').getHours('Europe/Berlin') == 0", a=a) == [1, 1]


# -- texts ------------------------------------------------------------------------------------------------

WORDS = ["OPEN", None, "SHUT", "OPEN", "\u00e9t\u00e9"]


@pytest.mark.parametrize(
    "given",
    [
        WORDS,
        np.array(WORDS, object),
        pa.array(WORDS),
        pa.array(WORDS).dictionary_encode(),
        pa.array(WORDS, pa.large_utf8()),
        Texts.of(WORDS),
    ],
    ids=["list", "objects", "arrow", "dictionary", "large", "texts"],
)
def test_texts_come_in_every_form(given):
    held = Held(np.array([True, False, True, True, True]), text=given)
    assert truth("a == 'OPEN'", a=held) == [1, 0, -1, 1, -1]
    assert truth("a != 'OPEN'", a=held) == [-1, 0, 1, -1, 1]
    assert truth("a > 'OPEN'", a=held) == [-1, 0, 1, -1, 1]
    assert truth("a == a && a >= a", a=held) == [1, 0, 1, 1, 1]
    assert truth("a in ['SHUT', 'x']", a=held) == [-1, 0, 1, -1, -1]
    assert truth("a.startsWith('O') || a.endsWith('T') || a.contains('t')", a=held) == [1, 0, 1, 1, 1]
    assert truth("a.matches('^[A-Z]+$') && matches(a, 'U')", a=held) == [-1, 0, 1, -1, -1]
    assert value("a.size()", {"a": Shape.TEXT}, a=held) == [4.0, None, 4.0, 4.0, 3.0]


def test_texts_of_two_columns_compare_by_code_point():
    a = Held(np.ones(3, bool), text=["b", "Z", "\U0001f600"])
    b = Held(np.ones(3, bool), text=["a", "a", "\uffff"])
    assert truth("a > b", a=a, b=b) == [1, -1, 1]
    assert truth("a == b", a=a, b=b) == [-1, -1, -1]


def test_a_pattern_takes_time_in_proportion_to_the_text():
    held = Held(np.ones(1, bool), text=["a" * 5_000 + "!"])
    assert truth("a.matches('^(a+)+$')", a=held) == [-1]


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        (r"'it\'s'", "it's"),
        ('"it\'s"', "it's"),
        (r"'\x41\u00e9\U0001F600\101\n\\'", "A\u00e9\U0001f600A\n\\"),
        (r"r'\d+'", r"\d+"),
        ("'''two\nlines'''", "two\nlines"),
        ('"""a"b"""', 'a"b'),
        ("r'''\\n'''", "\\n"),
        ("''", ""),
    ],
)
def test_texts_are_written_as_in_cel(written, meant):
    assert truth(f"a == {written}", a=Held(np.ones(1, bool), text=[meant])) == [1]


# -- what it says, and what it looks at --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("value > 80.0 && good", "the value is above 80 and the value is good"),
        ("inlet > 80 && valve == 'OPEN'", "inlet is above 80 and valve is 'OPEN'"),
        ("80 < inlet || !pump", "inlet is above 80 or pump is not true"),
        ("inlet > 1 && pump || inlet.good", "(inlet is above 1 and pump is true) or inlet is good"),
        ("!(inlet > 1 && pump)", "not (inlet is above 1 and pump is true)"),
        ("!(inlet >= 1)", "inlet is not at least 1"),
        ("!(inlet != 1)", "inlet is 1"),
        ("!!pump", "pump is true"),
        ("valve in ['OPEN', 'SHUT']", "valve is one of 'OPEN', 'SHUT'"),
        ("!(valve in ['OPEN'])", "valve is not 'OPEN'"),
        ("inlet.age > 90", "the age of inlet is above 1m30s"),
        ("age > duration('10s')", "the age is above 10s"),
        ("!has(inlet.value)", "inlet has no value"),
        ("has(previous)", "it has a previous value"),
        ("inlet.previous < inlet - 2 * 3", "the previous value of inlet is below inlet - 2 * 3"),
        ("(inlet - 2) * -inlet > 3", "(inlet - 2) * -inlet is above 3"),
        ("abs(inlet - 5) > 1", "the absolute value of (inlet - 5) is above 1"),
        ("bit(inlet.status, 'out_range')", "bit 'out_range' of the status of inlet is set"),
        ("valve.startsWith('O') && !valve.matches('N$')", "valve starts with 'O' and valve does not match 'N$'"),
        ("pump ? inlet > 1 : valve == 'A'", "inlet is above 1 if pump is true, otherwise valve is 'A'"),
        ("pump", "pump is true"),
        ("max(inlet, 1, 2.5) > 2", "the greatest of inlet, 1 and 2.5 is above 2"),
    ],
)
def test_an_expression_is_told_in_words(text, words):
    names = {"inlet": Shape.NUMBER, "valve": Shape.TEXT, "pump": Shape.BOOL, "value": Shape.NUMBER}
    assert Expression.parse(text, names).words() == words


def test_what_an_expression_looks_at():
    names = {**TWO, "c": Shape.TEXT, "value": Shape.ANY}
    expression = Expression.parse("a > b.value && b.good && has(b.previous) && age > 3", names)
    assert expression.names == {"a", "b", "value"}
    assert expression.fields == {"a": {"value"}, "b": {"value", "good", "previous"}, "value": {"age"}}
    assert Expression.parse("value.age > 3", names) != expression


def test_a_name_may_be_called_as_a_word_of_the_language():
    held = column(2.0)
    for name in ("math", "size", "inner", "trues", "_", "has", "duration"):
        assert truth(
            f"{name} > 1 && math.abs(-1) == 1" if name != "math" else "math > 1 && math.good", **{name: held}
        ) == [1]


def test_expressions_are_read_by_many_threads_at_once():
    with ThreadPoolExecutor(4) as pool:
        said = list(pool.map(lambda limit: Expression.parse(f"value > {limit}", ANY).words(), range(40)))
    assert said == [f"the value is above {limit}" for limit in range(40)]


def test_columns_may_be_sent_to_another_process():
    columns = Columns.of(SampleBatch.from_columns("T", [0, 1], [79.0, 81.0]))
    again = pickle.loads(pickle.dumps(columns))
    assert Expression.parse("value > 80", ANY).truth(again).tolist() == [-1, 1]
