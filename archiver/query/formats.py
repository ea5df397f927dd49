"""An answer as bytes: CSV, JSON, NDJSON, Arrow IPC stream, Parquet; each a stream that holds little at a time.

In CSV, JSON and NDJSON a row is ``element, source_time, value, status``, or ``element, source_time`` (the bucket's
start) and the aggregates, or the columns of `archiver.query.wide`. Times are ISO-8601 UTC with nine digits; how values
look says `archiver.query.text`. JSON is
``{"samples": [...], "complete": ..., "parts": [...], "missing": [...], "cursor": ...}``. CSV and NDJSON are rows only;
where the outcome is asked for, that without the samples is a last line, in CSV after ``# ``.

Arrow and Parquet have the columns of `Answer.schema`, times as int64 ns. What was asked is in the metadata of the
schema (``forebay.query``). The outcome (complete, parts, missing, cursor) is known after the rows: in Parquet it is in
the file's metadata, in Arrow in that of a last, empty batch; both under ``forebay.outcome``, as JSON.
"""

from __future__ import annotations

import contextlib
import itertools
import json
from collections.abc import Callable, Iterator, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from archiver.model import InvalidInputError, Kind, SampleBatch
from archiver.query import text
from archiver.query.answer import Answer
from archiver.query.buckets import COUNTS, KEEPING_KIND, Buckets
from archiver.query.wide import TIME, Wide, WideAnswer

MEDIA_TYPES = {
    "csv": "text/csv",
    "json": "application/json",
    "ndjson": "application/x-ndjson",
    "arrow": "application/vnd.apache.arrow.stream",
    "parquet": "application/vnd.apache.parquet",
}
_OUTCOME_LINES = {"csv": "# ", "ndjson": ""}
_PIECE_ROWS = 65_536
_PIECE_BYTES = 16 * 2**20
_ARROW_PIECE_BYTES = 2 * 2**20
_ROW_GROUP = 131_072


def write(answer: Answer, format_name: str, *, outcome: bool = False) -> Iterator[bytes]:
    """Return an answer in a format of `MEDIA_TYPES`, piece by piece; it is closed with the iterator.

    Parameters
    ----------
    outcome : bool
        Whether the outcome follows the rows of CSV and NDJSON; the other formats have it in any case.

    Raises
    ------
    InvalidInputError
        There is no such format.
    """
    writers: dict[str, Callable[[Answer], Iterator[bytes]]] = {
        "csv": csv,
        "json": json_document,
        "ndjson": ndjson,
        "arrow": arrow,
        "parquet": parquet,
    }
    if format_name not in writers:
        raise InvalidInputError(f"no such format: {format_name!r}; there are {', '.join(writers)}")
    last = _OUTCOME_LINES.get(format_name) if outcome else None
    return _closing(answer, writers[format_name], last)


def _closing(answer: Answer, writer: Callable[[Answer], Iterator[bytes]], last: str | None) -> Iterator[bytes]:
    with contextlib.closing(answer):
        yield from writer(answer)
        if last is not None:
            yield f"{last}{json.dumps(answer.outcome(), ensure_ascii=False)}\n".encode()


def csv(answer: Answer) -> Iterator[bytes]:
    """Yield CSV with a header and a line feed after each row, fields quoted as in RFC 4180."""
    yield (",".join([*_leading(answer), *map(text.csv_field, _columns(answer))]) + "\n").encode()
    for rows in _pieces(answer):
        if isinstance(rows, Wide):
            leading, fields = [text.times(rows.time)], _cells(rows, text.csv_values, "")
        elif isinstance(rows, Buckets):
            leading = [text.csv_names(rows.element), text.times(rows.start)]
            fields = [text.csv_values(column) for column in _aggregates(rows, answer.aggregates)]
        else:
            leading = [text.csv_names(rows.column("element")), text.times(rows.source_time)]
            fields = [text.csv_values(_values(rows)), rows.column("status").cast(pa.utf8())]
        ended = pc.binary_join_element_wise(fields[-1], "\n", "")
        yield _bytes(pc.binary_join_element_wise(*leading, *fields[:-1], ended, ","))


def ndjson(answer: Answer) -> Iterator[bytes]:
    """Yield a JSON object per row and line."""
    for rows in _pieces(answer):
        yield _bytes(_objects(rows, answer, "", "\n"))


def json_document(answer: Answer) -> Iterator[bytes]:
    """Yield one JSON object: the rows under ``samples``, then the outcome."""
    yield b'{"samples": ['
    first = True
    for rows in _pieces(answer):
        encoded = _bytes(_objects(rows, answer, ",\n", ""))
        yield encoded[1:] if first else encoded
        first = False
    yield b"\n], " + json.dumps(answer.outcome(), ensure_ascii=False)[1:].encode() + b"\n"


def arrow(answer: Answer) -> Iterator[bytes]:
    """Yield an Arrow IPC stream."""
    sink = _Sink(keeps=True)
    with pa.ipc.new_stream(pa.PythonFile(sink, "w"), answer.schema) as writer:
        for batch in answer.record_batches():
            for piece in _arrow_pieces(batch):
                writer.write_batch(piece)
                yield from sink.taken()
        nothing = pa.RecordBatch.from_arrays(
            [pa.array([], field.type) for field in answer.schema], schema=answer.schema
        )
        writer.write_batch(nothing, custom_metadata={"forebay.outcome": json.dumps(answer.outcome())})
    yield from sink.taken()


