"""Samples as they come: server-sent events, and the same over a WebSocket."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import APIRouter, Header, Request, WebSocket, WebSocketDisconnect
from fastapi import Query as Parameter
from fastapi.responses import StreamingResponse
from starlette.concurrency import run_in_threadpool
from starlette_compress import remove_compress_type

from archiver.model import ForebayError
from services.archive.live import Event, Live
from services.common.errors import UnauthorizedError
from services.common.parameters import duration_of
from services.common.security import Reader

router = APIRouter(tags=["live"])
remove_compress_type("text/event-stream")  # the state of a packer is kept as long as one watches: some MB for each

Elements = Annotated[list[str], Parameter(description="name, alias or glob; repeat it for more", examples=[["BAR:*"]])]
After = Annotated[str, Parameter(description="id of the last event seen: go on there, without the latest values")]
Every = Annotated[str, Parameter(description="events come no faster, such as 100ms")]

_EXAMPLE = """id: 5b0c:17
event: samples
data: {"samples":[{"element":"BAR:T1","source_time":"2026-01-01T00:00:00.000000001Z","value":20.5,"status":0}]}

"""


@router.get(
    "/v1/live",
    response_class=StreamingResponse,
    responses={200: {"description": "events", "content": {"text/event-stream": {"example": _EXAMPLE}}}},
)
async def watch(
    request: Request,
    archive: Reader,
    element: Elements,
    after: After = "",
    every: Every = "100ms",
    last_event_id: Annotated[str, Header(description="as after; what a browser sends when it connects again")] = "",
) -> StreamingResponse:
    """Return samples as they are acknowledged, as server-sent events, until the client goes away.

    The first event, ``latest``, has the newest sample of each element; then come ``samples``. An event ``gap`` says
    that the client was too slow for some, which ``GET /v1/samples`` has. Events have ids: who connects again with the
    last one seen gets what came since, as long as the journal has it.
    """
    live: Live = request.app.state.live
    every_s = duration_of("every", every) / 1e9
    allowed = await run_in_threadpool(archive.watch, element)
    events = live.events(element, last_event_id or after, every_s=every_s, allowed=allowed)
    first = await anext(events)  # what is wrong with the request is told by its status
    return StreamingResponse(
        _lines(first, events),
        media_type="text/event-stream",
        headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"},
    )


async def _lines(first: Event, events: AsyncIterator[Event]) -> AsyncIterator[bytes]:
    yield _line(first)
    with contextlib.suppress(UnauthorizedError):  # the key has ended, and so does what it opened
        async for event in events:
            yield _line(event)


def _line(event: Event) -> bytes:
    return f"id: {event.id}\nevent: {event.kind}\ndata: ".encode() + event.data + b"\n\n"


@router.websocket("/v1/live")
async def converse(
    socket: WebSocket, archive: Reader, element: Elements, after: After = "", every: Every = "100ms"
) -> None:
    """Send the events of ``GET /v1/live`` as JSON texts: ``{"event", "id", "data"}``."""
    live: Live = socket.app.state.live
    await socket.accept()
    try:
        every_s = duration_of("every", every) / 1e9
        allowed = await run_in_threadpool(archive.watch, element)
        async for event in live.events(element, after, every_s=every_s, allowed=allowed):
            head = f'{{"event":"{event.kind}","id":"{event.id}","data":'
            await socket.send_text(head + event.data.decode() + "}")
    except WebSocketDisconnect:
        return
    except ForebayError as exc:
        await socket.close(1008, str(exc)[:120])
