"""A batch of samples as Arrow columns: the one shape that data has from the socket to the disk.

===============  ====================  ============================================================
column           type                  meaning
===============  ====================  ============================================================
element          dictionary<int32>     datapoint element name
source_time      int64                 when the source says the value held, ns since the epoch
sequence         int32                 order among samples of equal element and source time
receive_time     int64                 when the intake saw it, ns; orders the versions of a sample
status           uint64                all status bits
one per kind     see `Kind`            the value; at most one is set; none set is "bad, no value"
===============  ====================  ============================================================

A value column in which nothing is set is left out. `(element, source_time, sequence)` is the identity of a
sample; samples of one identity that differ are versions of it, and the newest `receive_time` is the valid one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import ArrayLike, NDArray

from archiver.model.errors import InvalidInputError
from archiver.model.kind import VALUE_KINDS, Kind, kind_of
from archiver.model.time import Interval

SCHEMA_VERSION = b"1"
ELEMENT_TYPE = pa.dictionary(pa.int32(), pa.utf8())
BASE_FIELDS = (
    pa.field("element", ELEMENT_TYPE, nullable=False),
    pa.field("source_time", pa.int64(), nullable=False),
    pa.field("sequence", pa.int32(), nullable=False),
    pa.field("receive_time", pa.int64(), nullable=False),
    pa.field("status", pa.uint64(), nullable=False),
)
_METADATA = {b"forebay.schema": SCHEMA_VERSION}
_BY_COLUMN = {kind.column: kind for kind in VALUE_KINDS}
_BASE_NAMES = [field.name for field in BASE_FIELDS]
_SCHEMAS: dict[tuple[Kind, ...], pa.Schema] = {}

Int64s = NDArray[np.int64]
Int32s = NDArray[np.int32]
Mask = NDArray[np.bool_]
Values = Mapping[Kind, pa.Array]


def schema_of(kinds: Iterable[Kind]) -> pa.Schema:
    """Return the schema of a batch that holds values of these kinds."""
    key = tuple(sorted(kinds))
    if key not in _SCHEMAS:
        fields = [*BASE_FIELDS, *(pa.field(kind.column, kind.arrow_type) for kind in key)]
        _SCHEMAS[key] = pa.schema(fields, metadata=_METADATA)
    return _SCHEMAS[key]


class SampleBatch:
    """Columns of samples; immutable.

    Parameters
    ----------
    record_batch : pyarrow.RecordBatch
        Columns as in the table above, base columns first, value columns in the order of `Kind`.
    elements : list of str, optional
        What its dictionary holds, where that is at hand: reading it from Arrow costs more than most else. Never to be
        changed.

    Raises
    ------
    InvalidInputError
        The schema is another one.
    """

    def __init__(self, record_batch: pa.RecordBatch, elements: list[str] | None = None) -> None:
        names = record_batch.schema.names
        kinds = tuple(_BY_COLUMN[name] for name in names[len(BASE_FIELDS) :] if name in _BY_COLUMN)
        schema = schema_of(kinds)
        if record_batch.schema is not schema and not record_batch.schema.equals(schema):
            raise InvalidInputError(f"not a sample batch: columns are {record_batch.schema}, expected {schema}")
        self._batch = record_batch
        self._kinds = kinds
        if elements is not None:
            self.__dict__["elements"] = elements

    # -- making ---------------------------------------------------------------------------------------

    @classmethod
    def from_columns(
        cls,
        element: str | Sequence[str] | pa.Array,
        source_time: ArrayLike | pa.Array,
        value: Any,
        *,
        status: int | ArrayLike | pa.Array = 0,
        kind: Kind | None = None,
        receive_time: int | ArrayLike = 0,
        sequence: int | ArrayLike = 0,
    ) -> SampleBatch:
        """Build a batch from columns of equal length.

        Parameters
        ----------
        element : str, sequence of str or Arrow (dictionary) array
            One name for all samples, or a name each.
        source_time, receive_time : array of int64, ns
        value : array, list or mapping of `Kind` to array
            Values of one kind (the kind is read from the type when `kind` is left out), or arrays by kind of
            which at most one is set in each row. Null means "bad, no value"; NaN stays NaN.
        status : int or array of uint64
        sequence : int or array of int32

        Raises
        ------
        InvalidInputError
            Lengths differ, a name or time is null, a number does not fit its column, the values have no kind, a
            sample has two of them, or an array has null items.

        Examples
        --------
        >>> batch = SampleBatch.from_columns("T1", [0, 1_000_000_000], [20.5, None])
        >>> batch.num_rows, batch.kinds
        (2, (<Kind.FLOAT: 1>,))
        """
        times = as_int64(source_time, "source_time")
        count = len(times)
        given = value if isinstance(value, Mapping) else _values_of(value, kind)
        columns: list[Any] = [
            _elements(element, count),
            pa.array(times),
            pa.array(_spread(sequence, count, np.int32, "sequence")),
            pa.array(_spread(receive_time, count, np.int64, "receive_time")),
            pa.array(_spread(status, count, np.uint64, "status")),
        ]
        lengths = {len(column) for column in (*columns, *given.values())}
        if lengths != {count}:
            raise InvalidInputError(f"the columns have different lengths: {sorted(lengths)}")
        values = {k: _arrow(given[k], k.arrow_type, "value") for k in VALUE_KINDS if k in given}
        values = {k: array for k, array in values.items() if array.null_count < count}
        if len(values) > 1:
            _check_one_set(values.values())
        if any(kind.is_list and array.flatten().null_count for kind, array in values.items()):
            raise InvalidInputError("an array has null items; a sample has a value as a whole or none (NaN is a value)")
        return cls(pa.RecordBatch.from_arrays([*columns, *values.values()], schema=schema_of(values)))

    @classmethod
    def empty(cls) -> SampleBatch:
        """Return a batch without samples."""
        return _EMPTY

    @classmethod
    def concat(cls, batches: Sequence[SampleBatch]) -> SampleBatch:
        """Join batches in the given order; dictionaries are unified, value columns joined by kind."""
        filled = [batch for batch in batches if batch.num_rows]
        if len(filled) <= 1:
            return filled[0] if filled else _EMPTY
        kinds = sorted({kind for batch in filled for kind in batch.kinds})
        chunks = pa.chunked_array([batch.column("element") for batch in filled])
        arrays = [chunks.unify_dictionaries().combine_chunks()]
        if isinstance(arrays[0], pa.ChunkedArray):  # pragma: no cover - depends on the pyarrow version
            arrays = [pa.concat_arrays(arrays[0].chunks)]
        arrays += [pa.concat_arrays([batch.column(name) for batch in filled]) for name in _BASE_NAMES[1:]]
        arrays += [pa.concat_arrays([batch.values(kind) for batch in filled]) for kind in kinds]
        return cls(pa.RecordBatch.from_arrays(arrays, schema=schema_of(kinds)))

    # -- looking --------------------------------------------------------------------------------------

    @property
    def num_rows(self) -> int:
        """Number of samples."""
        return int(self._batch.num_rows)

    def __len__(self) -> int:
        return self.num_rows

    def __eq__(self, other: object) -> bool:
        # as text NaN equals NaN and -0.0 is not 0.0
        return isinstance(other, SampleBatch) and repr(self.to_pylist()) == repr(other.to_pylist())

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"<SampleBatch {self.num_rows} samples of {len(self.elements)} elements>"

    @property
    def kinds(self) -> tuple[Kind, ...]:
        """Kinds that have a value column, in the order of `Kind`."""
        return self._kinds

    @cached_property
    def elements(self) -> list[str]:
        """Names in the dictionary; `codes` index it. A name may have no sample left after a filter."""
        names: list[str] = self._batch.column(0).dictionary.to_pylist()
        return names

    @cached_property
    def codes(self) -> Int32s:
        """Index into `elements`, int32 per sample."""
        return _numpy(self._batch.column(0).indices)

    @cached_property
    def source_time(self) -> Int64s:
        """Ns since the epoch, int64 per sample."""
        return _numpy(self._batch.column(1))

    @cached_property
    def sequence(self) -> Int32s:
        """Order among samples of equal element and source time, int32 per sample."""
        return _numpy(self._batch.column(2))

    @cached_property
    def receive_time(self) -> Int64s:
        """Ns since the epoch, int64 per sample."""
        return _numpy(self._batch.column(3))

    @cached_property
    def status(self) -> NDArray[np.uint64]:
        """Status bits, uint64 per sample."""
        return _numpy(self._batch.column(4))

    def column(self, name: str) -> pa.Array:
        """Return a column by name, as Arrow array."""
        return self._batch.column(name)

    def values(self, kind: Kind) -> pa.Array:
        """Return the value column of a kind, all null when the batch has none of it."""
        if kind in self._kinds:
            return self._batch.column(len(BASE_FIELDS) + self._kinds.index(kind))
        return pa.nulls(self.num_rows, kind.arrow_type)

    @cached_property
    def kind_codes(self) -> NDArray[np.uint8]:
        """`Kind` of each sample's value, uint8; 0 where there is no value."""
        result = np.zeros(self.num_rows, np.uint8)
        for kind in self._kinds:
            array = self.values(kind)
            if array.null_count == 0:
                result[:] = kind
            else:
                result[_numpy(array.is_valid())] = kind
        return result

    def present(self) -> list[str]:
        """Return the names that have at least one sample, in dictionary order."""
        codes = self.codes
        used = np.zeros(len(self.elements), bool)
        used[codes[np.flatnonzero(codes[1:] != codes[:-1])]] = True  # the ends of runs: few, where they are in order
        used[codes[-1:]] = True
        return [name for name, flag in zip(self.elements, used.tolist(), strict=True) if flag]

    def to_arrow(self) -> pa.RecordBatch:
        """Return the Arrow record batch itself, without a copy."""
        return self._batch

    def to_pylist(self) -> list[tuple[Any, ...]]:
        """Return a tuple per sample (element, source time, sequence, receive time, status, kind, value): for tests."""
        values = [self.values(kind).to_pylist() for kind in self._kinds]
        base = zip(*(self._batch.column(i).to_pylist() for i in range(len(BASE_FIELDS))), strict=True)
        rows = []
        for index, fields in enumerate(base):
            kind = Kind(int(self.kind_codes[index]))
            value = None if kind is Kind.NONE else values[self._kinds.index(kind)][index]
            rows.append((*fields, kind, value))
        return rows

    # -- choosing -------------------------------------------------------------------------------------

    def take(self, indices: ArrayLike) -> SampleBatch:
        """Return the samples at these row numbers, in that order."""
        return self._derived(self._batch.take(pa.array(np.asarray(indices, dtype=np.int64))))

    def filter(self, mask: Mask) -> SampleBatch:
        """Return the samples where the mask is true; the batch itself when that is all of them."""
        return self if mask.all() else self._derived(self._batch.filter(pa.array(mask)))

    def slice(self, offset: int, length: int | None = None) -> SampleBatch:
        """Return a run of samples, without a copy."""
        return self._derived(self._batch.slice(offset, length))

    def mask_elements(self, names: Iterable[str]) -> Mask:
        """Return where the element is one of these names, bool per sample."""
        wanted = set(names)
        table = np.fromiter((name in wanted for name in self.elements), bool, len(self.elements))
        result: Mask = table[self.codes] if len(table) else np.zeros(self.num_rows, bool)
        return result

    def mask_interval(self, interval: Interval) -> Mask:
        """Return where the source time lies in the interval, bool per sample."""
        return (self.source_time >= interval.start) & (self.source_time < interval.end)

    def compacted(self) -> SampleBatch:
        """Return the batch with a dictionary of just the names in use, sorted by name."""
        names = self.elements
        present = sorted(set(self.present()))
        if present == names:
            return self
        ranks = {name: rank for rank, name in enumerate(present)}
        table = np.fromiter((ranks.get(name, 0) for name in names), np.int32, len(names))
        return self.with_elements(table[self.codes], present)

    def pruned(self) -> SampleBatch:
        """Return the batch without value columns in which nothing is set, as a filter may leave them."""
        kinds = [kind for kind in self._kinds if self.values(kind).null_count < self.num_rows]
        if len(kinds) == len(self._kinds):
            return self
        arrays = self._batch.columns[: len(BASE_FIELDS)] + [self.values(kind) for kind in kinds]
        return SampleBatch(pa.RecordBatch.from_arrays(arrays, schema=schema_of(kinds)))

    def with_elements(self, codes: Int32s, names: Sequence[str]) -> SampleBatch:
        """Return the batch with other names: `codes` index `names`."""
        column = pa.DictionaryArray.from_arrays(pa.array(codes, pa.int32()), pa.array(names, pa.utf8()))
        return SampleBatch(self._replaced(0, column))

    def with_receive_time(self, receive_time: int) -> SampleBatch:
        """Return the batch with one receive time for all samples, ns."""
        return self._derived(self._replaced(3, pa.array(np.full(self.num_rows, receive_time, np.int64))))

    def with_sequence(self, sequence: Int32s) -> SampleBatch:
        """Return the batch with other sequence numbers."""
        return self._derived(self._replaced(2, pa.array(sequence, pa.int32())))

    def sorted(self) -> SampleBatch:
        """Return the batch in the order element name, source time, sequence, receive time."""
        compact = self.compacted()
        order = sort_order(compact.codes, compact.source_time, compact.sequence, compact.receive_time)
        return compact if order is None else compact.take(order)

    def _replaced(self, index: int, column: pa.Array) -> pa.RecordBatch:
        arrays = self._batch.columns
        arrays[index] = column
        return pa.RecordBatch.from_arrays(arrays, schema=self._batch.schema)

    def _derived(self, record_batch: pa.RecordBatch) -> SampleBatch:
        """Wrap rows of this batch: the names are the same, and reading them from Arrow again would cost most."""
        return SampleBatch(record_batch, self.__dict__.get("elements"))


