"""The Faust app of a worker: an agent that routes what the journals hold, one that runs the rules, and their tables."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import faust
from faust.types import TP

from analytics.events.engine import Program
from services.events.faust import checkpoint
from services.events.faust.credentials import credentials_of
from services.events.faust.evaluating import Evaluating
from services.events.faust.kafka import Table, table_of, transport_of
from services.events.faust.options import WorkerOptions
from services.events.faust.routing import Routing
from services.events.faust.shards import Shards
from services.events.faust.topics import POSITIONS, STATES, Sizes

_SESSION_S, _HEARTBEAT_S, _REBALANCE_S, _REQUEST_S, _POLL_S = 6.0, 0.5, 15.0, 30.0, 300.0
_LARGEST = 96 * 2**20
_FETCH = 4 * 2**20
_BUFFERED = 128


class Worker:
    """A worker, before it runs.

    Parameters
    ----------
    options : WorkerOptions
    sizes : Sizes
        Of the topics, which exist.
    programs : sequence of Program
        The same in every worker.
    data : Path
        A directory of its own.

    Attributes
    ----------
    app : faust.App
    routing : Routing
    evaluating : Evaluating
    recovery_s : float
        How long it took until the tables were there, when partitions changed hands last.
    """

    def __init__(self, options: WorkerOptions, sizes: Sizes, programs: Sequence[Program], data: Path) -> None:
        self._options = options
        self.app = _app(options, data)
        self.app.transport = transport_of(self.app, self.positions)
        self._positions_table = table_of(self.app, POSITIONS, sizes.journals, int)
        self._states = table_of(self.app, STATES, sizes.shards, checkpoint.partition_of)
        shards = Shards(programs, sizes.shards)
        raw: dict[str, Any] = {"value_type": bytes, "value_serializer": "raw"}
        raw |= {"key_type": bytes, "key_serializer": "raw"}
        journal = self.app.topic(options.journal, **raw)
        routed = self.app.topic(options.routed, **raw)
        events = self.app.topic(options.events, **raw)
        letters = self.app.topic(options.dead_letters, **raw)
        self.routing = Routing(self.app, options, shards, self._positions_table, routed, letters)
        self.evaluating = Evaluating(self.app, options, sizes.journals, programs, shards, self._states, events, letters)
        self.app.agent(journal, name="route")(self.routing.agent)
        self.app.agent(routed, name="evaluate")(self.evaluating.agent)
        for part in (self.routing, self.evaluating):
            self.app.task(part.run)
        self.app.on_partitions_revoked.connect(self._forget)
        self.app.on_partitions_assigned.connect(self._forget)
        self.app.on_rebalance_complete.connect(self._recovered)
        self.recovery_s = 0.0
        self._assigned = time.monotonic()

    async def _forget(self, *_: Any, **__: Any) -> None:
        """Drop what is in memory when partitions change hands: the tables have what counts."""
        self._assigned = time.monotonic()
        self.routing.forget()
        self.evaluating.forget()

    async def _recovered(self, *_: Any, **__: Any) -> None:
        self.recovery_s = time.monotonic() - self._assigned

    def positions(self, assigned: set[TP]) -> Mapping[TP, int]:
        """Return of the partitions with samples which offset was the last, as it is kept; below zero for none."""
        found: dict[TP, int] = {}
        for place in assigned:
            if place.topic == self._options.journal:
                offset = int(self._positions_table.data.get(str(place.partition).encode(), b"-1"))
            elif place.topic == self._options.routed:
                offset = checkpoint.progress_of(self._states.data, place.partition).offset
            else:
                continue
            found[place] = offset
        return found


def _app(options: WorkerOptions, data: Path) -> faust.App:
    return faust.App(
        options.events,
        broker=[f"kafka://{server.strip()}" for server in options.servers.split(",")],
        broker_credentials=credentials_of(options.client),
        store="memory://",
        Table=Table,
        datadir=data,
        topic_allow_declare=False,
        topic_disable_leader=True,
        broker_session_timeout=_SESSION_S,
        broker_heartbeat_interval=_HEARTBEAT_S,
        broker_rebalance_timeout=_REBALANCE_S,
        broker_request_timeout=_REQUEST_S,
        broker_max_poll_interval=_POLL_S,
        broker_commit_interval=1.0,
        consumer_auto_offset_reset="earliest",
        consumer_max_fetch_size=_FETCH,
        producer_max_request_size=_LARGEST,
        stream_wait_empty=False,
        stream_buffer_maxsize=_BUFFERED,
        processing_guarantee="at_least_once",
        web_enabled=False,
    )
