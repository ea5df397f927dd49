"""What a line means, rule by rule of the documentation."""

import pytest

from archiver.model import Kind
from archiver.sources.line_protocol.grammar import LineError, parse_key, parse_line


def fields(line: str):
    return [(field.key.decode(), field.kind, field.value) for field in parse_line(line.encode(), 0, 1).fields]


@pytest.mark.parametrize(
    ("text", "kind", "value"),
    [
        ("1", Kind.FLOAT, 1.0),
        ("-1.5e-3", Kind.FLOAT, -0.0015),
        ("1.", Kind.FLOAT, 1.0),
        (".5", Kind.FLOAT, 0.5),
        ("1E+78", Kind.FLOAT, 1e78),
        ("9223372036854775807i", Kind.INT, 2**63 - 1),
        ("-9223372036854775808i", Kind.INT, -(2**63)),
        ("0000000000000000000000000007i", Kind.INT, 7),
        ("18446744073709551615u", Kind.UINT, 2**64 - 1),
        *[(word, Kind.BOOL, True) for word in ("t", "T", "true", "True", "TRUE")],
        *[(word, Kind.BOOL, False) for word in ("f", "F", "false", "False", "FALSE")],
        ('""', Kind.TEXT, ""),
        ('"a, b=c"', Kind.TEXT, "a, b=c"),
        (r'"too hot\cold"', Kind.TEXT, r"too hot\cold"),
        (r'"too hot\\cold"', Kind.TEXT, r"too hot\cold"),
        (r'"too hot\\\cold"', Kind.TEXT, r"too hot\\cold"),
        (r'"too hot\\\\cold"', Kind.TEXT, r"too hot\\cold"),
        (r'"say \"hi\""', Kind.TEXT, 'say "hi"'),
        ('"Grüße 😀"', Kind.TEXT, "Grüße 😀"),
        ('"two\nlines"', Kind.TEXT, "two\nlines"),
    ],
)
def test_values(text, kind, value):
    assert fields(f"m f={text} 5") == [("f", kind, value)]


@pytest.mark.parametrize(
    "text",
    [
        *("", "nan", "NaN", "Inf", "-inf", "+1", "1e", "-", ".", "1_0", "0x1", "tru", "1ii", "-1u", "1e999", "'a'"),
        *("9223372036854775808i", "-9223372036854775809i", "18446744073709551616u", "9" * 5000 + "i"),
        *('"a"b', '"open'),
    ],
)
def test_values_that_are_none(text):
    with pytest.raises(LineError):
        parse_line(f"m f={text} 5".encode(), 0, 1)


@pytest.mark.parametrize(
    ("key", "measurement", "tags"),
    [
        ("m", "m", {}),
        (r"my\ place,tag\ key=tag\ value", "my place", {"tag key": "tag value"}),
        (r"a\,b=c,k\,\=x=1\=2\,3", "a,b=c", {"k,=x": "1=2,3"}),
        (r"a\=b,k=v", r"a\=b", {"k": "v"}),
        (r"a\b,p=C:\dir", r"a\b", {"p": r"C:\dir"}),
        (r"m,p=a\\ b", "m", {"p": r"a\ b"}),
        ('m"x,q="', 'm"x', {"q": '"'}),
        ("温度,場所=東京", "温度", {"場所": "東京"}),
    ],
)
def test_escapes_in_measurement_and_tags(key, measurement, tags):
    line = parse_line(f"{key} f=1".encode(), 0, 1)
    assert parse_key(line.key) == (measurement, tags)


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (",k=v f=1", "measurement"),
        ("m", "fields are missing"),
        ("m,k=v", "fields are missing"),
        ("m,k f=1", "tag"),
        ("m,k= f=1", "tag"),
        ("m,=v f=1", "tag"),
        ("m,k=a=b f=1", "equals sign"),
        ("m, f=1", "tag"),
        ("m f", "field"),
        ("m =1", "field"),
        ("m f=1,", "field"),
        ("m f=1,,g=2", "field"),
        ("m f=", "no value"),
        ("m f=1 x", "after the fields"),
        ("m f=1 5 6", "after the timestamp"),
        ("m f=1 5.0", "after the timestamp"),
        ("m f=1 9223372036854775808", "timestamp is outside"),
        ("m f=1 " + "1" * 5000, "timestamp is outside"),
    ],
)
def test_lines_that_are_none(line, reason):
    with pytest.raises(LineError, match=reason):
        parse_line(line.encode(), 0, 1)


def test_a_line_may_end_with_a_carriage_return_and_have_several_blanks():
    line = parse_line(b"m   f=1   5  \r\nnext", 0, 1000)
    assert (line.time, line.end) == (5000, len(b"m   f=1   5  \r\n"))


def test_a_tag_that_comes_twice_is_refused():
    with pytest.raises(LineError, match="'k' comes twice"):
        parse_key(b"m,k=1,k=2")