def sort_order(codes: NDArray[np.signedinteger[Any]], *keys: NDArray[Any]) -> Int64s | None:
    """Return the stable order of rows by `codes` (not negative), then by the keys; None when they are in it already.

    Batches come grouped by time or by element, and rarely shuffled, so the cheap orders are tried first.
    """
    columns = (codes, *keys)
    if len(codes) < 2 or _ascending(columns):
        return None
    order = by_code(codes)
    if _ascending(column[order] for column in columns):
        return order
    least = int(keys[0].min())
    span = int(keys[0].max()) - least + 1
    if span * (int(codes.max()) + 1) < 2**63:  # both fit in one number, which sorts at once; mostly sorted by now
        number = codes[order] * np.int64(span) + (keys[0][order] - least)
        order = order[np.argsort(number, kind="stable")]
        if _ascending(column[order] for column in columns):
            return order
    order = np.lexsort(keys[::-1])
    return order[by_code(codes[order])]


def by_code(codes: NDArray[Any]) -> Int64s:
    """Return the stable order of rows by their codes, which are not negative."""
    narrow = codes.astype(np.int16) if codes.max(initial=0) < 2**15 else codes  # numpy sorts 16 bits by radix
    return np.argsort(narrow, kind="stable")


def _ascending(columns: Iterable[NDArray[Any]]) -> bool:
    """Whether rows are in lexicographic order of the columns, equal neighbours allowed; as few are read as needed."""
    tied: Mask | None = None
    for column in columns:
        after, before = column[1:], column[:-1]
        below, equal = after < before, after == before
        if (below if tied is None else tied & below).any():
            return False
        tied = equal if tied is None else tied & equal
        if not tied.any():
            return True
    return True


