"""Samples out: ranges, the latest, and at an instant; streamed from columns."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Request, Response
from fastapi import Query as Parameter
from fastapi.responses import JSONResponse

from services.archive.answers import FORMATS_DOCS, QUERY_DOCS, respond, respond_with
from services.archive.later import respond_later
from services.archive.question import Question
from services.common.later import is_for_later
from services.common.parameters import End, Start, aggregates_of, range_of, time_of
from services.common.security import Reader, View
from services.common.streaming import read_in_turn

router = APIRouter(tags=["samples"])

Elements = Annotated[list[str], Parameter(description="name, alias or glob; repeat it for more", examples=[["BAR:T1"]])]
SomeElements = Annotated[list[str] | None, Parameter(description="name, alias or glob; all elements when left out")]
Ranges = Annotated[
    list[str] | None,
    Parameter(alias="range", description="NAME=FROM/TO: which backend answers which time; repeatable"),
]
Wide = Annotated[
    Literal["", "last", "nearest", "linear"], Parameter(description="the elements side by side, a row per time")
]


def shape_of(
    wide: Wide = "",
    tolerance: Annotated[str, Parameter(description="of a wide table: how far a sample may be, such as 5s")] = "",
    step: Annotated[str, Parameter(description="of a wide table: a row each, such as 1s")] = "",
    times_of: Annotated[str, Parameter(description="of a wide table: rows at the times of this element")] = "",
    points: Annotated[int, Parameter(ge=0, description="of each element only about so many, those a plot needs")] = 0,
) -> dict[str, Any]:
    """Return the fields of a `Question` that say in which shape samples are given."""
    return {"wide": wide, "tolerance": tolerance, "step": step, "times_of": times_of, "points": points}


Shape = Annotated[dict[str, Any], Depends(shape_of)]
Plan = Annotated[bool, Parameter(description="who would answer, at what cost, and why, instead of the answer")]


@router.get("/v1/samples", response_class=Response, responses=QUERY_DOCS)
async def get_samples(
    request: Request,
    archive: Reader,
    shape: Shape,
    element: Elements,
    start: Start = "",
    end: End = "now",
    backend: Annotated[str | None, Parameter(description="ask this backend only")] = None,
    range_: Ranges = None,
    group: Annotated[list[str] | None, Parameter(description="only samples stored by this archive group")] = None,
    aggregate: Annotated[
        list[str] | None, Parameter(description="count, min, max, mean, time_weighted_mean, …; repeatable")
    ] = None,
    bucket: Annotated[str, Parameter(description="length of a bucket, such as 1h; the whole interval if empty")] = "",
    before: Annotated[int, Parameter(ge=0, le=1, description="1: also the last value before the start")] = 0,
    limit: Annotated[int | None, Parameter(ge=1, description="most rows")] = None,
    cursor: Annotated[str | None, Parameter(description="continue an answer that had a limit")] = None,
    as_of: Annotated[str, Parameter(description="only what was known at this time")] = "",
    versions: Annotated[bool, Parameter(description="all versions of corrected samples")] = False,
    where: Annotated[str, Parameter(description="only where this condition holds, such as: Y = 1")] = "",
    require: Annotated[
        Literal["", "complete"], Parameter(description="complete: an error instead of a partial answer")
    ] = "",
    outcome: Annotated[
        bool, Parameter(description="CSV and NDJSON end with a line that says complete, parts, missing and cursor")
    ] = False,
    plan: Plan = False,
) -> Response:
    """Return the samples of elements in an interval, or aggregates of them, by element and time.

    Accept decides on the format. With a limit, ``Forebay-Cursor`` continues the answer. With ``Prefer: respond-async``
    it is read as a job (202): ``Location`` says where to ask for it; the same ``Idempotency-Key`` gives the same job.
    """
    question = Question(
        elements=element,
        start=start,
        end=end,
        ranges=[range_of(text) for text in range_ or ()],
        backend=backend,
        groups=group or [],
        before=before,
        limit=limit,
        cursor=cursor,
        aggregates=aggregates_of(aggregate or ()),
        bucket=bucket,
        as_of=as_of,
        versions=versions,
        where=where,
        require=require,
        outcome=outcome,
        **shape,
    )
    return await read_in_turn(lambda: _answer(request, archive, question, plan=plan))


@router.post("/v1/query", response_class=Response, responses=QUERY_DOCS)
async def post_query(request: Request, archive: Reader, question: Question, plan: Plan = False) -> Response:
    """Return what a query asks for, as ``GET /v1/samples`` does, which takes the same in its query string."""
    return await read_in_turn(lambda: _answer(request, archive, question, plan=plan))


def _answer(request: Request, archive: View, question: Question, *, plan: bool) -> Response:
    query = question.to_query()
    if plan:
        return JSONResponse(archive.plan(query))
    if is_for_later(request.headers):
        return respond_later(request, archive, question, query)
    answer = archive.query(query)
    return respond(answer, request.headers.get("accept"), query.limit, outcome=question.outcome)


@router.get("/v1/samples/latest", response_class=Response, responses=FORMATS_DOCS)
def get_latest(request: Request, archive: Reader, element: SomeElements = None) -> Response:
    """Return the newest sample of each element, from memory; `missing` names those that there are not."""
    rows = archive.latest(element)
    return respond_with(rows, request.headers.get("accept"), archive.unknown(element or (), rows))


@router.get("/v1/samples/at", response_class=Response, responses=FORMATS_DOCS)
async def get_values_at(
    request: Request,
    archive: Reader,
    element: Elements,
    time: Start,
    backend: Annotated[str | None, Parameter(description="ask this backend only")] = None,
) -> Response:
    """Return the sample that held at an instant, of each element that has one; `missing` names those there are not."""
    instant = time_of("time", time)

    def answer() -> Response:
        rows = archive.values_at(element, instant, backend)
        return respond_with(rows, request.headers.get("accept"), archive.unknown(element, rows))

    return await read_in_turn(answer)
