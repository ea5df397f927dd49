"""What the routes work on, from the state of the application."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Request

from archiver.bootstrap import Archive
from services.archive.files import Files
from services.archive.ingest import Ingest
from services.common.jobs import Jobs


def archive_of(request: Request) -> Archive:
    """Return the archive that the application was made for."""
    archive: Archive = request.app.state.archive
    return archive


def ingest_of(request: Request) -> Ingest:
    """Return what takes bodies in."""
    ingest: Ingest = request.app.state.ingest
    return ingest


def files_of(request: Request) -> Files:
    """Return what keeps files that are to be loaded."""
    files: Files = request.app.state.files
    return files


def jobs_of(request: Request) -> Jobs:
    """Return what keeps the jobs."""
    jobs: Jobs = request.app.state.jobs
    return jobs


TheArchive = Annotated[Archive, Depends(archive_of)]
"""A parameter that receives the archive."""

TheJobs = Annotated[Jobs, Depends(jobs_of)]
"""A parameter that receives the jobs."""
