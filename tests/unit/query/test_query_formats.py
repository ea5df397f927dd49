"""What an answer looks like as bytes."""

import base64
import csv
import io
import json
import math
import threading
from pathlib import Path

import numpy as np
import polars
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from archiver.backends.memory import MemoryBackend
from archiver.model import Interval, InvalidInputError, Kind, SampleBatch, format_time
from archiver.ports import BackendContext, Options
from archiver.query import Answer, Query, execute, formats, text
from archiver.query.record import Record
from archiver.testing.patience import SOON_S

VALUES = {
    Kind.FLOAT: [1.0, -0.0, 0.1, 1e300, 5e-324, math.nan, math.inf, -math.inf, 123456789012.5],
    Kind.INT: [2**63 - 1, -(2**63)],
    Kind.UINT: [2**64 - 1],
    Kind.BOOL: [True, False],
    Kind.TEXT: ["", 'say "é",\r\n', "\x01\\"],
    Kind.BINARY: [b"", b"\x00\xff"],
    Kind.ENUM: [7],
    Kind.FLOATS: [[1.5, math.nan], []],
    Kind.TEXTS: [['a"', ","]],
    Kind.BOOLS: [[True, False]],
}
ROWS = [(kind, value) for kind, values in VALUES.items() for value in values] + [(Kind.NONE, None)]


@pytest.fixture
def batch():
    columns = {
        kind: pa.array([value if kind is own else None for own, value in ROWS], kind.arrow_type) for kind in VALUES
    }
    count = len(ROWS)
    status = np.full(count, 2**64 - 1, np.uint64)
    return SampleBatch.from_columns('A,"1"', np.arange(count), columns, status=status, receive_time=9)


def body(answer, name):
    return b"".join(formats.write(answer, name))


def test_csv_holds_every_value(batch):
    written = body(Answer.of(batch), "csv").decode()
    header, *rows = csv.reader(io.StringIO(written, newline=""))
    assert header == ["element", "source_time", "value", "status"]
    assert [row[0] for row in rows] == ['A,"1"'] * len(ROWS)
    assert rows[1][1] == "1970-01-01T00:00:00.000000001Z"
    assert {row[3] for row in rows} == {str(2**64 - 1)}
    fields = [row[2] for row in rows]
    assert fields[:9] == [
        "1.0",
        "-0.0",
        "0.1",
        "1e+300",
        "5e-324",
        "NaN",
        "Infinity",
        "-Infinity",
        "1.234567890125e+11",
    ]
    assert fields[9:14] == [str(2**63 - 1), str(-(2**63)), str(2**64 - 1), "true", "false"]
    assert fields[14:17] == ["", 'say "é",\r\n', "\x01\\"]
    assert fields[17:20] == ["", base64.b64encode(b"\x00\xff").decode(), "7"]
    assert fields[20:] == ['[1.5,"NaN"]', "[]", '["a\\"",","]', "[true,false]", ""]


def test_csv_tells_empty_text_from_no_value():
    written = body(Answer.of(SampleBatch.from_columns("a", [1, 2], ["", None])), "csv").decode()
    assert [line.split(",")[2] for line in written.splitlines()[1:]] == ['""', ""]


def test_json_holds_every_value(batch):
    document = json.loads(body(Answer.of(batch), "json"))
    assert list(document) == ["samples", "complete", "parts", "missing", "cursor"]
    named = {math.inf: "Infinity", -math.inf: "-Infinity"}
    for sample, (kind, value) in zip(document["samples"], ROWS, strict=True):
        if kind is Kind.BINARY:
            value = base64.b64encode(value).decode()
        elif kind is Kind.FLOATS:
            value = ["NaN" if math.isnan(item) else item for item in value]
        elif kind is Kind.FLOAT:
            value = "NaN" if math.isnan(value) else named.get(value, value)
        assert sample["value"] == value
        assert type(sample["value"]) is type(value)
        assert sample["element"] == 'A,"1"'
        assert sample["status"] == 2**64 - 1
    lines = body(Answer.of(batch), "ndjson").splitlines()
    assert [json.loads(line) for line in lines] == document["samples"]


@pytest.mark.parametrize("name", list(formats.MEDIA_TYPES))
def test_an_empty_answer_is_well_formed(name):
    written = body(Answer.of(SampleBatch.empty()), name)
    if name == "json":
        assert json.loads(written) == {"samples": [], "complete": True, "parts": [], "missing": [], "cursor": None}
    elif name == "csv":
        assert written == b"element,source_time,value,status\n"
    elif name == "arrow":
        assert pa.ipc.open_stream(written).read_all().num_rows == 0
    elif name == "parquet":
        assert pq.read_table(io.BytesIO(written)).num_rows == 0


def test_an_unknown_format_names_those_there_are():
    with pytest.raises(InvalidInputError, match="csv, json, ndjson, arrow, parquet"):
        formats.write(Answer.of(SampleBatch.empty()), "xml")


@pytest.fixture
def lake():
    backend = MemoryBackend(BackendContext("lake", Path()), Options())
    backend.write({"g": SampleBatch.from_columns(["b", "a", "a"], [1, 2, 3], [1.5, 2.5, math.nan], receive_time=9)})
    return {"lake": backend}


QUERY = Query(("a", "b", "zz"), Interval(0, 10))


