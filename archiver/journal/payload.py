"""A sample batch as bytes of a journal entry: an Arrow IPC stream."""

from __future__ import annotations

import pyarrow as pa

from archiver.model import SampleBatch

_OPTIONS = pa.ipc.IpcWriteOptions(compression="lz4")


def encode(batch: SampleBatch) -> bytes:
    """Return a batch as an Arrow IPC stream with LZ4 buffers: constant columns take next to nothing."""
    sink = pa.BufferOutputStream()
    record_batch = batch.to_arrow()
    with pa.ipc.new_stream(sink, record_batch.schema, options=_OPTIONS) as writer:
        writer.write_batch(record_batch)
    result: bytes = sink.getvalue().to_pybytes()
    return result


def decode(payload: bytes) -> SampleBatch:
    """Return the batch that `encode` was given."""
    with pa.ipc.open_stream(payload) as reader:
        return SampleBatch(reader.read_next_batch())
