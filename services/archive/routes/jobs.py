"""Queries that take long: asked with ``Prefer: respond-async``, fetched when they are done."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Response
from fastapi.responses import FileResponse

from services.archive.dependencies import TheJobs
from services.common.errors import NotDoneError
from services.common.jobs import State
from services.common.security import Reader

router = APIRouter(prefix="/v1/jobs", tags=["jobs"])

_JOB = {
    "id": "6f1c0f3e9a1b2c3d4e5f6a7b",
    "state": "done",
    "request": {"elements": ["BAR:*"], "start": "2026-01-01T00:00:00Z", "end": "2026-07-01T00:00:00Z"},
    "created": "2026-07-01T00:00:00.000000000Z",
    "ended": "2026-07-01T00:00:09.000000000Z",
    "progress": {"rows": 5000000, "expected": 5000000},
    "result": "/v1/jobs/6f1c0f3e9a1b2c3d4e5f6a7b/result",
    "problem": None,
}


@router.get("", responses={200: {"content": {"application/json": {"example": {"jobs": [_JOB]}}}}})
def list_jobs(archive: Reader, jobs: TheJobs) -> dict[str, Any]:
    """Return the caller's jobs, oldest first; they are kept for a day."""
    return {"jobs": [job.to_dict() for job in jobs.of(archive.caller.principal.name)]}


@router.get("/{job_id}", responses={200: {"content": {"application/json": {"example": _JOB}}}})
def get_job(archive: Reader, jobs: TheJobs, job_id: str) -> dict[str, Any]:
    """Return how far a job is: queued, running, done, failed (with the problem) or cancelled."""
    return jobs.get(archive.caller.principal.name, job_id).to_dict()


@router.get("/{job_id}/result", response_class=FileResponse, responses={409: {"description": "it is not done"}})
def get_result(archive: Reader, jobs: TheJobs, job_id: str) -> FileResponse:
    """Return what a job that is done has made; ranges of bytes are served, so a download can go on where it broke."""
    job = jobs.get(archive.caller.principal.name, job_id)
    if job.state is not State.DONE:
        raise NotDoneError(f"job {job_id} is {job.state}; GET /v1/jobs/{job_id} says more")
    return FileResponse(jobs.result(job), media_type=job.media_type)


@router.delete("/{job_id}", status_code=204)
def delete_job(archive: Reader, jobs: TheJobs, job_id: str) -> Response:
    """Cancel a job that has not ended, up to the call in which a backend is; forget one that has, with its result."""
    jobs.remove(archive.caller.principal.name, job_id)
    return Response(status_code=204)
