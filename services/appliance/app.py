"""The composition root of the appliance service."""

from __future__ import annotations

from fastapi import APIRouter, Depends, FastAPI, Response
from starlette.middleware.cors import CORSMiddleware
from starlette_compress import remove_compress_type

from services.appliance.formats import raw
from services.appliance.routes import data, management, search
from services.common import problems
from services.common.security import Guard, Public, check_declared

_ping = APIRouter()


@_ping.get("/ping", response_class=Response, dependencies=[Depends(Public("says that somebody is there"))])
def ping() -> Response:
    """Say that somebody is there."""
    return Response("Pong\n", media_type="text/plain")


def create_app(guard: Guard) -> FastAPI:
    """Return the archive as an EPICS Archiver Appliance, under ``/retrieval`` and ``/mgmt``.

    All of it is in mounts, so that another application can have them among its own routes.

    Parameters
    ----------
    guard : Guard
        Gives callers their view of the archive.
    """
    remove_compress_type(raw.MEDIA_TYPE)  # some clients accept gzip by their library, and read the bytes below it
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    app.mount("/retrieval", _part(guard, _ping, data.router, search.router))
    app.mount("/mgmt", _part(guard, management.router))
    check_declared(app)
    return app


def _part(guard: Guard, *routers: APIRouter) -> FastAPI:
    part = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    part.state.guard = guard
    problems.install(part)
    part.add_middleware(CORSMiddleware, allow_origins=["*"], allow_methods=["GET", "POST"], allow_headers=["*"])
    for router in routers:
        part.include_router(router)
    return part
