"""The Arrow form of an answer: columns a person would choose, fixed before the first row is given.

Samples are ``element, source_time, value, status, receive_time, sequence``. When the answer holds values of
several kinds there is a column of each (``float``, ``text``, …) in the place of ``value``. Likewise the aggregates
that keep the kind of the values (``min``, ``max``, ``first``, ``last``): ``min_float``, ``min_int``.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from typing import Any, Protocol, TypeVar

import pyarrow as pa

from archiver.model import Kind, SampleBatch, UnsupportedError
from archiver.model.batch import ELEMENT_TYPE
from archiver.model.kind import VALUE_KINDS

SETTLE_ROWS = 1_000_000
"""How many rows are held to see which kinds of value there are; beyond them, the last values tell."""


class Rows(Protocol):
    """What an answer consists of: samples or buckets."""

    @property
    def num_rows(self) -> int:
        """How many."""

    @property
    def kinds(self) -> tuple[Kind, ...]:
        """Kinds that have values in there."""


R = TypeVar("R", bound=Rows)


def settle(rows: Iterator[R], probe: Callable[[R], set[Kind]]) -> tuple[tuple[Kind, ...], Iterator[R]]:
    """Return the kinds of value in a stream, and the stream from its beginning.

    Parameters
    ----------
    rows : iterator
    probe : callable
        Asked when the stream is longer than `SETTLE_ROWS`: the kinds of the last values of the elements that come up
        in the rows given, the last of those held, or later.
    """
    held: list[R] = []
    kinds: set[Kind] = set()
    count = 0
    for item in rows:
        held.append(item)
        kinds.update(kinds_in(item))
        count += item.num_rows
        if count >= SETTLE_ROWS:
            kinds |= probe(item)
            break
    return tuple(sorted(kinds)), itertools.chain(held, rows)


def kinds_in(rows: Rows) -> tuple[Kind, ...]:
    """Return the kinds that have a value in some rows: a column of samples may be all null in a part of them."""
    if isinstance(rows, SampleBatch) and len(rows.kinds) > 1:
        return tuple(kind for kind in rows.kinds if rows.values(kind).null_count < rows.num_rows)
    return rows.kinds


def fields_of(name: str, kinds: tuple[Kind, ...], prefix: str = "") -> list[tuple[Kind, Any]]:
    """Return the Arrow fields that hold values of some kinds: one called `name`, or one per kind."""
    if len(kinds) > 1:
        return [(kind, pa.field(prefix + kind.column, kind.arrow_type)) for kind in kinds]
    kind = kinds[0] if kinds else Kind.FLOAT
    return [(kind, pa.field(name, kind.arrow_type))]


def check_kinds(found: tuple[Kind, ...], settled: tuple[Kind, ...]) -> None:
    """Raise when values turn up for which there is no column.

    Raises
    ------
    UnsupportedError
        An element changed its type in the middle of an answer, and back before its end.
    """
    surprising = [kind.column for kind in found if kind not in (settled or (Kind.FLOAT,))]
    if surprising:
        raise UnsupportedError(
            f"values of another kind ({', '.join(surprising)}) turned up after the columns of this long answer were "
            f"fixed: ask for a shorter interval or fewer elements, or as CSV or JSON, which hold any kind"
        )


def sample_schema(kinds: tuple[Kind, ...]) -> pa.Schema:
    """Return the schema of samples with values of these kinds."""
    return pa.schema(
        [
            pa.field("element", ELEMENT_TYPE, nullable=False),
            pa.field("source_time", pa.int64(), nullable=False),
            *(field for _, field in fields_of("value", kinds)),
            pa.field("status", pa.uint64(), nullable=False),
            pa.field("receive_time", pa.int64(), nullable=False),
            pa.field("sequence", pa.int32(), nullable=False),
        ]
    )


def sample_columns(batch: SampleBatch, kinds: tuple[Kind, ...]) -> list[pa.Array]:
    """Return the columns of samples, as in `sample_schema`, without the element."""
    check_kinds(kinds_in(batch), kinds)
    values = [batch.values(kind) for kind, _ in fields_of("value", kinds)]
    return [batch.column("source_time"), *values, *(batch.column(n) for n in ("status", "receive_time", "sequence"))]


def samples_in(batch: pa.RecordBatch) -> SampleBatch:
    """Return the samples that a record batch of `sample_schema` holds."""
    names = set(batch.schema.names)
    values: Any = {kind: batch.column(kind.column) for kind in VALUE_KINDS if kind.column in names}
    return SampleBatch.from_columns(
        batch.column("element"),
        batch.column("source_time"),
        batch.column("value") if "value" in names else values,
        status=batch.column("status"),
        receive_time=batch.column("receive_time").to_numpy(),
        sequence=batch.column("sequence"),
    )
