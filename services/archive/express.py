"""A short way to the routes that bulk data comes in by."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from archiver.model import ForebayError
from services.common.problems import on_forebay_error
from services.common.security import Permit, View


@dataclass(frozen=True)
class Short:
    """A route for ``POST``: its path, what it asks of callers, and what answers them."""

    path: str
    permit: Permit
    answer: Callable[[Request, View], Awaitable[Response]]


class Express:
    """ASGI middleware that answers some routes itself, past all that they have no use for.

    That is matching every route, resolving dependencies, compressing answers without a body: together it takes longer
    than to receive ten thousand samples. Who may ask, and how errors are answered, is as on the long way, which the
    application has for the same routes: it documents them, and declares what they ask of callers.

    Parameters
    ----------
    app : ASGI application
        Answers all else.
    routes : sequence of Short
    """

    def __init__(self, app: ASGIApp, routes: Sequence[Short]) -> None:
        self._app = app
        self._routes = {("POST", route.path): route for route in routes}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or pass it on."""
        route = self._routes.get((scope["method"], scope["path"])) if scope["type"] == "http" else None
        if route is None:
            await self._app(scope, receive, send)
            return
        scope["route"] = route  # as the router leaves it, for who counts
        request = Request(scope, receive)
        try:
            answer = await route.answer(request, await route.permit(request))
        except ForebayError as exc:
            answer = await on_forebay_error(request, exc)
        await answer(scope, receive, send)
