"""Recorded files: sent, looked into, and loaded through the intake."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Request, Response
from fastapi import Query as Parameter
from pydantic import BaseModel, ConfigDict, Field
from starlette.concurrency import run_in_threadpool

from services.archive.dependencies import files_of, ingest_of
from services.common.later import work_later
from services.common.security import Ingester

router = APIRouter(prefix="/v1/files", tags=["files"])

_BINARY: dict[str, Any] = {
    "requestBody": {"required": True, "content": {"application/octet-stream": {"schema": {"format": "binary"}}}}
}


class Mapping(BaseModel):
    """Which columns of a file are what; as the options of ``forebay replay``."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"example": {"element": "{sensor}", "time": ["time"], "value": ["value"]}}
    )

    element: str = Field(
        "{column}", description="name; {column} is the value column, {NAME} the content of column NAME"
    )
    time: list[str] = Field(default_factory=list, description="columns that together give the time")
    value: list[str] = Field(default_factory=list, description="value columns; all others when left out")
    kind: Literal["auto", "float", "int", "uint", "bool", "text"] = "auto"
    time_format: str = Field("", description="as of strptime; without one, ISO-8601")
    time_unit: str | None = Field(None, description="the time is a number of these, such as 1ms")
    time_zone: str = Field("UTC", description="of times that have none")
    missing: list[str] = Field(default_factory=list, description="markers of a missing value, such as -200")
    skip_missing: bool = False

    def to_options(self) -> dict[str, Any]:
        """Return the options of a replay."""
        return self.model_dump(exclude_none=True)


@router.post("", status_code=201, openapi_extra=_BINARY)
async def post_file(
    request: Request, archive: Ingester, name: Annotated[str, Parameter(description="of the file; its ending counts")]
) -> dict[str, Any]:
    """Keep a file (CSV, also packed, or Parquet) for a day; return its columns, first rows, and a mapping to try."""
    return await files_of(request).take(name, request.stream())


@router.post("/{file_id}/preview")
async def preview_file(request: Request, archive: Ingester, file_id: str, mapping: Mapping) -> dict[str, Any]:
    """Return the first samples that a file would become, and the first refused rows; nothing is stored."""
    files = files_of(request)
    options = files.options(file_id, mapping.to_options())
    return await run_in_threadpool(files.try_out, options)


@router.post("/{file_id}/load", status_code=202)
def load_file(request: Request, archive: Ingester, file_id: str, mapping: Mapping) -> Response:
    """Send a file through the intake, as a job: its result has the counts of the ledger, and the first refused rows."""
    files, ingest = files_of(request), ingest_of(request)
    options = files.options(file_id, mapping.to_options())
    asked = {"file": options.file.name, "id": file_id, **mapping.model_dump(mode="json", exclude_defaults=True)}
    return work_later(request, archive, asked, lambda progress: files.load(options, ingest, archive.admits, progress))


@router.delete("/{file_id}", status_code=204)
def delete_file(request: Request, archive: Ingester, file_id: str) -> Response:
    """Forget a file."""
    files_of(request).remove(file_id)
    return Response(status_code=204)
