"""What the routes work on, from the state of the application."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Request

from archiver.bootstrap import Archive
from services.archive.ingest import Ingest


def archive_of(request: Request) -> Archive:
    """Return the archive that the application was made for."""
    archive: Archive = request.app.state.archive
    return archive


def ingest_of(request: Request) -> Ingest:
    """Return what takes bodies in."""
    ingest: Ingest = request.app.state.ingest
    return ingest


TheArchive = Annotated[Archive, Depends(archive_of)]
"""A parameter that receives the archive."""
