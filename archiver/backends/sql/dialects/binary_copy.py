"""PostgreSQL's binary COPY format, built from columns.

References
----------
PostgreSQL documentation, ``COPY``, "Binary Format": a header, then per row the number of fields (int16) and per
field its length (int32) and big-endian value, then a trailer.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from archiver.backends.sql.columns import Columns

HEADER = b"PGCOPY\n\xff\r\n\0" + bytes(8)
TRAILER = b"\xff\xff"
ROWS_PER_PART = 4_096  # a few hundred kB: what is packed is still in the cache of the processor when it is sent


def stream(columns: Columns) -> Iterator[Any]:
    """Yield the parts of a COPY of these columns, in their order: bytes or other buffers."""
    yield HEADER
    count = len(next(iter(columns.values())))
    for start in range(0, count, ROWS_PER_PART):
        yield _rows({name: array.slice(start, ROWS_PER_PART) for name, array in columns.items()})
    yield TRAILER


def _rows(columns: Columns) -> Any:
    fixed = {name: array for name, array in columns.items() if _is_number(array)}
    fields: list[tuple[str, str]] = [("fields", ">i2")]
    for name, array in fixed.items():
        fields += [(f"{name} length", ">i4"), (name, _big_endian(array))]
    body = next((array for name, array in columns.items() if name not in fixed), None)
    if body is not None:
        fields.append(("body length", ">i4"))
    dtype = np.dtype(fields)
    template = np.zeros((), dtype)
    template["fields"] = len(columns)
    for name in fixed:
        template[f"{name} length"] = dtype[name].itemsize
    rows = np.full(len(next(iter(columns.values()))), template, dtype)
    for name, array in fixed.items():
        rows[name] = array.to_numpy(zero_copy_only=False)
    if body is None:
        return rows.view(np.uint8).data
    rows["body length"] = pc.binary_length(body).to_numpy(zero_copy_only=False)
    return _joined(rows, body.cast(pa.large_binary()))


def _is_number(array: pa.Array) -> bool:
    return bool(pa.types.is_integer(array.type) or pa.types.is_floating(array.type))


def _big_endian(array: pa.Array) -> str:
    return f">{'f' if pa.types.is_floating(array.type) else 'i'}{array.type.byte_width}"


def _joined(rows: NDArray[np.void], body: pa.Array) -> Any:
    """Return each row followed by its body."""
    offsets = np.arange(len(rows) + 1, dtype=np.int64) * rows.dtype.itemsize
    buffers = [None, pa.py_buffer(offsets), pa.py_buffer(rows.view(np.uint8))]
    heads = pa.Array.from_buffers(pa.large_binary(), len(rows), buffers)
    joined = pc.binary_join_element_wise(heads, body, pa.scalar(b"", pa.large_binary()))
    data = joined.buffers()[2]
    return memoryview(data)[: int(pc.sum(pc.binary_length(joined)).as_py())]
