"""An answer of the archive as an HTTP response, in the format that the client accepts."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import partial
from typing import Any

from fastapi import Response

from archiver.model import SampleBatch
from archiver.query import Answer, Missing
from archiver.query.formats import MEDIA_TYPES, write
from services.common.negotiation import choose
from services.common.streaming import AnswerResponse

CURSOR = "Forebay-Cursor"
MISSING = "Forebay-Missing"
COMPLETE = "Forebay-Complete"
_OFFERED = [MEDIA_TYPES[name] for name in ("json", "csv", "ndjson", "arrow", "parquet")]
_NAMES = {media_type: name for name, media_type in MEDIA_TYPES.items()}
_PAGE_ROWS = 1_000_000

FORMATS_DOCS: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "the rows; in Arrow and Parquet times are int64 ns",
        "content": {
            "application/json": {
                "example": {
                    "samples": [
                        {
                            "element": "BAR:T1",
                            "source_time": "2026-01-01T00:00:00.000000001Z",
                            "value": 20.5,
                            "status": 0,
                        }
                    ],
                    "complete": True,
                    "parts": [],
                    "missing": [],
                    "cursor": None,
                }
            },
            "text/csv": {"example": "element,source_time,value,status\nBAR:T1,2026-01-01T00:00:00.000000001Z,20.5,0\n"},
            **{media_type: {} for media_type in _OFFERED[2:]},
        },
    },
    406: {"description": "none of the accepted formats can be given"},
}
"""What OpenAPI says of a response that `respond` makes."""

QUERY_DOCS: dict[int | str, dict[str, Any]] = {
    **FORMATS_DOCS,
    409: {"description": "a complete answer was required, and there is none; `missing` says what is missing, and why"},
    413: {"description": "more elements, rows or time than one request may ask for"},
    429: {"description": "the caller has asked for enough for now; Retry-After says when to come again"},
}
"""What OpenAPI says of an answer to a query."""


def respond(answer: Answer, accept: str | None, limit: int | None = None, *, outcome: bool = False) -> Response:
    """Return an answer as a response that streams it.

    A page (an answer with a limit) is made before the response begins, so that headers can carry what comes with
    it: the cursor that continues it, and how much is missing.

    Parameters
    ----------
    accept : str, optional
        The ``Accept`` header.
    limit : int, optional
        Of the query.
    outcome : bool
        Whether CSV and NDJSON end with a line that says it.

    Raises
    ------
    NotAcceptableError
    ForebayError
        As the response begins: nothing could be read. When reading fails later, the response ends before its end, and
        the client sees that.
    """
    try:
        media_type, name = format_of(accept)
    except BaseException:
        answer.close()
        raise
    chunks = write(answer, name, outcome=outcome)
    is_page = limit is not None and limit <= _PAGE_ROWS
    return AnswerResponse(answer, chunks, media_type, partial(_outcome, answer) if is_page else None)


def respond_with(samples: SampleBatch, accept: str | None, missing: Sequence[Missing] = ()) -> Response:
    """Return samples at hand as a response, and what is missing among them."""
    media_type, name = format_of(accept)
    answer = Answer.of(samples, missing)
    return Response(b"".join(write(answer, name)), media_type=media_type, headers=_outcome(answer))


def format_of(accept: str | None) -> tuple[str, str]:
    """Return the media type that a client accepts, and the name of the format.

    Raises
    ------
    NotAcceptableError
    """
    media_type = choose(accept, _OFFERED)
    return media_type, _NAMES[media_type]


def _outcome(answer: Answer) -> dict[str, str]:
    headers = {}
    if answer.cursor is not None:
        headers[CURSOR] = answer.cursor
    if answer.missing:
        headers[COMPLETE] = str(answer.complete).lower()
        headers[MISSING] = json.dumps(answer.outcome()["missing"])
    return headers