def _numpy(array: pa.Array) -> NDArray[Any]:
    result: NDArray[Any] = array.to_numpy(zero_copy_only=False)
    return result


def as_int64(values: ArrayLike | pa.Array, what: str) -> Int64s:
    """Return integers as int64.

    Raises
    ------
    InvalidInputError
        Something in there is not an integer, null, or too large.
    """
    return _integers(values, np.int64, what)


def _integers(values: ArrayLike | pa.Array, dtype: type[np.integer[Any]], what: str) -> NDArray[Any]:
    """Return integers as another integer type; one that does not fit is an error, never cut."""
    column: Any = values
    if isinstance(values, (list, tuple)):  # numpy would make floats of integers on both sides of 2^63
        column = _arrow(values, pa.from_numpy_dtype(dtype), what)
    if isinstance(column, (pa.Array, pa.ChunkedArray)):
        if column.null_count:
            raise InvalidInputError(f"{what} has {column.null_count} nulls")
        if not pa.types.is_integer(column.type):
            raise InvalidInputError(f"{what} must be integers, not {column.type}")
        column = _numpy(column)
    array = np.asarray(column)
    if array.size and array.dtype.kind not in "iu":
        raise InvalidInputError(f"{what} must be integers, not {array.dtype}")
    bounds = np.iinfo(dtype)
    if array.size and not (bounds.min <= int(array.min()) and int(array.max()) <= bounds.max):
        raise InvalidInputError(f"{what} must lie between {bounds.min} and {bounds.max}")
    return array.astype(dtype, copy=False)


