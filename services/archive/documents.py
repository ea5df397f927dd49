"""JSON forms of what the archive knows: elements and their metadata, groups, the ledger."""

from __future__ import annotations

import dataclasses
from typing import Any

import pyarrow as pa
from pydantic import BaseModel, ConfigDict, Field

from archiver.model import ElementVersion, InvalidInputError, Kind, Metadata, format_time, parse_time
from archiver.model.time import MIN_TIME
from archiver.pipeline.ledger import Total

_KINDS = {kind.column: kind for kind in Kind}


class Description(BaseModel):
    """The metadata of an element as a client sends it; what is left out is empty from then on."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "example": {"unit": "K", "description": "tracker, inlet", "alarm_high": 293.15, "states": {}}
        },
    )

    kind: str = Field("none", description="none keeps the kind that was seen")
    description: str = ""
    unit: str = ""
    display_low: float | None = None
    display_high: float | None = None
    alarm_low: float | None = None
    warning_low: float | None = None
    warning_high: float | None = None
    alarm_high: float | None = None
    precision: int | None = Field(None, ge=0)
    states: dict[int, str] = Field(default_factory=dict, description="of an enumeration: number to name")
    aliases: tuple[str, ...] = ()
    device: str = ""
    property: str = ""
    field: str = ""
    rename: str | None = Field(None, description="the element's name from then on")
    valid_from: str | None = Field(None, description="ISO-8601 with a zone; now when left out")

    def to_metadata(self) -> Metadata:
        """Return the model's value.

        Raises
        ------
        InvalidInputError
            There is no such kind.
        """
        if self.kind not in _KINDS:
            raise InvalidInputError(f"kind = {self.kind!r}: no such kind; write one of {', '.join(_KINDS)}")
        fields = self.model_dump(exclude={"kind", "rename", "valid_from"})
        return Metadata(kind=_KINDS[self.kind], **fields)

    def valid_from_ns(self) -> int | None:
        """Return since when it holds, ns; None for now."""
        return None if self.valid_from is None else parse_time(self.valid_from)


def version_to_dict(version: ElementVersion) -> dict[str, Any]:
    """Return one version of an element, its first beginning without a time."""
    metadata = dataclasses.asdict(version.metadata)
    metadata["kind"] = version.metadata.kind.column
    since = None if version.valid_from == MIN_TIME else format_time(version.valid_from)
    return {"element": version.name, "element_id": version.element_id, "valid_from": since, **metadata}


def element_to_row(version: ElementVersion) -> dict[str, str]:
    """Return what a list of elements shows of one."""
    metadata = version.metadata
    return {
        "element": version.name,
        "kind": metadata.kind.column,
        "unit": metadata.unit,
        "description": metadata.description,
    }


def total_to_row(total: Total) -> dict[str, Any]:
    """Return one count of the ledger."""
    return dataclasses.asdict(total)


def counts_of(accounts: pa.Table) -> list[dict[str, Any]]:
    """Return the counts of one element's rows of the ledger, by lane, group, outcome and reason."""
    keys = ["lane", "group", "outcome", "reason"]
    rows: dict[tuple[str, ...], int] = {}
    for row in accounts.select([*keys, "count"]).to_pylist():
        key = tuple(row[name] for name in keys)
        rows[key] = rows.get(key, 0) + row["count"]
    return [dict(zip(keys, key, strict=True)) | {"count": count} for key, count in sorted(rows.items())]
