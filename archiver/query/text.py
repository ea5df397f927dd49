"""Columns as text, for CSV and JSON: by Arrow and numpy, a row each, null where there is no value."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Mapping
from functools import lru_cache

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from archiver.model import Kind
from archiver.model.batch import Int64s
from archiver.model.time import DAY_NS, NANOSECONDS

_TIME_BYTES = 30
_THREE = np.array([list(f"{number:03d}".encode()) for number in range(1000)], np.uint8)
ByKind = Mapping[Kind, pa.Array]


def times(source_time: Int64s) -> pa.Array:
    """Return instants as ISO-8601 UTC with nine digits, as `format_time` does.

    Examples
    --------
    >>> times(np.array([1_000_000_007])).to_pylist()
    ['1970-01-01T00:00:01.000000007Z']
    """
    count = len(source_time)
    days, in_day = np.divmod(source_time, DAY_NS)
    seconds, fraction = np.divmod(in_day, NANOSECONDS)
    text = np.empty((count, _TIME_BYTES), np.uint8)
    text[:, :10] = _dates(days)
    text[:, 10] = ord("T")
    text[:, 11:19] = _clock()[seconds]
    text[:, 19] = ord(".")
    text[:, 20:23] = _THREE[fraction // 1_000_000]
    text[:, 23:26] = _THREE[fraction // 1000 % 1000]
    text[:, 26:29] = _THREE[fraction % 1000]
    text[:, 29] = ord("Z")
    offsets = np.arange(0, (count + 1) * _TIME_BYTES, _TIME_BYTES, dtype=np.int32)
    return pa.StringArray.from_buffers(count, pa.py_buffer(offsets), pa.py_buffer(text))


def _dates(days: Int64s) -> NDArray[np.uint8]:
    if not len(days):
        return np.empty((0, 10), np.uint8)
    first, last = int(days.min()), int(days.max())
    few = last - first < len(days)
    dates = (np.arange(first, last + 1) if few else days).astype("datetime64[D]")
    text = np.char.encode(np.datetime_as_string(dates), "ascii").view(np.uint8).reshape(-1, 10)
    result: NDArray[np.uint8] = text[days - first] if few else text
    return result


@lru_cache
def _clock() -> NDArray[np.uint8]:
    """Return HH:MM:SS of each second of a day."""
    seconds = np.arange(86_400)
    text = np.full((len(seconds), 8), ord(":"), np.uint8)
    for column, numbers in ((0, seconds // 3600), (3, seconds // 60 % 60), (6, seconds % 60)):
        text[:, column : column + 2] = _THREE[numbers, 1:]
    return text


def csv_names(element: pa.DictionaryArray) -> pa.Array:
    """Return element names, quoted where RFC 4180 asks for it."""
    return _by_name(element, csv_field)


def csv_field(name: str) -> str:
    """Return a name as a field of CSV, quoted where RFC 4180 asks for it."""
    return '"' + name.replace('"', '""') + '"' if any(character in name for character in '",\r\n') else name


def json_names(element: pa.DictionaryArray) -> pa.Array:
    """Return element names as JSON strings."""
    return _by_name(element, _dumps)


def csv_values(columns: ByKind) -> pa.Array:
    """Return the values of rows of which at most one kind is set, as fields of CSV; empty where none is.

    Numbers by the shortest digits that read back as the same, ``NaN``, ``Infinity``, ``true``; text in quotes; binary
    as base64; an enumeration as its number; arrays as JSON in quotes.
    """
    return _one_of([_csv(array, kind) for kind, array in columns.items()], "")


def json_values(columns: ByKind) -> pa.Array:
    """Return the values of rows of which at most one kind is set, as JSON; ``null`` where none is.

    As in CSV, but ``"NaN"``, ``"Infinity"`` and ``"-Infinity"`` are strings, for JSON has no such numbers.
    """
    return _one_of([_json(array, kind) for kind, array in columns.items()], "null")


def json_array(values: pa.Array) -> bytes:
    """Return JSON values, each a text, as one JSON array.

    Examples
    --------
    >>> json_array(pa.array(["1", '{"a":2}']))
    b'[1,{"a":2}]'
    """
    whole = pa.ListArray.from_arrays(pa.array([0, len(values)], pa.int32()), values)
    return b"".join((b"[", pc.binary_join(whole, ",")[0].as_buffer(), b"]"))


def _one_of(texts: list[pa.Array], nothing: str) -> pa.Array:
    if not texts:
        return pa.scalar(nothing)
    return pc.coalesce(*texts, nothing)


def _by_name(element: pa.DictionaryArray, render: Callable[[str], str]) -> pa.Array:
    names = pa.array([render(name) for name in element.dictionary.to_pylist()], pa.utf8())
    return names.take(element.indices)


def _csv(array: pa.Array, kind: Kind) -> pa.Array:
    if kind is Kind.TEXT:
        return _quoted(array)
    if kind is Kind.FLOAT:
        return _floats(array)
    if kind is Kind.BINARY:
        return _base64(array)
    return _quoted(_lists(array, kind)) if kind.is_list else array.cast(pa.utf8())


def _json(array: pa.Array, kind: Kind) -> pa.Array:
    if kind is Kind.TEXT:
        return _escaped(array)
    if kind is Kind.FLOAT:
        return _floats(array, quote='"')
    if kind is Kind.BINARY:
        return _join('"', _base64(array), '"')
    return _lists(array, kind) if kind.is_list else array.cast(pa.utf8())


def _join(*columns: pa.Array | str) -> pa.Array:
    return pc.binary_join_element_wise(*columns, "")


def _quoted(text: pa.Array) -> pa.Array:
    return _join('"', pc.replace_substring(text, '"', '""'), '"')


def _floats(array: pa.Array, quote: str = "") -> pa.Array:
    """Return floats by their shortest digits; a whole number keeps a point, so that it reads back as a float."""
    text = array.cast(pa.utf8())
    number = (array.fill_null(0.5) if array.null_count else array).to_numpy()
    finite = np.isfinite(number)
    whole = finite & (np.trunc(number) == number)
    if whole.any():
        chosen = text.filter(pa.array(whole))
        pointed = pc.if_else(pc.match_substring(chosen, "e"), chosen, _join(chosen, ".0"))
        text = pc.replace_with_mask(text, pa.array(whole), pointed)
    if not finite.all():
        odd = number[~finite]
        names = np.where(np.isnan(odd), "NaN", np.where(odd > 0, "Infinity", "-Infinity"))
        text = pc.replace_with_mask(text, pa.array(~finite), _join(quote, pa.array(names), quote))
    return text


def _escaped(text: pa.Array) -> pa.Array:
    plain = _join('"', text, '"')
    special = pc.match_substring_regex(text, r'["\\\x00-\x1f]').fill_null(False)
    if not pc.any(special).as_py():
        return plain
    distinct = pc.dictionary_encode(text.filter(special))
    escaped = pa.array([_dumps(value) for value in distinct.dictionary.to_pylist()]).take(distinct.indices)
    return pc.replace_with_mask(plain, special, escaped)


def _dumps(value: str) -> str:
    return json.dumps(value, ensure_ascii=False)


def _base64(array: pa.Array) -> pa.Array:
    encoded = [None if value is None else base64.b64encode(value).decode() for value in array.to_pylist()]
    return pa.array(encoded, pa.utf8())


def _lists(array: pa.Array, kind: Kind) -> pa.Array:
    """Return lists as JSON arrays."""
    items = _json(array.flatten(), kind.item)
    lengths = pc.list_value_length(array).fill_null(0).to_numpy()
    offsets = np.append(0, np.cumsum(lengths)).astype(np.int32)
    text = _join("[", pc.binary_join(pa.ListArray.from_arrays(pa.array(offsets), items), ","), "]")
    return pc.if_else(array.is_valid(), text, pa.scalar(None, pa.utf8()))
