"""The composition root of the HTTP service."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from importlib.metadata import version
from typing import Any

from fastapi import Depends, FastAPI
from starlette_compress import CompressMiddleware, add_compress_type

from archiver import registry
from archiver.bootstrap import Archive
from archiver.config import ServerSettings
from services.archive.express import Express
from services.archive.files import Files
from services.archive.ingest import Ingest
from services.archive.live import Live
from services.archive.metrics import QueryCounts
from services.archive.routes import (
    administration,
    elements,
    files,
    health,
    ingest,
    jobs,
    live,
    repair,
    samples,
    segments,
    state,
)
from services.common import problems
from services.common.bodies import BodyBudget, BoundedBodies
from services.common.caching import ConditionalGet
from services.common.connections import TurnsAway
from services.common.jobs import Jobs
from services.common.pages import Pages
from services.common.request_ids import RequestIds
from services.common.security import Guard, Public, check_declared
from services.common.telemetry import RequestCounter, RequestCounts
from services.common.tracing import Traced, Traces

_DESCRIPTION = """
Archive of an industrial control system over HTTP: samples in, samples out, and what became of each.

Times are ISO-8601 with a zone, `now`, `now-1h`, or whole nanoseconds. Errors are `application/problem+json`.
"""

for _type in ("application/x-ndjson", "text/csv"):  # with those of the web; Arrow and Parquet are dense as they are
    add_compress_type(_type)
_API = Depends(Public("describes the program"))


def create_app(
    archive: Archive, settings: ServerSettings, local_key: str | None = None, traces: Traces | None = None
) -> FastAPI:
    """Return the HTTP service of an archive that is open, or will be before the first request.

    Parameters
    ----------
    archive : Archive
    settings : ServerSettings
    local_key : str, optional
        Text of the key of commands on this machine; see `services.common.security.Guard`.
    traces : Traces, optional
        Makes a span of each request, and of what it is about; stopped with the service.
    """
    budget = BodyBudget(settings.max_body_bytes)
    guard = Guard(archive, settings, local_key)
    parts: list[FastAPI] = [registry.load(registry.SERVICES, name)(guard) for name in registry.names(registry.SERVICES)]
    # no page of documents: FastAPI's loads its script from elsewhere
    app = FastAPI(
        title="forebay",
        version=version("forebay"),
        description=_DESCRIPTION,
        lifespan=_lifespan(archive, budget, traces, parts),
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        responses=problems.DOCS,
    )
    app.state.archive = archive
    app.state.guard = guard
    app.state.budget = budget
    app.state.started = False
    app.state.connections = ()  # the server's own, once there is one
    app.state.files = Files(archive.directory / "files", settings.max_body_bytes)
    problems.install(app)
    app.add_middleware(BoundedBodies, largest=settings.max_body_bytes)
    app.add_middleware(ConditionalGet)
    app.add_middleware(CompressMiddleware, brotli=False)
    app.add_middleware(Express, routes=ingest.SHORT)
    app.add_middleware(TurnsAway, spared=["/health/live", "/metrics"])
    _observe(app, archive, traces)
    for module in (ingest, files, samples, live, jobs, elements, state, segments, repair, administration, health):
        app.include_router(module.router)
    app.add_api_route("/openapi.json", lambda: app.openapi(), include_in_schema=False, dependencies=[_API])
    for part in parts:
        app.router.routes.extend(part.routes)
    app.state.parts = parts
    app.mount("/", Pages("services.web"))
    check_declared(app)
    return app


def _lifespan(
    archive: Archive, budget: BodyBudget, traces: Traces | None, parts: Sequence[FastAPI]
) -> Callable[[FastAPI], AbstractAsyncContextManager[None]]:
    """Return what starts and stops what works by itself, that of the mounted services too.

    What a mounted service yields in its own `lifespan` is in the state of the application.
    """

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        if traces is not None:
            traces.start()
        app.state.ingest = Ingest(archive, budget)
        app.state.live = Live(archive)
        app.state.jobs = Jobs(archive.directory / "jobs")
        async with AsyncExitStack() as stack:
            for part in parts:
                begun: AbstractAsyncContextManager[Any] = part.router.lifespan_context(part)
                for name, value in (await stack.enter_async_context(begun) or {}).items():
                    setattr(app.state, name, value)
            app.state.started = True
            yield
        app.state.jobs.close()
        app.state.live.close()
        app.state.ingest.close()
        if traces is not None:
            traces.stop()

    return lifespan


def _observe(app: FastAPI, archive: Archive, traces: Traces | None) -> None:
    """Count requests and queries, give requests their ids, and trace both where that is asked for."""
    app.state.requests, app.state.queries = RequestCounts(), QueryCounts()
    archive.on_answer.append(app.state.queries.watch)
    app.add_middleware(RequestCounter, counts=app.state.requests)
    if traces is not None:
        archive.on_answer.append(traces.watch)
        app.add_middleware(Traced, traces=traces)
    app.add_middleware(RequestIds)
