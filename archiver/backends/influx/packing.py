"""Values that InfluxDB has no type for, as text of base64: binary, arrays, and text that a line cannot hold.

An array is its items, little-endian, one after the other. An array of texts or binaries is the number of items (int32),
their lengths (int32), then the items.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from archiver.model import Kind

_WIDTHS = {Kind.FLOAT: "<f8", Kind.INT: "<i8", Kind.UINT: "<u8", Kind.BOOL: "u1", Kind.ENUM: "<i4"}
_ALPHABET = np.frombuffer(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/", np.uint8)
_DIGITS = np.zeros(256, np.uint8)
_DIGITS[_ALPHABET] = np.arange(64, dtype=np.uint8)
_PAD = ord("=")

Bytes = NDArray[np.uint8]
Offsets = NDArray[np.int64]


def pack(kind: Kind, values: pa.Array) -> pa.LargeBinaryArray:
    """Return the bytes of values, none of them null, of a kind of binary, text or array."""
    if not kind.is_list:
        return values.cast(pa.large_binary())
    if kind.item not in _WIDTHS:
        return pa.array([_joined(row.values) for row in values], pa.large_binary())
    width = np.dtype(_WIDTHS[kind.item])
    items = values.flatten().to_numpy(zero_copy_only=False).astype(width)
    lengths = values.value_lengths().to_numpy(zero_copy_only=False).astype(np.int64)
    return _strings(_ends(lengths * width.itemsize), items.view(np.uint8))


def unpack(kind: Kind, data: pa.LargeBinaryArray) -> pa.Array:
    """Return the values of `pack`."""
    if not kind.is_list:
        return data.cast(kind.arrow_type)
    if kind.item not in _WIDTHS:
        rows = [_split(row) for row in data.to_pylist()]
        return pa.array(rows, pa.list_(pa.binary())).cast(kind.arrow_type)
    width = np.dtype(_WIDTHS[kind.item])
    offsets, content = _parts(data)
    items = content.view(width)
    flat = pa.array(items.astype(bool) if kind.item is Kind.BOOL else items, kind.item.arrow_type)
    return pa.ListArray.from_arrays(pa.array((offsets // width.itemsize).astype(np.int32)), flat)


def to_base64(data: pa.LargeBinaryArray) -> pa.LargeStringArray:
    """Return each value as base64, padded."""
    offsets, content = _parts(data)
    lengths = np.diff(offsets)
    ends = _ends((lengths + 2) // 3 * 3)
    padded = np.zeros(int(ends[-1]), np.uint8)
    padded[_spread(ends[:-1] - offsets[:-1], lengths)] = content
    triples = padded.reshape(-1, 3).astype(np.uint32)
    bits = triples[:, 0] << 16 | triples[:, 1] << 8 | triples[:, 2]
    digits = np.stack([bits >> 18, bits >> 12 & 63, bits >> 6 & 63, bits & 63], axis=1)
    text = _ALPHABET[digits].reshape(-1)
    missing = -lengths % 3
    stops = ends[1:] // 3 * 4
    text[stops[missing > 0] - 1] = _PAD
    text[stops[missing > 1] - 2] = _PAD
    return _strings(ends // 3 * 4, text).cast(pa.large_utf8())


def from_base64(text: pa.Array) -> pa.LargeBinaryArray:
    """Return the bytes of base64: the inverse of `to_base64`."""
    offsets, content = _parts(text.cast(pa.large_binary()))
    digits = _DIGITS[content.reshape(-1, 4)].astype(np.uint32)
    bits = digits[:, 0] << 18 | digits[:, 1] << 12 | digits[:, 2] << 6 | digits[:, 3]
    padded = np.stack([bits >> 16, bits >> 8 & 255, bits & 255], axis=1).astype(np.uint8).reshape(-1)
    starts, stops = offsets[:-1], offsets[1:]
    filled = stops > starts
    missing = np.zeros(len(starts), np.int64)
    missing[filled] += content[stops[filled] - 1] == _PAD
    missing[filled] += content[stops[filled] - 2] == _PAD
    lengths = (stops - starts) // 4 * 3 - missing
    ends = _ends(lengths)
    return _strings(ends, padded[_spread(starts // 4 * 3 - ends[:-1], lengths)])


def _spread(shifts: Offsets, lengths: Offsets) -> Offsets:
    """Return where each byte of consecutive values goes, the bytes of a value shifted by so much."""
    return np.arange(int(lengths.sum()), dtype=np.int64) + np.repeat(shifts, lengths)


def _ends(lengths: Offsets) -> Offsets:
    return np.concatenate((np.zeros(1, np.int64), np.cumsum(lengths)))


def _strings(offsets: Offsets, content: Bytes) -> pa.LargeBinaryArray:
    buffers = [None, pa.py_buffer(offsets), pa.py_buffer(np.ascontiguousarray(content))]
    return pa.Array.from_buffers(pa.large_binary(), len(offsets) - 1, buffers)


def _parts(data: pa.LargeBinaryArray) -> tuple[Offsets, Bytes]:
    """Return offsets, beginning with 0, and the bytes that they index."""
    _, offsets, content = data.buffers()
    if not len(data):
        return np.zeros(1, np.int64), np.zeros(0, np.uint8)
    index = np.frombuffer(offsets, np.int64)[data.offset : data.offset + len(data) + 1]
    whole = np.frombuffer(content, np.uint8) if content is not None and content.size else np.zeros(0, np.uint8)
    return index - index[0], whole[index[0] : index[-1]]


def _joined(items: pa.Array) -> bytes:
    lengths: Any = pc.binary_length(items).to_numpy(zero_copy_only=False)
    head = np.concatenate(([len(items)], lengths)).astype("<i4")
    return bytes(head.tobytes() + b"".join(items.cast(pa.binary()).to_pylist()))


def _split(data: bytes) -> list[bytes]:
    count = int(np.frombuffer(data, "<i4", 1)[0])
    start = 4 * (count + 1)
    ends = start + np.cumsum(np.frombuffer(data, "<i4", count, 4))
    return [data[a:b] for a, b in zip([start, *ends.tolist()], ends.tolist(), strict=False)]
