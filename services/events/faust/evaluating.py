"""The agent that runs the rules: samples by shard in, events out, state and progress in a table."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence
from typing import Any

import faust

from analytics.events.engine import Program
from analytics.events.event import Event
from services.events.faust.checkpoint import Checkpoints, progress_of
from services.events.faust.evaluate import Shard
from services.events.faust.gathering import Gathering
from services.events.faust.kafka import Table
from services.events.faust.messages import event_bytes, routed_of
from services.events.faust.options import WorkerOptions
from services.events.faust.shards import Shards

_LOG = logging.getLogger(__name__)
_AT_ONCE = 4 * 2**20


class _Held:
    """A shard that this worker has, and what is to be acknowledged with its next checkpoint."""

    def __init__(self, shard: Shard, checkpoints: Checkpoints) -> None:
        self.shard = shard
        self.checkpoints = checkpoints
        self.unacknowledged: list[Any] = []


class Evaluating:
    """Holds the shards that this worker has.

    Parameters
    ----------
    app : faust.App
    options : WorkerOptions
    journals : int
        How many there are.
    programs : sequence of Program
    shards : Shards
    states : Table
    events, letters : faust.Topic
    """

    def __init__(
        self,
        app: faust.App,
        options: WorkerOptions,
        journals: int,
        programs: Sequence[Program],
        shards: Shards,
        states: Table,
        events: Any,
        letters: Any,
    ) -> None:
        self._app, self._options, self._journals = app, options, journals
        self._programs, self._shards = programs, shards
        self._states, self._events, self._letters = states, events, letters
        self._gathering = Gathering(app, options.routed, lambda shard: progress_of(states.data, shard).offset, _AT_ONCE)
        self._held: dict[int, _Held] = {}
        self._sent: list[asyncio.Future[Any]] = []
        self._checkpointed = self._whole = 0.0
        self.found = 0

    async def agent(self, stream: Any) -> None:
        """Take what comes for the shards."""
        async for event in stream.noack().events():
            await self._gathering.put(event)

    async def run(self) -> None:
        """Run the rules until the app stops; a fault ends the worker: the next one goes on from the last checkpoint."""
        try:
            while not self._app.should_stop:
                await self._once()
        except Exception as exc:  # noqa: BLE001 - it ends the worker
            _LOG.exception("the rules failed")
            await self._app.crash(exc)

    def forget(self) -> None:
        """Forget the shards: they may be somebody else's by now."""
        self._gathering.clear()
        self._held.clear()

    def shards(self) -> Mapping[int, Shard]:
        """Return the shards that are held, by number."""
        return {number: held.shard for number, held in self._held.items()}

    def checkpoint_age(self) -> float:
        """Return the seconds since all was kept that was taken in."""
        return asyncio.get_running_loop().time() - self._whole if self._whole else 0.0

    async def _once(self) -> None:
        by_shard: dict[int, list[Any]] = {}
        for event in await self._gathering.take():
            by_shard.setdefault(event.message.partition, []).append(event)
        for number, events in by_shard.items():
            held = self._hold(number)
            if number in self._gathering.jumped:
                self._gathering.jumped.discard(number)
                held.shard.progress.offset = events[0].message.offset - 1
            elif events[0].message.offset > held.shard.progress.offset + 1:
                continue  # partitions changed hands meanwhile: they come again
            found = held.shard.take([(event.message.offset, routed_of(event.value)) for event in events])
            held.unacknowledged += events
            await self._tell(found)
        time = asyncio.get_running_loop().time()
        if time - self._checkpointed >= self._options.checkpoint_s:
            self._checkpointed = time
            await self._checkpoint()

    def _hold(self, number: int) -> _Held:
        if number not in self._held:
            checkpoints = Checkpoints(self._states, number)
            saved, progress = checkpoints.restore()
            shard = Shard(number, self._journals, self._programs, self._shards, saved, progress)
            self._held[number] = _Held(shard, checkpoints)
        return self._held[number]

    async def _tell(self, events: Sequence[Event]) -> None:
        for event in events:
            place = f"{event.rule}/{event.key}".encode()  # those of an instance stay in order
            self._sent.append(await self._events.send(key=place, value=event_bytes(event)))
        self.found += len(events)

    async def _checkpoint(self) -> None:
        """Keep where the shards are, after the brokers have the events; then what led there is done with."""
        generation = self._app.consumer_generation_id
        sent, self._sent = self._sent, []
        await asyncio.gather(*sent)
        if generation != self._app.consumer_generation_id:
            return
        due = [held for held in self._held.values() if held.unacknowledged]
        done = []
        for held in due:
            shard, checkpoints, fresh = held.shard, held.checkpoints, held.checkpoints.fresh
            checkpoints.write(shard.all() if fresh else shard.changed(), shard.names, shard.progress.copy())
            shard.kept()
            events, held.unacknowledged = held.unacknowledged, []
            done.append((checkpoints, fresh, events))
        await self._states.settled()
        self._whole = asyncio.get_running_loop().time()
        for checkpoints, fresh, events in done:
            if fresh:
                checkpoints.forget_others()
            for event in events:
                event.ack()
