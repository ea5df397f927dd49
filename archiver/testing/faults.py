"""Backends that fail and dawdle on purpose: wrap a real one, and say what is to go wrong."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import ClassVar

from archiver.model import Interval, PermanentError, SampleBatch, TransientError
from archiver.model.batch import Mask
from archiver.ports import Backend, BeforeCommit, Coverage, Options, Position, WriteReceipt


class WriteFault(Enum):
    """What happens to one write."""

    REFUSED = auto()
    """`TransientError` before anything was done."""
    ROLLED_BACK = auto()
    """`TransientError` at the commit, after `before_commit`: nothing is stored."""
    LOST_REPLY = auto()
    """Everything is stored, and the caller gets a `TransientError` all the same."""


@dataclass
class Faults:
    """What is to go wrong; a test changes it at any time.

    Parameters
    ----------
    outage : bool
        Every call but `close` raises `TransientError`.
    writes : deque of WriteFault or None
        The fate of the next writes, one each; a write after the last one goes well.
    poison : callable, optional
        Which samples of a batch the backend cannot hold (bool per sample): a write with one raises `PermanentError`.
    """

    outage: bool = False
    writes: deque[WriteFault | None] = field(default_factory=deque)
    poison: Callable[[SampleBatch], Mask] | None = None


class _Wrapper:
    """Passes every verb on to another backend, after `_before`."""

    Options: ClassVar[type[Options]] = Options

    def __init__(self, inner: Backend) -> None:
        self.inner = inner
        self.name = inner.name
        self.limits = inner.limits

    def _before(self) -> None:
        raise NotImplementedError

    def open(self) -> None:
        """Open the backend."""
        self._before()
        self.inner.open()

    def close(self) -> None:
        """Close the backend."""
        self.inner.close()

    def position(self, stream: str) -> Position | None:
        """Return the position stored for this stream."""
        self._before()
        return self.inner.position(stream)

    def write(
        self,
        parts: Mapping[str, SampleBatch],
        position: Position | None = None,
        before_commit: BeforeCommit | None = None,
    ) -> WriteReceipt:
        """Store samples and the position."""
        self._before()
        return self.inner.write(parts, position, before_commit)

    def read(
        self,
        elements: Sequence[str],
        interval: Interval,
        *,
        groups: Sequence[str] | None = None,
        as_of: int | None = None,
        versions: bool = False,
    ) -> Iterator[SampleBatch]:
        """Yield the samples of some elements in an interval."""
        self._before()
        yield from self.inner.read(elements, interval, groups=groups, as_of=as_of, versions=versions)

    def last_before(
        self,
        elements: Sequence[str],
        time: int,
        *,
        groups: Sequence[str] | None = None,
        as_of: int | None = None,
    ) -> SampleBatch:
        """Return the last valid sample per element before `time` (ns)."""
        self._before()
        return self.inner.last_before(elements, time, groups=groups, as_of=as_of)

    def elements(self) -> list[str]:
        """Return the names of all elements that have a sample."""
        self._before()
        return self.inner.elements()

    def coverage(self) -> list[Coverage]:
        """Return what is held of each group."""
        self._before()
        return self.inner.coverage()


class FaultyBackend(_Wrapper):
    """A backend with faults.

    Parameters
    ----------
    inner : Backend
    faults : Faults
        Kept and read at each call.
    """

    def __init__(self, inner: Backend, faults: Faults | None = None) -> None:
        super().__init__(inner)
        self.faults = faults or Faults()

    def _before(self) -> None:
        if self.faults.outage:
            raise TransientError(f"backend {self.name!r} is out, as the test asked for")

    def write(
        self,
        parts: Mapping[str, SampleBatch],
        position: Position | None = None,
        before_commit: BeforeCommit | None = None,
    ) -> WriteReceipt:
        """Store samples and the position, or fail as `faults` says.

        Raises
        ------
        TransientError
            In an outage, and for a `WriteFault`.
        PermanentError
            A sample is poisonous; nothing was stored.
        """
        self._before()
        fault = self.faults.writes.popleft() if self.faults.writes else None
        if fault is WriteFault.REFUSED:
            raise TransientError(f"backend {self.name!r} refused a write, as the test asked for")
        poison = self.faults.poison
        if poison is not None and any(poison(part).any() for part in parts.values()):
            raise PermanentError(f"backend {self.name!r} cannot hold a sample of this write, as the test asked for")

        def lose_connection(receipt: WriteReceipt) -> None:
            if before_commit is not None:
                before_commit(receipt)
            raise TransientError(f"backend {self.name!r} lost the connection at the commit, as the test asked for")

        receipt = self.inner.write(
            parts, position, lose_connection if fault is WriteFault.ROLLED_BACK else before_commit
        )
        if fault is WriteFault.LOST_REPLY:
            raise TransientError(f"backend {self.name!r} stored it, and its reply was lost, as the test asked for")
        return receipt


class SlowBackend(_Wrapper):
    """A backend that waits before everything it does.

    Parameters
    ----------
    inner : Backend
    wait : callable
        Waits: ``threading.Event().wait`` until the test lets go, ``partial(time.sleep, 0.1)`` for a while.

    Attributes
    ----------
    waiting : threading.Event
        Set when a call has come to wait, so that a test need not guess.
    """

    def __init__(self, inner: Backend, wait: Callable[[], object]) -> None:
        super().__init__(inner)
        self._wait = wait
        self.waiting = threading.Event()

    def _before(self) -> None:
        self.waiting.set()
        self._wait()
