"""A sample batch as bytes of a journal entry: an Arrow IPC stream without the columns that are constant.

Of a batch from the intake, receive times always are, status and sequence mostly; left out, they cost nothing,
where compressing them would cost more time than writing all the rest.
"""

from __future__ import annotations

import json

import numpy as np
import pyarrow as pa

from archiver.model import SampleBatch, schema_of
from archiver.model.ipc import from_ipc, to_ipc
from archiver.model.kind import VALUE_KINDS

_CONSTANT = b"forebay.constant"
_CANDIDATES = {"sequence": np.int32, "receive_time": np.int64, "status": np.uint64}


def encode(batch: SampleBatch) -> bytes:
    """Return a batch as bytes."""
    constant = {}
    record_batch = batch.to_arrow()
    for name in _CANDIDATES:
        column = getattr(batch, name)
        if batch.num_rows and (column == column[0]).all():
            constant[name] = int(column[0])
    kept = [name for name in record_batch.schema.names if name not in constant]
    slim = record_batch.select(kept).replace_schema_metadata({_CONSTANT: json.dumps(constant).encode()})
    return to_ipc(slim)


def decode(payload: bytes) -> SampleBatch:
    """Return the batch that `encode` was given."""
    slim = from_ipc(payload)
    constant = json.loads(slim.schema.metadata[_CONSTANT])
    schema = schema_of(kind for kind in VALUE_KINDS if kind.column in slim.schema.names)
    columns = [
        pa.array(np.full(slim.num_rows, constant[name], _CANDIDATES[name])) if name in constant else slim.column(name)
        for name in schema.names
    ]
    return SampleBatch(pa.RecordBatch.from_arrays(columns, schema=schema))
