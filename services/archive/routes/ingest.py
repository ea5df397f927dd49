"""Samples in: ``POST /v1/samples``, and InfluxDB's write paths.

The handlers take the plain request: nothing is parsed or validated per sample by the framework.
"""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Depends, Request, Response
from fastapi.responses import JSONResponse

from archiver.model import ForebayError
from services.archive.decoding import body as formats
from services.archive.dependencies import ingest_of
from services.archive.express import Short
from services.archive.ingest import Ingest, Taken
from services.common.bodies import BodyBudget
from services.common.negotiation import media_type_of
from services.common.problems import problem_of, retry_after
from services.common.security import INFLUX_INGEST, InfluxIngester, Ingester, Public

router = APIRouter(tags=["ingest"])

_ALIVE = Depends(Public("says that somebody is there"))
_LISTED_LINES = 10
_ROWS = [
    {"element": "BAR:T1", "source_time": "2026-01-01T00:00:00.000000001Z", "value": 20.5},
    {"element": "BAR:VALVE", "source_time": "2026-01-01T00:00:01Z", "value": 2, "kind": "enum", "status": 1},
]
_RECEIPT = {
    "received": 3,
    "counts": {"buffered": 2, "rejected": 1},
    "reasons": {"unreadable": 1},
    "refused": [{"index": 2, "element": "", "reason": "Object missing required field `value`"}],
}
_SAMPLES_DOCS: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            formats.JSON: {
                "schema": {"type": ["array", "object"]},
                "examples": {
                    "rows": {"value": _ROWS},
                    "columns": {"value": {"element": "BAR:T1", "source_time": [1767225600000000000], "value": [20.5]}},
                },
            },
            formats.NDJSON: {"schema": {"type": "string"}},
            formats.ARROW: {"schema": {"type": "string", "format": "binary"}},
        },
    },
    "responses": {"200": {"content": {formats.JSON: {"example": _RECEIPT}}}},
}
_LINES_DOCS: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {"text/plain": {"schema": {"type": "string"}, "example": "m,element=BAR:T1 value=20.5"}},
    },
    "parameters": [
        {
            "name": "precision",
            "in": "query",
            "description": "unit of the timestamps: ns (the default), us, ms, s, m or h",
            "schema": {"type": "string"},
        }
    ],
}
_LINES_ANSWERS: dict[int | str, dict[str, Any]] = {
    204: {"description": "durable"},
    400: {"description": "some lines were refused; the rest is durable"},
    "default": {
        "description": "an error as InfluxDB says it; 503 with Retry-After: nothing was taken, send the same again",
        "content": {formats.JSON: {"example": {"code": "unavailable", "message": "…", "error": "…"}}},
    },
}


@router.post("/v1/samples", openapi_extra=_SAMPLES_DOCS)
async def post_samples(request: Request, archive: Ingester) -> Response:
    """Take samples in: JSON rows or columns, NDJSON, or an Arrow IPC stream; gzip or zstd if encoded.

    Answers when the good ones are durable, with the counts per column of the ledger and the rows that were refused.
    """
    headers = request.headers
    async with _budget(request).read(request) as body:
        media_type = media_type_of(headers.get("content-type"))
        taken = await _ingest(request).samples(body, headers.get("content-encoding"), media_type, archive.admits)
    return JSONResponse(taken.to_dict())


@router.post("/api/v2/write", openapi_extra=_LINES_DOCS, responses=_LINES_ANSWERS, status_code=204)
@router.post("/write", openapi_extra=_LINES_DOCS, responses=_LINES_ANSWERS, status_code=204)
async def post_lines(request: Request, archive: InfluxIngester) -> Response:
    """Take line protocol in, as InfluxDB does: 204, or 400 with the lines that were refused; the others are durable.

    Answers 503 when the journal is full, never 429: clients of InfluxDB 1 drop what was answered so.
    """
    try:
        async with _budget(request).read(request) as body:
            precision = request.query_params.get("precision", "ns")
            encoding = request.headers.get("content-encoding")
            taken = await _ingest(request).lines(body, encoding, precision, archive.admits)
    except ForebayError as exc:
        return _error(problem_of(exc).status, str(exc), retry_after(exc))
    if not taken.receipt.counts["rejected"]:
        return Response(status_code=204)
    return _error(400, _partial_write(taken))


SHORT = tuple(Short(path, INFLUX_INGEST, post_lines) for path in ("/api/v2/write", "/write"))
"""The same, on the short way."""


@router.api_route("/query", methods=["GET", "POST"], include_in_schema=False)
async def influx_query(archive: InfluxIngester) -> dict[str, Any]:
    """Say yes to ``CREATE DATABASE``, with which clients of InfluxDB 1 begin; there is no InfluxQL here."""
    return {"results": [{"statement_id": 0}]}


@router.api_route("/ping", methods=["GET", "HEAD"], include_in_schema=False, dependencies=[_ALIVE])
async def influx_ping() -> Response:
    """Say that somebody is there, as InfluxDB does."""
    return Response(status_code=204, headers={"X-Influxdb-Version": "forebay"})


@router.get("/health", include_in_schema=False, dependencies=[_ALIVE])
async def influx_health() -> dict[str, str]:
    """Say that all is well, as InfluxDB 2 does; ``/health/ready`` knows more."""
    return {"name": "forebay", "status": "pass", "message": "ready for writes"}


def _partial_write(taken: Taken) -> str:
    """Return which lines, and which of their samples, were refused; the first few in full."""
    lines = [f"line {r.index + 1} ({r.what}): {r.reason}" for r in taken.refused[:_LISTED_LINES]]
    samples = [f"{r.element}: {r.reason}" for r in taken.receipt.rejections[:_LISTED_LINES]]
    count = taken.receipt.counts["rejected"]
    return f"partial write: {count} refused, the others are stored: {'; '.join(lines + samples)}"


def _error(status: int, message: str, headers: dict[str, str] | None = None) -> JSONResponse:
    """Return an error as clients of InfluxDB 1 (``error``) and 2 (``code``, ``message``) read it."""
    code = {400: "invalid", 413: "request too large", 503: "unavailable"}.get(status, "internal error")
    return JSONResponse({"code": code, "message": message, "error": message}, status, headers)


def _ingest(request: Request) -> Ingest:
    return ingest_of(request)


def _budget(request: Request) -> BodyBudget:
    budget: BodyBudget = request.app.state.budget
    return budget
