"""JSON to columns: rows, columns, or a row per line."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from archiver.model import InvalidInputError
from services.archive.decoding.assemble import Columns, assemble
from services.archive.decoding.decoded import Decoded, Refusal


class Row(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """A sample as an object; types are checked column by column, where that costs little."""

    element: Any
    source_time: Any
    value: Any
    status: Any = 0
    kind: Any = None
    sequence: Any = 0


class _PlainRow(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """What most rows are: half as many columns to take apart."""

    element: str
    source_time: Any
    value: Any


class _Document(msgspec.Struct, forbid_unknown_fields=True):
    """An object at the top: ``{"samples": [rows]}``, or a column under each name."""

    samples: list[Row] | None = None
    element: Any = None
    source_time: Any = None
    value: Any = None
    status: Any = 0
    kind: Any = None
    sequence: Any = 0


class _RawDocument(msgspec.Struct):
    samples: list[msgspec.Raw]


_ROW = msgspec.json.Decoder(Row)
_ROWS = msgspec.json.Decoder(list[Row])
_PLAIN_ROW = msgspec.json.Decoder(_PlainRow)
_PLAIN_ROWS = msgspec.json.Decoder(list[_PlainRow])
_RAW_ROWS = msgspec.json.Decoder(list[msgspec.Raw])
_DOCUMENT = msgspec.json.Decoder(_Document)
_RAW_DOCUMENT = msgspec.json.Decoder(_RawDocument)
_FORMS = (
    'send rows [{"element": "T1", "source_time": "2026-01-01T00:00:00Z", "value": 20.5}], {"samples": rows}, '
    'or columns {"element": "T1", "source_time": [times], "value": [values]}'
)


def decode_json(body: bytes) -> Decoded:
    """Return the samples of rows or columns.

    Raises
    ------
    InvalidInputError
        It is not JSON, or of neither form.
    """
    try:
        if body[:64].lstrip()[:1] == b"[":
            return _from_either(body, _PLAIN_ROWS.decode, _ROWS.decode)
        document = _DOCUMENT.decode(body)
    except msgspec.ValidationError:
        return _row_by_row(_raw_rows(body))
    except (msgspec.DecodeError, UnicodeDecodeError) as exc:
        raise InvalidInputError(f"the body is not JSON: {exc}") from exc
    if document.samples is not None:
        return _from_rows(document.samples)
    return assemble(_columns_of(document))


def decode_ndjson(body: bytes) -> Decoded:
    """Return the samples of one row per line; empty lines are skipped, and have no index."""
    try:
        return _from_either(body, _PLAIN_ROW.decode_lines, _ROW.decode_lines)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return _row_by_row([line for line in body.split(b"\n") if line.strip()])


def _from_either(
    body: bytes, plain: Callable[[bytes], list[_PlainRow]], whole: Callable[[bytes], list[Row]]
) -> Decoded:
    try:
        rows = plain(body)
    except msgspec.ValidationError:
        return _from_rows(whole(body))
    names = [row.element for row in rows]
    return assemble(Columns(names, [row.source_time for row in rows], [row.value for row in rows]))


def _raw_rows(body: bytes) -> Sequence[msgspec.Raw]:
    """Return the rows of a body in which something is not as it should be, unread."""
    try:
        if body[:64].lstrip()[:1] == b"[":
            return _RAW_ROWS.decode(body)
        return _RAW_DOCUMENT.decode(body).samples
    except msgspec.ValidationError as exc:
        raise InvalidInputError(f"the body holds no samples: {exc}; {_FORMS}") from exc
    except (msgspec.DecodeError, UnicodeDecodeError) as exc:
        raise InvalidInputError(f"the body is not JSON: {exc}") from exc


def _row_by_row(raw: Sequence[msgspec.Raw | bytes]) -> Decoded:
    rows: list[Row] = []
    indices: list[int] = []
    refused: list[Refusal] = []
    for index, text in enumerate(raw):
        try:
            rows.append(_ROW.decode(text))
            indices.append(index)
        except (msgspec.DecodeError, UnicodeDecodeError) as exc:
            refused.append(Refusal(index, str(exc)))
    return _from_rows(rows, indices, refused)


def _from_rows(rows: list[Row], indices: list[int] | None = None, refused: Sequence[Refusal] = ()) -> Decoded:
    columns = Columns(
        element=[row.element for row in rows],
        source_time=[row.source_time for row in rows],
        value=[row.value for row in rows],
        status=[row.status for row in rows],
        kind=[row.kind for row in rows],
        sequence=[row.sequence for row in rows],
    )
    return assemble(columns, indices, refused)


def _columns_of(document: _Document) -> Columns:
    """Return the columns of a document; what is given once counts for all rows."""
    if not isinstance(document.source_time, list) or not isinstance(document.value, list):
        raise InvalidInputError(f"source_time and value must be arrays; {_FORMS}")
    count = len(document.source_time)
    columns = {}
    for name in ("element", "source_time", "value", "status", "kind", "sequence"):
        given = getattr(document, name)
        columns[name] = given if isinstance(given, list) else [given] * count
        if len(columns[name]) != count:
            raise InvalidInputError(f"{name} has {len(columns[name])} entries and source_time {count}; give one each")
    return Columns(**columns)