def _spread(value: Any, count: int, dtype: type[np.integer[Any]], what: str) -> NDArray[Any]:
    array = _integers(value, dtype, what)
    return np.full(count, array, dtype) if array.ndim == 0 else array


def _arrow(values: Any, type_: pa.DataType | None, what: str) -> pa.Array:
    """Return anything as one Arrow array of a type, without loss; numpy's NaN stays NaN."""
    try:
        if isinstance(values, pa.ChunkedArray):
            values = pa.concat_arrays(values.chunks) if values.num_chunks else pa.array([], values.type)
        if not isinstance(values, pa.Array):
            values = _from_python(values, type_)
        return values if type_ is None or values.type == type_ else values.cast(type_)
    except (pa.ArrowException, OverflowError, TypeError, ValueError) as exc:
        raise InvalidInputError(f"{what}: {exc}") from exc


def _from_python(values: Any, type_: pa.DataType | None) -> pa.Array:
    item = type_.value_type if type_ is not None and pa.types.is_list(type_) else type_
    if item is not None and pa.types.is_integer(item) and not isinstance(values, np.ndarray):
        try:
            inferred = pa.array(values, from_pandas=False)
        except OverflowError:  # integers beyond int64
            return pa.array(values, type_)
        if not pa.types.is_integer(getattr(inferred.type, "value_type", inferred.type)):
            return inferred  # to be cast with a check: given the type, pyarrow makes 1 of 1.5
    return pa.array(values, type_, from_pandas=False)


