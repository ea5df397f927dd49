"""Samples as the columns of a table, and back.

A value is in the column of its form: floats in ``float_value``; int, uint (as signed), bool and enum in
``int_value``; text in ``text_value``; binary in ``bytes_value``; an array in ``bytes_value`` with the number of its
items in ``int_value`` (`archiver.backends.sql.lists`). What a database cannot hold in that column goes beside it:
the bits of a float that it would change are in ``int_value``, UTF-8 that it refuses as text in ``bytes_value``. Where a
database takes nothing at all for null, as Oracle does, a null in the column of a form is the empty text or bytes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from archiver.backends.sql import lists
from archiver.model import Kind, SampleBatch
from archiver.model.batch import Int32s, schema_of
from archiver.model.kind import check_text

Columns = dict[str, pa.Array]
"""Arrow arrays of equal length without nulls; at most one is not of numbers, and that is the last."""

STORED_SCHEMA = pa.schema(
    {
        "element_id": pa.int32(),
        "source_time": pa.int64(),
        "sequence": pa.int32(),
        "receive_time": pa.int64(),
        "status": pa.int64(),
        "kind": pa.int16(),
        "float_value": pa.float64(),
        "int_value": pa.int64(),
        "text_value": pa.utf8(),
        "bytes_value": pa.binary(),
    }
)


@dataclass(frozen=True)
class Exactness:
    """What a database keeps as it is.

    Parameters
    ----------
    every_float : bool
        NaN and -0.0 in a float column.
    nul : bool
        NUL in a text.
    text_bytes : int
        Longest text of a text column.
    """

    every_float: bool
    nul: bool
    text_bytes: int = 2**31 - 1


def encode(batch: SampleBatch, ids: Int32s, exact: Exactness) -> Iterator[Columns]:
    """Yield blocks of columns that hold the samples, one or two per kind.

    Parameters
    ----------
    batch : SampleBatch
    ids : ndarray of int32
        Element id per sample.
    exact : Exactness
        Of the database that stores them.

    Raises
    ------
    PermanentError
        A text is not UTF-8.
    """
    kinds = batch.kind_codes
    base = {
        "element_id": pa.array(ids),
        "source_time": pa.array(batch.source_time),
        "sequence": pa.array(batch.sequence),
        "receive_time": pa.array(batch.receive_time),
        "status": pa.array(batch.status.view(np.int64)),
    }
    for code in np.flatnonzero(np.bincount(kinds)).tolist():
        kind = Kind(code)
        rows = None if (kinds == code).all() else pa.array(kinds == code)
        ours = {name: _filter(array, rows) for name, array in base.items()}
        ours["kind"] = pa.array(np.full(len(ours["status"]), code, np.int16))
        if kind is Kind.NONE:
            yield ours
            continue
        for where, values in _forms(kind, _filter(batch.values(kind), rows), exact):
            yield {name: _filter(array, where) for name, array in (ours | values).items()}


def decode(stored: pa.RecordBatch, names: Mapping[int, str]) -> SampleBatch:
    """Return the samples of stored rows, in their order; `names` by element id."""
    encoded = pc.dictionary_encode(stored.column("element_id"))
    elements = pa.array([names[key] for key in encoded.dictionary.to_pylist()], pa.utf8())
    kinds = stored.column("kind").to_numpy(zero_copy_only=False)
    values: dict[Kind, pa.Array] = {}
    for code in np.flatnonzero(np.bincount(kinds)).tolist():
        if code == Kind.NONE:
            continue
        ours = kinds == code
        if ours.all():
            values[Kind(code)] = _value(Kind(code), stored)
        else:
            spread = pa.array(np.cumsum(ours) - 1, mask=~ours)
            values[Kind(code)] = _value(Kind(code), stored.filter(pa.array(ours))).take(spread)
    base = [
        pa.DictionaryArray.from_arrays(encoded.indices, elements),
        stored.column("source_time"),
        stored.column("sequence"),
        stored.column("receive_time"),
        stored.column("status").view(pa.uint64()),
    ]
    return SampleBatch(pa.RecordBatch.from_arrays([*base, *values.values()], schema=schema_of(values)))


def _filter(array: pa.Array, rows: pa.Array | None) -> pa.Array:
    return array if rows is None else array.filter(rows)


def _forms(kind: Kind, values: pa.Array, exact: Exactness) -> Iterator[tuple[pa.Array | None, Columns]]:
    """Yield which rows a form takes (None is all), and its columns for all rows."""
    if kind.is_list:
        check_text(kind, values.flatten())
        counts, data = lists.pack(kind, values)
        yield None, {"int_value": counts, "bytes_value": data}
    elif kind is Kind.FLOAT:
        bits = values.view(pa.int64())
        odd = None if exact.every_float else pc.or_(pc.is_nan(values), pc.equal(bits, np.iinfo(np.int64).min))
        yield from _split(odd, {"float_value": values}, {"int_value": bits})
    elif kind is Kind.TEXT:
        check_text(kind, values)
        yield from _split(_odd_texts(values, exact), {"text_value": values}, {"bytes_value": values.cast(pa.binary())})
    elif kind is Kind.BINARY:
        yield None, {"bytes_value": values}
    elif kind is Kind.UINT:
        yield None, {"int_value": values.view(pa.int64())}
    else:
        yield None, {"int_value": values.cast(pa.int64())}


def _odd_texts(values: pa.Array, exact: Exactness) -> pa.Array | None:
    long = pc.greater(pc.binary_length(values), exact.text_bytes)
    return long if exact.nul else pc.or_(long, pc.match_substring(values, "\0"))


def _split(odd: pa.Array | None, usual: Columns, unusual: Columns) -> Iterator[tuple[pa.Array | None, Columns]]:
    if odd is None or not pc.any(odd).as_py():
        yield None, usual
    else:
        yield pc.invert(odd), usual
        yield odd, unusual


def _value(kind: Kind, stored: pa.RecordBatch) -> pa.Array:
    """Return the values of rows that are all of one kind."""
    if kind is Kind.FLOAT:
        floats, bits = stored.column("float_value"), stored.column("int_value")
        if not floats.null_count:
            return floats
        return pc.coalesce(floats, bits.view(pa.float64()))
    if kind is Kind.TEXT:
        texts = stored.column("text_value")
        return pc.coalesce(texts, stored.column("bytes_value").cast(pa.utf8()), "") if texts.null_count else texts
    if kind is Kind.BINARY:
        return pc.fill_null(stored.column("bytes_value"), b"")
    numbers = stored.column("int_value")
    if kind.is_list:
        return lists.unpack(kind, numbers.to_numpy(), pc.fill_null(stored.column("bytes_value"), b""))
    if kind is Kind.UINT:
        return numbers.view(pa.uint64())
    return numbers.cast(kind.arrow_type)
