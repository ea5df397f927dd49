"""An answer on its way to a client: read by worker threads, and let go of as soon as the client has gone."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable, Iterator, Mapping
from typing import Protocol, TypeVar

from anyio import CapacityLimiter
from anyio.lowlevel import RunVar
from anyio.to_thread import run_sync
from fastapi import Response
from starlette.concurrency import run_in_threadpool
from starlette.types import Receive, Scope, Send

from archiver.model import StoppedError

_BEGUN = 2
"""Pieces that are made before the response begins: the header of a format needs no reading, the second one does."""


_READERS = 8
"""Threads that read at a time. More of them answer nothing sooner, and each takes its share of time from the intake."""

_readers: RunVar[CapacityLimiter] = RunVar("readers")
T = TypeVar("T")


async def read_in_turn(function: Callable[[], T]) -> T:
    """Return what a function gives that reads samples; it runs in a thread, one of few at a time, in order of asking.

    What does not read goes by the threads of Starlette: it is never behind a crowd of those who do.
    """
    try:
        limiter = _readers.get()
    except LookupError:
        limiter = CapacityLimiter(_READERS)
        _readers.set(limiter)
    return await run_sync(function, limiter=limiter)


class Reading(Protocol):
    """What is read while a response is sent."""

    def cancel(self) -> None:
        """Stop reading, from another thread than the one that reads."""

    def close(self) -> None:
        """Let go of what is being read; more often than once is harmless."""


class AnswerResponse(Response):
    """Streams the pieces of an answer.

    When the client goes away, whoever reads for it is stopped, up to the backend's own call.

    Parameters
    ----------
    answer : Reading
        What `chunks` are made from.
    chunks : iterator of bytes
    media_type : str
    headers_of : callable, optional
        Makes headers when the answer was read; then all of it is, before the response begins.
    """

    def __init__(
        self,
        answer: Reading,
        chunks: Iterator[bytes],
        media_type: str,
        headers_of: Callable[[], Mapping[str, str]] | None = None,
    ) -> None:
        super().__init__(None, media_type=media_type)
        del self.headers["content-length"]
        self._answer = answer
        self._chunks = chunks
        self._headers_of = headers_of

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Read and send; errors before the first byte are raised, as in a route."""
        watch = asyncio.create_task(self._watch(receive))
        try:
            await self._send(send)
        except StoppedError:
            if not watch.done():
                raise
        finally:
            watch.cancel()
            await run_in_threadpool(self._let_go)

    async def _watch(self, receive: Receive) -> None:
        while (await receive())["type"] != "http.disconnect":
            pass
        await run_in_threadpool(self._answer.cancel)

    def _next(self) -> bytes:
        return next((chunk for chunk in self._chunks if chunk), b"")

    def _let_go(self) -> None:
        close = getattr(self._chunks, "close", None)
        if close is not None:
            close()
        self._answer.close()

    async def _send(self, send: Send) -> None:
        if self._headers_of is None:
            head = await read_in_turn(lambda: list(itertools.islice(self._chunks, _BEGUN)))
        else:
            content = await read_in_turn(lambda: b"".join(self._chunks))
            head = [content]
            self.headers["content-length"] = str(len(content))
            self.headers.update(self._headers_of())
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        for chunk in head:
            await send({"type": "http.response.body", "body": chunk, "more_body": True})
        following = asyncio.create_task(read_in_turn(self._next))
        try:
            while chunk := await asyncio.shield(following):
                following = asyncio.create_task(read_in_turn(self._next))  # made while this one is sent
                await send({"type": "http.response.body", "body": chunk, "more_body": True})
        finally:
            await self._ended(following)
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _ended(self, following: asyncio.Task[bytes]) -> None:
        """Wait for a piece that nobody takes any more: what makes it cannot be closed before."""
        if not following.done():
            await run_in_threadpool(self._answer.cancel)
            await asyncio.wait([following])
        if not following.cancelled():
            following.exception()  # seen: who was to take the piece has an error already
