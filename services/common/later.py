"""Long work as a job: asked with ``Prefer: respond-async``, or because it always takes long; answered with 202."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from fastapi import Request, Response
from fastapi.responses import JSONResponse

from archiver.model import StoppedError
from services.common.jobs import Jobs, Running, Work
from services.common.security import View
from services.common.security.view import Progress

_ASYNC = "respond-async"


def is_for_later(headers: Mapping[str, str]) -> bool:
    """Return whether a client prefers a job to an answer that it waits for (RFC 7240)."""
    return any(part.strip().lower() == _ASYNC for part in headers.get("prefer", "").replace(";", ",").split(","))


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

    return accepted(request, archive, asked, "application/json", run)


def accepted(request: Request, archive: View, asked: Mapping[str, Any], media_type: str, work: Work) -> Response:
    """Begin work as a job of the caller, unless that was begun before; return 202 and where it is found."""
    jobs: Jobs = request.app.state.jobs
    owner, key = archive.caller.principal.name, request.headers.get("idempotency-key", "")
    job = jobs.submit(owner, asked, media_type, work, key)
    headers = {"Location": f"/v1/jobs/{job.id}", "Retry-After": "1", "Preference-Applied": _ASYNC}
    return JSONResponse(job.to_dict(), 202, headers)
