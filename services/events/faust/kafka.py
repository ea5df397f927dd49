"""Faust as it is needed here: where it reads on is in the tables, and what is written to a table can be awaited."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

import faust
from faust.transport.drivers import aiokafka
from faust.types import TP

Positions = Callable[[set[TP]], Mapping[TP, int]]
"""Says of the partitions that are ours which offset was the last; below zero for none."""


class Table(faust.Table[bytes, bytes]):
    """A table whose keys say to which partition they belong, and whose writes are awaited together."""

    partition_for: Callable[[bytes], int]
    _sent: list[asyncio.Future[Any]]

    def partition_for_key(self, key: bytes) -> int:
        """Return the partition of a key."""
        return self.partition_for(key)

    def send_changelog(self, *given: Any, **named: Any) -> Any:
        """Send a change on its way, and remember it for `settled`."""
        sent = super().send_changelog(*given, **named)
        self._sent.append(sent)
        return sent

    async def settled(self) -> None:
        """Wait until the brokers have all that was written; raise what they refused."""
        sent, self._sent = self._sent, []
        await asyncio.gather(*sent)


def table_of(app: faust.App, name: str, partitions: int, partition_for: Callable[[bytes], int]) -> Table:
    """Return a table of bytes by bytes, kept in a topic of so many partitions."""
    table = app.Table(name, partitions=partitions, key_type=bytes, value_type=bytes)
    assert isinstance(table, Table)
    table.partition_for = partition_for
    table._sent = []
    return table


def transport_of(app: faust.App, positions: Positions) -> aiokafka.Transport:
    """Return a transport whose consumers read on where the tables say, and from the beginning where they say nothing.

    Faust reads on where the group has committed. That proves nothing: it commits what it skips in a rebalance as if it
    had been processed, and what it fetched too early is lost to it where nothing was committed yet.
    """

    class Consumer(aiokafka.Consumer):
        async def perform_seek(self) -> None:
            """Go where reading goes on."""
            await super().perform_seek()
            last = positions(self.assignment())
            if not last:
                return
            first = await self.earliest_offsets(*last)
            for place, offset in last.items():
                await self.seek(place, max(offset + 1, first.get(place, 0)))

    class Transport(aiokafka.Transport):
        pass

    Transport.Consumer = Consumer
    return Transport(app.conf.broker_consumer, app)
