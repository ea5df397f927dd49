"""Bodies to columns: every kind and form, and what is wrong with a row stops no other."""

import json
import math

import msgspec
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from archiver.model import InvalidInputError, Kind, SampleBatch, parse_time
from archiver.model.ipc import to_ipc
from archiver.query import Answer, formats
from services.archive.decoding import decode
from services.archive.decoding.body import ARROW, JSON, NDJSON
from services.common.errors import UnsupportedMediaError


def rows_of(decoded):
    """(element, source time, status, kind, value) per sample."""
    return [(r[0], r[1], r[4], r[5], r[6]) for r in decoded.batch.to_pylist()]


def from_json(document):
    return decode(json.dumps(document).encode(), JSON)


def row(**fields):
    return {"element": "T1", "source_time": 7, "value": 1.5, **fields}


def test_rows_and_columns_and_lines_say_the_same():
    rows = [row(), row(source_time=8, value=None, status=1 << 56)]
    expected = [("T1", 7, 0, Kind.FLOAT, 1.5), ("T1", 8, 1 << 56, Kind.NONE, None)]
    columns = {"element": "T1", "source_time": [7, 8], "value": [1.5, None], "status": [0, 1 << 56]}
    assert rows_of(from_json(rows)) == expected
    assert rows_of(from_json({"samples": rows})) == expected
    assert rows_of(from_json(columns)) == expected
    assert rows_of(decode(b"\n".join(json.dumps(r).encode() for r in rows) + b"\n", NDJSON)) == expected


def test_what_only_some_rows_say_counts_for_them():
    rows = [
        row(),
        row(source_time=8, status=5),
        row(source_time=9, kind="int", value=3),
        row(source_time=9, sequence=1),
    ]
    lines = b"\n".join(json.dumps(r).encode() for r in rows)
    for decoded in (from_json(rows), decode(lines, NDJSON)):
        assert decoded.refused == ()
        assert rows_of(decoded) == [
            ("T1", 7, 0, Kind.FLOAT, 1.5),
            ("T1", 8, 5, Kind.FLOAT, 1.5),
            ("T1", 9, 0, Kind.INT, 3),
            ("T1", 9, 0, Kind.FLOAT, 1.5),
        ]
        assert decoded.batch.sequence.tolist() == [0, 0, 0, 1]


@pytest.mark.parametrize(
    ("value", "kind", "expected"),
    [
        (20, None, (Kind.FLOAT, 20.0)),
        (2**53, None, (Kind.FLOAT, 2.0**53)),
        (2**53 + 1, None, (Kind.INT, 2**53 + 1)),
        (2**63 + 1, None, (Kind.UINT, 2**63 + 1)),
        (20, "int", (Kind.INT, 20)),
        (20.0, "int", (Kind.INT, 20)),
        (2**64 - 1, "uint", (Kind.UINT, 2**64 - 1)),
        (3, "enum", (Kind.ENUM, 3)),
        (True, None, (Kind.BOOL, True)),
        ("on", None, (Kind.TEXT, "on")),
        ("", None, (Kind.TEXT, "")),
        ("-Infinity", "float", (Kind.FLOAT, -math.inf)),
        ("AAE=", "binary", (Kind.BINARY, b"\x00\x01")),
        ([1, 2.5], None, (Kind.FLOATS, [1.0, 2.5])),
        ([], None, (Kind.FLOATS, [])),
        ([1, 2], "ints", (Kind.INTS, [1, 2])),
        (["a", "b"], None, (Kind.TEXTS, ["a", "b"])),
        (None, "float", (Kind.NONE, None)),
    ],
)
def test_every_kind_of_value(value, kind, expected):
    decoded = from_json([row(value=value) | ({"kind": kind} if kind else {})])
    assert decoded.refused == ()
    assert rows_of(decoded)[0][3:] == expected


def test_nan_is_no_missing_value():
    (found,) = rows_of(from_json([row(value="NaN", kind="float")]))
    assert found[3] is Kind.FLOAT
    assert math.isnan(found[4])


def test_a_whole_number_among_fractions_is_no_other_kind():
    batch = from_json([row(value=20), row(source_time=8, value=20.5)]).batch
    assert batch.kinds == (Kind.FLOAT,)


