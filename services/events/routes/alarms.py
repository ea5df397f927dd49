"""Alarms: the list, what operators do to them, their history, and how the alarm system does."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter
from fastapi import Query as Parameter
from pydantic import BaseModel, ConfigDict, Field

from analytics.alarms import actions
from analytics.alarms.pairs import pair
from archiver.model.time import now
from services.common.parameters import End, Start, duration_of, interval_of
from services.events.dependencies import OperatorDesk, ReaderDesk
from services.events.figures import figures
from services.events.listing import counts_of, listed
from services.events.rows import alarm_row, history_rows

router = APIRouter(prefix="/v1/alarms", tags=["alarms"])

_ID = "4f3c1c1f6b0d4a7f9b7e0c2d5a6b8c9d"
_ALARM = {
    "id": _ID,
    "rule": "oxygen-low",
    "key": "plant:OXYGEN1",
    "state": "active_unacknowledged",
    "condition": "active_unacknowledged",
    "active": True,
    "class": "alert",
    "priority": 60,
    "occurrence": "9b1d0c7e5f2a4e6d8c3b1a0f9e8d7c6b",
    "text": "plant:OXYGEN1: oxygen is 19.2 %",
    "value": 19.2,
    "came": "2026-01-01T00:00:00.000000000Z",
    "gone": None,
    "acknowledged": None,
    "comment": "",
    "shelved": None,
    "suppressed": None,
    "out_of_service": None,
    "revision": 1,
    "attributes": {},
}
_ONE: dict[int | str, dict[str, Any]] = {200: {"content": {"application/json": {"example": _ALARM}}}}

Most = Annotated[int, Parameter(ge=1, le=100_000, description="no more than these")]


class Said(BaseModel):
    """What is said with an action."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"example": {"comment": "fan checked"}})

    comment: str = Field("", max_length=2000)


class Acknowledged(Said):
    """An acknowledgement."""

    occurrence: str = Field(
        "", description="only if this is still the newest: nobody acknowledges what he has not seen"
    )


class Reasoned(BaseModel):
    """Why it is done."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"example": {"reason": "calibration"}})

    reason: str = Field(min_length=1, max_length=2000)


class Shelved(Reasoned):
    """Why, and for how long."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"example": {"reason": "calibration", "for": "2h"}})

    duration: str = Field("", alias="for", description="such as 2h; until it is gone when left out")


_LIST = {"alarms": [_ALARM], "matching": 1, "counts": {"normal": 0, "active_unacknowledged": 1}}


@router.get("", responses={200: {"content": {"application/json": {"example": _LIST}}}})
def list_alarms(
    desk: ReaderDesk,
    state: Annotated[
        list[str] | None,
        Parameter(description="a state, `active` (its condition holds) or `standing` (not normal); repeatable"),
    ] = None,
    rule: Annotated[str, Parameter(description="only of this rule")] = "",
    priority: Annotated[int, Parameter(ge=0, le=255, description="at least so urgent")] = 0,
    search: Annotated[str, Parameter(description="in key, rule or text")] = "",
    limit: Annotated[int, Parameter(ge=0, le=100_000, description="no more than these; 0: the counts alone")] = 100_000,
) -> dict[str, Any]:
    """Return alarms, those that are owed something and the most urgent first; how many match, and are in each state."""
    every = desk.alarms()
    found = [alarm_row(alarm) for alarm in listed(every, state or ())]
    text = search.lower()
    rows = [
        row
        for row in found
        if row["priority"] >= priority
        and rule in ("", row["rule"])
        and (not text or any(text in str(row[name]).lower() for name in ("key", "rule", "text")))
    ]
    return {"alarms": rows[:limit], "matching": len(rows), "counts": counts_of(every)}


@router.get("/history")
def get_history(
    desk: ReaderDesk,
    start: Start,
    end: End = "now",
    alarm: Annotated[str, Parameter(description="only of this one, by its id")] = "",
    limit: Most = 1000,
) -> dict[str, Any]:
    """Return what came in an interval, newest first, as pairs of came and gone."""
    found = desk.occurrences(interval_of(start, end), alarm, limit)
    return {"pairs": [list(pair(of, occurrence)) for of, occurrence in found]}


@router.get("/statistics")
def get_statistics(desk: ReaderDesk, start: Start, end: End = "now") -> dict[str, Any]:
    """Return how the alarm system does (ISA-18.2): rates, floods, standing, chattering, most frequent, priorities."""
    return figures(desk.history(interval := interval_of(start, end)), interval, desk.alarms())


@router.get("/{alarm_id}", responses=_ONE)
def get_alarm(desk: ReaderDesk, alarm_id: str) -> dict[str, Any]:
    """Return one alarm."""
    return alarm_row(desk.alarm(alarm_id))


@router.get("/{alarm_id}/transitions")
def get_transitions(
    desk: ReaderDesk, alarm_id: str, start: Start = "now-30d", end: End = "now", limit: Most = 1000
) -> dict[str, Any]:
    """Return everything that became of one alarm in an interval, oldest first: who did what, and why."""
    desk.alarm(alarm_id)
    return {"transitions": history_rows(desk.history(interval_of(start, end), alarm_id, limit))}


@router.post("/{alarm_id}/acknowledge", responses=_ONE)
def acknowledge(desk: OperatorDesk, alarm_id: str, said: Acknowledged | None = None) -> dict[str, Any]:
    """Say that the alarm was seen."""
    said = said or Acknowledged()
    action = actions.Acknowledge(now(), desk.user, said.comment, said.occurrence)
    return alarm_row(desk.act(alarm_id, action))


@router.post("/{alarm_id}/reset", responses=_ONE)
def reset(desk: OperatorDesk, alarm_id: str, said: Said | None = None) -> dict[str, Any]:
    """Reset a latched alarm: what it is about was looked after."""
    return alarm_row(desk.act(alarm_id, actions.Reset(now(), desk.user, (said or Said()).comment)))


@router.post("/{alarm_id}/shelve", responses=_ONE)
def shelve(desk: OperatorDesk, alarm_id: str, shelved: Shelved) -> dict[str, Any]:
    """Hide the alarm for a while, or until it has gone."""
    duration = duration_of("for", shelved.duration) if shelved.duration else None
    return alarm_row(desk.act(alarm_id, actions.Shelve(now(), desk.user, shelved.reason, duration)))


@router.post("/{alarm_id}/unshelve", responses=_ONE)
def unshelve(desk: OperatorDesk, alarm_id: str, said: Said | None = None) -> dict[str, Any]:
    """Show a shelved alarm again."""
    return alarm_row(desk.act(alarm_id, actions.Unshelve(now(), desk.user, (said or Said()).comment)))


@router.post("/{alarm_id}/out-of-service", responses=_ONE)
def take_out_of_service(desk: OperatorDesk, alarm_id: str, why: Reasoned) -> dict[str, Any]:
    """Hide the alarm while it is worked on."""
    return alarm_row(desk.act(alarm_id, actions.TakeOutOfService(now(), desk.user, why.reason)))


@router.post("/{alarm_id}/in-service", responses=_ONE)
def return_to_service(desk: OperatorDesk, alarm_id: str, said: Said | None = None) -> dict[str, Any]:
    """Return the alarm to service."""
    return alarm_row(desk.act(alarm_id, actions.ReturnToService(now(), desk.user, (said or Said()).comment)))


@router.post("/{alarm_id}/comment", responses=_ONE)
def comment(desk: OperatorDesk, alarm_id: str, said: Said) -> dict[str, Any]:
    """Say something about the alarm."""
    return alarm_row(desk.act(alarm_id, actions.Comment(now(), desk.user, said.comment)))
