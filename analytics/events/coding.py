"""States as bytes: dataclasses, arrays and plain values, and back by the shape of an initial state."""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from typing import Any

import msgspec
import numpy as np

_ARRAY = 1


def encode(state: Any) -> bytes:
    """Return a tree of dataclasses, numpy arrays and plain values as MessagePack.

    Raises
    ------
    TypeError
        Something else is in there.

    Examples
    --------
    >>> decode(encode({"a": np.arange(3)}), {})["a"].tolist()
    [0, 1, 2]
    """
    return msgspec.msgpack.encode(state, enc_hook=_packed)


def decode(data: bytes, like: Any) -> Any:
    """Return what was encoded.

    Parameters
    ----------
    data : bytes
    like
        A state of the same shape: says which dataclasses there are. What dicts and sequences hold is plain, or arrays.

    Raises
    ------
    ValueError
        It was encoded from another shape, or is broken.
    """
    try:
        return _shaped(msgspec.msgpack.decode(data, ext_hook=_unpacked), like)
    except (msgspec.DecodeError, KeyError, TypeError) as exc:
        raise ValueError(f"not a state of this shape: {exc!r}") from exc


def _packed(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        content = value.tolist() if value.dtype == object else np.ascontiguousarray(value).tobytes()
        return msgspec.msgpack.Ext(_ARRAY, msgspec.msgpack.encode((value.dtype.str, value.shape, content)))
    if isinstance(value, np.generic):
        return value.item()
    raise TypeError(f"a state holds dataclasses, arrays and plain values, no {type(value).__name__}")


def _unpacked(code: int, data: memoryview) -> Any:
    if code != _ARRAY:
        raise ValueError(f"unknown extension {code}")
    dtype, shape, content = msgspec.msgpack.decode(data)
    if dtype == "|O":
        column = np.empty(len(content), object)
        column[:] = content
        return column
    return np.frombuffer(content, dtype).reshape(shape)


def _shaped(value: Any, like: Any) -> Any:
    if is_dataclass(like) and not isinstance(like, type):
        names = [field.name for field in fields(like)]
        if set(value) != set(names):
            raise ValueError(f"not a state of this shape: {sorted(value)} instead of {sorted(names)}")
        return type(like)(**{name: _shaped(value[name], getattr(like, name)) for name in names})
    if isinstance(like, tuple):
        return tuple(_shaped(item, form) for item, form in zip(value, like, strict=True)) if like else tuple(value)
    return value
