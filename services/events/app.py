"""The composition root of the events service: rules, events and alarms."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

from fastapi import FastAPI
from starlette.concurrency import run_in_threadpool

from services.common import problems
from services.common.security import Guard, check_declared
from services.events.metrics import expose
from services.events.routes import alarms, events, notifications, rules
from services.events.service import EventService
from services.events.waking import Waking


def create_app(guard: Guard) -> FastAPI:
    """Return rules, events and alarms of an archive, under ``/v1``; they work as long as the application lives.

    Parameters
    ----------
    guard : Guard
        Gives callers their view of the archive.

    Raises
    ------
    ConfigurationError
        A file of rules is wrong.
    """
    service = EventService(guard.archive)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[dict[str, Any]]:
        waking = Waking()
        app.state.stop = waking.stop  # what watches alarms ends before the service does
        await run_in_threadpool(service.start, waking)
        app.state.events = service
        try:
            yield {"events": service}
        finally:
            await run_in_threadpool(service.close)

    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None, lifespan=lifespan, responses=problems.DOCS)
    app.state.guard = guard
    app.state.expose = partial(expose, service)
    problems.install(app)
    for module in (events, alarms, rules, notifications):
        app.include_router(module.router)
    check_declared(app)
    return app
