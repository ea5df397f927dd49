"""The answer to a query: rows to be consumed once, and where they came from."""

from __future__ import annotations

import json
import weakref
from collections.abc import Callable, Generator, Iterator, Sequence
from functools import partial
from typing import Any

import numpy as np
import pyarrow as pa

from archiver.model import Kind, SampleBatch
from archiver.query.buckets import Buckets, bucket_schema
from archiver.query.plan import bounds, missing_to_dict
from archiver.query.record import Record
from archiver.query.request import Missing, Part
from archiver.query.shape import sample_columns, sample_schema, settle


class Answer:
    """Samples, or the buckets of an aggregation, in order of element (by code point) and time.

    The rows come once, by one of `batches`, `record_batches`, `table` or a format of `archiver.query.formats`.
    `parts`, `missing` and `cursor` are complete when they were consumed.

    Parameters
    ----------
    rows : generator of SampleBatch or Buckets
    record : Record
        Filled by `rows`.
    elements : sequence of str
        All that may come up: the dictionary of the Arrow form, the same in all its batches.
    aggregates : sequence of str
        Of buckets; empty when the rows are samples.
    probe : callable
        Gives kinds that will come up, after some rows, in an answer too long to look at before.
    asked : mapping
        What is known of the answer before it is read, for the metadata of the schema.
    stop : callable
        Stops whoever reads for it, at once and from any thread.
    left : callable
        Called when the answer was read, closed, or is forgotten: once or more.
    """

    def __init__(
        self,
        rows: Generator[Any, None, None],
        record: Record,
        elements: Sequence[str],
        aggregates: Sequence[str] = (),
        probe: Callable[[Any], set[Kind]] = lambda rows: set(),
        asked: dict[str, Any] | None = None,
        stop: Callable[[], object] = lambda: None,
        left: Callable[[], object] = lambda: None,
    ) -> None:
        self._source = rows
        self._rows: Iterator[Any] = rows
        self._record = record
        self._elements = elements
        self._probe = probe
        self._asked = asked or {}
        self._stop = stop
        self._left = weakref.finalize(self, left)
        self._left.atexit = False
        # each once, and not by `cached_property`: up to Python 3.11 that holds a lock over all answers while it reads
        self._kinds: tuple[Kind, ...] | None = None
        self._schema: pa.Schema | None = None
        self.aggregates = tuple(aggregates)

    @classmethod
    def of(cls, samples: SampleBatch, missing: Sequence[Missing] = ()) -> Answer:
        """Return samples at hand as an answer, to be written in a format."""
        return cls((batch for batch in [samples]), Record(missing=list(missing)), samples.elements)

    def close(self) -> None:
        """Stop reading; an answer that is not consumed to its end is closed. More often than once is harmless."""
        self._source.close()
        self._left()

    def when_left(self, tell: Callable[[list[Part]], object]) -> None:
        """Have somebody told of the parts once the answer was read, closed, or is forgotten."""
        known = self._left.detach()
        if known is None:  # it is all over
            return
        _, left, _, _ = known
        self._left = weakref.finalize(self, partial(_leave, left, tell, self._record))
        self._left.atexit = False

    def cancel(self) -> None:
        """Stop reading from another thread than the one that consumes the rows: that one gets a `StoppedError`.

        Backends that are blocked in a call are told (`archiver.model.interruption`).
        """
        self._stop()

    @property
    def parts(self) -> list[Part]:
        """Which backend gave which interval, how many rows before the merge, and how long reading took."""
        return self._record.summary()

    @property
    def missing(self) -> list[Missing]:
        """What is missing, and why."""
        return list(dict.fromkeys(self._record.missing))

    @property
    def complete(self) -> bool:
        """Whether it has everything that was acknowledged; where a source was disconnected there was nothing to be."""
        return not self._record.is_partial

    @property
    def cursor(self) -> str | None:
        """What continues the answer after its last row; None when it is complete."""
        return self._record.cursor

    @property
    def rows(self) -> Iterator[SampleBatch | Buckets]:
        """The rows in the form they were made in: samples whose columns are those of their kinds, or buckets."""
        while (batch := next(self._rows, None)) is not None:
            yield batch
        self._left()

    @property
    def batches(self) -> Iterator[Any]:
        """Samples as `SampleBatch`; aggregates as Arrow record batches of `schema`."""
        return self.record_batches() if self.aggregates else self.rows

    @property
    def kinds(self) -> tuple[Kind, ...]:
        """Kinds of value in the answer; to know them, its beginning is read (`archiver.query.shape.settle`)."""
        if self._kinds is None:
            self._kinds, self._rows = settle(self._rows, self._probe)
        return self._kinds

    @property
    def schema(self) -> pa.Schema:
        """Schema of `record_batches`; its metadata ``forebay.query`` says, in JSON, what was asked of whom."""
        if self._schema is None:
            self._schema = self._plain_schema().with_metadata({b"forebay.query": json.dumps(self._asked).encode()})
        return self._schema

    def _plain_schema(self) -> pa.Schema:
        return bucket_schema(self.aggregates, self.kinds) if self.aggregates else sample_schema(self.kinds)

    def record_batches(self) -> Iterator[pa.RecordBatch]:
        """Yield the rows as Arrow record batches of `schema`."""
        schema, kinds = self.schema, self.kinds
        names = pa.array(self._elements, pa.utf8())
        number = {name: index for index, name in enumerate(self._elements)}
        for rows in self.rows:
            if isinstance(rows, Buckets):
                element, columns = rows.element, rows.columns(self.aggregates, kinds)
            else:
                element, columns = rows.column("element"), sample_columns(rows, kinds)
            table = np.array([number.get(name, 0) for name in element.dictionary.to_pylist()], np.int32)
            codes = table[element.indices.to_numpy()]
            column = pa.DictionaryArray.from_arrays(pa.array(codes), names)
            yield pa.RecordBatch.from_arrays([column, *columns], schema=schema)

    def table(self) -> pa.Table:
        """Return all rows as one Arrow table."""
        return pa.Table.from_batches(self.record_batches(), self.schema)

    def outcome(self) -> dict[str, Any]:
        """Return `complete`, `parts`, `missing` and `cursor` as plain values; they are settled after the rows."""
        return {
            "complete": self.complete,
            "parts": [_part(part) for part in self.parts],
            "missing": [missing_to_dict(missing) for missing in self.missing],
            "cursor": self.cursor,
        }


def _leave(left: Callable[[], object], tell: Callable[[list[Part]], object], record: Record) -> None:
    left()
    tell(record.summary())


def _part(part: Part) -> dict[str, Any]:
    return {
        "backend": part.backend,
        **bounds(part.interval),
        "role": str(part.role),
        "rows": part.rows,
        "seconds": round(part.seconds, 6),
        **({"aggregated": True} if part.aggregated else {}),
        **({"trouble": part.trouble} if part.trouble else {}),
    }
