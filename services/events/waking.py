"""Wakes coroutines from other threads: those who watch what changes now and then."""

from __future__ import annotations

import asyncio
import contextlib


class Waking:
    """Made in the event loop in which they wait.

    Attributes
    ----------
    stopped : bool
        Nothing more will change: answers without an end come to theirs.
    """

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._changed = asyncio.Event()
        self.stopped = False

    def wake(self) -> None:
        """Wake all who wait; from any thread."""
        with contextlib.suppress(RuntimeError):  # the loop has ended by itself
            self._loop.call_soon_threadsafe(self._wake)

    def stop(self) -> None:
        """Wake all who wait, for the last time."""
        self.stopped = True
        self.wake()

    async def wait(self, changed: asyncio.Event, timeout_s: float) -> bool:
        """Wait until something changes after `changed` was got from `current`; return whether it did."""
        try:
            await asyncio.wait_for(changed.wait(), timeout_s)
        except TimeoutError:
            return False
        return True

    @property
    def current(self) -> asyncio.Event:
        """What is set when something changes from now on."""
        return self._changed

    def _wake(self) -> None:
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()
