"""The composition root of the Grafana service."""

from __future__ import annotations

from fastapi import APIRouter, FastAPI

from services.common import problems
from services.common.security import Guard, check_declared
from services.grafana import failures
from services.grafana.routes import flat, prometheus


def create_app(guard: Guard) -> FastAPI:
    """Return the archive for Grafana: tables under ``/grafana``, Prometheus' HTTP API under ``/api/v1``.

    Parameters
    ----------
    guard : Guard
        Gives callers their view of the archive.
    """
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    tables, series = _part(guard, flat.router), _part(guard, prometheus.router)
    problems.install(tables)
    failures.install(series)
    app.mount("/grafana", tables)
    app.mount("/api/v1", series)
    check_declared(app)
    return app


def _part(guard: Guard, router: APIRouter) -> FastAPI:
    part = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    part.state.guard = guard
    part.include_router(router)
    return part
