"""The `Backend` port for subscribers: what is written is kept as the newest values, and handed to all connected."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import ClassVar

from archiver.backends.passing import PassingOn
from archiver.backends.stream import frames
from archiver.backends.stream.frames import FrameKind
from archiver.backends.stream.newest import Newest
from archiver.backends.stream.options import StreamOptions
from archiver.backends.stream.server import Server
from archiver.model import SampleBatch, TransientError, UnsupportedError
from archiver.model.identity import duplicates
from archiver.ports import BackendContext, BackendLimits, BeforeCommit, Options, Position, WriteReceipt


class StreamBackend(PassingOn):
    """Passes samples on to subscribers over TCP and ZeroMQ.

    Parameters
    ----------
    context : BackendContext
        The newest values are kept in ``directory / name``.
    options : StreamOptions

    Notes
    -----
    A write is done when the newest values and the position are durable; then it is handed to the subscribers, and
    none of them can hold it up. What a subscriber did not get it is told of, and it gets the newest values instead.
    """

    Options: ClassVar[type[Options]] = StreamOptions

    def __init__(self, context: BackendContext, options: StreamOptions) -> None:
        self.name = context.name
        self.limits = BackendLimits(readable=False)
        self._context = context
        self._options = options
        self._writing = threading.Lock()
        self._lock = threading.Lock()
        self._newest: Newest | None = None
        self._server: Server | None = None

    def open(self) -> None:
        """Read the newest values, and listen."""
        if self._context.read_only or self._newest is not None:
            return
        with self._translated():
            newest = Newest(self._context.directory / self.name / "newest.db")
        server = Server(self._options, self._snapshot, self.name)
        self._newest = newest
        try:
            server.start()
        except TransientError:
            self._newest = None
            newest.close()
            raise
        self._server = server

    def close(self) -> None:
        """Cut all subscribers off, after a write under way, and what waits for those that take it at once."""
        with self._writing:
            if self._server is not None:
                self._server.stop()
                self._server = None
            if self._newest is not None:
                self._newest.close()
                self._newest = None

    @property
    def number(self) -> int:
        """Number of the last change."""
        return self._opened().number

    def position(self, stream: str) -> Position | None:
        """Return the position that belongs to the newest values."""
        offset = self._opened().offsets.get(stream)
        return None if offset is None else Position(stream, offset)

    def write(
        self,
        parts: Mapping[str, SampleBatch],
        position: Position | None = None,
        before_commit: BeforeCommit | None = None,
    ) -> WriteReceipt:
        """Keep the newest values and the position, then pass the samples on: see `archiver.ports.Backend.write`."""
        with self._writing:
            newest = self._opened()
            stored = None if position is None else self.position(position.stream)
            if position is not None and stored is not None and position.offset <= stored.offset:
                return WriteReceipt(stored, repeated=True)
            known = {group: duplicates(batch, SampleBatch.empty()) for group, batch in parts.items()}
            fresh = SampleBatch.concat([batch.filter(~known[group]) for group, batch in parts.items()])
            if len(parts) > 1:  # what two groups take is sent once
                fresh = fresh.filter(~duplicates(fresh, SampleBatch.empty()))
            receipt = WriteReceipt(position, known)
            if before_commit is not None:
                before_commit(receipt)
            with self._lock, self._translated():
                newest.commit(fresh, position)
            if fresh.num_rows and self._server is not None:
                self._server.publish(newest.number, frames.samples(FrameKind.CHANGES, newest.number, fresh))
            return receipt

    def _snapshot(self) -> tuple[int, bytes]:
        with self._lock:
            newest = self._opened()
            number, batch = newest.number, newest.batch()
        return number, frames.samples(FrameKind.SNAPSHOT, number, batch)

    def _opened(self) -> Newest:
        if self._newest is None:
            if self._context.read_only:
                raise UnsupportedError(f"backend {self.name} only passes samples on, and is open for reading only")
            raise TransientError(f"backend {self.name} is not open")
        return self._newest

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as exc:
            raise TransientError(f"backend {self.name} cannot keep the newest values: {exc}") from exc
