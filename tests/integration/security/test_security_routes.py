"""Every route says who may ask it, and holds to it: what an unauthorised caller gets at every door."""

import re

import pytest
from fastapi import FastAPI

from archiver import config
from archiver.bootstrap import Archive
from archiver.security import Role
from services.archive.app import create_app
from services.common.security import Permit, Public, check_declared, permissions
from services.common.security.failures import Failures

PUBLIC = {
    "/ping",
    "/retrieval/ping",
    "/health",
    "/health/live",
    "/health/ready",
    "/health/startup",
    "/openapi.json",
    "/",
}
"""What anybody may ask; a route that is added here tells nobody anything about the archive."""

PROBLEM = "urn:forebay:problem:"


def routes():
    """Every route of the application: method, path with its parameters filled in, role and whether a WebSocket."""
    app = create_app(Archive(config.Settings()), config.ServerSettings())
    for path, route, declared in permissions(app):
        roles = [permit.role for permit in declared if isinstance(permit, Permit)]
        for method in sorted(route.methods or ["WEBSOCKET" if hasattr(route, "dependant") else "GET"]):
            yield method, re.sub(r"\{(\w+)[^}]*\}", "1", path), roles


ROUTES = list(routes())
GUARDED = [(method, path, roles) for method, path, roles in ROUTES if roles and method != "WEBSOCKET"]


def test_the_routes_are_found():
    assert len(GUARDED) > 20
    assert {"/v1/samples", "/write", "/metrics", "/v1/dead-letters/1/replay"} <= {path for _, path, _ in ROUTES}


def test_every_route_declares_who_may_ask_it():
    app = create_app(Archive(config.Settings()), config.ServerSettings())
    found = [(path, declared) for path, _, declared in permissions(app)]
    assert [path for path, declared in found if not declared] == []
    assert {path for path, declared in found if all(isinstance(one, Public) for one in declared)} <= PUBLIC


def test_an_application_with_a_route_that_declares_nothing_is_not_served():
    app = FastAPI(openapi_url=None, docs_url=None, redoc_url=None)
    app.add_api_route("/v1/forgotten", lambda: "open")
    with pytest.raises(RuntimeError, match="/v1/forgotten"):
        check_declared(app)


def test_no_door_opens_without_the_right_key(doors):
    others = {role: doors.key(role) for role in (Role.INGEST, Role.READ)}
    some = others[Role.READ]
    doors.guard.failures = Failures(burst=10_000)
    wrong = (None, "forebay_00000000_" + "A" * 43, some[:-1] + ("A" if some[-1] != "A" else "B"))
    for method, path, roles in GUARDED:
        for key in wrong:
            answer = doors.request(method, path, key)
            assert (path, answer.status_code) == (path, 401)
            assert answer.json()["type"] == f"{PROBLEM}unauthorized"
            assert answer.headers["WWW-Authenticate"].startswith("Bearer")
        answer = doors.request(method, path, others[Role.READ if Role.INGEST in roles else Role.INGEST])
        assert (path, answer.status_code) == (path, 403)
        assert answer.json()["type"] == f"{PROBLEM}forbidden"
        assert roles[0] in answer.json()["detail"]


def test_every_door_opens_with_the_right_key(doors):
    keys = {role: doors.key(role) for role in Role}
    for method, path, roles in GUARDED:
        if "/live" not in path:  # it has no end
            answer = doors.request(method, path, keys[roles[0]], params={"element": "A:one", "start": "now-1h"})
            assert answer.status_code not in (401, 403, 500), (path, answer.text)


def test_what_is_public_answers_without_a_key(doors):
    doors.key(Role.READ)
    assert {path: doors.get(path).status_code for path in PUBLIC if doors.get(path).status_code >= 300} == {}


def test_readiness_gives_its_reasons_to_readers_of_everything_only(doors, monkeypatch):
    monkeypatch.setattr("services.archive.routes.health.not_ready", lambda archive: ["the disk of /data is full"])
    keys = doors.key(Role.READ), doors.key(Role.READ, groups=["A"]), doors.key(Role.INGEST), None
    answers = [doors.get("/health/ready", key) for key in keys]
    assert [answer.status_code for answer in answers] == [503] * 4
    assert [bool(answer.json()["reasons"]) for answer in answers] == [True, False, False, False]
