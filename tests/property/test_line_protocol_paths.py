"""The compiled path and the plain one give the same, on generated and on mutated bodies, and both are right."""

import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from archiver.config import LineProtocolRule
from archiver.model import Kind
from archiver.sources.line_protocol import Decoder, decoder, warm_up
from archiver.sources.line_protocol.table import SeriesTable

RULES = (LineProtocolRule(measurement="c*", tags={"h": "*"}, element="{h}:{measurement}.{field}"),)
names = st.one_of(
    st.sampled_from(["m", "element", "value", "status", "cpu", "h", "t", "i"]),
    st.text(st.characters(exclude_characters="\n", exclude_categories=["Cs"]), min_size=1, max_size=6),
)
floats = st.one_of(
    st.floats(allow_nan=False, allow_infinity=False).map(repr),
    st.decimals(allow_nan=False, allow_infinity=False, places=3).map(lambda d: format(d, "f")),
    st.from_regex(r"-?[0-9]{0,22}\.[0-9]{1,22}", fullmatch=True),
)
values = st.one_of(
    floats,
    st.integers(-(2**64), 2**64).map(lambda n: f"{n}i"),
    st.integers(0, 2**65).map(lambda n: f"{n}u"),
    st.sampled_from(["t", "T", "true", "True", "TRUE", "f", "False", "tru", "nan", "-", ".", "1.", "i", "007i"]),
    st.text(max_size=8).map(lambda s: '"' + s.replace("\\", "\\\\").replace('"', '\\"') + '"'),
)
times = st.one_of(st.just(""), st.integers(-(2**65), 2**65).map(lambda n: f" {n}"), st.just(" 1700000000000000000"))


@st.composite
def lines(draw):
    def escaped(text):
        return "".join("\\" + c if c in ",= " else c for c in text)

    tags = draw(st.one_of(st.just([("element", "E1")]), st.lists(st.tuples(names, names), max_size=3)))
    key = escaped(draw(names)) + "".join(f",{escaped(k)}={escaped(v)}" for k, v in tags)
    fields = draw(st.lists(st.tuples(names, values), min_size=1, max_size=3))
    return f"{key} {','.join(f'{escaped(k)}={v}' for k, v in fields)}{draw(times)}"


@st.composite
def bodies(draw):
    body = bytearray("\n".join(draw(st.lists(lines(), max_size=8))).encode())
    for _ in range(draw(st.integers(0, 4))):
        at = draw(st.integers(0, len(body)))
        body[at : at + draw(st.integers(0, 2))] = draw(
            st.sampled_from([b"", b"\\", b'"', b",", b"=", b" ", b"\n", b"\xff", b"\r", b"#", b"9"])
        )
    return bytes(body)


@pytest.fixture(scope="module", autouse=True)
def _compiled():
    if not warm_up(wait=True):
        pytest.skip("numba is not installed")


def both(monkeypatch_context, body, precision="ns", multiplier=None):
    with monkeypatch_context() as patch:
        patch.setattr(decoder, "walker", lambda *, wanted: None)
        slow = Decoder(RULES).decode(body, precision=precision, receive_time=5)
    fast = Decoder(RULES, SeriesTable(multiplier))
    fast.decode(body, precision=precision, receive_time=5)  # learns the series
    return slow, fast.decode(body, precision=precision, receive_time=5)


def same(slow, fast):
    assert fast.refused == slow.refused
    assert [row[:6] for row in fast.batch.to_pylist()] == [row[:6] for row in slow.batch.to_pylist()]
    for left, right in zip(fast.batch.to_pylist(), slow.batch.to_pylist(), strict=True):
        assert repr(left[6]) == repr(right[6])


@settings(max_examples=400, deadline=None)
@given(body=bodies(), precision=st.sampled_from(["ns", "us", "ms", "s", "h"]))
def test_both_paths_give_the_same(body, precision):
    same(*both(pytest.MonkeyPatch.context, body, precision))


@settings(max_examples=50, deadline=None)
@given(body=bodies())
def test_equal_hashes_are_told_apart(body):
    same(*both(pytest.MonkeyPatch.context, body, multiplier=0))


@settings(max_examples=300, deadline=None)
@given(texts=st.lists(floats, min_size=1, max_size=20))
def test_floats_are_exactly_what_python_reads(texts):
    body = "\n".join(f"m,element=E value={text} {index}" for index, text in enumerate(texts)).encode()
    _, fast = both(pytest.MonkeyPatch.context, body)
    expected = {index: float(text) for index, text in enumerate(texts) if abs(float(text)) != float("inf")}
    assert not fast.refused or len(expected) < len(texts)
    for _, time, _, _, _, kind, value in fast.batch.to_pylist():
        assert kind is Kind.FLOAT
        assert struct.pack("<d", value) == struct.pack("<d", expected[time])


def test_ties_and_extremes_round_to_even():
    texts = ["9007199254740993", "9007199254740995", "9007199254740993.0", "1.00000000000000011102230246251565",
             "4503599627370496.5", "4503599627370497.5", "0.5000000000000000277", "-0", "-0.0", "18014398509481986",
             "179769313486231570000", "0.000000000000000000000000000000000001", "9999999999999999999", "0.1",
             "8.5e-324", "1e23", "123456789012345678.5"]  # fmt: skip
    body = "\n".join(f"m,element=E value={text} {index}" for index, text in enumerate(texts)).encode()
    slow, fast = both(pytest.MonkeyPatch.context, body)
    same(slow, fast)
    assert [struct.pack("<d", row[6]) for row in fast.batch.to_pylist()] == [struct.pack("<d", float(t)) for t in texts]


@pytest.mark.parametrize("length", range(1, 26))
def test_the_compiled_path_takes_every_plain_line_it_knows_wherever_words_end(length, monkeypatch):
    text, digits = "k" * length, "9" * min(length, 19)
    lines = [f"{text},element={text} {text}={digits} {digits[:18]}",
             f"m,element=E value=0.{digits[:18]} -{digits[:18]}",
             f"m,element=E value={digits[:9]}.{digits[:9]},{text}=-{digits[:18]}i"]  # fmt: skip
    body = "\n".join(lines[length % 3 :] + lines[: length % 3]).encode()  # each of them ends the body without a newline
    known = Decoder(RULES)
    known.decode(body, receive_time=5)  # learns the series
    monkeypatch.setattr(Decoder, "_slow_line", lambda *_: pytest.fail("not taken by the compiled path"))
    fast = known.decode(body, receive_time=5).batch
    monkeypatch.undo()
    monkeypatch.setattr(decoder, "walker", lambda *, wanted: None)
    assert fast == Decoder(RULES).decode(body, receive_time=5).batch


@pytest.mark.parametrize("zeros", range(1, 24))
def test_zeros_in_front_do_not_count_as_digits(zeros):
    numbers = ["0" * zeros + "12345", "0" * zeros + "." + "0" * zeros + "1234567890123456789", "0" * zeros + "7i",
               "0" * zeros, "0." + "0" * zeros, "1." + "0" * zeros, "0" * zeros + "9" * 20 + "i"]  # fmt: skip
    body = "\n".join(f"m,element=E value={text} {index}" for index, text in enumerate(numbers)).encode()
    same(*both(pytest.MonkeyPatch.context, body))
