"""What puts things right: dead letters, and copies from one backend to another."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Callable
from typing import Annotated, Any

from fastapi import APIRouter, Path, Request, Response
from fastapi import Query as Parameter
from fastapi.responses import JSONResponse, StreamingResponse
from pydantic import BaseModel, ConfigDict, Field

from archiver.model import InvalidInputError, format_time
from archiver.model.ipc import to_ipc
from archiver.model.time import ALWAYS
from archiver.pipeline.verification import Plan
from services.archive.answers import FORMATS_DOCS, respond_with
from services.archive.decoding.body import ARROW, JSON, NDJSON
from services.archive.dependencies import ingest_of
from services.archive.progress import lines_of, one_of_few
from services.common.later import is_for_later, work_later
from services.common.negotiation import choose, media_type_of
from services.common.parameters import interval_of
from services.common.security import Operator, Reader, View
from services.common.security.view import Progress

router = APIRouter(prefix="/v1", tags=["repair"])

LetterId = Annotated[int, Path(ge=1, le=2**63 - 1, description="as the list of dead letters has it")]


class CopyRequest(BaseModel):
    """What to copy: from which backend to which, and of what time."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "example": {"source": "lake", "target": "warm", "start": "2026-01-01T00:00:00Z", "end": "now"}
        },
    )

    source: str
    target: str
    start: str = Field(description="ISO-8601 with a zone, or now-1h")
    end: str = "now"
    elements: list[str] | None = Field(None, description="only these; all that the source has when left out")


class VerifyRequest(BaseModel):
    """Which two backends to compare, of what time, and which of them to repair."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"example": {"backends": ["lake", "warm"], "start": "2026-01-01T00:00:00Z", "end": "now"}},
    )

    backends: tuple[str, str]
    start: str = Field(
        format_time(ALWAYS.start), description="ISO-8601 with a zone, or now-1h; all of time if left out"
    )
    end: str = Field(format_time(ALWAYS.end), description="not included; as start")
    elements: list[str] | None = Field(None, description="names, aliases or globs; all when left out")
    versions: bool = Field(False, description="compare all versions of corrected samples")
    repair: str | None = Field(None, description="the one of the two that is filled from the other")
    shown: int = Field(100, ge=0, le=10_000, description="most differing samples that are named")


@router.get("/dead-letters")
def list_dead_letters(
    archive: Reader, replayed: Annotated[bool, Parameter(description="also those that were replayed")] = False
) -> dict[str, Any]:
    """Return the dead letters: which backend refused how many samples for good, and why."""
    return {"dead_letters": [letter.to_row() for letter in archive.dead_letters(replayed=replayed)]}


@router.get("/dead-letters/{letter_id}")
def get_dead_letter(archive: Reader, letter_id: LetterId) -> dict[str, Any]:
    """Return one dead letter, without its samples."""
    return archive.dead_letter(letter_id).to_row()


@router.get("/dead-letters/{letter_id}/samples", response_class=Response, responses=FORMATS_DOCS)
def get_dead_samples(request: Request, archive: Reader, letter_id: LetterId) -> Response:
    """Return the samples of a dead letter; as Arrow with a column per kind of value, to be mended and sent back."""
    samples = archive.dead_samples(letter_id)
    accept = request.headers.get("accept")
    if accept is None or media_type_of(accept) != ARROW:
        return respond_with(samples, accept)
    return Response(to_ipc(samples.to_arrow()), media_type=ARROW)


@router.post("/dead-letters/{letter_id}/replay")
async def replay_dead_letter(request: Request, archive: Operator, letter_id: LetterId) -> dict[str, Any]:
    """Send a dead letter through the intake again; with a body (as for ``POST /v1/samples``), that in its place."""
    async with request.app.state.budget.read(request) as body:
        headers = request.headers
        mended = None
        if body:
            media_type = media_type_of(headers.get("content-type"))
            decode = ingest_of(request).decode
            decoded = await asyncio.to_thread(decode, body, headers.get("content-encoding"), media_type)
            if decoded.refused:
                first = decoded.refused[0]
                raise InvalidInputError(f"row {first.index} is no sample, nothing was replayed: {first.reason}")
            mended = decoded.batch
    receipt = await asyncio.to_thread(archive.replay_dead_letter, letter_id, mended)
    return {"counts": dict(receipt.counts), "reasons": dict(receipt.reasons)}


@router.post("/copy", response_class=Response)
def copy(request: Request, archive: Operator, what: CopyRequest) -> Response:
    """Fill one backend from another; what is there already is not stored twice.

    With ``Accept: application/x-ndjson`` the answer is a stream of lines that say how far it is; the last one is the
    receipt, or a problem. With ``Prefer: respond-async`` it is done as a job (202).
    """
    interval = interval_of(what.start, what.end)

    def work(progress: Progress | None = None) -> dict[str, Any]:
        receipt = archive.copy(what.source, what.target, interval, what.elements, progress)
        return dataclasses.asdict(receipt)

    return _long(request, archive, what, work)


@router.post("/verify", response_class=Response)
def verify(request: Request, archive: Operator, what: VerifyRequest) -> Response:
    """Compare two backends: counts and hashes by segment, then the samples that differ; fill one from the other.

    ``same`` in the answer says whether they hold the same now, ``exempt`` what need not be the same, and why. With
    ``Accept: application/x-ndjson`` it is the last line of a stream that says how far it is; with
    ``Prefer: respond-async`` it is the result of a job (202).
    """
    plan = Plan(interval_of(what.start, what.end), what.elements, what.versions, shown=what.shown)

    def work(progress: Progress | None = None) -> dict[str, Any]:
        return archive.verify(what.backends, plan, what.repair, progress).to_dict()

    return _long(request, archive, what, work)


def _long(
    request: Request, archive: View, what: BaseModel, work: Callable[[Progress | None], dict[str, Any]]
) -> Response:
    """Answer with what long work comes to, with a stream of how far it is, or with a job."""
    if is_for_later(request.headers):
        asked = {"do": request.url.path.rpartition("/")[2], **what.model_dump(mode="json", exclude_defaults=True)}
        return work_later(request, archive, asked, work)
    media_type = choose(request.headers.get("accept"), [JSON, NDJSON])
    if media_type == NDJSON:
        return StreamingResponse(lines_of(work), media_type=NDJSON)
    with one_of_few():
        return JSONResponse(work(None))
