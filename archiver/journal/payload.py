"""A sample batch as bytes of a journal entry: an Arrow IPC stream, slim where that costs next to nothing.

Of a batch from the intake receive times are all the same, and status and sequence mostly: what is (almost) constant
is kept as that value and its exceptions. Elements take two bytes where there are few. Compressing would cost more
time than writing all the rest.
"""

from __future__ import annotations

import json

import numpy as np
import pyarrow as pa

from archiver.model import SampleBatch, schema_of
from archiver.model.batch import ELEMENT_TYPE
from archiver.model.ipc import from_ipc, to_buffer
from archiver.model.kind import VALUE_KINDS

_CONSTANT = b"forebay.constant"
_CANDIDATES = {"sequence": np.int32, "receive_time": np.int64, "status": np.uint64}
_RARE = 64
_FEW = 2**15


def encode(batch: SampleBatch) -> memoryview:
    """Return a batch as bytes."""
    constant = {}
    record_batch = batch.to_arrow()
    for name in _CANDIDATES:
        column = getattr(batch, name)
        exceptions = np.flatnonzero(column != column[0]) if batch.num_rows else column
        if len(exceptions) * _RARE < batch.num_rows:
            constant[name] = (int(column[0]), exceptions.tolist(), column[exceptions].tolist())
    kept = [name for name in record_batch.schema.names if name not in constant]
    slim = record_batch.select(kept)
    if len(batch.elements) < _FEW:
        names, codes = slim.column(0).dictionary, pa.array(batch.codes.astype(np.int16))
        slim = slim.set_column(0, "element", pa.DictionaryArray.from_arrays(codes, names, safe=False))
    return to_buffer(slim.replace_schema_metadata({_CONSTANT: json.dumps(constant).encode()}))


def decode(payload: bytes | memoryview) -> SampleBatch:
    """Return the batch that `encode` was given."""
    slim = from_ipc(payload)
    columns = dict(zip(slim.schema.names, slim.columns, strict=True))
    columns["element"] = columns["element"].cast(ELEMENT_TYPE)
    for name, (value, rows, exceptions) in json.loads(slim.schema.metadata[_CONSTANT]).items():
        column = np.full(slim.num_rows, value, _CANDIDATES[name])
        column[rows] = np.array(exceptions, _CANDIDATES[name])
        columns[name] = pa.array(column)
    schema = schema_of(kind for kind in VALUE_KINDS if kind.column in columns)
    return SampleBatch(pa.RecordBatch.from_arrays([columns[name] for name in schema.names], schema=schema))
