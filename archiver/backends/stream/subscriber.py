"""One subscriber over TCP: what waits for it, and what it is told when that is too much."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable

from archiver.backends.stream import frames
from archiver.backends.stream.options import StreamOptions

Snapshot = Callable[[], tuple[int, bytes]]
"""Gives the number of the last change, and the frame of all newest samples after it."""

_PIECE = 2**20


class Subscriber:
    """Sends a snapshot, then the changes after it, as fast as the other side takes them.

    Parameters
    ----------
    writer : asyncio.StreamWriter
    snapshot : callable
        See `Snapshot`.
    options : StreamOptions
    """

    def __init__(self, writer: asyncio.StreamWriter, snapshot: Snapshot, options: StreamOptions) -> None:
        self._writer = writer
        self._snapshot = snapshot
        self._options = options
        self._waiting: deque[tuple[int, bytes]] = deque()
        self._bytes = 0
        self._behind = False
        self._wake = asyncio.Event()
        self._reached = 0
        self.idle = asyncio.Event()
        writer.transport.set_write_buffer_limits(high=0)  # what was sent is with the system

    def offer(self, number: int, frame: bytes) -> None:
        """Take a change for it; when too much waits, it skips all of that."""
        if not self._behind:
            self._waiting.append((number, frame))
            self._bytes += len(frame)
        if self._bytes > self._options.buffer_bytes:
            self._waiting.clear()
            self._bytes = 0
            self._behind = True
        self.idle.clear()
        self._wake.set()

    async def serve(self) -> None:
        """Send until the connection ends.

        Raises
        ------
        OSError
            The other side is gone, or took nothing for too long (`TimeoutError`).
        """
        await self._send_snapshot()
        while True:
            self.idle.set()
            try:
                async with asyncio.timeout(self._options.heartbeat_s):
                    await self._wake.wait()
            except TimeoutError:
                await self._send(frames.heartbeat(self._reached))
                continue
            self._wake.clear()
            while self._waiting:
                number, frame = self._waiting.popleft()
                self._bytes -= len(frame)
                if number > self._reached:
                    await self._send(frame)
                    self._reached = number
            if self._behind:
                self._behind = False
                await self._send_snapshot(after_gap=True)

    async def _send_snapshot(self, *, after_gap: bool = False) -> None:
        number, frame = self._snapshot()
        if after_gap:
            await self._send(frames.gap(self._reached + 1, number))
        self._reached = number
        await self._send(frame)

    async def _send(self, frame: bytes) -> None:
        for start in range(0, len(frame), _PIECE):
            self._writer.write(memoryview(frame)[start : start + _PIECE])
            async with asyncio.timeout(self._options.stall_s):
                await self._writer.drain()
