"""Traces: spans of requests, queries, what backends gave, and writes of lanes; nothing of it when nobody asks."""

import asyncio
import subprocess
import sys

import httpx
import pytest

from archiver import config, spans
from archiver.bootstrap import Archive
from archiver.config import TraceSettings
from archiver.model import SampleBatch
from services.archive.app import create_app
from services.common.tracing import Traces, provider_of

pytest.importorskip("opentelemetry.sdk", reason="opentelemetry-sdk is not installed (the extra otel)")


@pytest.fixture
def finished(tmp_path):
    """Send samples and ask for them, traced; give the spans by name."""
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

    memory, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(memory))
    document = {"data": str(tmp_path), "backends": [{"name": "lake", "kind": "memory"}]}

    async def ask(archive):
        app = create_app(archive, archive.settings.server, traces=Traces(provider))
        async with app.router.lifespan_context(app):
            transport = httpx.ASGITransport(app)
            async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
                batch = SampleBatch.from_columns("T1", [1, 2, 3], [0.5, 1.5, 2.5])
                await asyncio.to_thread(archive.intake.submit(batch).result)
                await asyncio.to_thread(archive.flush)
                parent = f"00-{7:032x}-{9:016x}-01"
                params = {"element": "T1", "start": "1970-01-01T00:00:00Z"}
                answer = await client.get("/v1/samples", params=params, headers={"traceparent": parent})
                assert answer.status_code == 200
                assert len(answer.json()["samples"]) == 3

    with Archive(config.parse(document)) as archive:
        archive.wait_ready()
        asyncio.run(ask(archive))
    return {span.name: span for span in memory.get_finished_spans()}


def test_a_request_its_query_and_what_the_backends_gave_are_one_trace(finished):
    request, query, read = (finished[name] for name in ("GET /v1/samples", "query", "backend read"))
    assert request.context.trace_id == query.context.trace_id == read.context.trace_id == 7
    assert (request.parent.span_id, query.parent.span_id, read.parent.span_id) == (
        9, request.context.span_id, query.context.span_id,
    )  # fmt: skip
    assert request.attributes["http.response.status_code"] == 200
    assert request.attributes["forebay.request_id"]
    assert (query.attributes["backends"], query.attributes["rows"]) == (("lake",), 3)
    assert (read.attributes["backend"], read.attributes["rows"]) == ("lake", 3)
    assert query.start_time <= read.start_time <= read.end_time


def test_a_write_of_a_lane_is_a_span(finished):
    assert dict(finished["lane write"].attributes) == {"backend": "lake", "samples": 3}
    assert spans.span("nothing") is spans.span("nothing"), "it is over with the service"


def test_without_an_endpoint_nothing_is_traced_and_nothing_loaded():
    assert provider_of(TraceSettings()) is None
    code = "import sys, services.archive.serving; print([n for n in sys.modules if n.startswith('opentelemetry.sdk')])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_an_endpoint_gives_a_provider_that_names_the_archive():
    provider = provider_of(TraceSettings(endpoint="http://127.0.0.1:9/v1/traces", service="hall 3"))
    assert provider.resource.attributes["service.name"] == "hall 3"
    provider.shutdown()
