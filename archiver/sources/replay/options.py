"""How the columns of a file become samples."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from archiver.config import Duration
from archiver.model import Kind, parse_time
from archiver.model.time import NANOSECONDS
from archiver.ports import Options

COLUMN = "column"
WHITESPACE = "whitespace"
PLACEHOLDER = re.compile(r"\{([^{}]+)\}")
KINDS = {kind.column: kind for kind in (Kind.FLOAT, Kind.INT, Kind.UINT, Kind.BOOL, Kind.TEXT)}


def _several(value: Any) -> Any:
    return (value,) if isinstance(value, str) else value


Names = Annotated[tuple[str, ...], BeforeValidator(_several)]
"""A name, or a list of them."""


class ReplayOptions(Options):
    """A file, and which of its columns are what."""

    file: Path = Field(description=".parquet, or text with a column per field (.csv, .txt, also with .gz)")
    element: str = Field(
        "{column}", description="name; {column} is the value column, {NAME} the content of column NAME"
    )
    time: Names = Field((), description="columns that together give the time; none: rows are numbered")
    value: Names = Field((), description="value columns; none: all that are not used otherwise")
    kind: Literal["auto", "float", "int", "uint", "bool", "text"] = Field(
        "auto", description="kind of all value columns; auto takes numbers in text files as float"
    )
    time_format: str = Field("", description="as of strptime; without one, ISO-8601")
    time_unit: Duration | None = Field(None, description="the time is a number of these since time_start")
    time_start: str = "1970-01-01T00:00:00Z"
    time_zone: str = Field("UTC", description="of times that have none; an ambiguous one is the earlier")
    missing: Names = Field((), description="markers of a missing value, such as -200; an empty cell always is one")
    skip_missing: bool = Field(False, description="leave missing values out instead of archiving that there was none")
    delimiter: str = Field("", description="one character, or whitespace; found out when left out")
    columns: Names = Field((), description="column names of a text file that has no header")
    decimal: str = Field(".", pattern=r"^[.,]$", description="decimal point")
    encoding: str = "utf8"
    speed: float = Field(0.0, ge=0, description="1 is as recorded, 10 is ten times faster, 0 as fast as it goes")

    @model_validator(mode="after")
    def _check(self) -> Self:
        if not self.time and self.time_unit is None:
            raise ValueError('neither time nor time_unit: name the time column, or give the time between rows ("1s")')
        if len(self.value) > 1 and COLUMN not in PLACEHOLDER.findall(self.element):
            raise ValueError("element has no {column}, but there are several value columns: they would share a name")
        if self.delimiter not in ("", WHITESPACE) and len(self.delimiter) != 1:
            raise ValueError(f"delimiter {self.delimiter!r} is neither one character nor {WHITESPACE!r}")
        parse_time(self.time_start)
        return self

    @property
    def is_parquet(self) -> bool:
        """Whether the file is read as Parquet."""
        return self.file.suffix.lower() in (".parquet", ".pq")

    @property
    def unit_ns(self) -> int:
        """Nanoseconds per unit of a numeric time."""
        return NANOSECONDS if self.time_unit is None else self.time_unit

    @property
    def name_columns(self) -> list[str]:
        """Columns whose content is part of the element's name."""
        return [name for name in PLACEHOLDER.findall(self.element) if name != COLUMN]
