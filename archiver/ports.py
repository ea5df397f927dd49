"""What the core asks of a backend, a journal and a source; each a small Protocol, each found by entry point."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from archiver.model import ArchiveGroup, Interval, Kind, SampleBatch
from archiver.model.grid import Grid
from archiver.model.kind import VALUE_KINDS
from archiver.model.partials import Partials


class Options(BaseModel):
    """Base of what a plug-in takes from its table of the configuration; an unknown key is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True)


@dataclass(frozen=True, slots=True)
class Position:
    """A place in a journal.

    Parameters
    ----------
    stream : str
        Identity of the journal (or of one partition of it): a backend keeps one offset per stream.
    offset : int
        The last entry that is covered.
    """

    stream: str
    offset: int


@dataclass(frozen=True, slots=True)
class BackendLimits:
    """What a backend can hold.

    Parameters
    ----------
    resolution_ns : int
        Smallest difference between two source times that it keeps.
    kinds : frozenset of Kind
        Kinds of values it stores; samples of others are dead-lettered by the lane.
    largest_batch : int
        Most samples it takes in one write.
    readable : bool
        Whether it can be asked for what it was given. One that only passes samples on is never asked: it holds
        nothing for a query, and lacks nothing either. Its reading verbs are those of `archiver.backends.passing`.
    """

    resolution_ns: int = 1
    kinds: frozenset[Kind] = frozenset(VALUE_KINDS) | {Kind.NONE}
    largest_batch: int = 4_000_000
    readable: bool = True


@dataclass(frozen=True)
class WriteReceipt:
    """What became of the samples of one write.

    Parameters
    ----------
    position : Position or None
        The position that is now stored with the data.
    duplicate : mapping of group to ndarray of bool
        Per sample *of the batch as given*: True where it was known already and not stored again.
    repeated : bool
        The whole write was done before (its position was there); nothing was written now.
    """

    position: Position | None
    duplicate: Mapping[str, NDArray[np.bool_]] = field(default_factory=dict)
    repeated: bool = False

    @property
    def duplicates(self) -> int:
        """Number of samples that were known already."""
        return sum(int(mask.sum()) for mask in self.duplicate.values())


@dataclass(frozen=True, slots=True)
class Coverage:
    """What a backend holds of one group: first and last source time (ns) and number of samples."""

    group: str
    first: int
    last: int
    rows: int


@dataclass(frozen=True, slots=True)
class Segment:
    """A time unit of one group in one backend.

    Parameters
    ----------
    rows : int
        Samples, all versions counted.
    bytes : int
        Room that they take; 0 where the backend cannot tell.
    files : int
        Files that hold this segment and nothing else, one or more; 0, of every segment, where a backend has none of its
        own, as in a database.
    """

    group: str
    interval: Interval
    rows: int
    bytes: int
    files: int = 0


@dataclass(frozen=True)
class BackendContext:
    """What a backend is told by its surroundings.

    Parameters
    ----------
    name : str
        As in the configuration.
    directory : Path
        The data directory of the archive; relative paths in options are relative to it. A backend that keeps
        files without being told where uses ``directory / name``.
    groups : mapping of name to ArchiveGroup
        The archive groups that this backend stores; it may be asked to write a group that is not in there
        (one that was taken out of the configuration), and then uses the defaults.
    read_only : bool
        Open beside a process that writes: nothing is created, locked or repaired, and `write` is refused. What the
        other process commits is seen by the next call.
    """

    name: str
    directory: Path
    groups: Mapping[str, ArchiveGroup] = field(default_factory=dict)
    read_only: bool = False

    def group(self, name: str) -> ArchiveGroup:
        """Return a group, or one with default settings under that name."""
        return self.groups.get(name) or ArchiveGroup(name, ("*",), (self.name,))


BeforeCommit = Callable[[WriteReceipt], None]


