"""The life of ``forebay up``: open, serve, read the configuration again, drain, close."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import functools
import gc
import logging
import signal
import socket
import ssl
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pyarrow as pa
import uvicorn
import uvloop
from fastapi import FastAPI

from archiver.bootstrap import Archive
from archiver.config import ServerSettings, Settings
from archiver.model import ConfigurationError, ForebayError
from archiver.security import Caller
from archiver.sources import line_protocol
from services.archive.app import create_app
from services.archive.sources import Sources
from services.common import logs
from services.common.connections import most_connections, raise_file_limit
from services.common.protocol import HttpProtocol
from services.common.security import check_start, local_key, server_context
from services.common.tracing import Traces, provider_of

_LOG = logging.getLogger(__name__)
_BACKENDS_S = 10.0
_DRAIN_S = 30
_BACKLOG = 2048
_SWITCH_S = 0.0005
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # as in glibc's malloc.h
_KEPT_BYTES, _REUSED_BYTES = 64 * 2**20, 16 * 2**20


def serve(read: Callable[[], Settings]) -> None:
    """Run an archive and its service until SIGTERM or SIGINT; then drain and return.

    Prints ``ready <address>`` when it answers. SIGHUP reads the settings again.

    Parameters
    ----------
    read : callable
        Gives the settings, from file, environment and flags.

    Raises
    ------
    ConfigurationError
        Of the settings, or the address cannot be listened on.
    DirectoryInUseError
        Another process works on the data directory.
    """
    settings = read()
    check_start(settings)
    logs.configure(settings.log)
    provider = provider_of(settings.trace)
    traces = None if provider is None else Traces(provider)
    encryption = None if settings.tls is None else server_context(settings.tls)
    connections = most_connections(settings.server.max_connections, raise_file_limit())
    sys.setswitchinterval(_SWITCH_S)  # a thread back from the disk waits a tenth as long for one that computes
    _keep_freed_memory()
    with Archive(settings) as archive, listen(settings.server) as listener, local_key(archive.directory) as key:
        archive.wait_ready(_BACKENDS_S)
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(_serve(archive, listener, read, key, encryption, traces, connections))


@contextlib.contextmanager
def listen(settings: ServerSettings) -> Iterator[socket.socket]:
    """Give a socket that is bound to the configured address.

    Raises
    ------
    ConfigurationError
        It is in use, or not of this machine.
    """
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((settings.host, settings.port))
        except OSError as exc:
            address = f"server.host = {settings.host!r}, server.port = {settings.port}"
            raise ConfigurationError([f"{address}: {exc.strerror}; choose another with --port or --host"]) from exc
        yield listener


def _keep_freed_memory() -> None:
    """Let the C library use again what bodies and answers were in; else each is given back and faulted in anew.

    It does so with blocks of up to `_REUSED_BYTES`, and keeps `_KEPT_BYTES` at the end of a heap. Arrow takes its
    memory there as well: its own pool gives back within milliseconds what is free.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:  # glibc
        mallopt(_M_MMAP_THRESHOLD, _REUSED_BYTES)
        mallopt(_M_TRIM_THRESHOLD, _KEPT_BYTES)
        pa.set_memory_pool(pa.system_memory_pool())


class _Server(uvicorn.Server):
    """Uvicorn without its own signal handlers: they end the process by the signal, and we end it in order."""

    def __init__(self, config: uvicorn.Config, started: Callable[[], None]) -> None:
        super().__init__(config)
        self._on_start = started

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self._on_start()

    def stop(self) -> None:
        """Stop in order when asked once, at once when asked again."""
        self.force_exit = self.should_exit
        self.should_exit = True


async def _serve(
    archive: Archive,
    listener: socket.socket,
    read: Callable[[], Settings],
    key: str,
    encryption: ssl.SSLContext | None,
    traces: Traces | None,
    connections: int,
) -> None:
    tls = archive.settings.tls
    url = _url(listener, "http" if tls is None else "https")

    def announce() -> None:
        archive.lock.announce({"url": url} | ({} if tls is None else {"certificate": str(tls.certificate.resolve())}))
        print(f"ready {url}", flush=True)  # noqa: T201 - what the caller waits for
        line_protocol.warm_up()  # in the background, and not before: else the first large bodies take the slow path

    app = create_app(archive, archive.settings.server, key, traces)
    server = _Server(_configuration(app, connections, encryption), announce)
    app.state.connections = server.server_state.connections

    def stop() -> None:
        server.stop()
        app.state.live.stop()  # answers without an end would be waited for
        for part in app.state.parts:
            getattr(part.state, "stop", lambda: None)()

    note = functools.partial(app.state.guard.audit.record, Caller.here())
    note("start", url=url, version=app.version)
    sources = Sources(archive)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop)
    reloads: set[asyncio.Task[None]] = set()
    loop.add_signal_handler(signal.SIGHUP, lambda: reloads.add(loop.create_task(_reload(archive, sources, read, note))))
    await sources.use(archive.settings.sources)
    gc.freeze()  # what is there by now stays: no collection has to walk over it again
    try:
        await server.serve([listener])
    finally:
        await sources.use(())
        await asyncio.gather(*reloads)
        note("stop")
    if not server.started:
        sys.exit(1)


def _configuration(app: FastAPI, connections: int, encryption: ssl.SSLContext | None) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        access_log=False,
        log_config=None,
        lifespan="on",
        backlog=_BACKLOG,
        timeout_graceful_shutdown=_DRAIN_S,
        server_header=False,
        limit_concurrency=connections,
        http=HttpProtocol,
        ws="websockets-sansio",
        ssl_context_factory=None if encryption is None else lambda config, default: encryption,
    )


async def _reload(archive: Archive, sources: Sources, read: Callable[[], Settings], note: Callable[..., Any]) -> None:
    """Put the settings in force that are configured now; when something is wrong with them, keep the old ones."""
    try:
        settings = read()
        logs.configure(settings.log)
        changes = await asyncio.to_thread(archive.reload, settings)
        changes += await sources.use(settings.sources)
    except ForebayError as exc:
        await asyncio.to_thread(note, "read configuration", f"failed: {exc}"[:500])
        _LOG.error("the configuration was not read again: %s", exc)
        return
    await asyncio.to_thread(note, "read configuration", changes=changes)
    _LOG.warning("the configuration was read again: %s", "; ".join(changes) or "nothing else than before")


def _url(listener: socket.socket, scheme: str) -> str:
    host, port = listener.getsockname()[:2]
    shown = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, f"[{host}]" if ":" in host else host)
    return f"{scheme}://{shown}:{port}"
