"""Samples on their way to those who watch: who waits is woken by one thread, and reads on at his own pace."""

from __future__ import annotations

import asyncio
import contextlib
import json
import threading
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass

from anyio import CapacityLimiter
from anyio.to_thread import run_sync

from archiver.bootstrap import Archive
from archiver.model import BackpressureError, InvalidInputError, SampleBatch
from archiver.pipeline.following import Follower, Gap, Shared
from archiver.query import Answer
from archiver.query.formats import write

MOST_WATCHERS = 500
_WAIT_S = 0.5
_RETRY_S = 5.0
_READERS = 2
_EACH_S = 0.001  # many get more samples less often: all together they take no more of a core than a tenth or two
_DIGITS = 18


@dataclass(frozen=True, slots=True)
class Event:
    """What a watcher is told.

    Parameters
    ----------
    kind : str
        ``latest``: the newest sample of each element, at the beginning; ``samples``; ``gap``: what was not given,
        because the watcher was slower than the backends; ``idle``: nothing for a while.
    id : str
        Where it goes on after this event.
    data : bytes
        A JSON document in one line.
    """

    kind: str
    id: str
    data: bytes


class Live:
    """Wakes whoever watches an archive when the journal has something new."""

    def __init__(self, archive: Archive) -> None:
        self._archive = archive
        self._loop = asyncio.get_running_loop()
        self._changed = asyncio.Event()
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._follow, name="live", daemon=True)
        self._watchers = 0
        self._shared = Shared(archive.journal)
        self._limiter = CapacityLimiter(_READERS)
        self._thread.start()

    @property
    def watchers(self) -> int:
        """How many watch."""
        return self._watchers

    def stop(self) -> None:
        """Tell whoever watches that it is over; from any thread, more often than once is harmless."""
        self._stopped.set()
        with contextlib.suppress(RuntimeError):  # the loop has ended by itself
            self._loop.call_soon_threadsafe(self._wake)

    def close(self) -> None:
        """Stop, and wait until nobody is woken any more."""
        self.stop()
        self._thread.join()

    async def events(
        self,
        patterns: Sequence[str],
        after: str = "",
        *,
        every_s: float = 0.1,
        idle_s: float = 15.0,
        allowed: Callable[[str], bool] = lambda name: True,
    ) -> AsyncIterator[Event]:
        """Yield what comes of some elements, until the service stops.

        Parameters
        ----------
        patterns : sequence of str
            Names, aliases, globs; they may match nothing yet.
        after : str
            The `id` of the last event that was seen; the latest values come first when it is empty.
        every_s : float
            Events come no faster.
        idle_s : float
            An ``idle`` event comes when there was nothing for so long.

        Raises
        ------
        InvalidInputError
            `after` is of another journal, or is not an `id`.
        BackpressureError
            Too many watch already.
        """
        if self._watchers >= MOST_WATCHERS:
            raise BackpressureError(f"{MOST_WATCHERS} watch the archive already; try again later", _RETRY_S)
        follower = Follower(self._shared, self._archive.catalog, patterns, self._offset(after), allowed)
        self._watchers += 1
        try:
            if not after:
                yield await run_sync(self._first, follower, limiter=self._limiter)
            while not self._stopped.is_set():
                changed, begun = self._changed, self._loop.time()
                event = await run_sync(self._next, follower, limiter=self._limiter)
                if event is not None:
                    yield event
                await asyncio.sleep(begun + max(every_s, self._watchers * _EACH_S) - self._loop.time())
                if event is not None:
                    continue
                try:
                    await asyncio.wait_for(changed.wait(), idle_s)
                except TimeoutError:
                    yield self._event("idle", follower.offset, b"{}")
        finally:
            self._watchers -= 1

    def _event(self, kind: str, offset: int, data: bytes) -> Event:
        return Event(kind, f"{self._archive.journal.stream}:{offset}", data)

    def _offset(self, after: str) -> int | None:
        """Return the offset that the id of an event stands for."""
        if not after:
            return None
        journal = self._archive.journal
        named, colon, number = after.rpartition(":")
        if not colon or not (number.isascii() and number.isdigit()) or len(number) > _DIGITS:
            raise InvalidInputError(f"after = {after[:80]!r}: give the id of an event as it came, or leave it out")
        if named != journal.stream or int(number) > journal.state().last:
            raise InvalidInputError(f"after = {after!r} is of a journal that is not there any more; leave it out")
        return int(number)

    def _first(self, follower: Follower) -> Event:
        offset = follower.offset
        known = [version.name for version in self._archive.catalog.elements()]
        return self._event("latest", offset, _samples(self._archive.latest(follower.wanted(known))))

    def _next(self, follower: Follower) -> Event | None:
        found = follower.read()
        if found is None:
            return None
        data = _gap(found) if isinstance(found, Gap) else _samples(found)
        return self._event("gap" if isinstance(found, Gap) else "samples", follower.offset, data)

    def _follow(self) -> None:
        journal = self._archive.journal
        last = journal.state().last
        while not self._stopped.is_set():
            if journal.wait(last, _WAIT_S):
                last = journal.state().last
                self._loop.call_soon_threadsafe(self._wake)
                self._stopped.wait(0.02)  # those who are woken have their own pace; the loop has other work

    def _wake(self) -> None:
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()


def _samples(rows: SampleBatch) -> bytes:
    """Return samples as one line of JSON."""
    lines = b"".join(write(Answer.of(rows), "ndjson")).splitlines() if rows.num_rows else []
    return b'{"samples":[' + b",".join(lines) + b"]}"


def _gap(gap: Gap) -> bytes:
    text = "what came between was not watched fast enough; GET /v1/samples has it"
    return json.dumps({"first": gap.first, "last": gap.last, "detail": text}).encode()
