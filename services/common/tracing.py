"""Traces by OpenTelemetry, where an endpoint is configured: requests, queries, what backends gave, writes of lanes.

Nothing of OpenTelemetry is imported before; see `archiver.spans` for the work inside the archive.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from archiver import spans
from archiver.config import TraceSettings
from archiver.model import ConfigurationError
from archiver.query import Answer, Part

if TYPE_CHECKING:
    from opentelemetry.trace import Span, Tracer, TracerProvider


def provider_of(settings: TraceSettings) -> TracerProvider | None:
    """Return what sends traces to the configured endpoint, in the background; None when there is none.

    Raises
    ------
    ConfigurationError
        OpenTelemetry is not installed.
    """
    if not settings.endpoint:
        return None
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
        from opentelemetry.sdk.trace.sampling import ParentBasedTraceIdRatio
    except ImportError as exc:
        problem = f"trace.endpoint = {settings.endpoint!r}: {exc}; install it with: pip install 'forebay[otel]'"
        raise ConfigurationError([problem]) from exc
    resource = Resource.create({"service.name": settings.service, "service.version": version("forebay")})
    provider = TracerProvider(resource=resource, sampler=ParentBasedTraceIdRatio(settings.ratio))
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(settings.endpoint)))
    return provider


class Traces:
    """Makes spans with a provider.

    Parameters
    ----------
    provider : TracerProvider
        Of OpenTelemetry; it decides where they go.
    """

    def __init__(self, provider: TracerProvider) -> None:
        self.tracer: Tracer = provider.get_tracer("forebay", version("forebay"))
        self._provider = provider

    def start(self) -> None:
        """Trace the work inside the archive, too."""
        spans.use(self._span)

    def stop(self) -> None:
        """Trace nothing more, and send what there is."""
        spans.use(None)
        getattr(self._provider, "shutdown", lambda: None)()

    def watch(self, answer: Answer) -> None:
        """Make a span of a query, and one of what each backend gave to it, once it was read."""
        started = time.time_ns()
        span = self.tracer.start_span("query", start_time=started)
        answer.when_left(lambda parts: self._end(span, started, parts))

    def _end(self, span: Span, started: int, parts: Sequence[Part]) -> None:
        from opentelemetry.trace import set_span_in_context

        within = set_span_in_context(span)
        for part in parts:
            known: dict[str, Any] = {"backend": part.backend, "role": str(part.role), "rows": part.rows}
            known["trouble"] = part.trouble
            inner = self.tracer.start_span("backend read", within, attributes=known, start_time=started)
            inner.end(started + round(part.seconds * 1e9))
        span.set_attribute("backends", sorted({part.backend for part in parts}))
        span.set_attribute("rows", sum(part.rows for part in parts))
        span.end()

    @contextmanager
    def _span(self, name: str, attributes: Mapping[str, Any]) -> Iterator[None]:
        with self.tracer.start_as_current_span(name, attributes=dict(attributes)):
            yield


class Traced:
    """ASGI middleware that makes a span of each request, within that of a ``traceparent`` header."""

    def __init__(self, app: ASGIApp, traces: Traces) -> None:
        self._app = app
        self._traces = traces

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, and note how it was answered."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        from opentelemetry.propagate import extract
        from opentelemetry.trace import SpanKind

        carrier = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        known = {"http.request.method": scope["method"], "url.path": scope["path"]}
        known["forebay.request_id"] = scope.get("state", {}).get("request_id", "")
        with self._traces.tracer.start_as_current_span(
            scope["method"], extract(carrier), SpanKind.SERVER, known
        ) as span:

            async def sending(message: Message) -> None:
                if message["type"] == "http.response.start":
                    span.set_attribute("http.response.status_code", message["status"])
                await send(message)

            await self._app(scope, receive, sending)
            route = getattr(scope.get("route"), "path", "")
            if route:
                span.update_name(f"{scope['method']} {route}")
                span.set_attribute("http.route", route)
