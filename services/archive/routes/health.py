"""For whoever watches over the process: alive, ready, metrics."""

from __future__ import annotations

from fastapi import APIRouter, Depends, Request, Response
from fastapi.responses import JSONResponse

from services.archive.dependencies import TheArchive
from services.archive.health import not_ready, not_started
from services.archive.metrics import expose, expose_service
from services.common.security import Public, Reader, SeesAll
from services.common.telemetry import MEDIA_TYPE, Exposition

router = APIRouter(tags=["health"])

_ALIVE = Depends(Public("says that somebody is there, and whether it can work"))


@router.get("/health/live", dependencies=[_ALIVE])
async def live() -> dict[str, str]:
    """Say that the process answers."""
    return {"status": "alive"}


@router.get("/health/ready", responses={503: {"description": "not ready; says why"}}, dependencies=[_ALIVE])
def ready(archive: TheArchive, curious: SeesAll) -> JSONResponse:
    """Say whether samples can be taken in and kept, and if not, why; why is for those who may read everything."""
    reasons = not_ready(archive)
    told = reasons if curious else []
    return JSONResponse({"status": "not ready" if reasons else "ready", "reasons": told}, 503 if reasons else 200)


@router.get("/health/startup", responses={503: {"description": "not yet; says why"}}, dependencies=[_ALIVE])
def startup(request: Request, archive: TheArchive, curious: SeesAll) -> JSONResponse:
    """Say whether it has come up: every backend was reached, or has failed to answer; why not is as of ready."""
    reasons = not_started(archive) if request.app.state.started else ["the service starts"]
    told = reasons if curious else []
    return JSONResponse({"status": "starting" if reasons else "started", "reasons": told}, 503 if reasons else 200)


@router.get("/metrics", response_class=Response, responses={200: {"content": {"text/plain": {}}}})
def metrics(request: Request, archive: TheArchive, view: Reader) -> Response:
    """Return what is counted, in the text format of Prometheus."""
    text = Exposition()
    expose(archive, view.totals(), text)
    state = request.app.state
    expose_service(len(state.connections), state.live.watchers, state.jobs.counts(), text)
    state.queries.expose(text)
    state.requests.expose(text)
    for part in state.parts:
        if (more := getattr(part.state, "expose", None)) is not None:
            more(text)
    return Response(text.render(), media_type=MEDIA_TYPE)
