"""Two backends asked for the same: the one that answers first goes on, the other is let go of."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from typing import Protocol

from archiver.model import LimitError, SampleBatch, StoppedError
from archiver.model.interruption import Interruption
from archiver.query.prefetch import TOO_LONG, Prefetched


class Context(Protocol):
    """What the answer allows."""

    @property
    def stop(self) -> Interruption:
        """Set when nobody wants the answer any more."""

    @property
    def left_s(self) -> Callable[[], float | None]:
        """How many seconds anybody may still wait, None for as long as it takes."""


class Runner:
    """One backend that was asked: its samples, read by a thread of its own once `start` was called."""

    def __init__(self, backend: str, source: Generator[SampleBatch, None, None], interruption: Interruption) -> None:
        self.backend = backend
        self._source = source
        self._interruption = interruption

    def start(self, on_first: Callable[[], object], left_s: Callable[[], float | None]) -> None:
        """Begin to read."""
        self.batches = Prefetched(self._source, self.backend, self._interruption, on_first, left_s)

    @property
    def failure(self) -> BaseException | None:
        """What it failed with before its first batch; None when it did not, or nothing has come."""
        return self.batches.failure

    @property
    def has_answered(self) -> bool:
        """Whether its first batch, or its end without any, has come."""
        return self.batches.has_come and self.failure is None


@contextmanager
def first_to_answer(
    first: Runner, second: Callable[[], Runner], patience_s: float, context: Context
) -> Iterator[tuple[Runner, list[Runner]]]:
    """Give the runner that goes on, and those that lost; what still reads at the end of the block is stopped.

    Parameters
    ----------
    first : Runner
        Asked at once; it goes on as well when it fails before anybody else was asked: its stream raises why.
    second : callable
        Gives the one to ask when the first is late.
    patience_s : float
        After how many seconds that is.
    """
    come = threading.Event()
    runners = [first]
    winner: Runner | None = None
    first.start(come.set, context.left_s)
    try:
        with context.stop.stopping(come.set):
            if not _wait(come, patience_s, context):
                runners.append(second())
                runners[1].start(come.set, context.left_s)
            winner = _winner(runners, come, context)
        losers = [runner for runner in runners if runner is not winner]
        for loser in losers:
            loser.batches.abandon()
        yield winner, losers
    except (LimitError, StoppedError):
        winner = None  # nobody waits for it any more
        raise
    finally:
        for runner in runners:
            if runner is winner:
                runner.batches.close()
            else:
                runner.batches.abandon()


def _winner(runners: list[Runner], come: threading.Event, context: Context) -> Runner:
    while True:
        _wait(come, None, context)
        come.clear()
        for runner in runners:
            if runner.has_answered:
                return runner
        if all(runner.failure is not None for runner in runners):
            return runners[0]


def _wait(come: threading.Event, patience_s: float | None, context: Context) -> bool:
    """Wait until something has come, at most for a while; return whether it has."""
    left_s = context.left_s()
    bounds = [bound for bound in (patience_s, left_s) if bound is not None]
    start = time.monotonic()
    has_come = come.wait(min(bounds) if bounds else None)
    if context.stop.is_set:
        raise StoppedError("the reader went away")
    if not has_come and left_s is not None and time.monotonic() - start >= left_s:
        raise LimitError(TOO_LONG)
    return has_come
