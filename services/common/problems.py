"""Errors as the client sees them: application/problem+json (RFC 9457), from one table.

``type`` is stable: a client may decide by it. No stack trace leaves the process; what was not raised on purpose is
logged in full and answered with a sentence.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from fastapi import FastAPI, Request, WebSocket
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from archiver.model import (
    BackpressureError,
    ConfigurationError,
    ForebayError,
    IncompleteError,
    InvalidInputError,
    LimitError,
    NotFoundError,
    PermanentError,
    QuotaError,
    StoppedError,
    TransientError,
    UnsupportedError,
)
from services.common.errors import (
    BadParameterError,
    ForbiddenError,
    NotAcceptableError,
    NotDoneError,
    TooLargeError,
    TooManyFailuresError,
    UnauthorizedError,
    UnsupportedMediaError,
)

MEDIA_TYPE = "application/problem+json"
TYPE_PREFIX = "urn:forebay:problem:"
_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Problem:
    """How a class of errors is answered."""

    status: int
    name: str
    title: str

    @property
    def type(self) -> str:
        """The URI that a client may decide by."""
        return TYPE_PREFIX + self.name


PROBLEMS: dict[type[ForebayError], Problem] = {
    BadParameterError: Problem(400, "bad-parameter", "A parameter cannot be understood"),
    TooLargeError: Problem(413, "too-large", "The body is too large"),
    UnsupportedMediaError: Problem(415, "unsupported-media", "The body is in a format that is not read here"),
    NotAcceptableError: Problem(406, "not-acceptable", "None of the accepted formats can be given"),
    NotDoneError: Problem(409, "not-done", "There is no result, or none yet"),
    UnauthorizedError: Problem(401, "unauthorized", "It is not known who asks"),
    ForbiddenError: Problem(403, "forbidden", "The caller may not do this"),
    TooManyFailuresError: Problem(429, "too-many-failures", "Too many wrong credentials came from there"),
    InvalidInputError: Problem(400, "invalid-input", "The request cannot be understood"),
    ConfigurationError: Problem(400, "configuration", "The configuration names something that cannot be"),
    NotFoundError: Problem(404, "not-found", "There is no such thing"),
    LimitError: Problem(413, "too-much", "The request asks for more than one may"),
    IncompleteError: Problem(409, "incomplete", "The answer would not be complete"),
    UnsupportedError: Problem(422, "unsupported", "The backend cannot hold or do this"),
    PermanentError: Problem(500, "permanent", "It failed, and will fail again"),
    QuotaError: Problem(429, "quota", "The caller has asked for enough for now"),
    StoppedError: Problem(503, "stopped", "Whoever asked went away"),
    BackpressureError: Problem(503, "full", "Nothing was taken; send the same again later"),
    TransientError: Problem(503, "unavailable", "It failed for now; try again"),
    ForebayError: Problem(500, "internal", "Something went wrong inside"),
}
"""The answer to each class of errors; a subclass that is not in here is answered as its nearest ancestor."""

DOCS: dict[int | str, dict[str, Any]] = {
    "default": {
        "description": "a problem (RFC 9457); `type` is stable, `detail` says what is wrong and what to do",
        "content": {
            MEDIA_TYPE: {
                "schema": {
                    "type": "object",
                    "properties": {
                        "type": {"enum": sorted({TYPE_PREFIX + problem.name for problem in PROBLEMS.values()})},
                        "title": {"type": "string"},
                        "status": {"type": "integer"},
                        "detail": {"type": "string"},
                    },
                    "required": ["type", "title", "status", "detail"],
                }
            }
        },
    }
}
"""What OpenAPI says of every other answer."""


def problem_of(error: ForebayError) -> Problem:
    """Return how an error is answered."""
    return next(PROBLEMS[cls] for cls in type(error).__mro__ if cls in PROBLEMS)


def retry_after(error: ForebayError) -> dict[str, str]:
    """Return the ``Retry-After`` header of a passing error (whole seconds, at least one), nothing for others."""
    if isinstance(error, BackpressureError):
        return {"Retry-After": str(max(1, math.ceil(error.retry_after_s)))}
    return {"Retry-After": "5"} if isinstance(error, TransientError) else {}


def headers_of(error: ForebayError) -> dict[str, str]:
    """Return the headers that come with an error: when to try again, or what to prove oneself with."""
    if isinstance(error, UnauthorizedError):
        return {"WWW-Authenticate": 'Bearer realm="forebay"'}
    return retry_after(error)


def document_of(error: ForebayError) -> dict[str, Any]:
    """Return an error as the members of a problem document."""
    problem = problem_of(error)
    members: dict[str, Any] = {}
    if isinstance(error, BadParameterError):
        members = {"parameter": error.parameter, "value": error.value, "fix": error.fix}
    elif isinstance(error, ConfigurationError):
        members = {"problems": error.problems}
    elif isinstance(error, IncompleteError):
        members = {"missing": error.missing}
    return _document(problem, str(error)) | members


def response_to(error: ForebayError) -> JSONResponse:
    """Return the answer to an error of this project."""
    return JSONResponse(document_of(error), problem_of(error).status, headers_of(error), MEDIA_TYPE)


def install(app: FastAPI) -> None:
    """Make an application answer every error as a problem."""
    app.add_exception_handler(ForebayError, on_forebay_error)
    app.add_exception_handler(RequestValidationError, _on_validation_error)
    app.add_exception_handler(HTTPException, _on_http_exception)
    app.add_exception_handler(Exception, _on_unexpected)


def _document(problem: Problem, detail: str) -> dict[str, Any]:
    return {"type": problem.type, "title": problem.title, "status": problem.status, "detail": detail}


async def on_forebay_error(request: Request | WebSocket, exc: Exception) -> JSONResponse:
    """Return the answer to an error of this project; one that is ours to mend is logged."""
    assert isinstance(exc, ForebayError), "registered for it"
    answer = response_to(exc)
    if answer.status_code >= 500:
        method = request.scope.get("method", "WEBSOCKET")
        _LOG.warning("%s %s: %s: %s", method, request.url.path, type(exc).__name__, exc)
    if isinstance(request, WebSocket):  # it was not accepted yet
        await request.send_denial_response(answer)
    return answer


async def _on_validation_error(request: Request, exc: Exception) -> JSONResponse:
    assert isinstance(exc, RequestValidationError), "registered for it"
    errors: Sequence[Any] = exc.errors()
    where, *path = (str(part) for part in errors[0]["loc"])
    missing = errors[0]["type"] == "missing"
    value = "" if missing or errors[0].get("input") is None else str(errors[0]["input"])
    name = ".".join(path) or where
    fix = f"it is missing; add it to the {where}" if missing else errors[0]["msg"]
    return response_to(BadParameterError(name, value[:200], fix))


async def _on_http_exception(request: Request, exc: Exception) -> JSONResponse:
    assert isinstance(exc, HTTPException), "registered for it"
    name = {404: "not-found", 405: "method-not-allowed"}.get(exc.status_code, "http")
    problem = Problem(exc.status_code, name, exc.detail)
    content = _document(problem, f"{request.method} {request.url.path}: {exc.detail}")
    return JSONResponse(content, problem.status, exc.headers, MEDIA_TYPE)


async def _on_unexpected(request: Request, exc: Exception) -> JSONResponse:
    # the server logs the stack trace: Starlette raises the exception again after this answer
    return response_to(ForebayError("an unexpected error; the log of the server says more"))