@pytest.mark.parametrize(
    "text",
    ["2026-01-01T00:00:00.123456789Z", "2026-01-01T01:00:00.123456789+01:00", "1767225600123456789", "now-1h"],
)
def test_times_as_text(text):
    (found,) = rows_of(from_json([row(source_time=text)]))
    assert abs(found[1] - parse_time(text)) < (10**9 * 60 if text.startswith("now") else 1)


def test_times_of_both_forms_in_one_body():
    times = [f[1] for f in rows_of(from_json([row(), row(source_time="1970-01-01T00:00:00.000000009Z")]))]
    assert times == [7, 9]


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        (row(element=3), "element = 3"),
        (row(element=None), "element = None"),
        (row(source_time="2026-01-01T00:00:00"), "no time zone"),
        (row(source_time=1.5), "source_time = 1.5"),
        (row(source_time=True), "source_time = True"),
        (row(source_time=2**63), "not a time"),
        (row(status=-1), "status = -1"),
        (row(status=2**64), "status = "),
        (row(status="bad"), "status = 'bad'"),
        (row(sequence=2**31), "sequence = "),
        (row(kind="double"), "no such kind"),
        (row(kind="bool"), "not of kind bool"),
        (row(value="AAE", kind="binary"), "not Base64"),
        (row(value=2**53 + 1, kind="float"), "no float holds it exactly"),
        (row(value=10**400), "value"),
        (row(value=1.5, kind="int"), "not of kind int"),
        (row(value={"a": 1}), "an object cannot be archived"),
        (row(value=[[1]]), "array of arrays"),
        (row(value=[1, "a"]), "several kinds"),
        (row(value=[1, None]), "null items"),
        ({"element": "T1", "source_time": 7}, "missing required field `value`"),
        (row(valeu=1), "unknown field `valeu`"),
        (17, "Expected `object`"),
    ],
)
def test_a_wrong_row_is_named_and_the_others_go_through(wrong, says):
    decoded = from_json([row(source_time=1), wrong, row(source_time=2)])
    assert [f[1] for f in rows_of(decoded)] == [1, 2]
    assert [refusal.index for refusal in decoded.refused] == [1]
    assert says in decoded.refused[0].reason
    assert [decoded.index_of(i) for i in range(2)] == [0, 2]


def test_a_line_that_is_not_json_is_refused_alone():
    good = json.dumps(row()).encode()
    decoded = decode(good + b"\n\n{oops\n" + good, NDJSON)
    assert decoded.batch.num_rows == 2
    assert [refusal.index for refusal in decoded.refused] == [1]


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"", "not JSON"),
        (b"{", "not JSON"),
        (b"\xff", "not JSON"),
        (b"3", "no samples"),
        (b"{}", "must be arrays"),
        (b'{"samples": 3}', "no samples"),
        (b'{"element": "a", "source_time": [1], "value": [1, 2]}', "one each"),
        (b'{"element": "a", "source_time": 1, "value": 1}', "must be arrays"),
        (b'{"element": "a", "time": [1], "value": [1]}', "no samples"),
    ],
)
def test_a_body_that_cannot_be_read_says_why(body, says):
    with pytest.raises(InvalidInputError, match=says):
        decode(body, JSON)


def test_an_unknown_media_type_lists_the_known_ones():
    with pytest.raises(UnsupportedMediaError, match="application/json"):
        decode(b"", "text/html")


NUMBERS = st.one_of(st.none(), st.booleans(), st.floats(allow_nan=False, allow_infinity=False), st.text(max_size=5))


@given(st.lists(st.tuples(st.text(max_size=5), st.integers(-(2**63), 2**63 - 1), NUMBERS, st.integers(0, 2**64 - 1))))
def test_what_a_client_sends_is_what_is_taken(samples):
    documents = [dict(zip(("element", "source_time", "value", "status"), s, strict=True)) for s in samples]
    decoded = decode(msgspec.json.encode(documents), JSON)
    assert decoded.refused == ()
    assert [(f[0], f[1], f[4], f[2]) for f in rows_of(decoded)] == samples


