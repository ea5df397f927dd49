"""Errors as Prometheus answers them: its ``errorType`` and ``error``, with the members of our problems beside them."""

from __future__ import annotations

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from archiver.model import ForebayError, InvalidInputError
from services.common.problems import document_of, headers_of, problem_of

_KINDS = {400: "bad_data", 404: "not_found", 413: "execution", 422: "execution", 503: "unavailable"}
_STATUS = {413: 422}


def install(app: FastAPI) -> None:
    """Make an application answer every error as Prometheus does."""
    app.add_exception_handler(ForebayError, _on_forebay_error)
    app.add_exception_handler(RequestValidationError, _on_validation_error)
    app.add_exception_handler(HTTPException, _on_http_exception)
    app.add_exception_handler(Exception, _on_unexpected)


def response_to(error: ForebayError) -> JSONResponse:
    """Return the answer to an error of this project."""
    status = problem_of(error).status
    told = {"status": "error", "errorType": _KINDS.get(status, "internal"), "error": str(error)}
    return JSONResponse(document_of(error) | told, _STATUS.get(status, status), headers_of(error))


async def _on_forebay_error(request: Request, exc: Exception) -> JSONResponse:
    assert isinstance(exc, ForebayError), "registered for it"
    return response_to(exc)


async def _on_validation_error(request: Request, exc: Exception) -> JSONResponse:
    assert isinstance(exc, RequestValidationError), "registered for it"
    return response_to(InvalidInputError(str(exc.errors()[0]["msg"])))


async def _on_http_exception(request: Request, exc: Exception) -> JSONResponse:
    assert isinstance(exc, HTTPException), "registered for it"
    told = {"status": "error", "errorType": _KINDS.get(exc.status_code, "bad_data"), "error": str(exc.detail)}
    return JSONResponse(told, exc.status_code, exc.headers)


async def _on_unexpected(request: Request, exc: Exception) -> JSONResponse:
    # the server logs the stack trace: Starlette raises the exception again after this answer
    return response_to(ForebayError("an unexpected error; the log of the server says more"))