class Readable(Protocol):
    """What a query asks: the reading verbs.

    Methods are called from several threads. `read` streams: what it yields at a time bounds the memory of a query.
    `TransientError` makes a query turn to another reader that has the same.
    """

    def read(
        self,
        elements: Sequence[str],
        interval: Interval,
        *,
        groups: Sequence[str] | None = None,
        as_of: int | None = None,
        versions: bool = False,
    ) -> Iterator[SampleBatch]:
        """Yield the samples of some elements in an interval, in order of element name, source time, sequence.

        Parameters
        ----------
        groups : sequence of str, optional
            Only from these groups; from all when left out, a sample held by several given once.
        as_of : int, optional
            Only what had been received before or at this time (ns): the versions known then.
        versions : bool
            All versions of a sample, oldest first, instead of the valid one.
        """

    def last_before(
        self,
        elements: Sequence[str],
        time: int,
        *,
        groups: Sequence[str] | None = None,
        as_of: int | None = None,
    ) -> SampleBatch:
        """Return, per element that has one, the valid sample with the greatest source time before `time` (ns)."""

    def elements(self) -> list[str]:
        """Return the names of all elements that have a sample here, sorted."""

    def coverage(self) -> list[Coverage]:
        """Return what is held, an entry per group that has samples."""


Readers = Mapping[str, Readable]
"""Readers by backend name, in the order of the configuration."""


@runtime_checkable
class Backend(Readable, Protocol):
    """A place where samples are stored: verbs only. Numeric bounds are in `limits`.

    Constructed as ``Class(context, options)`` with `options` an instance of the class' `Options`; does nothing
    before `open`. Methods are called from several threads: one writer (the lane), any number of readers.
    Errors of the driver leave a backend as `TransientError` or `PermanentError`, nothing else.
    """

    Options: ClassVar[type[Options]]
    name: str
    limits: BackendLimits

    def open(self) -> None:
        """Connect or create; recover what a crash left behind. Raises `TransientError` when unreachable."""

    def close(self) -> None:
        """Let go of everything; `open` may be called again."""

    def position(self, stream: str) -> Position | None:
        """Return the position stored with the data for this stream, None when there is none."""

    def write(
        self,
        parts: Mapping[str, SampleBatch],
        position: Position | None = None,
        before_commit: BeforeCommit | None = None,
    ) -> WriteReceipt:
        """Store samples, by group, and the position, in one transaction; return when both are durable.

        Samples that are known already (`archiver.model.identity`) are skipped and reported, corrections are
        stored as versions. A position at or before the stored one of its stream means that this write was
        done: nothing is written and the receipt says `repeated`. With ``position=None`` samples are stored
        and no position changes (back-fill). `before_commit` is called once with the receipt, after the
        outcome of every sample is known and just before the commit; if it raises, nothing is stored.

        Raises
        ------
        TransientError
            Nothing (or all, after a lost reply) was stored; the same call may be repeated.
        PermanentError
            Nothing was stored, and a sample in there is the reason.
        """


@dataclass(frozen=True)
class Aggregated:
    """What a backend made of the samples of some elements.

    Parameters
    ----------
    elements : sequence of str
        Sorted.
    cells : Partials
        Those which have samples, in order; a cell is ``place in elements * grid.count + bucket``.
    left : sequence of str
        Those of the elements of which nothing is given: their samples are to be read.
    end : int
        Nothing is given of what is at or after this time (ns), where a bucket or the interval ends: that is to be read.
    """

    elements: Sequence[str]
    cells: Partials
    left: Sequence[str]
    end: int


@runtime_checkable
class SupportsAggregation(Protocol):
    """A reader that can make buckets of samples beside the data, the same ones as `archiver.model.reducing.reduced`.

    Counts, min, max, first and last are equal to the last bit; sums differ by the order of summation at most. What
    cannot be equal is left to the one who asks, who then reads the samples; so are elements that were disconnected, as
    he is to see when.
    """

    @property
    def aggregates(self) -> frozenset[str]:
        """Which of `archiver.query.request.AGGREGATES` it makes by itself."""

    def aggregate(
        self,
        elements: Sequence[str],
        grid: Grid,
        aggregates: Collection[str],
        until: int,
        *,
        groups: Sequence[str] | None = None,
    ) -> Iterator[Aggregated]:
        """Yield the cells of the valid samples, of some elements after the other: each asked element comes up once.

        Parameters
        ----------
        elements : sequence of str
            Sorted, each once.
        aggregates : collection of str
            Some of its own.
        until : int
            Instant beyond which no value is held, ns.
        groups : sequence of str, optional
            Only from these groups.
        """


