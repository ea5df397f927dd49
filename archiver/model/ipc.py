"""Columns as bytes and back: Arrow IPC streams, the one form in which columns lie in a file or go over a wire."""

from __future__ import annotations

import pyarrow as pa


def to_ipc(columns: pa.RecordBatch | pa.Table, compression: str | None = None) -> bytes:
    """Return columns as an Arrow IPC stream.

    Parameters
    ----------
    columns : pyarrow.RecordBatch or pyarrow.Table
        Metadata of the schema goes with them.
    compression : str, optional
        ``lz4`` or ``zstd``; none when left out.

    Examples
    --------
    >>> batch = pa.record_batch({"x": [1, 2]})
    >>> from_ipc(to_ipc(batch)) == batch
    True
    """
    return bytes(to_buffer(columns, compression))


def to_buffer(columns: pa.RecordBatch | pa.Table, compression: str | None = None) -> memoryview:
    """Return what `to_ipc` does, as memory of Arrow: one copy less of much."""
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, columns.schema, options=pa.ipc.IpcWriteOptions(compression=compression)) as writer:
        writer.write(columns)
    return memoryview(sink.getvalue())


def from_ipc(payload: bytes | memoryview) -> pa.RecordBatch:
    """Return the batch that `to_ipc` was given; it looks into the bytes and copies nothing.

    Raises
    ------
    pyarrow.ArrowException
        The bytes are no such stream.
    StopIteration
        The stream has no batch.
    """
    with pa.ipc.open_stream(payload) as reader:
        return reader.read_next_batch()
