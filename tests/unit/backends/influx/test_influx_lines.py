"""Lines, to the letter; and what is packed in them."""

import base64
import math

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from archiver.backends.influx import layout, lines, names, packing
from archiver.model import Kind, PermanentError, SampleBatch
from archiver.testing.backend_suite.base import batch, sample
from archiver.testing.strategies import HOSTILE_NAMES


def written(rows: SampleBatch, versions=None) -> list[str]:
    versions = np.zeros(rows.num_rows, np.int64) if versions is None else np.array(versions)
    return b"".join(lines.bodies("g-1", rows, versions, 7)).decode().splitlines()


def test_a_line_of_each_place():
    rows = batch(
        sample(1, 0.5, element="a b,c=d", received=9, status=1 << 63),
        sample(2, -3, kind=Kind.INT, sequence=2),
        sample(3, 2**64 - 1, kind=Kind.UINT),
        sample(4, True, kind=Kind.BOOL),
        sample(5, 'a "b"\\', kind=Kind.TEXT),
        sample(6, "a\nb", kind=Kind.TEXT),
        sample(7, b"\x00\xff", kind=Kind.BINARY),
        sample(8, 3, kind=Kind.ENUM),
        sample(9, [1.0], kind=Kind.FLOATS),
        sample(10, None),
        sample(11, math.inf),
        sample(-(2**63), 1.0),
    )
    fields = "receive_time=1i,status=0i,write=7i"
    assert sorted(written(rows, [0, 0, 4, *[0] * 9])) == sorted(
        [
            "g-1,element=a\\ b\\,c\\=d,kind=float receive_time=9i,status=-9223372036854775808i,write=7i,float=0.5 1",
            f"g-1,element=a,kind=int,sequence=2 {fields},int=-3i 2",
            f"g-1,element=a,kind=uint,version=4 {fields},uint=-1i 3",
            f"g-1,element=a,kind=bool {fields},bool=true 4",
            f'g-1,element=a,kind=text {fields},text="a \\"b\\"\\\\" 5',
            f'g-1,element=a,kind=text_base64 {fields},text_base64="YQpi" 6',
            f'g-1,element=a,kind=binary {fields},binary="AP8=" 7',
            f"g-1,element=a,kind=enum {fields},enum=3i 8",
            f'g-1,element=a,kind=floats {fields},floats="AAAAAAAA8D8=" 9',
            f"g-1,element=a,kind=none {fields} 10",
            f"g-1,element=a,kind=float_bits {fields},float_bits=9218868437227405312i 11",
            f"g-1,element=a,kind=float,source_time=-9223372036854775808 {fields},float=1 -9200000000000000000",
        ]
    )


def test_a_long_value_goes_on_in_more_fields():
    (line,) = written(batch(sample(1, b"x" * (layout.PART_LENGTH + 3), kind=Kind.BINARY)))
    assert ",kind=binary,parts=2 " in line
    first, second = (line.split(f'{name}="')[1].split('"')[0] for name in (",binary", ",binary_1"))
    assert len(first) == layout.PART_LENGTH
    assert base64.b64decode(first + second) == b"x" * (layout.PART_LENGTH + 3)


def test_a_value_that_is_too_long_is_refused(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(layout, "MOST_PARTS", 1)
    with pytest.raises(PermanentError, match="longer than 393216: send it in pieces"):
        written(batch(sample(1, b"x" * layout.PART_LENGTH, kind=Kind.BINARY)))


def test_text_that_is_not_utf8_is_refused():
    text = pa.Array.from_buffers(pa.utf8(), 1, [None, pa.py_buffer(np.array([0, 1], np.int32)), pa.py_buffer(b"\xff")])
    with pytest.raises(PermanentError, match="not UTF-8"):
        written(SampleBatch.from_columns("a", [1], text))


def test_bodies_are_cut_between_lines(monkeypatch: pytest.MonkeyPatch):
    rows = batch(*(sample(i, "y" * 300, kind=Kind.TEXT) for i in range(100)))
    whole = written(rows)
    monkeypatch.setattr(lines, "BODY_BYTES", 1000)
    parts = [bytes(body) for body in lines.bodies("g-1", rows, np.zeros(100, np.int64), 7)]
    assert len(parts) > 30
    assert all(part.endswith(b"\n") and len(part) <= 1000 for part in parts)
    assert b"".join(parts).decode().splitlines() == whole


@given(st.lists(st.binary(max_size=20)))
def test_base64_is_what_everybody_calls_so(values: list[bytes]):
    packed = packing.to_base64(pa.array(values, pa.large_binary()))
    assert packed.to_pylist() == [base64.b64encode(value).decode() for value in values]
    assert packing.from_base64(packed).to_pylist() == values
    assert packing.from_base64(packed[1:]).to_pylist() == values[1:]


@given(st.lists(st.one_of(st.text(max_size=8), st.sampled_from(HOSTILE_NAMES)), unique=True))
def test_names_stay_apart_in_tags(given_names: list[str]):
    values = [names.tag_value(name) for name in given_names]
    assert [names.element_name(value) for value in values] == given_names
    assert all(value and "\n" not in value and "\\" not in value for value in values)
    runs = list(names.runs(given_names))
    assert [name for run in runs for name in run] == sorted(given_names)
    assert all(sorted(names.tag_value(name) for name in run) == [names.tag_value(name) for name in run] for run in runs)
