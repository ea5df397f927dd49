"""The time units in which the backends hold each archive group: how large they are, when they go, and dropping them."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter
from fastapi import Query as Parameter

from archiver.model import format_time
from archiver.ports import Segment
from services.archive.parameters import time_of
from services.common.security import Administrator, Reader

router = APIRouter(prefix="/v1/segments", tags=["state"])

_SEGMENT = {
    "backend": "lake",
    "group": "all",
    "start": "2026-01-01T00:00:00.000000000Z",
    "end": "2026-01-02T00:00:00.000000000Z",
    "rows": 86_400_000,
    "bytes": 301_989_888,
    "files": 1,
    "state": "closed",
    "dropped_at": "2026-04-02T00:00:00.000000000Z",
}
_DROPPED = {name: _SEGMENT[name] for name in ("group", "start", "end", "rows", "bytes", "files")}


def _example(name: str, segment: dict[str, Any]) -> dict[int | str, dict[str, Any]]:
    return {200: {"content": {"application/json": {"example": {name: [segment]}}}}}


@router.get("", responses=_example("segments", _SEGMENT))
def list_segments(
    archive: Reader,
    backend: Annotated[str | None, Parameter(description="only of this backend")] = None,
    group: Annotated[str | None, Parameter(description="only of this archive group")] = None,
) -> dict[str, Any]:
    """Return the segments that backends hold, oldest first: rows, bytes, files, and when retention drops them.

    ``bytes`` and ``files`` are 0 where the backend cannot tell.
    """
    return {"segments": [held.to_row() for held in archive.segments(backend, group)]}


@router.delete("", responses=_example("dropped", _DROPPED))
def drop_segments(
    archive: Administrator,
    backend: Annotated[str, Parameter(description="in which they are dropped")],
    group: Annotated[str, Parameter(description="of which archive group")],
    before: Annotated[str, Parameter(description="the end of the last segment that goes", examples=["now-90d"])],
) -> dict[str, Any]:
    """Drop the segments of a group in one backend that end at or before an instant.

    Answers name them as missing (``dropped-by-hand``) from then on; `POST /v1/copy` brings them from another backend.
    """
    dropped = archive.drop_segments(backend, group, time_of("before", before))
    return {"dropped": [_row(segment) for segment in dropped]}


def _row(segment: Segment) -> dict[str, Any]:
    start, end = format_time(segment.interval.start), format_time(segment.interval.end)
    sizes = {"rows": segment.rows, "bytes": segment.bytes, "files": segment.files}
    return {"group": segment.group, "start": start, "end": end, **sizes}
