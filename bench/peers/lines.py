"""What the peers that take line protocol over HTTP have in common: a server of its own, posted to and killed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from bench.peers.interruption import kill_server
from bench.peers.port import Acknowledged, Load, Peer, folder_size
from bench.peers.process import ServerProcess
from bench.service import Client, post_all


class LineServer(Peer):
    """A peer that is such a server; subclasses start it and ask it.

    Attributes
    ----------
    write : str
        Path that takes line protocol.
    """

    write = "/write"
    _server: ServerProcess | None = None

    def launch(
        self, command: Sequence[str], environment: Mapping[str, str], directory: Path, url: str, first: tuple[str, str]
    ) -> None:
        """Start the server, which keeps everything in a directory, and wait until it answers a first request."""
        self._directory, self._url = directory, url
        self._server = ServerProcess(command, environment, directory / "log")
        self._client = Client(url)
        self._server.wait_until(lambda: self._client.send(*first))

    def ingest(self, load: Load, acknowledged: Acknowledged) -> None:
        """Post lines over three connections."""
        post_all(
            self._url,
            self.write,
            load.bodies,
            acknowledged=lambda number: acknowledged(load.batches[number].num_rows),
        )

    def size(self) -> int:
        """Return the bytes of everything, WAL included."""
        return folder_size(self._directory)

    def interrupt(self, load: Load, after: int) -> int:
        """Kill the server."""
        assert self._server is not None
        return kill_server(self, self._server.kill, load, after)

    def stop(self) -> None:
        """Stop the server."""
        if self._server is not None:
            self._client.close()
            self._server.stop()
            self._server = None
