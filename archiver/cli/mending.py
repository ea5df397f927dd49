"""A dead letter as a person gives it back: the CSV that `dead-letters show` printed, mended with an editor."""

from __future__ import annotations

import base64
import json
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv

from archiver.model import InvalidInputError, Kind, SampleBatch, parse_time

_COLUMNS = ("element", "source_time", "value", "status")
_AS_TEXT = pa.csv.ConvertOptions(
    column_types=dict.fromkeys(_COLUMNS, pa.utf8()),
    null_values=[""],
    strings_can_be_null=True,  # an empty field is no value, and "" the empty text
    quoted_strings_can_be_null=False,
)
_BOOLS = {"true": True, "false": False}
_CONVERTERS: dict[Kind, Callable[[str], Any]] = {
    Kind.FLOAT: float,
    Kind.INT: int,
    Kind.UINT: int,
    Kind.ENUM: int,
    Kind.BOOL: _BOOLS.__getitem__,
    Kind.TEXT: str,
    Kind.BINARY: lambda text: base64.b64decode(text, validate=True),
}


def read_mended(file: Path, original: SampleBatch) -> SampleBatch:
    """Return the samples of a mended file; kinds and sequence numbers are those of the dead letter.

    Parameters
    ----------
    file : Path
        CSV with columns element, source_time, value and, if it has one, status.
    original : SampleBatch
        What the dead letter holds. An element that is not in there has its kind, if that is the only one.

    Raises
    ------
    InvalidInputError
        The file cannot be read, or a field means nothing; the message names the row.
    """
    kinds = {element: kind for element, _, _, _, _, kind, value in original.to_pylist() if value is not None}
    sequences: dict[tuple[str, int], list[int]] = defaultdict(list)
    for element, time, sequence, *_ in original.to_pylist():
        sequences[element, time].append(sequence)
    parts = []
    for number, row in enumerate(_rows(file), 2):
        try:
            parts.append(_sample(row, kinds, sequences))
        except (ValueError, KeyError, TypeError, InvalidInputError, pa.ArrowInvalid) as exc:
            raise InvalidInputError(f"{file}, row {number} is no sample: {exc}") from exc
    return SampleBatch.concat(parts)


def _rows(file: Path) -> list[dict[str, str | None]]:
    try:
        options = pa.csv.ParseOptions(newlines_in_values=True)
        table = pa.csv.read_csv(file, parse_options=options, convert_options=_AS_TEXT)
    except OSError as exc:
        raise InvalidInputError(f"{file} cannot be read: {exc}") from exc
    except pa.ArrowInvalid as exc:
        raise InvalidInputError(f"{file} is not CSV: {exc}") from exc
    missing = [name for name in _COLUMNS[:3] if name not in table.column_names]
    if missing:
        raise InvalidInputError(f"{file} has no column {', '.join(missing)}; it has: {', '.join(table.column_names)}")
    rows: list[dict[str, str | None]] = table.to_pylist()
    return rows


def _sample(
    row: dict[str, str | None], kinds: dict[str, Kind], sequences: dict[tuple[str, int], list[int]]
) -> SampleBatch:
    element, time, text = row["element"] or "", parse_time(row["source_time"] or ""), row["value"]
    waiting = sequences.get((element, time))
    kind = kinds.get(element) or (set(kinds.values()).pop() if len(set(kinds.values())) == 1 else Kind.NONE)
    if text is not None and kind is Kind.NONE:
        raise InvalidInputError(f"what kind of value {element!r} has is not known: the dead letter has no such element")
    return SampleBatch.from_columns(
        element,
        [time],
        {} if text is None else {kind: pa.array([_value(text, kind)], kind.arrow_type)},
        status=pa.array([int(row.get("status") or 0)], pa.uint64()),
        sequence=waiting.pop(0) if waiting else 0,
    )


def _value(text: str, kind: Kind) -> Any:
    if not kind.is_list:
        try:
            return _CONVERTERS[kind](text)
        except (ValueError, KeyError):
            raise InvalidInputError(f"{text!r} is no value of kind {kind.column}") from None
    return [_value(item if isinstance(item, str) else json.dumps(item), kind.item) for item in json.loads(text)]
