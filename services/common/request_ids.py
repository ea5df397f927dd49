"""An id for each request: in its answer, in the audit log, and in what it is asked about."""

from __future__ import annotations

import re
from contextvars import ContextVar
from uuid import uuid4

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

HEADER = "X-Request-Id"
_current: ContextVar[str] = ContextVar("request_id", default="")
_TAKEN = re.compile(r"[\w.:-]{1,64}", re.ASCII)


def current() -> str:
    """Return the id of the request that is being answered, in its task and in the threads that work for it."""
    return _current.get()


class RequestIds:
    """ASGI middleware that takes the id that a request brings along, when it can be one, or makes one up.

    It is ``request.state.request_id``, and goes back in the header ``X-Request-Id``.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on with its id."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        given = Headers(scope=scope).get(HEADER, "")
        number = given if _TAKEN.fullmatch(given) else uuid4().hex
        scope.setdefault("state", {})["request_id"] = number

        async def sending(message: Message) -> None:
            if message["type"] in ("http.response.start", "websocket.accept"):
                MutableHeaders(scope=message)[HEADER] = number
            await send(message)

        token = _current.set(number)
        try:
            await self._app(scope, receive, sending)
        finally:
            _current.reset(token)
