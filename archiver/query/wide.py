"""A wide table: a row per time, and of each element its value and status then.

Columns are ``source_time``, and for each element, in the order asked, one called as the element and one called
``<element> status``. Where the values of an element are of several kinds it has a column of each:
``<element> float``, ``<element> text``. All are null where no sample counts; where one does, the status is its own, and
the value is null when the sample has none. Of a point on a line the status has the bits of both its ends.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from archiver.model import InvalidInputError, Kind
from archiver.model.batch import Int64s
from archiver.query.answer import Answer
from archiver.query.join import Column
from archiver.query.record import Record
from archiver.query.shape import check_kinds, fields_of

KindsOf = Mapping[str, tuple[Kind, ...]]
TIME = "source_time"


@dataclass(frozen=True)
class Wide:
    """Rows of a wide table: a time, and what each element has then."""

    time: Int64s
    columns: Mapping[str, Column]

    @property
    def num_rows(self) -> int:
        """How many."""
        return len(self.time)

    def slice(self, offset: int, length: int) -> Wide:
        """Return a run of rows."""
        columns = {name: column.slice(offset, length) for name, column in self.columns.items()}
        return Wide(self.time[offset : offset + length], columns)


def status_name(element: str) -> str:
    """Return the name of the column with an element's status."""
    return f"{element} status"


def check_names(names: Sequence[str]) -> None:
    """Raise when two columns of a wide table would have one name.

    Raises
    ------
    InvalidInputError
    """
    twice = sorted({name for name in names if names.count(name) > 1}) if len(set(names)) < len(names) else []
    if twice:
        raise InvalidInputError(f"two columns would be called {twice[0]!r}: ask for these elements in two queries")


def wide_names(elements: Sequence[str]) -> list[str]:
    """Return the columns of a wide table as text formats have them: one for the values of an element of any kind."""
    names = [TIME, *(name for element in elements for name in (element, status_name(element)))]
    check_names(names)
    return names


def wide_schema(elements: Sequence[str], kinds: KindsOf) -> pa.Schema:
    """Return the Arrow schema of a wide table whose elements have values of these kinds."""
    fields = [pa.field(TIME, pa.int64(), nullable=False)]
    for element in elements:
        fields += [field for _, field in fields_of(element, kinds.get(element, ()), f"{element} ")]
        fields.append(pa.field(status_name(element), pa.uint64()))
    check_names([field.name for field in fields])
    return pa.schema(fields)


class WideAnswer(Answer):
    """An answer whose rows are `Wide`, in order of time.

    Parameters
    ----------
    rows, record, elements, asked, stop, left
        As of `Answer`; elements in the order of the columns.
    kinds : callable
        Gives the kinds of value of each element, once the first rows were made.
    """

    def __init__(
        self,
        rows: Generator[Wide, None, None],
        record: Record,
        elements: Sequence[str],
        kinds: Callable[[], KindsOf],
        asked: dict[str, Any],
        stop: Callable[[], object],
        left: Callable[[], object],
    ) -> None:
        super().__init__(rows, record, elements, asked=asked, stop=stop, left=left)
        self.columns = wide_names(elements)
        self._kinds_of = kinds
        self._known_kinds: KindsOf | None = None

    @property
    def batches(self) -> Iterator[Any]:
        """The rows as Arrow record batches of `schema`."""
        return self.record_batches()

    def _plain_schema(self) -> pa.Schema:
        return wide_schema(self._elements, self._settled())

    def _settled(self) -> KindsOf:
        """Return the kinds of value of each element; to know them, the first rows are made."""
        if self._known_kinds is None:
            head = next(self._rows, None)
            rest = self._rows
            self._rows = iter(()) if head is None else _chained(head, rest)
            self._known_kinds = {name: tuple(kinds) for name, kinds in self._kinds_of().items()}
        return self._known_kinds

    def record_batches(self) -> Iterator[pa.RecordBatch]:
        """Yield the rows as Arrow record batches of `schema`."""
        schema, settled = self.schema, self._settled()
        wide: Iterator[Any] = self.rows
        for rows in wide:
            arrays = [pa.array(rows.time)]
            for element in self._elements:
                column, kinds = rows.columns[element], settled.get(element, ())
                check_kinds(column.kinds, kinds)
                for kind, field in fields_of(element, kinds):
                    arrays.append(column.values[kind] if kind in column.values else pa.nulls(rows.num_rows, field.type))
                arrays.append(column.status)
            yield pa.RecordBatch.from_arrays(arrays, schema=schema)


def _chained(head: Wide, rest: Iterator[Wide]) -> Iterator[Wide]:
    yield head
    yield from rest
