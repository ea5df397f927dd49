"""A query read as a job: the answer becomes a file, which is fetched when it is done."""

from __future__ import annotations

from collections.abc import Mapping

from fastapi import Request, Response
from fastapi.responses import JSONResponse

from archiver.query import Query
from archiver.query.formats import write
from services.archive.answers import format_of
from services.archive.dependencies import jobs_of
from services.archive.question import Question
from services.common.jobs import Running
from services.common.security import View

_ASYNC = "respond-async"


def is_for_later(headers: Mapping[str, str]) -> bool:
    """Return whether a client prefers a job to an answer that it waits for (RFC 7240)."""
    return any(part.strip().lower() == _ASYNC for part in headers.get("prefer", "").replace(";", ",").split(","))


def respond_later(request: Request, archive: View, question: Question, query: Query) -> Response:
    """Return 202, and where the job is found that reads the answer in the format that the client accepts.

    Raises
    ------
    NotAcceptableError
    """
    media_type, name = format_of(request.headers.get("accept"))
    expected = archive.plan(query).get("rows")

    def work(running: Running) -> None:
        answer = archive.query(query)
        with running.stop.stopping(answer.cancel):
            for chunk in write(answer, name, outcome=question.outcome):
                running.result.write(chunk)
                rows = sum(part.rows for part in answer.parts)
                running.tell({"rows": rows, "expected": expected, "bytes": running.result.tell()})
        running.tell({"rows": rows, "expected": expected, "bytes": running.result.tell(), **answer.outcome()})

    asked = {**question.model_dump(mode="json", exclude_defaults=True), "accept": media_type}
    owner, key = archive.caller.principal.name, request.headers.get("idempotency-key", "")
    job = jobs_of(request).submit(owner, asked, media_type, work, key)
    location = f"/v1/jobs/{job.id}"
    return JSONResponse(job.to_dict(), 202, {"Location": location, "Retry-After": "1", "Preference-Applied": _ASYNC})
