"""Events, and the frames that they open and close."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Annotated, Any

from fastapi import APIRouter, Header, Request
from fastapi import Query as Parameter
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, ConfigDict, Field
from starlette.concurrency import run_in_threadpool

from archiver.model.time import ALWAYS
from services.common.errors import BadParameterError, UnauthorizedError
from services.common.parameters import End, Start, interval_of
from services.events.dependencies import OperatorDesk, ReaderDesk, TheService
from services.events.desk import Desk
from services.events.rows import alarm_row, history_rows

router = APIRouter(prefix="/v1", tags=["events"])

_IDLE_S = 15.0
_AT_ONCE = 1000
_EVENT = {
    "id": "9b1d0c7e5f2a4e6d8c3b1a0f9e8d7c6b",
    "time": "2026-01-01T00:00:00.000000000Z",
    "rule": "oxygen-low",
    "key": "plant:OXYGEN1",
    "kind": "came",
    "value": 19.2,
    "attributes": {},
}
_EXAMPLE = """id: 17
event: transition
data: {"transition": {"change": "came", "state": "active_unacknowledged"}, "alarm": {"key": "plant:OXYGEN1"}}

"""
Most = Annotated[int, Parameter(ge=1, le=100_000, description="no more than these")]


class Written(BaseModel):
    """What is written about a frame."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"example": {"text": "the door was open"}})

    text: str = Field(min_length=1, max_length=10_000)


@router.get("/events", responses={200: {"content": {"application/json": {"example": {"events": [_EVENT]}}}}})
def list_events(
    desk: ReaderDesk,
    start: Start,
    end: End = "now",
    rule: Annotated[list[str] | None, Parameter(description="only of this rule; repeatable")] = None,
    limit: Most = 1000,
) -> dict[str, Any]:
    """Return the events of an interval in order of time: what rules found, with ids made from their content."""
    found = desk.events(interval_of(start, end), rule or (), limit)
    return {"events": [event.to_row() for event in found]}


@router.get("/frames")
def list_frames(
    desk: ReaderDesk,
    start: Start,
    end: End = "now",
    rule: Annotated[str, Parameter(description="only of this rule")] = "",
    key: Annotated[list[str] | None, Parameter(description="only of this element or device; repeatable")] = None,
    limit: Most = 1000,
) -> dict[str, Any]:
    """Return the spans of time in which something held that an interval meets, with what was written about them."""
    found = desk.frames(interval_of(start, end), rule, key or (), limit)
    return {"frames": [{**frame.to_row(), "annotations": [note.to_row() for note in notes]} for frame, notes in found]}


@router.post("/frames/{frame_id}/annotations", status_code=201)
def annotate(desk: OperatorDesk, frame_id: str, written: Written) -> dict[str, Any]:
    """Write something about a frame, for good: it stays with it when the rule is calculated anew."""
    return desk.annotate(frame_id, written.text).to_row()


@router.get(
    "/alarms/live",
    response_class=StreamingResponse,
    responses={200: {"description": "events", "content": {"text/event-stream": {"example": _EXAMPLE}}}},
)
async def watch(
    request: Request,
    desk: ReaderDesk,
    service: TheService,
    after: Annotated[str, Parameter(description="id of the last event seen: go on there")] = "",
    last_event_id: Annotated[str, Header(description="as after; what a browser sends when it connects again")] = "",
) -> StreamingResponse:
    """Return what becomes of alarms as it happens, as server-sent events, until the client goes away.

    An event is a transition, and the alarm as it is now. Who begins without `after` gets what happens from then on.
    """
    text = last_event_id or after
    if text and not (text.isascii() and text.isdigit() and len(text) <= 18):
        raise BadParameterError("after", text[:80], "give the id of an event as it came, or leave it out")
    number = int(text) if text else await run_in_threadpool(service.store.last_transition)
    return StreamingResponse(
        _lines(desk, service, number),
        media_type="text/event-stream",
        headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"},
    )


async def _lines(desk: Desk, service: Any, number: int) -> AsyncIterator[bytes]:
    yield b": watching\n\n"
    while not service.waking.stopped:
        changed = service.waking.current
        try:
            rows = await run_in_threadpool(_news, desk, service, number)
        except UnauthorizedError:  # the key has ended, and so does what it opened
            return
        for row, data in rows:
            number = row
            if data:
                yield data
        if not rows and not await service.waking.wait(changed, _IDLE_S):
            yield b": idle\n\n"
        await asyncio.sleep(0)


def _news(desk: Desk, service: Any, number: int) -> list[tuple[int, bytes]]:
    """Return what became of alarms after a transition: its number, and the event as bytes, empty for others' alarms."""
    desk.check_holds()
    news = []
    for row in history_rows(service.store.transitions(ALWAYS, after=number, limit=_AT_ONCE)):
        data = b""
        if desk.sees(row["rule"], row["key"]):
            told = {"transition": row, "alarm": alarm_row(service.store.alarm(row["alarm"]))}
            data = f"id: {row['number']}\nevent: transition\ndata: {json.dumps(told)}\n\n".encode()
        news.append((row["number"], data))
    return news
