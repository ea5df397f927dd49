"""`forebay up` as a process of its own, and HTTP over connections that stay open: what benches over the wire share."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection, HTTPResponse, RemoteDisconnected
from pathlib import Path
from typing import TypeVar
from urllib.parse import urlsplit

LAKE = '[[backends]]\nname = "lake"\nkind = "parquet"\n'
CONNECTIONS = 3
_STOP_S = 120.0
T = TypeVar("T")


class Service:
    """An archive on a free port of 127.0.0.1; usable as context manager, which gives its address.

    Parameters
    ----------
    directory : Path
        Its data; may hold what an earlier one left.
    configuration : str
        TOML; a Parquet lake by default.
    """

    def __init__(self, directory: Path, configuration: str = LAKE) -> None:
        self._directory = directory
        self._configuration = configuration
        self._process: subprocess.Popen[str] | None = None

    def start(self) -> str:
        """Start, and return the address when it answers."""
        config = self._directory / "forebay.toml"
        config.write_text(self._configuration)
        program = "from archiver.cli import main; main()"
        arguments = ["up", "--config", str(config), "--data", str(self._directory), "--port", "0"]
        command = [sys.executable, "-c", program, *arguments]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        words = self._process.stdout.readline().split()
        if len(words) != 2:
            self.stop()
            raise RuntimeError("forebay up ended before it was ready; see above")
        return words[1]

    def kill(self) -> None:
        """End it with SIGKILL."""
        assert self._process is not None
        self._process.kill()
        self._end(0)

    def stop(self) -> None:
        """Let it drain and end; harmless when it does not run."""
        if self._process is not None:
            self._process.terminate()
            self._end(_STOP_S)

    def _end(self, timeout_s: float) -> None:
        assert self._process is not None
        with self._process as process:
            try:
                process.wait(timeout_s or None)
            except subprocess.TimeoutExpired:
                process.kill()
        self._process = None

    def __enter__(self) -> str:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()


class Client:
    """One connection that stays open.

    Parameters
    ----------
    url : str
        Of the server; only host and port count.
    """

    def __init__(self, url: str) -> None:
        address = urlsplit(url)
        self._connection = HTTPConnection(str(address.hostname), address.port, timeout=300)

    def send(
        self, method: str, path: str, body: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> bytes:
        """Return the body of the answer; for what it raises see `receive`."""
        return self.receive(HTTPResponse.read, method, path, body, headers)

    def receive(
        self,
        decode: Callable[[HTTPResponse], T],
        method: str,
        path: str,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> T:
        """Return what is made of the body of the answer while it comes.

        Raises
        ------
        RuntimeError
            The status is not one of success.
        OSError, http.client.HTTPException
            The connection broke.
        """
        try:
            return self._exchange(decode, method, path, body, headers)
        except RemoteDisconnected:
            if method != "GET":
                raise
            return self._exchange(decode, method, path, body, headers)  # it had closed an idle connection

    def _exchange(
        self,
        decode: Callable[[HTTPResponse], T],
        method: str,
        path: str,
        body: bytes | None,
        headers: Mapping[str, str] | None,
    ) -> T:
        try:
            self._connection.request(method, path, body, dict(headers or {}))
            answer = self._connection.getresponse()
            if not 200 <= answer.status < 300:
                content = answer.read()[:500].decode(errors="replace")
                raise RuntimeError(f"{method} {path[:200]}: {answer.status} {content}")
            result = decode(answer)
            answer.read()  # what comes after the end of what was decoded; then the connection is free again
            return result
        except Exception:
            self._connection.close()  # it opens again by itself
            raise

    def close(self) -> None:
        """Close the connection; the next request opens it again."""
        self._connection.close()


def post_all(
    url: str,
    path: str,
    bodies: Sequence[bytes],
    media_type: str = "text/plain",
    *,
    connections: int = CONNECTIONS,
    acknowledged: Callable[[int], None] = lambda number: None,
) -> None:
    """Post bodies in turn over several connections; `acknowledged` is told the number of each one that was taken."""

    def post(first: int) -> None:
        client = Client(url)
        try:
            for number in range(first, len(bodies), connections):
                client.send("POST", path, bodies[number], {"Content-Type": media_type})
                acknowledged(number)
        finally:
            client.close()

    with ThreadPoolExecutor(connections) as pool:
        list(pool.map(post, range(connections)))
