"""What a worker counts, for Prometheus, over HTTP."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping

from aiohttp import web
from faust.types import TP

from services.common.telemetry import MEDIA_TYPE, Exposition
from services.events.faust.app import Worker

_POLL_S = 0.5
Values = Iterable[tuple[Mapping[str, str], float]]


def exposed(worker: Worker) -> str:
    """Return the metrics of a worker as text."""
    text, evaluating, routing = Exposition(), worker.evaluating, worker.routing
    shards = {str(number): shard for number, shard in evaluating.shards().items()}

    def one(value: float) -> Values:
        return [({}, value)]

    text.add("forebay_worker_shards", "gauge", "Shards that this worker has.", one(len(shards)))
    text.add("forebay_worker_lag", "gauge", "Messages that wait, by topic and partition.", _lags(worker))
    text.add("forebay_worker_recovery_seconds", "gauge", "The last recovery of tables took.", one(worker.recovery_s))
    text.add(
        "forebay_worker_checkpoint_age_seconds", "gauge", "Since the last checkpoint.", one(evaluating.checkpoint_age())
    )
    text.add("forebay_worker_entries_total", "counter", "Entries of journals routed.", one(routing.entries))
    text.add("forebay_worker_samples_total", "counter", "Samples in them.", one(routing.samples))
    text.add("forebay_worker_unreadable_total", "counter", "Entries that could not be read.", one(routing.broken))
    text.add("forebay_worker_events_total", "counter", "Events found.", one(evaluating.found))
    for name, help_text in (
        ("late", "Samples that came too late for a rule, since the shard began."),
        ("repeated", "Samples that a rule had seen before, since the shard began."),
        ("waiting", "Samples that wait for another journal."),
        ("refused", "Messages whose forerunner had not arrived."),
    ):
        values = [({"shard": number}, float(getattr(shard, name))) for number, shard in shards.items()]
        text.add(f"forebay_worker_{name}", "gauge", help_text, values)
    failed = [({"shard": number, "rule": rule}, 1.0) for number, shard in shards.items() for rule in shard.failed]
    text.add("forebay_worker_rule_failed", "gauge", "Rules that were taken out because they failed.", failed)
    return text.render()


async def serve(worker: Worker, host: str, port: int) -> None:
    """Answer ``GET /metrics`` until the worker stops."""

    async def answer(_: web.Request) -> web.Response:
        return web.Response(text=exposed(worker), headers={"Content-Type": MEDIA_TYPE})

    application = web.Application()
    application.router.add_get("/metrics", answer)
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, host, port).start()
        while not worker.app.should_stop:
            await asyncio.sleep(_POLL_S)
    finally:
        await runner.cleanup()


def _lags(worker: Worker) -> Values:
    consumer = worker.app.consumer
    for place, last in worker.positions(consumer.assignment()).items():
        end = consumer.highwater(TP(place.topic, place.partition))
        if end is not None:
            yield {"topic": place.topic, "partition": str(place.partition)}, max(0.0, float(end - 1 - last))
