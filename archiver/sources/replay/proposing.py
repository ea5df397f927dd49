"""A first look at a recorded file: its columns, its first rows, and which of them are probably what."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pyarrow as pa

from archiver.model import InvalidInputError, SampleBatch, parse_time
from archiver.model.time import now
from archiver.sources.replay.options import ReplayOptions
from archiver.sources.replay.parquet import ParquetRows
from archiver.sources.replay.text import TextRows

_LOOKED_AT = 200
_TIME_NAMES = re.compile(r"(?i)^(t|ts|time|date|datetime|timestamp|source_?time|zeit|datum)\b|time|stamp|date")
_NAME_NAMES = re.compile(r"(?i)element|name|tag|sensor|channel|^pv$|point|signal")
_UNITS = (("1ns", 10**9), ("1us", 10**6), ("1ms", 10**3), ("1s", 1))


def look(file: Path) -> dict[str, Any]:
    """Return what a file holds and how it would be loaded, as plain values.

    Returns
    -------
    dict
        ``columns`` (of each `name`, `type` and `role`: time, element, value or other), ``rows`` (the first ones, as
        texts) and ``options`` (of `ReplayOptions`, without the file; None when no column looks like a time).

    Raises
    ------
    InvalidInputError
        It is neither text with columns nor Parquet.
    """
    rows = _first_rows(file)
    if not rows.num_rows:
        raise InvalidInputError(f"{file.name} has no rows")
    roles = {name: _role(name, rows.column(name)) for name in rows.schema.names}
    for role in ("time", "element"):  # the first that looks like one is; the others are values
        for extra in [name for name, found in roles.items() if found == role][1:]:
            roles[extra] = "value" if role == "element" else "other"
    columns = [{"name": n, "type": str(rows.column(n).type), "role": role} for n, role in roles.items()]
    texts = [[None if cell is None else str(cell) for cell in row.values()] for row in rows.slice(0, 20).to_pylist()]
    return {"columns": columns, "rows": texts, "options": _options(file, rows, roles)}


def preview(batch: SampleBatch, count: int = 20) -> list[dict[str, Any]]:
    """Return the first samples of a batch as plain values."""
    return [
        {
            "element": element,
            "source_time": time,
            "value": value if isinstance(value, (int, float, bool)) else str(value),
        }
        for element, time, _, _, _, _, value in batch.slice(0, count).to_pylist()
    ]


def _first_rows(file: Path) -> pa.RecordBatch:
    options = ReplayOptions(file=file, time_unit="1s")
    source: TextRows | ParquetRows = ParquetRows(options) if options.is_parquet else TextRows(options)
    with contextlib.closing(_rows_of(source)) as reading:
        first = next(reading, None)
    if first is None:
        raise InvalidInputError(f"{file.name} has no rows")
    return first.slice(0, _LOOKED_AT)


def _rows_of(source: TextRows | ParquetRows) -> Generator[pa.RecordBatch, None, None]:
    yield from source.read(list(source.columns))


def _role(name: str, cells: pa.Array) -> str:
    if pa.types.is_timestamp(cells.type) or pa.types.is_date(cells.type):
        return "time"
    texts = [cell for cell in cells.to_pylist() if cell is not None][:20]
    if not texts:
        return "other"
    numbers = all(_is_number(text) for text in texts)
    if numbers:
        looks = _TIME_NAMES.search(name) is not None and _unit(float(texts[-1])) is not None
        return "time" if looks else "value"
    if sum(isinstance(text, str) and _is_time(text) for text in texts) > len(texts) / 2:  # one that is none is told
        return "time"
    named = _NAME_NAMES.search(name) is not None
    return "element" if named and all(isinstance(text, str) for text in texts) else "value"


def _options(file: Path, rows: pa.RecordBatch, roles: dict[str, str]) -> dict[str, Any] | None:
    times = [name for name, role in roles.items() if role == "time"]
    if not times:
        return None
    names = [name for name, role in roles.items() if role == "element"]
    values = [name for name, role in roles.items() if role == "value"]
    stem = file.name.split(".")[0]
    element = f"{{{names[0]}}}" if names else stem if len(values) == 1 else f"{stem}.{{column}}"
    if names and len(values) > 1:
        element += ".{column}"
    options: dict[str, Any] = {"element": element, "time": times[:1], "value": values}
    cells = [cell for cell in rows.column(times[0]).to_pylist() if cell is not None]
    if cells and _is_number(cells[-1]):
        options["time_unit"] = _unit(float(cells[-1]))
    return options


def _unit(number: float) -> str | None:
    """Return in which unit a number is a time since 1970 within the last or next fifty years."""
    seconds = now() / 1e9
    for unit, per_second in _UNITS:
        if abs(number / per_second - seconds) < 50 * 365.25 * 86_400:
            return unit
    return None


def _is_number(cell: object) -> bool:
    if isinstance(cell, bool) or not isinstance(cell, (int, float, str)):
        return False
    try:
        float(cell)
    except ValueError:
        return False
    return True


def _is_time(text: str) -> bool:
    if not re.match(r"\d{4}-\d\d-\d\d", text):
        return False
    try:
        parse_time(text if re.search(r"(Z|[+-]\d\d:?\d\d)$", text) else f"{text.replace(' ', 'T')}Z")
    except InvalidInputError:
        return False
    return True
