"""Samples as columns of a table: number, text, and how good they are."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa

from archiver.model import Kind, SampleBatch
from archiver.model.status import is_bad, is_gap
from archiver.query import Answer
from archiver.query.join import Column
from services.common.security import View
from services.grafana.evaluating import numbers
from services.grafana.tables import Piece, milliseconds

COLUMNS = ("time", "element", "value", "text", "quality")
_QUALITIES = pa.array(["good", "bad", "gap"])


def pieces_of(view: View, answer: Answer) -> Iterator[Piece]:
    """Yield the samples of an answer, a row each; of a gap the value is null, so that a line is interrupted there."""
    yield COLUMNS, columns_of(view, SampleBatch.empty())
    for batch in answer.batches:
        yield COLUMNS, columns_of(view, batch)


def columns_of(view: View, batch: SampleBatch) -> list[pa.Array]:
    """Return time, element, value, text and quality of samples; the text of a state is its name, if it has one."""
    gap = is_gap(batch.status)
    value = np.where(gap, np.nan, numbers({kind: batch.values(kind) for kind in batch.kinds}, batch.num_rows))
    quality = _QUALITIES.take(pa.array(np.where(gap, 2, is_bad(batch.status).astype(int))))
    element = batch.column("element").cast(pa.utf8())
    return [milliseconds(batch.source_time), element, pa.array(value), _texts(view, batch), quality]


def wide_pieces(answer: Answer, elements: list[str]) -> Iterator[Piece]:
    """Yield the rows of a wide table: a time, and what each element has then."""
    names = ["time", *elements]
    yield names, [pa.array([], pa.int64()), *(pa.array([], pa.float64()) for _ in elements)]
    wides: Iterator[Any] = answer.rows
    for wide in wides:
        columns = [_cells(wide.columns[name], wide.num_rows) for name in elements]
        yield names, [milliseconds(wide.time), *columns]


def _cells(column: Column, rows: int) -> pa.Array:
    status = column.status.fill_null(0).to_numpy(zero_copy_only=False)
    if Kind.TEXT in column.kinds:
        return column.values[Kind.TEXT]
    return pa.array(np.where(is_gap(status), np.nan, numbers(column.values, rows)))


def _texts(view: View, batch: SampleBatch) -> pa.Array:
    texts = batch.values(Kind.TEXT) if Kind.TEXT in batch.kinds else pa.nulls(batch.num_rows, pa.utf8())
    if Kind.ENUM not in batch.kinds:
        return texts
    named = np.array(texts.to_pylist(), object)
    states, codes = batch.values(Kind.ENUM).fill_null(-1).to_numpy(), batch.codes
    for code in np.unique(codes[batch.kind_codes == Kind.ENUM]).tolist():
        version = view.sight.find(batch.elements[code])
        for state, name in ({} if version is None else version.metadata.states).items():
            named[(codes == code) & (batch.kind_codes == Kind.ENUM) & (states == state)] = name
    return pa.array(named.tolist(), pa.utf8())
