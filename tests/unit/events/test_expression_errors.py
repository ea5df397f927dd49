"""Mistakes in expressions: where, what, and what to write instead."""

import subprocess
import sys

import pytest

from analytics.events.expressions import Expression, ExpressionError, Shape, Wanted
from archiver.model import InvalidInputError

NAMES = {"inlet": Shape.NUMBER, "outlet": Shape.NUMBER, "valve": Shape.TEXT, "pump": Shape.BOOL, "x": Shape.ANY}

MISTAKES = [
    # text, the part that is marked, what is said of it
    ("", "", "empty"),
    ("   ", "", "empty"),
    ("inlett > 80", "inlett", "there is no 'inlett'; did you mean 'inlet'?"),
    ("zzz > 80", "zzz", "there is no 'zzz'; there are inlet, outlet, valve, pump, x"),
    ("inlet.valu > 1", "valu", "inlet has no 'valu'; did you mean 'value'?"),
    ("inlet.zzz > 1", "zzz", "it has value, good, status, time, age, previous"),
    ("outlett.value > 1", "outlett", "did you mean 'outlet'?"),
    ("inlet.value.good", "good", "only an input of the rule has fields"),
    ("good", "good", "there is no 'good'"),
    ("inlet > 1 and pump", "and", "write &&"),
    ("inlet > 1 OR pump", "OR", "write ||"),
    ("not pump", "not", "write !"),
    ("inlet = 1", "=", "write =="),
    ("inlet <> 1", "<>", "write !="),
    ("inlet \u2265 1", "\u2265", "write >="),
    ("valve is 'OPEN'", "is", "write =="),
    ("inlet > 1 & pump", "&", "write &&"),
    ("inlet > 1;", ";", "leave it out"),
    ("valve == \u201cOPEN\u201d", "\u201c", "write '"),
    ("inlet > 80,5", ",", "a number has a point"),
    ("inlet > 80 \u00b0C", "\u00b0", "a number has no unit"),
    ("inlet > 80 bar", "bar", "a number has no unit"),
    ("inlet > 80 'a'", "'a'", "expected an operator"),
    ("inlet > > 80", ">", "expected a value"),
    ("valve == 'OPEN", "'OPEN", "does not end"),
    ("(inlet > 1", "", "a ) is missing"),
    ("inlet in [1, 2", "", "a ] is missing"),
    ("inlet >", "", "a value is missing"),
    ("pump ? inlet", "", "the part after :"),
    ("inlet == 'OPEN'", "inlet == 'OPEN'", "a number and a text cannot be compared"),
    ("80 < inlet < 90", "80 < inlet < 90", "a < b && b < c"),
    ("inlet.time > 5", "inlet.time > 5", "timestamp("),
    ("pump > valve", "pump > valve", "cannot be compared"),
    ("inlet in ['OPEN']", "inlet in ['OPEN'", "cannot be compared"),
    ("inlet in 5", "5", "after in stands a list"),
    ("inlet && pump", "inlet", "&& joins conditions, and this is a number; compare it, as in inlet > 80"),
    ("pump || valve", "valve", "as in valve == 'OPEN'"),
    ("!inlet", "inlet", "! denies a condition"),
    ("inlet ? 1 : 2", "inlet", "a condition stands before ?"),
    ("pump ? 'a' : 'b'", "'a'", "a choice gives no text"),
    ("pump ? 1 : inlet.time", "pump ? 1 : inlet.time", "of one type"),
    ("-valve == 1", "valve", "- is for numbers"),
    ("valve + 'x' == 'y'", "valve + 'x'", "texts are not joined"),
    ("pump + 1 > 2", "pump + 1", "a condition is no number"),
    ("inlet % 2 == 1", "inlet % 2", "write int("),
    ("inlet.status + 1u > 2u", "inlet.status + 1u", "write int("),
    ("inlet.time + 1 > inlet.time", "inlet.time + 1", "an instant + a whole number is not defined"),
    ("5 / 0 > 1", "0", "not divided by 0"),
    ("inlet > 99999999999999999999", "99999999999999999999", "write 99999999999999999999.0"),
    ("inlet.status == 99999999999999999999u", "99999999999999999999u", "0 to 18446744073709551615"),
    ("valve.startswith('O')", "startswith", "did you mean 'startsWith'?"),
    ("zzz(1)", "zzz", "there are abs, bit,"),
    ("math.flor(inlet) > 1", "flor", "did you mean 'math.floor'?"),
    ("math.isNaN(inlet)", "isNaN", "!has(name.value)"),
    ("string(inlet) == '1'", "string", "compare the number"),
    ("[1].exists(v, v > inlet)", "exists", "not for columns"),
    ("valve.startsWith(valve)", "valve", "is written out"),
    ("valve.matches(valve)", "valve", "is written out"),
    ("valve.matches('O(')", "'O('", "is no pattern of RE2: missing )"),
    ("valve.matches(inlet)", "inlet", "takes a text, and this is a number"),
    ("inlet.startsWith('O')", "inlet", "takes a text"),
    ("abs(inlet, outlet) > 1", "abs(inlet, outlet)", "takes 1 values, and 2 are given"),
    ("min() > 1", "min()", "at least one"),
    ("bit(inlet.status, 'out_rnge')", "'out_rnge'", "did you mean 'out_range'?"),
    ("bit(inlet.status, 64)", "64", "0 to 63"),
    ("bit(inlet.status, size(valve))", "size(valve)", "is written out"),
    ("bit(inlet, 3)", "inlet", "takes an unsigned whole number"),
    ("math.bitAnd(inlet.status, 4) == 0u", "4", "such as 4u"),
    ("inlet.age > duration('10 parsecs')", "'10 parsecs'", "is not a duration"),
    ("inlet.time > timestamp('2026-01-01T00:00:00')", "'2026-01-01T00:00:00'", "no time zone"),
    ("inlet.time > timestamp('now-1h')", "'now-1h'", "use age"),
    ("inlet.age > duration(valve)", "valve", "is written out"),
    ("inlet.time.getHours('Europe/Bern') > 1", "'Europe/Bern'", "no time zone 'Europe/Bern' here"),
    ("inlet.time.getHours(valve) > 1", "valve", "is written out"),
    ("inlet.age.getDate() > 1", "inlet.age", "takes an instant, and this is a duration"),
    ("inlet.age.getHours('Europe/Berlin') > 1", "inlet.age.getHours('Europe/Berlin')", "takes 1 values"),
    ("has(inlet > 1)", "inlet > 1", "has takes one field"),
    ("has()", "has()", "has takes one field"),
    ("has(inlet.valu)", "valu", "did you mean 'value'?"),
    ("inlet == null", "null", "has(name.value)"),
    ("valve == b'OPEN'", "b'OPEN'", "without the b"),
    (r"valve == '\d'", r"\d", r"write \\d"),
    (r"valve == '\ud800'", r"\ud800", "there is no character"),
    ("inlet[0] > 1", "inlet[0]", "nothing with an index"),
    ("{'a': 1} == inlet", "{'a': 1}", "no maps"),
    ("inlet{a: 1} == inlet", "inlet{a: 1}", "no objects"),
    ("[1, 2] == inlet", "[1, 2]", "a list stands after in"),
    (".inlet > 1", ".inlet", "does not begin with a dot"),
    ("valve", "valve", "a condition or a number is wanted here, and this is a text"),
    ("inlet.time", "inlet.time", "and this is an instant"),
]


