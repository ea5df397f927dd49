"""Array values as bytes: the items little-endian one after the other, and their number beside them.

Texts and binaries are the lengths of all items (int32), then the items.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from archiver.model import Kind

_DTYPES: dict[Kind, np.dtype[Any]] = {
    Kind.FLOAT: np.dtype("<f8"),
    Kind.INT: np.dtype("<i8"),
    Kind.UINT: np.dtype("<u8"),
    Kind.BOOL: np.dtype("u1"),
    Kind.ENUM: np.dtype("<i4"),
}


def pack(kind: Kind, lists: pa.ListArray) -> tuple[pa.Array, pa.Array]:
    """Return the number of items (int64) and the bytes (large_binary) of each list; no list, no item is null."""
    counts = lists.value_lengths().cast(pa.int64())
    dtype = _DTYPES.get(kind.item)
    if dtype is None:
        return counts, pa.array([_pack_one(row.values) for row in lists], pa.large_binary())
    body = lists.flatten().to_numpy(zero_copy_only=False).astype(dtype)
    offsets = np.concatenate(([0], np.cumsum(counts.to_numpy() * dtype.itemsize)))
    buffers = [None, pa.py_buffer(offsets), pa.py_buffer(body)]
    return counts, pa.Array.from_buffers(pa.large_binary(), len(lists), buffers)


def unpack(kind: Kind, counts: NDArray[np.int64], data: pa.Array) -> pa.ListArray:
    """Return the lists of `pack`."""
    dtype = _DTYPES.get(kind.item)
    offsets = pa.array(np.concatenate(([0], np.cumsum(counts))).astype(np.int32))
    if dtype is None:
        rows = [_unpack_one(count, row) for count, row in zip(counts.tolist(), data.to_pylist(), strict=True)]
        items = pa.array([item for row in rows for item in row], pa.binary()).cast(kind.item.arrow_type)
    else:
        flat = np.frombuffer(b"".join(data.to_pylist()), dtype)
        items = pa.array(flat.astype(bool) if kind.item is Kind.BOOL else flat, kind.item.arrow_type)
    return pa.ListArray.from_arrays(offsets, items)


def _pack_one(items: pa.Array) -> bytes:
    lengths = pc.binary_length(items).to_numpy().astype("<i4")
    return bytes(lengths.tobytes() + b"".join(items.cast(pa.binary()).to_pylist()))


def _unpack_one(count: int, data: bytes) -> list[bytes]:
    ends = (4 * count + np.cumsum(np.frombuffer(data, "<i4", count))).tolist()
    return [data[start:end] for start, end in zip([4 * count, *ends], ends, strict=False)]