def parquet(answer: Answer) -> Iterator[bytes]:
    """Yield a Parquet file, zstd, in row groups of about `_ROW_GROUP` rows."""
    sink = _Sink()
    schema = answer.schema
    plain = [field.name for field in schema if not pa.types.is_dictionary(field.type) and field.name != "status"]
    writer = pq.ParquetWriter(
        pa.PythonFile(sink, "w"),
        schema,
        compression="zstd",
        use_dictionary=["element", *(["status"] if "status" in schema.names else [])],
        column_encoding={name: "DELTA_BINARY_PACKED" for name in plain if schema.field(name).type == pa.int64()},
    )
    held: list[pa.RecordBatch] = []
    for batch in itertools.chain(answer.record_batches(), [None]):
        if batch is not None:
            held.append(batch)
        if held and (batch is None or sum(part.num_rows for part in held) >= _ROW_GROUP):
            writer.write_table(pa.Table.from_batches(held, schema), row_group_size=_ROW_GROUP)
            held = []
            yield from sink.taken()
    writer.add_key_value_metadata({"forebay.outcome": json.dumps(answer.outcome())})
    writer.close()
    yield from sink.taken()


class _Sink:
    """A file that gives what was written to it.

    Parameters
    ----------
    keeps : bool
        Whether what is written stays as it is: then it is copied only when it is given.
    """

    closed = False

    def __init__(self, *, keeps: bool = False) -> None:
        self._keeps = keeps
        self._chunks: list[bytes | pa.Buffer] = []
        self._size = 0

    def write(self, data: bytes | pa.Buffer) -> int:
        self._chunks.append(data if self._keeps else bytes(data))
        self._size += len(data)
        return len(data)

    def tell(self) -> int:
        return self._size

    def flush(self) -> None:
        """Do nothing: there is no device."""

    def close(self) -> None:
        self.closed = True

    def taken(self) -> Iterator[bytes]:
        chunks, self._chunks = self._chunks, []
        if chunks:
            yield b"".join(chunks)


def _columns(answer: Answer) -> Sequence[str]:
    """Return the names of the columns after the leading ones."""
    if isinstance(answer, WideAnswer):
        return answer.columns[1:]
    return answer.aggregates or ("value", "status")


def _leading(answer: Answer) -> Sequence[str]:
    return (TIME,) if isinstance(answer, WideAnswer) else ("element", TIME)


def _pieces(answer: Answer) -> Iterator[SampleBatch | Buckets | Wide]:
    for rows in answer.rows:
        size = _PIECE_ROWS
        if isinstance(rows, Wide):
            size = max(1, size // len(rows.columns))
        elif isinstance(rows, SampleBatch) and rows.num_rows:
            size = max(1, min(size, rows.num_rows * _PIECE_BYTES // max(1, rows.to_arrow().nbytes)))
        for offset in range(0, rows.num_rows, size):
            yield rows.slice(offset, min(size, rows.num_rows - offset))


def _arrow_pieces(batch: pa.RecordBatch) -> Iterator[pa.RecordBatch]:
    """Yield slices small enough that what they are copied to on their way stays in the cache, and is used again."""
    size = sum(column.nbytes for column in batch.columns[1:])  # the first is the element, and names are sent once
    rows = max(1, batch.num_rows * _ARROW_PIECE_BYTES // max(1, size))
    for offset in range(0, batch.num_rows, rows):
        yield batch.slice(offset, rows)


def _objects(rows: SampleBatch | Buckets | Wide, answer: Answer, before: str, after: str) -> pa.Array:
    """Return a JSON object per row, between two texts."""
    if isinstance(rows, Wide):
        columns = [f'{before}{{"source_time":"', text.times(rows.time), '"']
        fields = _cells(rows, text.json_values, "null")
    else:
        if isinstance(rows, Buckets):
            named, start = rows.element, rows.start
            fields = [text.json_values(column) for column in _aggregates(rows, answer.aggregates)]
        else:
            named, start = rows.column("element"), rows.source_time
            fields = [text.json_values(_values(rows)), rows.column("status").cast(pa.utf8())]
        columns = [f'{before}{{"element":', text.json_names(named), ',"source_time":"', text.times(start), '"']
    for name, field in zip(_columns(answer), fields, strict=True):
        columns += [f",{json.dumps(name, ensure_ascii=False)}:", field]
    return pc.binary_join_element_wise(*columns, "}" + after, "")


def _values(rows: SampleBatch) -> text.ByKind:
    return {kind: rows.values(kind) for kind in rows.kinds}


def _cells(rows: Wide, render: Callable[[text.ByKind], pa.Array], nothing: str) -> list[pa.Array]:
    """Return the fields of a wide table after the time."""
    fields = []
    for column in rows.columns.values():
        fields += [render(column.values), pc.coalesce(column.status.cast(pa.utf8()), nothing)]
    return fields


def _aggregates(rows: Buckets, names: Sequence[str]) -> list[text.ByKind]:
    kinds = {name: Kind.INT if name in COUNTS else Kind.FLOAT for name in names}
    return [rows.typed[name] if name in KEEPING_KIND else {kinds[name]: rows.numbers[name]} for name in names]


def _bytes(lines: pa.Array) -> bytes:
    """Return all texts one after the other."""
    offsets, data = lines.buffers()[1:]
    bounds = np.frombuffer(offsets, np.int32)[lines.offset : lines.offset + len(lines) + 1]
    return memoryview(data)[int(bounds[0]) : int(bounds[-1])].tobytes()