@pytest.mark.parametrize(("text", "marked", "said"), MISTAKES, ids=[mistake[0] or "nothing" for mistake in MISTAKES])
def test_a_mistake_is_shown_where_it_is(text, marked, said):
    with pytest.raises(ExpressionError) as caught:
        Expression.parse(text, NAMES)
    error = caught.value
    assert said in error.reason
    assert text[error.start : error.end] == marked
    first, shown, caret = str(error).split("\n")
    assert first == f"line 1, column {error.start + 1}: {error.reason}"
    assert shown == f"  {text}"
    assert caret == "  " + " " * error.start + "^" * max(1, len(marked))


def test_a_mistake_in_the_third_line_is_shown_there():
    with pytest.raises(ExpressionError, match=r"^line 3, column 4: there is no 'outlett'") as caught:
        Expression.parse("inlet > 80 && // too hot\n  pump &&\n\t (outlett < 3)", NAMES)
    assert str(caught.value).split("\n")[1:] == ["    (outlett < 3)", "     ^^^^^^^"]


def test_of_a_long_line_the_part_is_shown():
    with pytest.raises(ExpressionError) as caught:
        Expression.parse(" && ".join(["pump"] * 50 + ["pumpp"] + ["pump"] * 50), NAMES)
    _, shown, caret = str(caught.value).split("\n")
    assert len(shown) < 110
    assert shown[caret.index("^") : caret.rindex("^") + 1] == "pumpp"


@pytest.mark.parametrize(
    ("text", "wanted", "said"),
    [
        ("inlet", Wanted.CONDITION, "a condition is wanted here, and this is a number; compare it, as in inlet > 80"),
        ("valve", Wanted.VALUE, "a number is wanted here, and this is a text"),
    ],
)
def test_what_is_wanted_is_said(text, wanted, said):
    with pytest.raises(ExpressionError, match=said):
        Expression.parse(text, NAMES, wanted)


def test_an_expression_has_a_longest_length():
    with pytest.raises(ExpressionError, match="has 10003 characters, and may have 10000"):
        Expression.parse("inlet > 1" + " " * 9_994, NAMES)


@pytest.mark.parametrize(
    "text", ["(" * 51 + "pump" + ")" * 51, "!" * 60 + "pump", "pump ? 1 : " * 60 + "2", "-" * 900 + "inlet"]
)
def test_an_expression_has_a_deepest_level(text):
    with pytest.raises(ExpressionError, match="nested deeper than 50"):
        Expression.parse(text, NAMES)


def test_an_error_is_an_input_that_cannot_be_understood():
    assert issubclass(ExpressionError, InvalidInputError)


def test_without_the_parser_it_is_said_what_to_install():
    code = (
        "import sys; sys.modules['celpy'] = None\n"
        "from analytics.events.expressions import Expression\n"
        "from archiver.model import UnsupportedError\n"
        "try: Expression.parse('true', {})\n"
        "except UnsupportedError as exc: print(exc)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "pip install 'forebay[events]'" in done.stdout
