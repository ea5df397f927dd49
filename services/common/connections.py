"""How many connections a process takes; who comes beyond that is told so, and when to come again."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import resource
import time
from collections.abc import Collection

from starlette.types import ASGIApp, Receive, Scope, Send

from archiver.model import BackpressureError, ConfigurationError
from services.common.problems import response_to

CROWDED = "crowded"
"""In the state of a request that came by a connection beyond the limit; `services.common.protocol` puts it there."""

PATIENCE_S = 5.0
"""How long such a connection may take to say what it wants."""

_MOST = 10_000
_ENOUGH_FILES = 2**20
_RETRY_S = 5.0
_DRAINED_BYTES = 2**20
_QUIET_S = 60.0
_LOG = logging.getLogger(__name__)


def raise_file_limit() -> int:
    """Let this process open as many files as it may allow itself to; return how many that are.

    The soft limit is low, often 1024, for programs that use ``select``; none of ours does.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _ENOUGH_FILES if hard == resource.RLIM_INFINITY else min(hard, _ENOUGH_FILES)
    if soft == resource.RLIM_INFINITY:
        return _ENOUGH_FILES
    if soft < wanted:
        with contextlib.suppress(OSError, ValueError):  # macOS has a lower bound besides
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]


def most_connections(configured: int, files: int) -> int:
    """Return how many connections are taken at a time: as many as half of the files that may be open, at most.

    The others are for the archive itself: the files of its backends, its journal, what jobs read, and the few
    connections that are being turned away.

    Parameters
    ----------
    configured : int
        ``server.max_connections``; 0 takes what `files` allow, 10,000 at most.
    files : int
        How many the process may open.

    Raises
    ------
    ConfigurationError
        More are configured than the files allow.

    Examples
    --------
    >>> most_connections(0, 1024), most_connections(300, 1024), most_connections(0, 2**20)
    (512, 300, 10000)
    """
    allowed = max(1, files // 2)
    if configured > allowed:
        raise ConfigurationError(
            [
                f"server.max_connections = {configured}: this process may open {files} files, half of them for "
                f"connections; set it to {allowed} or less, or allow {2 * configured} files (ulimit -n, LimitNOFILE=)"
            ]
        )
    return configured or min(allowed, _MOST)


class TurnsAway:
    """ASGI middleware that answers what came by a connection beyond the limit with 503, and has it closed.

    Parameters
    ----------
    app : ASGI application
        Gets all else.
    spared : collection of str
        Paths that are answered all the same: for whoever watches over the process, and might end it without an answer.
    """

    def __init__(self, app: ASGIApp, spared: Collection[str] = ()) -> None:
        self._app = app
        self._spared = frozenset(spared)
        self._told = -_QUIET_S

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or say that there is no room."""
        most = scope.get("state", {}).get(CROWDED)
        if most is None or scope["path"] in self._spared:
            await self._app(scope, receive, send)
            return
        if time.monotonic() - self._told > _QUIET_S:
            self._told = time.monotonic()
            _LOG.warning("%d connections are open: more are turned away (server.max_connections)", most)
        if scope["type"] == "http":
            await _drained(receive)
        fault = f"{most} connections are open, and more are not taken (server.max_connections); come again later"
        answer = response_to(BackpressureError(fault, _RETRY_S))
        answer.headers["Connection"] = "close"
        await answer(scope, receive, send)


async def _drained(receive: Receive) -> None:
    """Take the body, if it is not long: who is still sending when the connection closes may not see the answer."""
    taken, more = 0, True
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(PATIENCE_S):
            while more and taken < _DRAINED_BYTES:
                message = await receive()
                taken += len(message.get("body", b""))
                more = message.get("more_body", False)
