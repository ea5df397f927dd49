"""The short way to the write routes: it asks of callers what the long way declares, and answers as it does."""

import asyncio

import httpx
from starlette.responses import PlainTextResponse

from archiver.model import PermanentError
from services.archive.express import Express, Short
from services.archive.routes import ingest
from services.common.errors import UnauthorizedError
from services.common.telemetry import Exposition, RequestCounter, RequestCounts


async def admit(connection):
    if "key" not in connection.headers:
        raise UnauthorizedError("send a key")
    return connection.headers["key"]


async def answer(request, view):
    if view == "broken":
        raise PermanentError("it is broken")
    return PlainTextResponse(f"short for {view}: {(await request.body()).decode()}")


async def elsewhere(scope, receive, send):
    await PlainTextResponse("long")(scope, receive, send)


EXPRESS = Express(elsewhere, [Short("/write", admit, answer)])


def asked(*requests, app=EXPRESS):
    async def ask():
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as client:
            return [await client.request(method, path, **more) for method, path, more in requests]

    return asyncio.run(ask())


def test_only_posts_to_its_paths_go_the_short_way():
    key = {"headers": {"key": "k"}}
    others = [("GET", "/write", key), ("POST", "/write/", key), ("POST", "/v1/samples", key)]
    short, *long = asked(("POST", "/write?db=x", {"content": b"body", **key}), *others)
    assert short.text == "short for k: body"
    assert [answer.text for answer in long] == ["long"] * 3


def test_errors_are_answered_as_problems():
    nobody, broken = asked(("POST", "/write", {}), ("POST", "/write", {"headers": {"key": "broken"}}))
    assert (nobody.status_code, nobody.headers["content-type"]) == (401, "application/problem+json")
    assert nobody.headers["WWW-Authenticate"]
    assert (broken.status_code, broken.json()["detail"]) == (500, "it is broken")


def test_requests_are_counted_by_its_path():
    counts, text = RequestCounts(), Exposition()
    asked(("POST", "/write?db=x", {}), app=RequestCounter(EXPRESS, counts))
    counts.expose(text)
    assert 'http_requests_total{method="POST",route="/write",status="401"} 1' in text.render()


def test_it_asks_for_what_the_long_way_declares():
    routes = {route.path: route for route in ingest.router.routes}
    for short in ingest.SHORT:
        assert routes[short.path].methods == {"POST"}
        assert routes[short.path].endpoint is short.answer
        assert [part.call for part in routes[short.path].dependant.dependencies] == [short.permit]