def test_arrow_and_parquet_say_where_rows_came_from(lake):
    stream = pa.ipc.open_stream(body(execute(QUERY, lake), "arrow"))
    read = [stream.read_next_batch_with_custom_metadata() for _ in range(2)]
    table = pq.read_table(io.BytesIO(body(execute(QUERY, lake), "parquet")))
    outcomes = [read[-1].custom_metadata[b"forebay.outcome"], _footer(lake)[b"forebay.outcome"]]
    for outcome in map(json.loads, outcomes):
        assert [(part["backend"], part["rows"]) for part in outcome["parts"]] == [("lake", 3)]
        assert [missing["elements"] for missing in outcome["missing"]] == [["zz"]]
    for schema in (stream.schema, table.schema):
        asked = json.loads(schema.metadata[b"forebay.query"])
        assert asked["steps"][0]["backends"] == ["lake"]
        assert asked["end"] == format_time(10)
    assert read[-1].batch.num_rows == 0
    assert table["element"].to_pylist() == ["a", "a", "b"]
    assert table["value"].to_pylist()[0::2] == [2.5, 1.5]
    assert table.schema.field("source_time").type == pa.int64()


def _footer(lake):
    return pq.ParquetFile(io.BytesIO(body(execute(QUERY, lake), "parquet"))).metadata.metadata


def test_long_arrow_comes_in_pieces_that_name_the_elements_once():
    count = 200_000
    codes = np.repeat(np.arange(1000, dtype=np.int32), count // 1000)
    names = [f"a long name of an element {number:05}" for number in range(1000)]
    batch = SampleBatch.from_columns("", np.arange(count), np.arange(count) / 8).with_elements(codes, names)
    pieces = list(formats.write(Answer.of(batch), "arrow"))
    assert max(len(piece) for piece in pieces) < 3 * 2**20
    found = pa.ipc.open_stream(b"".join(pieces)).read_all()
    assert found["element"].to_pylist() == batch.column("element").to_pylist()
    assert found["source_time"].to_pylist() == batch.source_time.tolist()
    assert found["value"].to_pylist() == batch.values(Kind.FLOAT).to_pylist()
    assert b"".join(pieces).count(names[-1].encode()) == 1


@pytest.mark.parametrize("aggregates", [(), ("mean", "count")])
def test_other_readers_understand_arrow_and_parquet(lake, aggregates):
    query = Query(("a", "b"), Interval(0, 10), aggregates=aggregates, bucket_ns=5 if aggregates else 0)
    expected = execute(query, lake).table().num_rows
    assert polars.read_ipc_stream(body(execute(query, lake), "arrow")).height == expected
    assert polars.read_parquet(body(execute(query, lake), "parquet")).height == expected


def test_aggregates_as_text(lake):
    query = Query(("a", "b"), Interval(0, 10), aggregates=("count", "mean", "last"), bucket_ns=5)
    assert body(execute(query, lake, now=100), "csv").decode().splitlines() == [
        "element,source_time,count,mean,last",
        "a,1970-01-01T00:00:00.000000000Z,2,2.5,2.5",
        "a,1970-01-01T00:00:00.000000005Z,0,,",
        "b,1970-01-01T00:00:00.000000000Z,1,1.5,1.5",
        "b,1970-01-01T00:00:00.000000005Z,0,,",
    ]
    first = json.loads(body(execute(query, lake, now=100), "json"))["samples"][1]
    assert first == {
        "element": "a", "source_time": "1970-01-01T00:00:00.000000005Z", "count": 0, "mean": None, "last": None,
    }  # fmt: skip


def test_pieces_are_small_and_together_the_whole(monkeypatch):
    monkeypatch.setattr(formats, "_PIECE_ROWS", 3)
    batch = SampleBatch.from_columns("a", np.arange(10), np.arange(10.0))
    pieces = list(formats.write(Answer.of(batch), "csv"))
    assert len(pieces) == 5
    assert len(b"".join(pieces).splitlines()) == 11
    assert len(json.loads(body(Answer.of(batch), "json"))["samples"]) == 10


@given(st.lists(st.integers(-(2**63), 2**63 - 1), max_size=20))
def test_times_as_text_are_those_of_format_time(times):
    assert text.times(np.array(times, np.int64)).to_pylist() == [format_time(time) for time in times]


@given(st.lists(st.floats() | st.none(), min_size=1, max_size=20))
def test_floats_as_text_read_back_as_the_same_bits(values):
    array = pa.array(values, pa.float64())
    written = text.csv_values({Kind.FLOAT: array}).to_pylist()
    back = [None if field == "" else float(field) for field in written]
    assert [repr(value) for value in back] == [repr(value) for value in values]


def test_an_answer_that_waits_for_its_first_rows_holds_up_no_other(batch):
    waits, go = threading.Event(), threading.Event()

    def rows():
        waits.set()
        assert go.wait(SOON_S)
        yield batch

    slow = threading.Thread(target=lambda: body(Answer(rows(), Record(), batch.elements), "arrow"))
    slow.start()
    assert waits.wait(SOON_S)
    quick = threading.Thread(target=lambda: body(Answer.of(batch), "arrow"))
    quick.start()
    quick.join(SOON_S)
    held_up = quick.is_alive()
    go.set()
    slow.join()
    quick.join()
    assert not held_up
