"""Arrow IPC streams to columns: the archive's own schema, or the columns that a person would write."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from archiver.model import InvalidInputError, Kind, SampleBatch
from archiver.model.batch import Mask
from archiver.model.kind import VALUE_KINDS, kind_of
from services.archive.decoding.decoded import Decoded, Refusal

_COLUMNS = {"element", "source_time", "value", "status", "sequence", "receive_time"}
_KIND_COLUMNS = {kind.column: kind for kind in VALUE_KINDS}
_FORMS = "send element, source_time, value and, if you like, status and sequence"


def decode_arrow(body: bytes) -> Decoded:
    """Return the samples of an Arrow IPC stream.

    Columns: ``element`` (text or dictionary), ``source_time`` (int64 ns, or a timestamp with a zone), ``value`` or
    one column per kind (``float``, ``text``, …), ``status`` and ``sequence`` if there are. What the intake sets
    (``receive_time``) is ignored. Rows without a name or time, or with several values, are refused.

    Raises
    ------
    InvalidInputError
        It is no such stream, or has other columns.
    """
    try:
        with pa.ipc.open_stream(body) as reader:
            table = reader.read_all()
        table.validate(full=True)  # the buffers are the client's: an index out of range would crash us
    except pa.ArrowException as exc:
        raise InvalidInputError(f"the body is not an Arrow IPC stream: {exc}") from exc
    _check_columns(table.schema)
    table = table.unify_dictionaries().combine_chunks()
    columns = {name: _flat(table[name]) for name in table.schema.names}
    values = _values(columns)
    bad: dict[str, Mask] = {
        "no element name": _null(columns["element"]),
        "no source_time": _null(columns["source_time"]),
        "several values": _several(values, table.num_rows),
        "an array with null items": _null_items(values, table.num_rows),
    }
    refused = np.any(list(bad.values()), axis=0)
    rows = np.flatnonzero(~refused)
    if refused.any():
        columns = {name: array.take(pa.array(rows)) for name, array in columns.items()}
        values = {kind: array.take(pa.array(rows)) for kind, array in values.items()}
    batch = _batch(columns, values)
    reasons = [(int(row), reason) for reason, mask in bad.items() for row in np.flatnonzero(mask)]
    return Decoded(batch, tuple(Refusal(*item) for item in sorted(dict(reversed(reasons)).items())), rows)


def _check_columns(schema: pa.Schema) -> None:
    names = schema.names
    missing = [name for name in ("element", "source_time") if name not in names]
    unknown = [name for name in names if name not in _COLUMNS and name not in _KIND_COLUMNS]
    if missing or unknown or len(set(names)) < len(names):
        raise InvalidInputError(f"the columns of the Arrow stream are {', '.join(names) or 'none'}; {_FORMS}")
    if (
        "value" not in names
        and not set(names) & set(_KIND_COLUMNS)
        and b"forebay.schema" not in (schema.metadata or {})
    ):
        raise InvalidInputError(f"the Arrow stream has no column value; {_FORMS}")


def _batch(columns: dict[str, pa.Array], values: dict[Kind, pa.Array]) -> SampleBatch:
    try:
        return SampleBatch.from_columns(
            columns["element"],
            _times(columns["source_time"]),
            values,
            status=pc.fill_null(_unsigned(columns["status"]), 0) if "status" in columns else 0,
            sequence=pc.fill_null(columns["sequence"].cast(pa.int32()), 0) if "sequence" in columns else 0,
        )
    except pa.ArrowException as exc:
        raise InvalidInputError(f"a column of the Arrow stream has a type that cannot be archived: {exc}") from exc


def _values(columns: dict[str, pa.Array]) -> dict[Kind, pa.Array]:
    values: dict[Kind, pa.Array] = {kind: columns[name] for name, kind in _KIND_COLUMNS.items() if name in columns}
    if "value" in columns and columns["value"].type != pa.null():
        array = columns["value"]
        if pa.types.is_dictionary(array.type):
            array = array.cast(array.type.value_type)
        values[kind_of(array.type)] = array
    return values


def _times(array: pa.Array) -> pa.Array:
    if pa.types.is_timestamp(array.type):
        if array.type.tz is None:
            raise InvalidInputError("source_time has no time zone: cast it to timestamp('ns', 'UTC') or to int64 ns")
        return array.cast(pa.timestamp("ns", array.type.tz)).cast(pa.int64())
    if not pa.types.is_integer(array.type):
        raise InvalidInputError(f"source_time is of type {array.type}: send int64 ns, or a timestamp with a zone")
    return array


def _unsigned(status: pa.Array) -> pa.Array:
    """Return status bits as uint64; what systems without it keep as int64 is the same bits."""
    return status.view(pa.uint64()) if status.type == pa.int64() else status.cast(pa.uint64())


def _several(values: dict[Kind, pa.Array], count: int) -> Mask:
    present = np.zeros(count, np.int64)
    for array in values.values():
        present += ~_null(array)
    result: Mask = present > 1
    return result


def _null_items(values: dict[Kind, pa.Array], count: int) -> Mask:
    result = np.zeros(count, bool)
    for kind, array in values.items():
        if kind.is_list and array.flatten().null_count:
            result[pc.list_parent_indices(array).filter(array.flatten().is_null()).to_numpy()] = True
    return result


def _null(array: pa.Array) -> Mask:
    result: Mask = (
        np.zeros(len(array), bool) if not array.null_count else array.is_null().to_numpy(zero_copy_only=False)
    )
    return result


def _flat(column: pa.ChunkedArray) -> Any:
    return column.chunk(0) if column.num_chunks == 1 else pa.array([], column.type)
