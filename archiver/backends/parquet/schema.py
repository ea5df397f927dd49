"""How a sample batch lies in a Parquet file: the columns, and the two types that Delta does not know.

Delta has signed integers only. Status bits are reinterpreted as int64 (bit 63 is the sign: -1 is all bits). Unsigned
values become ``decimal(20, 0)``, which holds all of them exactly and reads as the number it is in every tool.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from archiver.model import Kind, SampleBatch, schema_of
from archiver.model.kind import VALUE_KINDS

PARTITION_COLUMNS = ["group", "day", "bucket"]
BASE_COLUMNS = ["element", "source_time", "sequence", "receive_time", "status"]
_UNSIGNED = pa.decimal128(20, 0)
_KINDS = {kind.column: kind for kind in VALUE_KINDS}


def _stored_type(kind: Kind) -> pa.DataType:
    if kind.item is Kind.UINT:
        return pa.list_(_UNSIGNED) if kind.is_list else _UNSIGNED
    return kind.arrow_type


TABLE_SCHEMA = pa.schema(
    [
        pa.field("element", pa.utf8(), nullable=False),
        pa.field("source_time", pa.int64(), nullable=False),
        pa.field("sequence", pa.int32(), nullable=False),
        pa.field("receive_time", pa.int64(), nullable=False),
        pa.field("status", pa.int64(), nullable=False),
        *(pa.field(kind.column, _stored_type(kind)) for kind in VALUE_KINDS),
        pa.field("group", pa.utf8(), nullable=False),
        pa.field("day", pa.date32(), nullable=False),
        pa.field("bucket", pa.int32(), nullable=False),
    ]
)
"""Columns of the Delta table; a file has the value columns that it uses, and no partition columns."""


def to_stored(batch: SampleBatch) -> pa.RecordBatch:
    """Return the columns of a batch as they are written to a file."""
    arrays = batch.to_arrow().columns
    arrays[4] = arrays[4].view(pa.int64())
    for index, kind in enumerate(batch.kinds, start=len(BASE_COLUMNS)):
        if kind.item is Kind.UINT:
            arrays[index] = arrays[index].cast(_stored_type(kind))
    names = batch.to_arrow().schema.names
    fields = [pa.field(name, a.type, nullable=name in _KINDS) for name, a in zip(names, arrays, strict=True)]
    return pa.RecordBatch.from_arrays(arrays, schema=pa.schema(fields))


def kinds_in(columns: Iterable[str]) -> list[Kind]:
    """Return the kinds whose value columns are among these, in the order of `Kind`."""
    return sorted(_KINDS[name] for name in columns if name in _KINDS)


def from_stored(columns: Mapping[str, pa.Array], names: Sequence[str], codes: NDArray[np.int32]) -> SampleBatch:
    """Return a batch from columns of a file and the elements, which the row-group index knows.

    Parameters
    ----------
    columns : mapping of str to pyarrow.Array
        All base columns but `element`, and value columns.
    names, codes
        Element names, and the index into them per row.
    """
    indices = pa.array(codes, pa.int32())
    element = pa.DictionaryArray.from_arrays(indices, pa.array(names, pa.utf8()), safe=False)  # they are places in it
    arrays = [element, columns["source_time"], columns["sequence"], columns["receive_time"]]
    arrays.append(columns["status"].view(pa.uint64()))
    kinds = [kind for kind in kinds_in(columns) if columns[kind.column].null_count < len(codes)]
    for kind in kinds:
        array = columns[kind.column]
        arrays.append(array.cast(kind.arrow_type) if kind.item is Kind.UINT or array.type != kind.arrow_type else array)
    return SampleBatch(pa.RecordBatch.from_arrays(arrays, schema=schema_of(kinds)))
