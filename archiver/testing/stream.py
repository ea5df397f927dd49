"""A subscriber of the stream backend that comes back whenever it is cut off, for tests."""

from __future__ import annotations

import threading
from pathlib import Path

from archiver.backends.stream import StreamBackend
from archiver.backends.stream.consumer import over_tcp
from archiver.backends.stream.frames import Frame, FrameKind
from archiver.model import TransientError
from archiver.ports import Backend
from archiver.testing.harness import PluginHarness
from archiver.testing.network import free_ports
from archiver.testing.patience import SOON_S
from archiver.testing.rows import Row, rows_of


class Collector:
    """Collects every frame from a TCP address, over any number of connections.

    Parameters
    ----------
    address : str
    """

    def __init__(self, address: str) -> None:
        self.frames: list[Frame] = []
        self._address = address
        self._changed = threading.Condition()
        self._ended = threading.Event()
        self._connections = 0
        self._thread = threading.Thread(target=self._run, name="collector", daemon=True)
        self._thread.start()

    def wait(self, number: int, connections: int = 0) -> None:
        """Wait until everything up to a change has come, over at least so many connections."""
        with self._changed:
            done = self._changed.wait_for(
                lambda: self._connections >= connections and self.frames and self.frames[-1].number >= number, SOON_S
            )
        assert done, f"change {number} does not come over connection {connections}: {self.frames[-3:]}"

    @property
    def connections(self) -> int:
        """How many connections there were until now that gave a frame."""
        return self._connections

    def rows(self) -> list[Row]:
        """Return every sample that came as a change, or that a snapshot was the first to show."""
        found: list[Row] = []
        for frame in self.frames:
            new = rows_of(frame.batch)
            found += new if frame.kind is FrameKind.CHANGES else [row for row in new if row not in found]
        return found

    def close(self) -> None:
        """Stop; the backend is to be closed before."""
        self._ended.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._ended.is_set():
            begun = False
            try:
                for frame in over_tcp(self._address):
                    with self._changed:
                        self._connections += not begun
                        begun = True
                        self.frames.append(frame)
                        self._changed.notify_all()
            except TransientError:
                self._ended.wait(0.02)


class StreamHarness(PluginHarness):
    """Harness of the stream backend, with a subscriber over TCP from the beginning on.

    Parameters
    ----------
    root : Path
        An empty directory.
    """

    def __init__(self, root: Path) -> None:
        self._collectors: dict[str, Collector] = {}
        super().__init__(StreamBackend, root, lambda number: {"tcp": f"127.0.0.1:{free_ports(1)[0]}"})

    def create(self) -> Backend:
        """Return a new backend with a subscriber."""
        backend = super().create()
        address = self._address(backend)
        self._collectors[address] = Collector(address)
        self._collectors[address].wait(0, connections=1)
        return backend

    def reopen(self, backend: Backend) -> Backend:
        """Close a backend and return a new instance on the same place, with the same subscriber."""
        collector = self._collectors[self._address(backend)]
        backend.close()
        again = collector.connections + 1
        backend = super().reopen(backend)
        collector.wait(0, connections=again)
        return backend

    def discard(self, backend: Backend) -> None:
        """Close a backend and its subscriber, and remove what it left."""
        collector = self._collectors.pop(self._address(backend))
        super().discard(backend)
        collector.close()

    def received(self, backend: Backend) -> list[Row]:
        """Return what the subscriber has got, when it has everything."""
        assert isinstance(backend, StreamBackend)
        collector = self._collectors[self._address(backend)]
        collector.wait(backend.number)
        return collector.rows()

    def _address(self, backend: Backend) -> str:
        return str(self._places[id(backend)][2]["tcp"])