@runtime_checkable
class SupportsSegments(Protocol):
    """A backend that can list and drop whole segments."""

    def segments(self, group: str) -> list[Segment]:
        """Return the segments of a group, oldest first."""

    def drop_before(self, group: str, time: int) -> list[Segment]:
        """Drop the segments of a group that end at or before `time` (ns); return what was dropped."""


@runtime_checkable
class SupportsCompaction(Protocol):
    """A backend that can rewrite its files to fewer, better sorted ones; harmless at any time, also to crash in."""

    def compact(self) -> int:
        """Compact what is worth it; return the number of files (or parts) replaced."""


@dataclass(frozen=True, slots=True)
class JournalEntry:
    """One appended batch: its offset, and the samples with their receive time."""

    offset: int
    batch: SampleBatch


@dataclass(frozen=True, slots=True)
class JournalState:
    """What a journal keeps.

    Parameters
    ----------
    entries, rows, bytes : int
        Batches and samples kept, and the room that they take.
    first, last : int
        Offsets of the oldest and the newest entry; ``first`` is ``last + 1`` when there is none.
    oldest : int or None
        Receive time of the oldest entry, ns; None when there is none.
    newest : int
        Greatest receive time of all that was ever appended, ns, whether it is kept or not.
    """

    entries: int
    rows: int
    bytes: int
    first: int
    last: int
    oldest: int | None
    newest: int


READ_BYTES = 64 * 2**20
"""Bytes of a journal that one `Journal.read` takes into memory: it ends with the entry that reaches them."""


@runtime_checkable
class Journal(Protocol):
    """The only queue: what is in here durably is acknowledged, and lanes read it at their own pace.

    Constructed as ``Class(directory, options)``.
    """

    Options: ClassVar[type[Options]]

    @property
    def stream(self) -> str:
        """Identity of this journal; a new one for a new journal, kept over restarts."""

    def open(self) -> None:
        """Open or create."""

    def close(self) -> None:
        """Commit what was appended and let go."""

    def append(self, batch: SampleBatch, account: bytes = b"") -> Future[int]:
        """Queue a batch and what the intake refused of it (`account`, opaque); the future gives the offset.

        The future is done when the batch is durable. It raises `BackpressureError` when the journal is full or
        the disk is, and then nothing of the batch is in the journal. An empty batch with an account takes an
        offset as well.
        """

    def read(self, after: int, rows: int) -> list[JournalEntry]:
        """Return entries after an offset, in order.

        At least one if there is any, until `rows` samples or `READ_BYTES` are reached.
        """

    def accounts(self, after: int) -> list[tuple[int, bytes]]:
        """Return the non-empty accounts after an offset, with their offsets."""

    def wait(self, after: int, timeout_s: float) -> bool:
        """Wait until there is an entry after an offset; return whether there is."""

    def trim(self, through: int) -> None:
        """Forget entries up to and including an offset."""

    def state(self) -> JournalState:
        """Return how full it is."""

    def rows_after(self, after: int) -> int:
        """Return how many samples lie after an offset."""

    def fullness(self) -> float:
        """Return how full it is as a share of its bounds; at 1 it takes no more."""

    def overfull(self) -> bool:
        """Return whether lanes that are behind are to lose the oldest entries now: never, unless its options say so."""


Push = Callable[[SampleBatch], Awaitable[Any]]
"""What a source calls with each batch; it returns when the batch is durable, and raises as the intake does."""


@runtime_checkable
class Source(Protocol):
    """Where samples come from. Constructed as ``Class(name, options)``."""

    Options: ClassVar[type[Options]]
    name: str

    async def run(self, push: Push) -> None:
        """Push batches until cancelled, or until there are no more.

        On `BackpressureError` the source waits and pushes the same batch again; it loses nothing that it holds.
        """
