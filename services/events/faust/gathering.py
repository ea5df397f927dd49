"""Events of a Faust stream that wait until there is time for them: the busier it is, the more are taken together."""

from __future__ import annotations

import asyncio
from typing import Any

import faust

_WAITING = 64
_POLL_S = 0.2


class Gathering:
    """Takes events from an agent and gives them on in runs.

    Parameters
    ----------
    app : faust.App
    most_bytes : int
        Of a run; one event may have more.
    """

    def __init__(self, app: faust.App, most_bytes: int) -> None:
        self._app = app
        self._most = most_bytes
        self._queue: asyncio.Queue[Any] | None = None

    async def put(self, event: Any) -> None:
        """Add an event; waits while too many are waiting."""
        await self._waiting().put(event)

    async def take(self) -> list[Any]:
        """Return the next events, those of before a rebalance left out; none after a moment in which none came."""
        queue = self._waiting()
        try:
            events = [await asyncio.wait_for(queue.get(), _POLL_S)]
        except TimeoutError:
            return []
        size = len(events[0].value or b"")
        while not queue.empty() and size < self._most:
            events.append(queue.get_nowait())
            size += len(events[-1].value or b"")
        current = self._app.consumer_generation_id
        return [event for event in events if event.message.generation_id == current]

    def clear(self) -> None:
        """Drop what waits."""
        queue = self._waiting()
        while not queue.empty():
            queue.get_nowait()

    def _waiting(self) -> asyncio.Queue[Any]:
        if self._queue is None:
            self._queue = asyncio.Queue(_WAITING)
        return self._queue
