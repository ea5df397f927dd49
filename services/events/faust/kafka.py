"""Faust as it is needed here: where it reads on is in the tables, and what is written to a table can be awaited."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

import faust
from faust.transport.drivers import aiokafka
from faust.types import TP

Positions = Callable[[set[TP]], Mapping[TP, int]]
"""Says for some of the partitions at which offset to read on."""


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
    """Return a transport whose consumers begin where the tables say, and elsewhere where the group has committed.

    Faust commits what it skips in a rebalance as if it had been processed, so what is committed proves nothing.
    """

    class Consumer(aiokafka.Consumer):
        async def perform_seek(self) -> None:
            await super().perform_seek()
            for place, offset in positions(self.assignment()).items():
                await self.seek(place, offset)

    class Transport(aiokafka.Transport):
        pass

    Transport.Consumer = Consumer
    return Transport(app.conf.broker_consumer, app)
