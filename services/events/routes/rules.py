"""Rules: in force, checked, told in words, tried on the past, and put in force."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any

from fastapi import APIRouter, Body, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from analytics.events.event import Event
from analytics.events.rules.documents import Rule
from analytics.events.rules.loading import parse_rule
from analytics.events.rules.programs import words_of
from archiver.model import Interval, InvalidInputError, SampleBatch
from archiver.query import Query
from services.common.later import work_later
from services.common.parameters import interval_of
from services.common.security import Operator, Reader, View
from services.common.security.view import Progress
from services.events.dependencies import AdministratorDesk, OperatorDesk, ReaderDesk, TheService
from services.events.rulebook import RuleVersion
from services.events.trial import summary, try_out

router = APIRouter(prefix="/v1/rules", tags=["rules"])

_DOCUMENT: dict[str, Any] = {
    "name": "oxygen-low",
    "kind": "threshold",
    "elements": ["plant:OXYGEN*"],
    "below": 19.5,
    "alarm": "alert",
}
_VERSION = {
    "name": "oxygen-low",
    "number": 1,
    "version": "8a992d0e1ae5b91c",
    "changed": "2026-01-01T00:00:00.000000000Z",
    "user": "key:ops",
    "origin": "",
    "rule": _DOCUMENT,
    "words": "It looks at each of plant:OXYGEN* by itself. It comes when the value is below 19.5.",
}
_ONE: dict[int | str, dict[str, Any]] = {200: {"content": {"application/json": {"example": _VERSION}}}}
Document = Annotated[dict[str, Any], Body(description="a rule as in a file", examples=[_DOCUMENT])]


class Past(BaseModel):
    """Of what time."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"example": {"start": "now-7d", "end": "now"}})

    start: str = Field(description="ISO-8601 with a zone, or now-7d")
    end: str = Field("now", description="not included; as start")


class Trial(Past):
    """Rules to try, and on which past."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"example": {"rules": [_DOCUMENT], "start": "now-7d", "end": "now"}}
    )

    rules: list[dict[str, Any]] = Field(min_length=1)
    shown: int = Field(1000, ge=0, le=100_000, description="most events that are listed; all are counted")


@router.get("", responses={200: {"content": {"application/json": {"example": {"rules": [_VERSION]}}}}})
def list_rules(desk: ReaderDesk, service: TheService) -> dict[str, Any]:
    """Return the rules in force, and how they do: samples not seen yet, late ones, rules that failed."""
    return {"rules": [_row(version) for version in desk.rules()], "status": service.runner.status().to_row()}


@router.post("/check", responses={200: {"content": {"application/json": {"example": {"words": "It looks at …"}}}}})
def check_rule(desk: ReaderDesk, document: Document) -> dict[str, Any]:
    """Return what a rule does, in words; or every problem with it."""
    rule = parse_rule(document)
    return {"name": rule.name, "version": rule.version, "words": words_of(rule)}


@router.post("/test", status_code=202)
def try_rules(request: Request, view: Reader, trial: Trial) -> Response:
    """Begin a job that tells what rules would have found in the past: events, and how many alarms a day that makes.

    Nothing is written and nobody is told.
    """
    rules = [parse_rule(document, f"rules[{place}].") for place, document in enumerate(trial.rules)]
    interval = interval_of(trial.start, trial.end)

    def work(tell: Progress) -> dict[str, Any]:
        events = _events(rules, view, interval, tell)
        return {"summary": summary(rules, events, interval), "events": [e.to_row() for e in events[: trial.shown]]}

    asked = {"rules": trial.rules, "start": trial.start, "end": trial.end, "shown": trial.shown, "what": "rules test"}
    return work_later(request, view, asked, work)


@router.get("/{name}", responses=_ONE)
def get_rule(desk: ReaderDesk, name: str) -> dict[str, Any]:
    """Return a rule, the newest version."""
    return _row(desk.rule_history(name)[0])


@router.get("/{name}/history")
def get_rule_history(desk: ReaderDesk, name: str) -> dict[str, Any]:
    """Return every version of a rule, newest first: what it said, since when, and who made it."""
    return {"versions": [_row(version) for version in desk.rule_history(name)]}


@router.put("/{name}", responses=_ONE)
def put_rule(desk: AdministratorDesk, name: str, document: Document) -> dict[str, Any]:
    """Put a rule in force, in place of the one of its name; its state begins with the latest sample of each element."""
    rule = _named(name, document)
    return _row(desk.put_rule(rule))


@router.post("/{name}/recalculate", status_code=202)
def recalculate(request: Request, desk: OperatorDesk, view: Operator, name: str, past: Past) -> Response:
    """Begin a job that puts in place of the frames of an interval those that the rule finds in it now.

    That is for late samples, and for a rule that was changed. Alarms stay as they were, and so does what was written
    about frames.
    """
    interval = interval_of(past.start, past.end)

    def work(tell: Progress) -> dict[str, Any]:
        frames = desk.recalculate(name, interval, lambda rule: _events([rule], view, interval, tell))
        return {"frames": len(frames)}

    asked = {"what": "recalculate", "rule": name, "start": past.start, "end": past.end}
    return work_later(request, view, asked, work)


@router.delete("/{name}", status_code=204)
def remove_rule(desk: AdministratorDesk, name: str) -> Response:
    """Take a rule out; its history and what it found stay, and its alarms are over."""
    desk.remove_rule(name)
    return Response(status_code=204)


def _events(rules: list[Rule], view: View, interval: Interval, tell: Progress) -> list[Event]:
    """Return what rules find in what a caller sees."""

    def ask(query: Query) -> Iterator[SampleBatch]:
        return (rows for rows in view.query(query).rows if isinstance(rows, SampleBatch))

    names = [version.name for version in view.elements()]
    return list(try_out(rules, names, ask, interval, tell))


def _named(name: str, document: dict[str, Any]) -> Rule:
    if document.setdefault("name", name) != name:
        raise InvalidInputError(f"name = {document['name']!r}: the address says {name!r}; make them the same")
    return parse_rule(document)


def _row(version: RuleVersion) -> dict[str, Any]:
    words = None if version.rule is None else words_of(version.rule)
    return {**version.to_row(), "words": words}
