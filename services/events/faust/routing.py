"""The agent that routes: entries of the journals go to the shards, in order, each at least once."""

from __future__ import annotations

import asyncio
import json
import logging
from typing import Any

import faust

from analytics.events.rows import BEFORE_ALL
from archiver.journal.payload import decode
from archiver.model import SampleBatch
from archiver.model.time import now
from services.events.faust.gathering import Gathering
from services.events.faust.kafka import Table
from services.events.faust.messages import Routed
from services.events.faust.options import WorkerOptions
from services.events.faust.route import Entry, route
from services.events.faust.shards import Shards

_LOG = logging.getLogger(__name__)
_AT_ONCE = 4 * 2**20


class Routing:
    """Reads partitions of the journal's topic, and writes that of the samples by shard.

    How far each was routed is in a table, written after the brokers have what was routed.

    Parameters
    ----------
    app : faust.App
    options : WorkerOptions
    shards : Shards
    positions : Table
    routed, letters : faust.Topic
    """

    def __init__(
        self, app: faust.App, options: WorkerOptions, shards: Shards, positions: Table, routed: Any, letters: Any
    ) -> None:
        self._app, self._options, self._shards = app, options, shards
        self._positions, self._routed, self._letters = positions, routed, letters
        self._gathering = Gathering(app, options.journal, self._stored, _AT_ONCE)
        self._last: dict[int, int] = {}
        self._clocks: dict[int, int] = {}
        self._told: dict[int, float] = {}
        self.entries = self.samples = self.broken = 0

    async def agent(self, stream: Any) -> None:
        """Take what comes of the journals."""
        async for event in stream.noack().events():
            await self._gathering.put(event)

    async def run(self) -> None:
        """Route until the app stops; a fault ends the worker: the next one goes on from what is in the table."""
        try:
            while not self._app.should_stop:
                await self._once()
        except Exception as exc:  # noqa: BLE001 - it ends the worker
            _LOG.exception("routing failed")
            await self._app.crash(exc)

    def forget(self) -> None:
        """Forget what belongs to partitions that may be somebody else's by now."""
        self._gathering.clear()
        self._last.clear()
        self._clocks.clear()

    async def _once(self) -> None:
        events = await self._gathering.take()
        by_journal: dict[int, list[Any]] = {}
        for event in events:
            by_journal.setdefault(event.message.partition, []).append(event)
        for journal, own in by_journal.items():
            await self._route(journal, own)
        if not events:
            await self._tell_silence()

    async def _route(self, journal: int, events: list[Any]) -> None:
        generation = self._app.consumer_generation_id
        after = self._last.get(journal, self._stored(journal))
        if journal in self._gathering.jumped:
            self._gathering.jumped.discard(journal)
            after = -1
        elif events[0].message.offset != after + 1:
            return  # partitions changed hands meanwhile: they come again
        entries = [Entry(event.message.offset, await self._read(event)) for event in events]
        messages = route(self._shards, journal, after, self._clocks.get(journal, BEFORE_ALL), entries)
        await self._send(messages)
        if generation != self._app.consumer_generation_id:
            return
        self._last[journal], self._clocks[journal] = entries[-1].offset, messages[0].clock
        self._positions[str(journal).encode()] = str(entries[-1].offset).encode()
        await self._positions.settled()
        for event in events:
            event.ack()
        self.entries += len(entries)
        self.samples += sum(entry.batch.num_rows for entry in entries)

    async def _send(self, messages: list[Routed]) -> None:
        sent = [
            await self._routed.send(value=message.to_bytes(), partition=shard) for shard, message in enumerate(messages)
        ]
        await asyncio.gather(*sent)

    async def _read(self, event: Any) -> SampleBatch:
        """Return the samples of an entry; one that cannot be read goes to the dead letters."""
        try:
            return decode(event.value) if event.value else SampleBatch.empty()
        except Exception as exc:  # noqa: BLE001 - whatever is wrong with it, the next one comes
            self.broken += 1
            place = {"topic": event.message.topic, "partition": event.message.partition, "offset": event.message.offset}
            _LOG.error("%s cannot be read: %r; it is in %s", place, exc, self._options.dead_letters)
            told = json.dumps({**place, "reason": repr(exc)}).encode()
            await (await self._letters.send(key=told, value=event.value))
            return SampleBatch.empty()

    async def _tell_silence(self) -> None:
        """Tell all shards how late it is in the journals that have said all they had to say."""
        loop = asyncio.get_running_loop()
        places = [place for place in self._app.consumer.assignment() if place.topic == self._options.journal]
        due = [place for place in places if loop.time() - self._told.get(place.partition, 0.0) >= self._options.idle_s]
        if not due or not self._app.flow_control.is_active():
            return
        clock = now() - int(self._options.idle_s * 1e9)
        ends = await self._app.consumer.highwaters(*due)
        for place in due:
            self._told[place.partition] = loop.time()
            last = self._last.get(place.partition, self._stored(place.partition))
            if last + 1 >= ends.get(place, 0):
                await self._send([Routed(place.partition, last, [], [], clock, b"")] * self._shards.count)

    def _stored(self, journal: int) -> int:
        return int(self._positions.data.get(str(journal).encode(), b"-1"))
