"""A private HTTP server for tests that takes what is posted to it, refuses it, or takes its time."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass(frozen=True)
class Posted:
    """A request that was taken: its path, headers and body."""

    path: str
    headers: Mapping[str, str]
    body: bytes


@dataclass
class Mood:
    """How the next requests are answered.

    Parameters
    ----------
    status : int
    headers : mapping of str to str
    body : bytes
        Of the answer.
    gate : threading.Event
        No answer before it is set.
    lose : bool
        Take the request, and cut the connection instead of answering.
    """

    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    gate: threading.Event = field(default_factory=lambda: _open_gate())
    lose: bool = False


class Hook:
    """What was posted, and how it is answered.

    Attributes
    ----------
    posted : list of Posted
        Everything that was taken, also where the answer was lost.
    refused : list of Posted
        All else.
    asked : threading.Semaphore
        Released with each request.
    mood : Mood
        May be exchanged at any time.
    admits : callable
        Whether a request with these headers is let in; others get a 401.
    """

    def __init__(self) -> None:
        self.posted: list[Posted] = []
        self.refused: list[Posted] = []
        self.mood = Mood()
        self.admits: Callable[[Mapping[str, str]], bool] = lambda headers: True
        self.asked = threading.Semaphore(0)
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), name="hook")
        self._thread.start()

    @property
    def url(self) -> str:
        """Where it answers."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def close(self) -> None:
        """Stop."""
        self.mood.gate.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        hook = self

        class _Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                mood = hook.mood
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                hook.asked.release()
                mood.gate.wait()
                status = mood.status if hook.admits(dict(self.headers)) else 401
                taken = status < 300
                (hook.posted if taken else hook.refused).append(Posted(self.path, dict(self.headers), body))
                self.close_connection = True
                if mood.lose:
                    return
                self.send_response(status)
                for name, value in {"Content-Length": str(len(mood.body)), **mood.headers}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(mood.body)

            def log_message(self, format: str, *arguments: Any) -> None:  # noqa: A002 - its name there
                pass

        return _Handler


def _open_gate() -> threading.Event:
    event = threading.Event()
    event.set()
    return event


@contextmanager
def running_hook() -> Iterator[Hook]:
    """Lend a started server."""
    hook = Hook()
    try:
        yield hook
    finally:
        hook.close()
