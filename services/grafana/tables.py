"""Tables with plain columns, as JSON rows or CSV: times in milliseconds since the epoch, as Grafana counts."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from fastapi import Response

from archiver.model import Kind
from archiver.model.kind import kind_of
from archiver.query import text
from services.common.negotiation import choose
from services.common.streaming import AnswerResponse, Reading

_MEDIA_TYPES = {"json": "application/json", "csv": "text/csv"}
_MILLISECOND = 1_000_000
Piece = tuple[Sequence[str], Sequence[pa.Array]]
"""Names of columns, the same in all pieces of a table, and the columns."""


def milliseconds(times: Any) -> pa.Array:
    """Return instants (ns; nulls stay) as Grafana counts them."""
    return pc.divide(pa.array(times, pa.int64()), _MILLISECOND)


def format_of(accept: str | None, asked: str) -> str:
    """Return ``json`` or ``csv``: what is asked for by name, else what the client accepts.

    Raises
    ------
    NotAcceptableError
    """
    if asked:
        return asked
    media_type = choose(accept, list(_MEDIA_TYPES.values()))
    return next(name for name, known in _MEDIA_TYPES.items() if known == media_type)


def respond(rows: Sequence[dict[str, Any]], columns: pa.Schema, form: str) -> Response:
    """Return rows at hand."""
    table = pa.Table.from_pylist(list(rows), schema=columns).combine_chunks()
    arrays = [column.combine_chunks() for column in table.columns]
    return Response(b"".join(rendered([(table.column_names, arrays)], form)), media_type=_MEDIA_TYPES[form])


def stream(reading: Reading, pieces: Iterable[Piece], form: str) -> Response:
    """Return a table that is read while it is sent."""
    return AnswerResponse(reading, rendered(pieces, form), _MEDIA_TYPES[form])


def rendered(pieces: Iterable[Piece], form: str) -> Iterator[bytes]:
    """Yield a table in a format, piece by piece."""
    return _csv(pieces) if form == "csv" else _json(pieces)


def _json(pieces: Iterable[Piece]) -> Iterator[bytes]:
    yield b"["
    before = ""
    for names, columns in pieces:
        fields: list[Any] = []
        for name, column in zip(names, columns, strict=True):
            key = json.dumps(name, ensure_ascii=False)
            fields += [f"{',' if fields else '{'}{key}:", _shown(column, text.json_values)]
        lines = pc.binary_join_element_wise(*fields, "}", "")
        if len(lines):
            yield (before + ",\n".join(lines.to_pylist())).encode()
            before = ",\n"
    yield b"]"


def _csv(pieces: Iterable[Piece]) -> Iterator[bytes]:
    headed = False
    for names, columns in pieces:
        if not headed:
            yield (",".join(map(text.csv_field, names)) + "\n").encode()
            headed = True
        fields = [_shown(column, text.csv_values) for column in columns]
        lines = pc.binary_join_element_wise(*fields, ",") if len(fields) > 1 else fields[0]
        yield "".join(f"{line}\n" for line in lines.to_pylist()).encode()


def _shown(column: pa.Array, render: Any) -> pa.Array:
    """Return a column as text; what is no number that JSON has is left out."""
    if pa.types.is_floating(column.type):
        finite = np.isfinite(column.fill_null(np.nan).to_numpy(zero_copy_only=False))
        column = pc.if_else(pa.array(finite), column, None)
    kind = kind_of(column.type)
    return render({Kind.TEXT if kind is Kind.NONE else kind: column.cast(pa.utf8()) if kind is Kind.NONE else column})
