"""How telling goes: the channels, and what could not be told."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Path, Response
from fastapi import Query as Parameter

from services.common.security import Administrator, Operator
from services.events.dependencies import TheService

router = APIRouter(prefix="/v1/notifications", tags=["alarms"])

_CHANNEL = {
    "name": "control-room",
    "kind": "mail",
    "state": "idle",
    "waiting": 0,
    "failed": 0,
    "sent": 12,
    "failures": 0,
    "oldest": None,
    "next": None,
    "last_sent": "2026-01-01T00:00:00.000000000Z",
    "last_error": "",
}
FailedId = Annotated[int, Path(ge=1, le=2**63 - 1, description="as the list of failed notices has it")]


@router.get("", responses={200: {"content": {"application/json": {"example": {"channels": [_CHANNEL]}}}}})
def list_channels(view: Operator, service: TheService) -> dict[str, Any]:
    """Return how each channel is doing: what waits, since when, and why the last attempt failed."""
    view.check_whole()
    return {"channels": [channel.to_row() for channel in service.notifications.status()]}


@router.get("/failed")
def list_failed(
    view: Operator,
    service: TheService,
    channel: Annotated[str, Parameter(description="only of this one")] = "",
) -> dict[str, Any]:
    """Return the notices that could not be told, with the reason, oldest first."""
    view.check_whole()
    return {"failed": [failed.to_row() for failed in service.outbox.failed(channel)]}


@router.post("/failed/{failed_id}/retry", status_code=204)
def retry(view: Operator, service: TheService, failed_id: FailedId) -> Response:
    """Try once more to tell a notice."""
    view.check_whole()
    with view.changing("retry notice", id=failed_id):
        service.outbox.retry(failed_id)
    service.notifications.wake()
    return Response(status_code=204)


@router.delete("/failed/{failed_id}", status_code=204)
def drop(view: Administrator, service: TheService, failed_id: FailedId) -> Response:
    """Forget a notice that could not be told."""
    view.check_whole()
    with view.changing("drop notice", id=failed_id):
        service.outbox.drop(failed_id)
    return Response(status_code=204)
