"""Headers that wait for the first bytes of the body."""

from __future__ import annotations

from starlette.types import ASGIApp, Message, Receive, Scope, Send


class HeldHeaders:
    """ASGI middleware that sends the headers of an answer together with the first bytes of its body.

    Older versions of Phoebus take a PV as unknown when they arrive apart. Sent in one turn of the event loop, uvloop
    writes both at once.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, and its answer back."""
        held: list[Message] = []

        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                held.append(message)
                return
            if held and not message.get("body") and message.get("more_body"):
                return
            while held:
                await send(held.pop())
            await send(message)

        await self._app(scope, receive, sending)
