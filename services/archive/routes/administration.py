"""Who asks and who may come in: callers, keys and the audit log, as `forebay keys` and `forebay audit` have them."""

from __future__ import annotations

from collections import deque
from typing import Annotated, Any

from fastapi import APIRouter, Depends
from fastapi import Query as Parameter
from pydantic import BaseModel, ConfigDict, Field

from archiver.model import NotFoundError, parse_duration
from archiver.model.time import now
from archiver.security import Role
from archiver.security.chain import records_of
from services.archive.dependencies import TheArchive
from services.common.security import Administrator, Guard, Reader, guard_of

router = APIRouter(prefix="/v1", tags=["administration"])

TheGuard = Annotated[Guard, Depends(guard_of)]
_KEY = {
    "name": "grafana",
    "id": "51a45f9d",
    "roles": "read",
    "groups": "tracker",
    "state": "valid",
    "created": "2026-01-01T00:00:00.000000000Z",
    "expires": None,
    "revoked": None,
}
_CALLER = {"name": "key:ops", "roles": ["read", "operate"], "groups": ["tracker"]}


class NewKey(BaseModel):
    """A key that is to be made: for whom, what it allows, and how long it counts."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"example": {"name": "grafana", "roles": ["read"], "groups": ["tracker"], "expires": "90d"}},
    )

    name: str = Field(description="1 to 64 letters, digits, or any of . _ @ -")
    roles: list[Role] = Field(min_length=1)
    groups: list[str] | None = Field(None, min_length=1, description="archive groups; all when left out")
    expires: str = Field("", description="a duration, such as 90d; never when left out")


@router.get("/caller", responses={200: {"content": {"application/json": {"example": _CALLER}}}})
def get_caller(caller: Reader) -> dict[str, Any]:
    """Return who asks: every role that it has, and its archive groups, null for all of them.

    A client offers with it what the caller may do; whether it may is decided with each request.
    """
    principal = caller.caller.principal
    groups = None if principal.groups is None else sorted(principal.groups)
    return {"name": principal.name, "roles": [role for role in Role if principal.may(role)], "groups": groups}


@router.get("/keys", responses={200: {"content": {"application/json": {"example": {"keys": [_KEY]}}}}})
def list_keys(caller: Administrator, guard: TheGuard) -> dict[str, Any]:
    """Return the keys, those that have ended too, without what makes them keys."""
    caller.check_whole()
    return {"keys": [key.to_row() for key in guard.keys.all()]}


@router.post("/keys", status_code=201)
def create_key(caller: Administrator, archive: TheArchive, guard: TheGuard, wanted: NewKey) -> dict[str, Any]:
    """Make a key; ``key`` in the answer is shown this once. After the first one every caller needs one."""
    caller.check_whole()
    unknown = sorted(set(wanted.groups or ()) - archive.groups.groups.keys())
    if unknown:
        raise NotFoundError(
            f"there is no archive group {', '.join(unknown)}; there are {', '.join(archive.groups.groups)}"
        )
    expires = now() + parse_duration(wanted.expires) if wanted.expires else None
    with guard.audit.change(caller.caller, "create key", **wanted.model_dump(mode="json")):
        text, key = guard.keys.create(wanted.name, wanted.roles, wanted.groups, expires)
    return {"key": text, **key.to_row()}


@router.delete("/keys/{name}", responses={200: {"content": {"application/json": {"example": {"keys": [_KEY]}}}}})
def revoke_key(caller: Administrator, guard: TheGuard, name: str) -> dict[str, Any]:
    """Make a key invalid, from the next request on."""
    caller.check_whole()
    with guard.audit.change(caller.caller, "revoke key", name=name[:64]):
        return {"keys": [key.to_row() for key in guard.keys.revoke(name)]}


@router.get("/audit")
def get_audit(
    caller: Administrator,
    archive: TheArchive,
    last: Annotated[int, Parameter(ge=1, le=10_000, description="how many records, the newest at the end")] = 100,
) -> dict[str, Any]:
    """Return what was changed, by whom, from where, and what came of it."""
    caller.check_whole()
    return {"records": list(deque(records_of(archive.directory), last))}
