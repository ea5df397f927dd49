"""How the server takes connections and writes: only so many, and what belongs together goes out together."""

from __future__ import annotations

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from services.common.connections import CROWDED, PATIENCE_S

_TOGETHER_BYTES = 512 * 2**10
_SILENT_S = 60.0
_TURNED_AWAY = 8


class HttpProtocol(HttpToolsProtocol):
    """Uvicorn's protocol, with one write for all that is written in a turn of the event loop: headers and first bytes.

    Bodies are handed on in parts that are worth it: uvicorn's own are of a few packets each.

    Older versions of Phoebus take a PV as unknown when headers arrive before the body. Newer ones offer HTTP/2 with
    each request, which is no mistake to warn of.

    ``limit_concurrency`` of uvicorn's configuration is the number of connections, those of watchers and WebSockets
    included. What comes by one beyond that has `CROWDED` in its state, for `services.common.connections.TurnsAway`: an
    eighth more are told so at a time, and those beyond are closed without a word. A connection by which nothing comes
    is closed after a while.
    """

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._most, self.limit_concurrency = self.limit_concurrency, None  # uvicorn's own answer is no problem document

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Take a connection, to answer it or to turn it away."""
        super().connection_made(JoiningTransport(transport, self.loop))  # type: ignore[arg-type]
        patience_s, there = _SILENT_S, len(self.connections)
        if self._most is not None and there > self._most:
            if there > self._most + max(_TURNED_AWAY, self._most // 8):
                self.transport.abort()
                return
            self.app_state = {**self.app_state, CROWDED: self._most}
            patience_s = PATIENCE_S
        self.timeout_keep_alive_task = self.loop.call_later(patience_s, self.timeout_keep_alive_handler)

    def on_body(self, body: bytes) -> None:
        """Take a part of a body; whoever reads it is woken for a good deal of it at a time, and for its end."""
        if self.parser.should_upgrade() or len(self.cycle.body) + len(body) > _TOGETHER_BYTES:
            super().on_body(body)
        elif not self.cycle.response_complete:
            self.cycle.body += body

    def _unsupported_upgrade_warning(self) -> None:
        """Answer by HTTP/1.1, as every server may, without a word."""


class JoiningTransport:
    """A transport that writes once per turn of the event loop; all else is passed on to the one behind it.

    Parameters
    ----------
    transport : asyncio.Transport
    loop : asyncio.AbstractEventLoop
    """

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._transport = transport
        self._loop = loop
        self._held: list[bytes] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def write(self, data: bytes) -> None:
        """Write with what else is written in this turn."""
        if not self._held:
            self._loop.call_soon(self._flush)
        self._held.append(data)

    def close(self) -> None:
        """Write what is held, and close."""
        self._flush()
        self._transport.close()

    def _flush(self) -> None:
        if self._held:
            held, self._held = self._held, []
            if self._transport.is_closing():  # the client has gone meanwhile
                return
            self._transport.write(held[0] if len(held) == 1 else b"".join(held))
