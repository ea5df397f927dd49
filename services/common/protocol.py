"""How the server writes: what belongs together goes out together."""

from __future__ import annotations

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

_TOGETHER_BYTES = 512 * 2**10


class HttpProtocol(HttpToolsProtocol):
    """Uvicorn's protocol, with one write for all that is written in a turn of the event loop: headers and first bytes.

    Bodies are handed on in parts that are worth it: uvicorn's own are of a few packets each.

    Older versions of Phoebus take a PV as unknown when headers arrive before the body. Newer ones offer HTTP/2 with
    each request, which is no mistake to warn of.
    """

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Take a connection."""
        super().connection_made(JoiningTransport(transport, self.loop))  # type: ignore[arg-type]

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