def _elements(element: str | Sequence[str] | pa.Array, count: int) -> pa.DictionaryArray:
    if isinstance(element, str):
        return pa.DictionaryArray.from_arrays(pa.array(np.zeros(count, np.int32)), pa.array([element], pa.utf8()))
    array = element if isinstance(element, pa.Array) else pa.array(element, pa.utf8())
    if pa.types.is_dictionary(array.type):
        names = array.dictionary
        if names.null_count or len(names.unique()) < len(names):  # legal in Arrow; here a code is a name
            array = array.dictionary_decode()
    if array.null_count:
        raise InvalidInputError(f"{array.null_count} samples have no element name")
    if pa.types.is_dictionary(array.type):
        return array if array.type == ELEMENT_TYPE else array.cast(ELEMENT_TYPE)
    return pc.dictionary_encode(array.cast(pa.utf8()))


def _values_of(value: Any, kind: Kind | None) -> dict[Kind, pa.Array]:
    array = _arrow(value, None if kind is None else kind.arrow_type, "value")
    return {kind_of(array.type) if kind is None else kind: array}


def _check_one_set(values: Iterable[pa.Array]) -> None:
    """Raise when a sample has two values."""
    count = sum(_numpy(array.is_valid()).astype(np.uint8) for array in values)
    if np.any(count > 1):
        raise InvalidInputError(f"sample {int(np.argmax(count > 1))} has values of several kinds; give it one")


_EMPTY = SampleBatch(
    pa.RecordBatch.from_arrays(
        [pa.nulls(0, field.type) for field in BASE_FIELDS],  # pa.array would import pandas, where there is one
        schema=schema_of(()),
    )
)
