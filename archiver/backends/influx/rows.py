"""CSV as InfluxDB answers, to samples."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping
from typing import NamedTuple, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv

from archiver.backends.influx import layout, names, packing
from archiver.model import Kind, SampleBatch
from archiver.model.batch import Int64s, Mask, schema_of

MEASUREMENT, TAGS = "#measurement", "#tags"
"""The first two columns of every answer; left out where the types do not name them."""
_BLOCK_BYTES = 2**21


class Readable(Protocol):
    """A stream of bytes."""

    def read(self, size: int) -> bytes:
        """Return some bytes, none at the end."""


class Stored(NamedTuple):
    """Samples, and of each the number among the versions of its identity."""

    batch: SampleBatch
    versions: Int64s

    def filter(self, mask: Mask) -> Stored:
        """Return those where the mask is true."""
        return self if mask.all() else Stored(self.batch.filter(mask), self.versions[mask])

    @classmethod
    def concat(cls, parts: list[Stored]) -> Stored:
        """Join parts in the given order."""
        versions = np.concatenate([np.zeros(0, np.int64), *(part.versions for part in parts)])
        return cls(SampleBatch.concat([part.batch for part in parts]), versions)


def tables(answer: Readable, types: Mapping[str, pa.DataType]) -> Iterator[pa.RecordBatch]:
    """Yield the rows of an answer as they come; columns of other names than in `types` are text.

    Empty is null, but in text.
    """
    rest = b""
    header: list[str] = []
    while block := answer.read(_BLOCK_BYTES):
        whole, rest = _whole_records(rest + block)
        if whole and not header:
            head, _, whole = whole.partition(b"\n")
            header = [MEASUREMENT, TAGS, *head.decode().strip().split(",")[2:]]
        if whole:
            yield _parse(whole, header, types)
    if rest:
        yield _parse(rest, header, types)


def _whole_records(content: bytes) -> tuple[bytes, bytes]:
    """Return the records that are whole, and the rest: a line break between two quotes is none."""
    end = content.rfind(b"\n")
    while end >= 0 and content.count(b'"', 0, end) % 2:
        end = content.rfind(b"\n", 0, end)
    return content[: end + 1], content[end + 1 :]


def _parse(content: bytes, header: list[str], types: Mapping[str, pa.DataType]) -> pa.RecordBatch:
    table = pa.csv.read_csv(
        io.BytesIO(content),
        pa.csv.ReadOptions(column_names=header, use_threads=False, block_size=len(content) + 1),
        pa.csv.ParseOptions(newlines_in_values=True),
        pa.csv.ConvertOptions(
            column_types={name: types.get(name, pa.utf8()) for name in header},
            include_columns=[name for name in header if name in types or name not in (MEASUREMENT, TAGS)],
            null_values=[""],
            strings_can_be_null=False,
            quoted_strings_can_be_null=False,
        ),
    )
    return table.combine_chunks().to_batches()[0]


def decode(table: pa.RecordBatch) -> Stored:
    """Return the samples of stored rows, in their order."""
    count = table.num_rows
    times = _integers(table, "time")
    exact = _optional(table, "source_time")
    if exact is not None:
        times = np.where(exact.is_valid(), exact.fill_null(0), times)
    sequence, versions = (_optional(table, name) for name in ("sequence", "version"))
    values: dict[Kind, list[pa.Array]] = {}
    kinds = table.column("kind")
    for code, place in enumerate(kinds.dictionary.to_pylist()):
        ours = kinds.indices.to_numpy() == code
        if place != "none" and ours.any():
            held = _value(place, table if ours.all() else table.filter(pa.array(ours)))
            spread = held if ours.all() else held.take(pa.array(np.cumsum(ours) - 1, mask=~ours))
            values.setdefault(layout.KINDS[place], []).append(spread)
    columns = {kind: held[0] if len(held) == 1 else pc.coalesce(*held) for kind, held in sorted(values.items())}
    encoded = table.column("element")
    elements = pa.array([names.element_name(value) for value in encoded.dictionary.to_pylist()], pa.utf8())
    base = [
        pa.DictionaryArray.from_arrays(encoded.indices, elements),
        pa.array(times),
        pa.array(np.zeros(count, np.int32) if sequence is None else sequence.fill_null(0).cast(pa.int32())),
        table.column("receive_time"),
        table.column("status").view(pa.uint64()),
    ]
    batch = SampleBatch(pa.RecordBatch.from_arrays([*base, *columns.values()], schema=schema_of(columns)))
    ordinals = np.zeros(count, np.int64) if versions is None else versions.fill_null(0).to_numpy(zero_copy_only=False)
    return Stored(batch, ordinals)


def _optional(table: pa.RecordBatch, name: str) -> pa.Array | None:
    """Return a column of a rare tag, None where no sample has it."""
    if name not in table.schema.names or table.column(name).null_count == table.num_rows:
        return None
    return table.column(name)


def _integers(table: pa.RecordBatch, name: str) -> Int64s:
    result: Int64s = table.column(name).to_numpy(zero_copy_only=False)
    return result


def _value(place: str, table: pa.RecordBatch) -> pa.Array:
    """Return the values of rows that are all of one place."""
    kind, column = layout.KINDS[place], table.column(place)
    if place in layout.BASE64:
        return packing.unpack(kind, packing.from_base64(_joined_parts(place, table)))
    if place == layout.FLOAT_BITS:
        return column.view(pa.float64())
    return column.view(pa.uint64()) if kind is Kind.UINT else column.cast(kind.arrow_type)


def _joined_parts(place: str, table: pa.RecordBatch) -> pa.Array:
    """Return base64 whose parts are in several fields, whole."""
    counts = _optional(table, "parts")
    if counts is None:
        return table.column(place)
    wanted = counts.fill_null(1).to_numpy(zero_copy_only=False)
    empty = pa.scalar("", pa.large_utf8())
    pieces = [table.column(place)]
    for part in range(1, int(wanted.max())):
        there = pa.array(wanted > part)
        pieces.append(pc.if_else(there, table.column(layout.part_field(place, part)), empty))
    return pc.binary_join_element_wise(*pieces, empty)
