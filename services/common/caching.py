"""Answers that the client has already: a short answer to GET has a tag, and who names that tag gets no body."""

from __future__ import annotations

import hashlib

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_LARGEST = 2**20
_LEFT_OUT = {"content-length", "content-type", "content-encoding"}


class ConditionalGet:
    """ASGI middleware that answers 304 where ``If-None-Match`` names what would be answered (RFC 9110).

    The answer is made all the same: what is saved is its way. Answers that are streamed have no tag.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, and its answer back."""
        if scope["type"] != "http" or scope["method"] != "GET":
            await self._app(scope, receive, send)
            return
        known = Headers(scope=scope).get("if-none-match", "")
        start: Message | None = None

        async def sending(message: Message) -> None:
            nonlocal start
            if message["type"] == "http.response.start" and _is_tagged(message):
                start = message
                return
            if start is not None:
                head, start = start, None
                if not message.get("more_body"):
                    head, message = _conditional(head, message, known)
                await send(head)
            await send(message)

        await self._app(scope, receive, sending)


def _is_tagged(start: Message) -> bool:
    """Whether an answer is whole, short, and has no tag of its own."""
    headers = Headers(raw=start["headers"])
    length = headers.get("content-length", "")
    kept = "no-store" not in headers.get("cache-control", "")
    return start["status"] == 200 and length.isdigit() and int(length) <= _LARGEST and "etag" not in headers and kept


def _conditional(start: Message, body: Message, known: str) -> tuple[Message, Message]:
    tag = f'W/"{hashlib.blake2b(body.get("body", b""), digest_size=12).hexdigest()}"'
    headers = MutableHeaders(raw=list(start["headers"]))
    headers["etag"] = tag
    headers.setdefault("cache-control", "no-cache")
    named = {part.strip().removeprefix("W/") for part in known.split(",")}
    if named.isdisjoint({tag.removeprefix("W/"), "*"}):
        return {**start, "headers": headers.raw}, body
    left = [(name, value) for name, value in headers.raw if name.decode() not in _LEFT_OUT]
    return {**start, "status": 304, "headers": left}, {**body, "body": b""}
