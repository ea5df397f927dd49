"""Request bodies: read whole within a budget, and unpacked within a bound."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pyarrow as pa
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from archiver.model import BackpressureError, InvalidInputError
from services.common.errors import TooLargeError, UnsupportedMediaError
from services.common.problems import response_to

ENCODINGS = {"gzip": "gzip", "x-gzip": "gzip", "zstd": "zstd"}
_IDENTITY = ("", "identity")
_MISREAD = 400  # what FastAPI makes of any error while it reads a body


class BodyBudget:
    """How much of all bodies together may be in memory: a crowd of large requests is asked to wait.

    Parameters
    ----------
    largest : int
        Most bytes of one body, packed or not.
    bodies : int
        How many of the largest ones fit at a time.
    """

    def __init__(self, largest: int, bodies: int = 4) -> None:
        self.largest = largest
        self._free = largest * bodies

    @asynccontextmanager
    async def read(self, request: Request) -> AsyncIterator[bytes]:
        """Give the body of a request, as sent; it counts against the budget while the context lasts.

        Raises
        ------
        TooLargeError
        BackpressureError
            Too much is in memory already.
        """
        chunks: list[bytes] = []
        taken = 0
        try:
            async for chunk in request.stream():
                taken += len(chunk)
                self._free -= len(chunk)
                if taken > self.largest:
                    raise TooLargeError(_too_large(self.largest))
                if self._free < 0:
                    raise BackpressureError("too many large bodies at a time; send this one again")
                chunks.append(chunk)
            yield b"".join(chunks) if len(chunks) != 1 else chunks[0]
        finally:
            self._free += taken

    def unpack(self, body: bytes, encoding: str | None) -> bytes:
        """Return a body without its ``Content-Encoding``; what would be larger than the largest is not unpacked.

        Raises
        ------
        UnsupportedMediaError
            The encoding is not known here.
        TooLargeError
        InvalidInputError
            The body is not what its encoding says, or cut.
        """
        name = (encoding or "").strip().lower()
        if name in _IDENTITY:
            return body
        if name not in ENCODINGS:
            known = ", ".join(sorted(set(ENCODINGS.values())))
            raise UnsupportedMediaError(f"Content-Encoding: {encoding}: not read here; send it plain or as {known}")
        try:
            with pa.CompressedInputStream(pa.BufferReader(body), ENCODINGS[name]) as stream:
                plain: bytes = stream.read(self.largest + 1)
        except OSError as exc:
            raise InvalidInputError(f"the body is not {name}, as its Content-Encoding says: {exc}") from exc
        if len(plain) > self.largest:
            raise TooLargeError(_too_large(self.largest))
        return plain


class BoundedBodies:
    """ASGI middleware that reads no more of a body than the largest, whoever reads it: FastAPI takes any into memory.

    Parameters
    ----------
    app : ASGI application
    largest : int
        Bytes.
    """

    def __init__(self, app: ASGIApp, largest: int) -> None:
        self._app = app
        self._largest = largest

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on; when its body is too large, that is the answer."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        taken, replaced = 0, False
        error = TooLargeError(_too_large(self._largest))

        async def receiving() -> Message:
            nonlocal taken
            message = await receive()
            taken += len(message.get("body", b""))
            if taken > self._largest:
                raise error
            return message

        async def sending(message: Message) -> None:
            nonlocal replaced
            if message["type"] == "http.response.start" and taken > self._largest and message["status"] == _MISREAD:
                replaced = True
                await response_to(error)(scope, receive, send)
            if not replaced:
                await send(message)

        await self._app(scope, receiving, sending)


def _too_large(largest: int) -> str:
    return f"the body is larger than {largest} bytes (server.max_body_bytes); send it in parts"
