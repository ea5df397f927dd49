"""Long work as a job: what it comes to becomes a file, which is fetched when it is done."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from contextlib import closing
from typing import Any

from fastapi import Request, Response
from fastapi.responses import JSONResponse

from archiver.model import StoppedError
from archiver.query import Query
from archiver.query.formats import write
from services.archive.answers import format_of
from services.archive.dependencies import jobs_of
from services.archive.question import Question
from services.common.jobs import Running, Work
from services.common.security import View
from services.common.security.view import Progress

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
        rows = 0
        with closing(archive.query(query)) as answer, running.stop.stopping(answer.cancel):
            for chunk in write(answer, name, outcome=question.outcome):
                running.write(chunk)
                rows = sum(part.rows for part in answer.parts)
                running.tell({"rows": rows, "expected": expected, "bytes": running.bytes})
        running.tell({"rows": rows, "expected": expected, "bytes": running.bytes, **answer.outcome()})

    asked = {**question.model_dump(mode="json", exclude_defaults=True), "accept": media_type}
    return _accepted(request, archive, asked, media_type, work)


def work_later(
    request: Request, archive: View, asked: Mapping[str, Any], work: Callable[[Progress], dict[str, Any]]
) -> Response:
    """Return 202, and where the job is found that does some work; its result is a JSON document.

    A job that is cancelled stops where the work tells of its progress: what it has done until then stays done.

    Parameters
    ----------
    asked : mapping
        What tells it from other work, as plain values.
    work : callable
        Called with what takes the progress.
    """

    def run(running: Running) -> None:
        def tell(done: int, total: int) -> None:
            running.tell({"done": done, "total": total})
            if running.stop.is_set:
                raise StoppedError("it was cancelled")

        running.write(json.dumps(work(tell)).encode())

    return _accepted(request, archive, asked, "application/json", run)


def _accepted(request: Request, archive: View, asked: Mapping[str, Any], media_type: str, work: Work) -> Response:
    owner, key = archive.caller.principal.name, request.headers.get("idempotency-key", "")
    job = jobs_of(request).submit(owner, asked, media_type, work, key)
    headers = {"Location": f"/v1/jobs/{job.id}", "Retry-After": "1", "Preference-Applied": _ASYNC}
    return JSONResponse(job.to_dict(), 202, headers)