def test_what_a_query_answers_can_be_sent_back():
    batch = SampleBatch.from_columns(
        ["a", "b", "c"], [1, 2, 3], [1.5, None, 2.0], status=[0, 1 << 57, 3], receive_time=9
    )
    lines = b"".join(formats.write(Answer.of(batch), "ndjson"))
    stream = b"".join(formats.write(Answer.of(batch), "arrow"))
    expected = [(r[0], r[1], r[4], r[5], r[6]) for r in batch.to_pylist()]
    assert rows_of(decode(lines, NDJSON)) == expected
    assert rows_of(decode(stream, ARROW)) == expected


def stream_of(**columns):
    table = pa.table(columns)
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table, max_chunksize=2)
    return sink.getvalue().to_pybytes()


def test_arrow_takes_the_archives_own_schema():
    batch = SampleBatch.from_columns(
        ["a", "b"], [1, 2], {Kind.TEXT: pa.array(["x", None]), Kind.INT: pa.array([None, 3])}
    )
    assert decode(to_ipc(batch.to_arrow()), ARROW).batch == batch


def test_arrow_takes_what_a_person_would_write():
    times = pa.array([1, 2, None, 4, 5], pa.timestamp("us", "UTC"))
    names = pa.array(["a", None, "b", "a", "c"]).dictionary_encode()
    status = pa.array([0, 1, 2, -1, None], pa.int64())
    values = pa.array([1.5, 2, 3, math.nan, None], pa.float32())
    decoded = decode(stream_of(element=names, source_time=times, value=values, status=status), ARROW)
    found = rows_of(decoded)
    assert [(f[0], f[1], f[2]) for f in found] == [("a", 1000, 0), ("a", 4000, 2**64 - 1), ("c", 5000, 0)]
    assert found[0][4] == 1.5
    assert math.isnan(found[1][4])
    assert found[2][3] is Kind.NONE
    assert [(r.index, r.reason) for r in decoded.refused] == [(1, "no element name"), (2, "no source_time")]
    assert decoded.index_of(1) == 3


def test_arrow_refuses_rows_with_several_values():
    columns = {"element": ["a", "b"], "source_time": [1, 2], "float": [1.0, None], "text": ["x", "y"]}
    decoded = decode(stream_of(**columns), ARROW)
    assert rows_of(decoded) == [("b", 2, 0, Kind.TEXT, "y")]
    assert [r.reason for r in decoded.refused] == ["several values"]


def test_arrow_refuses_arrays_with_null_items():
    columns = {"element": ["a", "b", "c"], "source_time": [1, 2, 3], "value": [[1.0], [2.0, None], None]}
    decoded = decode(stream_of(**columns), ARROW)
    assert [f[0] for f in rows_of(decoded)] == ["a", "c"]
    assert [(r.index, r.reason) for r in decoded.refused] == [(1, "an array with null items")]


@pytest.mark.parametrize(
    ("columns", "says"),
    [
        ({"element": ["a"], "value": [1.0]}, "the columns of the Arrow stream are element, value"),
        ({"element": ["a"], "source_time": [1]}, "no column value"),
        ({"element": ["a"], "source_time": [1], "value": [1.0], "unit": ["K"]}, "unit"),
        ({"element": ["a"], "source_time": [1.5], "value": [1.0]}, "of type double"),
        ({"element": ["a"], "source_time": pa.array([1], pa.timestamp("ns")), "value": [1.0]}, "no time zone"),
        ({"element": ["a"], "source_time": [1], "value": pa.array([1], pa.date32())}, "cannot be archived"),
        ({"element": [7], "source_time": [1], "value": [1.0], "status": ["x"]}, "cannot be archived"),
    ],
)
def test_arrow_of_another_shape_says_what_to_send(columns, says):
    with pytest.raises(InvalidInputError, match=says):
        decode(stream_of(**columns), ARROW)


@pytest.mark.parametrize("body", [b"", b"nonsense", stream_of(element=["a"], source_time=[1], value=[1.0])[:-60]])
def test_what_is_no_arrow_stream_is_an_input_error(body):
    with pytest.raises(InvalidInputError):
        decode(body, ARROW)


def test_an_index_out_of_range_does_not_crash_the_process():
    names = pa.DictionaryArray.from_arrays(pa.array([0, 99], pa.int32()), pa.array(["a"]), safe=False)
    with pytest.raises(InvalidInputError, match="not an Arrow IPC stream"):
        decode(stream_of(element=names, source_time=[1, 2], value=[1.0, 2.0]), ARROW)
