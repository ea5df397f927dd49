"""Events of a Faust stream that wait until there is time for them, without a gap: the busier, the more at once."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any

import faust
from faust.types import TP

_LOG = logging.getLogger(__name__)
_WAITING = 192
_POLL_S = 0.2
_AGAIN_S = 1.0


class Gathering:
    """Takes events from an agent and gives them on in runs, those of a partition one after the other.

    After a rebalance Faust may give what it had fetched before, and go on behind that. Such a gap is not let through:
    the partition is read again from where it should go on.

    Parameters
    ----------
    app : faust.App
    topic : str
    last : callable
        Says of a partition which offset was the last, where nothing was given on since a rebalance.
    most_bytes : int
        Of a run; one event may have more.

    Attributes
    ----------
    jumped : set of int
        Partitions of which something was gone before it was read: what is given on next does not follow on the last.
    """

    def __init__(self, app: faust.App, topic: str, last: Callable[[int], int], most_bytes: int) -> None:
        self._app = app
        self._topic = topic
        self._last = last
        self._most = most_bytes
        self._queue: asyncio.Queue[Any] | None = None
        self._next: dict[int, int] = {}
        self._missing: dict[int, float] = {}
        self.jumped: set[int] = set()

    async def put(self, event: Any) -> None:
        """Add an event; waits while too many are waiting."""
        await self._waiting().put(event)

    async def take(self) -> list[Any]:
        """Return the next events; none after a moment in which none came."""
        await self._read_again()
        queue = self._waiting()
        try:
            events = [await asyncio.wait_for(queue.get(), _POLL_S)]
        except TimeoutError:
            return []
        size = len(events[0].value or b"")
        while not queue.empty() and size < self._most:
            events.append(queue.get_nowait())
            size += len(events[-1].value or b"")
        return [event for event in events if self._follows(event)]

    def clear(self) -> None:
        """Drop what waits, and what is known of partitions."""
        queue = self._waiting()
        while not queue.empty():
            queue.get_nowait()
        self._next.clear()
        self._missing.clear()
        self.jumped.clear()

    def _follows(self, event: Any) -> bool:
        partition, offset = event.message.partition, event.message.offset
        if event.message.generation_id != self._app.consumer_generation_id:
            return False
        due = self._due(partition)
        if offset < due:  # it is done with
            event.ack()
        elif offset > due:
            self._missing.setdefault(partition, 0.0)
        else:
            self._next[partition] = offset + 1
            self._missing.pop(partition, None)
        return bool(offset == due)

    def _due(self, partition: int) -> int:
        if partition not in self._next:
            self._next[partition] = self._last(partition) + 1
        return self._next[partition]

    async def _read_again(self) -> None:
        """Go back to where a gap begins; once more after a while, as what was on its way may have come in between."""
        time = asyncio.get_running_loop().time()
        for partition, tried in list(self._missing.items()):
            place = TP(self._topic, partition)
            if time - tried < _AGAIN_S or place not in self._app.consumer.assignment():
                continue
            self._missing[partition] = time
            first, due = (await self._app.consumer.earliest_offsets(place))[place], self._due(partition)
            if first > due:
                _LOG.error("%s/%d: %d to %d were gone before they were read", self._topic, partition, due, first - 1)
                self._next[partition] = due = first
                self.jumped.add(partition)
            await self._app.consumer.seek(place, due)

    def _waiting(self) -> asyncio.Queue[Any]:
        if self._queue is None:
            self._queue = asyncio.Queue(_WAITING)
        return self._queue
