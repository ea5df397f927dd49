"""The backend: its verbs, one writer at a time, and what becomes of an error."""

from __future__ import annotations

import threading
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import ClassVar

from archiver.backends.influx import aggregating
from archiver.backends.influx.cells import Cells
from archiver.backends.influx.client import Client
from archiver.backends.influx.options import InfluxOptions
from archiver.backends.influx.reading import Reader
from archiver.backends.influx.segments import Segments
from archiver.backends.influx.state import State
from archiver.backends.influx.wincc_oa import WinccReader
from archiver.backends.influx.writing import Writer
from archiver.model import (
    ConfigurationError,
    Interval,
    PermanentError,
    SampleBatch,
    TransientError,
    UnsupportedError,
)
from archiver.model.grid import Grid
from archiver.ports import (
    Aggregated,
    BackendContext,
    BackendLimits,
    BeforeCommit,
    Coverage,
    Options,
    Position,
    Segment,
    WriteReceipt,
)


class InfluxBackend:
    """Keeps samples as points of a measurement per archive group.

    Parameters
    ----------
    context : BackendContext
        Each group's `segment_ns` is the length of its segments.
    options : InfluxOptions
    """

    Options: ClassVar[type[Options]] = InfluxOptions

    def __init__(self, context: BackendContext, options: InfluxOptions) -> None:
        self.name = context.name
        self.limits = BackendLimits()
        self._context = context
        self._options = options
        self._writing = threading.Lock()
        self._opened: tuple[Client, Reader, Writer | None] | None = None

    def open(self) -> None:
        """Connect, and make the database where there is none.

        Raises
        ------
        TransientError
            The server cannot be reached, or does not know the credentials.
        ConfigurationError
            The database drops old data by itself, or a newer version wrote it.
        """
        self.close()
        client = Client(self._options, f"backend {self.name!r}")
        try:
            client.connect()
            reader, writer = self._faces(client)
            reader.state()
        except BaseException:
            client.close()
            raise
        self._opened = client, reader, writer

    def _faces(self, client: Client) -> tuple[Reader, Writer | None]:
        """Return who reads and, where that may be, who writes."""
        if self._options.layout == "wincc-oa":
            if self._context.groups:
                raise ConfigurationError(
                    [
                        f"groups: {', '.join(sorted(self._context.groups))} cannot be stored by backend {self.name!r}: "
                        "a WinCC OA database is only read; take it out of their backends"
                    ]
                )
            return WinccReader(client, self._options.database), None
        if self._context.read_only:
            return Reader(client), None
        client.make_database()
        reader = Reader(client)
        reader.make_mark()
        return reader, Writer(client, reader, self._context)

    def close(self) -> None:
        """Close all connections."""
        with self._writing:
            opened, self._opened = self._opened, None
            if opened is not None:
                client, _, writer = opened
                if writer is not None:
                    writer.close()
                client.close()

    def position(self, stream: str) -> Position | None:
        """Return the position stored with the data for this stream."""
        offset = self._reader().state().offsets.get(stream)
        return None if offset is None else Position(stream, offset)

    def write(
        self,
        parts: Mapping[str, SampleBatch],
        position: Position | None = None,
        before_commit: BeforeCommit | None = None,
    ) -> WriteReceipt:
        """Store samples, by group, and the position: see `archiver.ports.Backend.write`."""
        if self._options.layout != "forebay" and not any(part.num_rows for part in parts.values()):
            receipt = WriteReceipt(position)  # nothing is asked of it, and so nothing is kept
            if before_commit is not None:
                before_commit(receipt)
            return receipt
        with self._writing:
            return self._writer().write(parts, position, before_commit)

    def read(
        self,
        elements: Sequence[str],
        interval: Interval,
        *,
        groups: Sequence[str] | None = None,
        as_of: int | None = None,
        versions: bool = False,
    ) -> Iterator[SampleBatch]:
        """Yield the samples of some elements in an interval: see `archiver.ports.Backend.read`."""
        reader = self._reader()
        state = reader.state()
        yield from reader.read(state, elements, interval, _chosen(state, groups), as_of, versions)

    @property
    def aggregates(self) -> frozenset[str]:
        """Which aggregates InfluxDB makes by itself: of version 3 none are known to be exact."""
        ours = self._opened is not None and self._options.layout == "forebay" and self._client().major < 3
        return aggregating.MADE if ours else frozenset()

    def aggregate(
        self,
        elements: Sequence[str],
        grid: Grid,
        aggregates: Collection[str],
        until: int,
        *,
        groups: Sequence[str] | None = None,
    ) -> Iterator[Aggregated]:
        """Yield the cells of some elements: see `archiver.ports.SupportsAggregation.aggregate`."""
        reader, client, wanted = self._reader(), self._client(), frozenset(aggregates)
        state = reader.state()

        def asked(group: str) -> Cells:
            return Cells(client, reader, state, grid, group, wanted)

        yield from aggregating.aggregate(elements, grid, _chosen(state, groups), asked)

    def last_before(
        self,
        elements: Sequence[str],
        time: int,
        *,
        groups: Sequence[str] | None = None,
        as_of: int | None = None,
    ) -> SampleBatch:
        """Return the last valid sample per element before `time` (ns): see `archiver.ports.Backend.last_before`."""
        reader = self._reader()
        state = reader.state()
        return reader.last_before(state, elements, time, _chosen(state, groups), as_of)

    def elements(self) -> list[str]:
        """Return the names of all elements that have a sample here, sorted."""
        reader = self._reader()
        state = reader.state()
        return sorted({name for group in state.groups for name in reader.newest(state, group)})

    def coverage(self) -> list[Coverage]:
        """Return first time, last time and number of samples (versions counted) of each group that has any."""
        reader = self._reader()
        return reader.coverage(reader.state())

    def segments(self, group: str) -> list[Segment]:
        """Return the segments of a group that hold samples, oldest first; how many bytes they take is not known."""
        reader = self._reader()
        state = reader.state()
        held = Segments(reader.segments(group), state).extents if group in state.groups else []
        return [Segment(group, interval, extent.rows, 0) for interval, extent in held]

    def drop_before(self, group: str, time: int) -> list[Segment]:
        """Drop the segments of a group that end at or before `time` (ns); return what was dropped.

        Raises
        ------
        UnsupportedError
            InfluxDB 3 deletes nothing.
        """
        with self._writing:
            return self._writer().drop_before(group, time)

    def _client(self) -> Client:
        self._reader()
        assert self._opened is not None
        return self._opened[0]

    def _reader(self) -> Reader:
        if self._opened is None:
            raise TransientError(f"backend {self.name!r} is not open")
        return self._opened[1]

    def _writer(self) -> Writer:
        if self._options.layout != "forebay":
            raise UnsupportedError(f"backend {self.name!r} reads a database of WinCC OA, and never writes to it")
        if self._context.read_only:
            raise PermanentError(f"backend {self.name!r} is open read-only: write through the process that owns it")
        self._reader()
        assert self._opened is not None
        assert self._opened[2] is not None
        return self._opened[2]


def _chosen(state: State, groups: Sequence[str] | None) -> list[str]:
    """Return the groups that hold samples, of those that are asked for."""
    return sorted(name for name in state.groups if groups is None or name in groups)
