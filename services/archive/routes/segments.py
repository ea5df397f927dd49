"""The time units in which the backends hold each archive group: their sizes and ends, one as a file, dropping them."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Request, Response
from fastapi import Query as Parameter

from archiver.model import format_time
from archiver.ports import Segment
from archiver.query.formats import MEDIA_TYPES
from services.archive.answers import respond
from services.common.negotiation import choose
from services.common.parameters import time_of
from services.common.security import Administrator, Reader
from services.common.streaming import read_in_turn

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
_FILES = {MEDIA_TYPES[name]: f".{name}" for name in ("parquet", "arrow")}
_EXPORTED: dict[int | str, dict[str, Any]] = {
    200: {"description": "the samples; times are int64 ns", "content": {media_type: {} for media_type in _FILES}},
    406: {"description": "none of the accepted formats can be given"},
    413: {"description": "more elements, rows or time than one request may ask for"},
    429: {"description": "the caller has asked for enough for now; Retry-After says when to come again"},
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

    ``bytes`` is 0 where the backend cannot tell, ``files`` where it has none of a segment's own, as a database.
    """
    return {"segments": [held.to_row() for held in archive.segments(backend, group)]}


@router.get("/samples", response_class=Response, responses=_EXPORTED)
async def export_segment(
    request: Request,
    archive: Reader,
    backend: Annotated[str, Parameter(description="which holds it")],
    group: Annotated[str, Parameter(description="whose it is")],
    start: Annotated[str, Parameter(description="its start, as the list has it, or any instant in it")],
    versions: Annotated[bool, Parameter(description="all versions of corrected samples")] = False,
) -> Response:
    """Return the samples of one segment as a Parquet file or an Arrow stream.

    What is acknowledged and not stored yet is among them. `POST /v1/samples` takes the stream back in, without
    versions: what comes in one body is no correction of itself.
    """
    instant = time_of("start", start)
    media_type = choose(request.headers.get("accept"), list(_FILES))
    answer = await read_in_turn(
        lambda: respond(archive.segment(backend, group, instant, versions=versions), media_type)
    )
    name = f"{backend}-{group}-{format_time(instant)[:19].replace(':', '')}{_FILES[media_type]}"
    answer.headers["Content-Disposition"] = f'attachment; filename="{name}"'
    return answer


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
