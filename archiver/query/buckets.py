"""Aggregates per element and bucket.

A sample is good when it has a value, which is not NaN, and its status is neither bad (`is_bad`) nor a gap (`is_gap`:
disconnected, paused). All aggregates but ``count`` are of good samples only.

====================  =====================================================================================
``count``             samples, good or not
``good_count``        good samples
``min``, ``max``      of numbers and bool; exact, of the kind of the values
``mean``, ``std``     of the samples as they are; standard deviation with ddof = 1, null for less than two
``time_weighted_mean``  integral divided by the time over which a value was held
``integral``          value x seconds over the time that a value was held
``first``, ``last``   the first and last good value of any kind, exact
====================  =====================================================================================

A number is held, as a step, from its sample to the next one of the element, whatever that is: after one that is not
good, or not a number, nothing is held. A bucket begins with what was held before it, the first one too. Nothing is held
beyond the end of the query, nor beyond now. Where there is nothing to aggregate, the result is null.

Every bucket of the interval has a row, with count 0 when it is empty, for each element that has a sample in the
interval or before it. Int64 and uint64 are exact in min, max, first and last; the rest is computed in float64. Where
one bucket holds numbers of several kinds, min and max are float64.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pyarrow as pa

from archiver.model import Kind
from archiver.model.batch import ELEMENT_TYPE, Int64s
from archiver.model.partials import Typed
from archiver.query.shape import check_kinds, fields_of

KEEPING_KIND = ("min", "max", "first", "last")
COUNTS = ("count", "good_count")


@dataclass(frozen=True)
class Buckets:
    """Rows of an aggregated answer: an element, a bucket and its aggregates each."""

    element: pa.Array
    start: Int64s
    end: Int64s
    numbers: Mapping[str, pa.Array]
    typed: Typed

    @property
    def num_rows(self) -> int:
        """How many."""
        return len(self.start)

    def slice(self, offset: int, length: int) -> Buckets:
        """Return a run of rows."""
        rows = slice(offset, offset + length)
        return Buckets(
            self.element[rows],
            self.start[rows],
            self.end[rows],
            {name: column[rows] for name, column in self.numbers.items()},
            {name: {kind: array[rows] for kind, array in by.items()} for name, by in self.typed.items()},
        )

    @property
    def kinds(self) -> tuple[Kind, ...]:
        """Kinds that the aggregates which keep the kind are of."""
        columns = [(kind, array) for by_kind in self.typed.values() for kind, array in by_kind.items()]
        return tuple(sorted({kind for kind, array in columns if array.null_count < len(array)}))

    def columns(self, aggregates: Sequence[str], kinds: tuple[Kind, ...]) -> list[pa.Array]:
        """Return the columns, as in `bucket_schema`, without the element."""
        check_kinds(self.kinds, kinds)
        columns = [pa.array(self.start), pa.array(self.end)]
        for name in aggregates:
            if name in KEEPING_KIND:
                by_kind = self.typed[name]
                for kind, field in fields_of(name, kinds, f"{name}_"):
                    columns.append(by_kind[kind] if kind in by_kind else pa.nulls(self.num_rows, field.type))
            else:
                columns.append(self.numbers[name])
        return columns


def bucket_schema(aggregates: Sequence[str], kinds: tuple[Kind, ...]) -> pa.Schema:
    """Return the schema of aggregates: element, bucket_start and bucket_end (ns), and the aggregates as asked."""
    fields = [
        pa.field("element", ELEMENT_TYPE, nullable=False),
        pa.field("bucket_start", pa.int64(), nullable=False),
        pa.field("bucket_end", pa.int64(), nullable=False),
    ]
    for name in aggregates:
        if name in KEEPING_KIND:
            fields += [field for _, field in fields_of(name, kinds, f"{name}_")]
        else:
            fields.append(pa.field(name, pa.int64() if name in COUNTS else pa.float64()))
    return pa.schema(fields)
