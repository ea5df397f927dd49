"""Queries that take long, as jobs: the answer becomes a file, which is fetched when it is done."""

from __future__ import annotations

from contextlib import closing

from fastapi import Request, Response

from archiver.query import Query
from archiver.query.formats import write
from services.archive.answers import format_of
from services.archive.question import Question
from services.common.jobs import Running
from services.common.later import accepted
from services.common.security import View


def respond_later(request: Request, archive: View, question: Question, query: Query) -> Response:
    """Return 202, and where the job is found that reads the answer in the format that the client accepts.

    Raises
    ------
    NotAcceptableError
    """
    media_type, name = format_of(request.headers.get("accept"))
    expected = archive.plan(query).get("rows")

    def work(running: Running) -> None:
        rows = 0
        with closing(archive.query(query)) as answer, running.stop.stopping(answer.cancel):
            for chunk in write(answer, name, outcome=question.outcome):
                running.write(chunk)
                rows = sum(part.rows for part in answer.parts)
                running.tell({"rows": rows, "expected": expected, "bytes": running.bytes})
        running.tell({"rows": rows, "expected": expected, "bytes": running.bytes, **answer.outcome()})

    asked = {**question.model_dump(mode="json", exclude_defaults=True), "accept": media_type}
    return accepted(request, archive, asked, media_type, work)
