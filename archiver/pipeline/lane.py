"""A lane: one thread that carries the journal into one backend, at that backend's own pace."""

from __future__ import annotations

import logging
import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import chain

import numpy as np

from archiver.config import LaneSettings
from archiver.model import ForebayError, Interval, SampleBatch, TransientError
from archiver.model.holding import Cause
from archiver.model.time import DAY_NS, MAX_TIME, now
from archiver.pipeline.amounts import Amounts
from archiver.pipeline.delivery import Delivery, LaneTools
from archiver.pipeline.processing import LaneState, process
from archiver.pipeline.recovery import Recovery
from archiver.pipeline.routing import Router
from archiver.ports import Backend, JournalEntry, WriteReceipt
from archiver.spans import span

_LOG = logging.getLogger(__name__)

_LARGEST_RUN_BYTES = 2**28


@dataclass(frozen=True)
class LaneStatus:
    """How a lane is doing.

    Parameters
    ----------
    state : str
        ``starting``, ``running``, ``retrying``, ``paused`` or ``stopped``.
    position : int or None
        Journal offset up to which the backend has everything; None before it was reached for the first time.
    lag_samples : int
        Samples of the journal beyond it.
    oldest_unflushed_s : float
        Age of the oldest sample that the backend does not have; 0 when it has all.
    retries : int
        Since the last success.
    last_error : str
        What the backend said last, or what it lacks for good; empty when all is well.
    written : int
        Samples stored since the start.
    failures : int
        Failed attempts since the start.
    """

    state: str
    position: int | None
    lag_samples: int
    oldest_unflushed_s: float
    retries: int
    last_error: str
    written: int
    failures: int = 0


class Lane:
    """Reads the journal after the backend's position, processes, writes, accounts; for ever.

    Parameters
    ----------
    backend : Backend
        Opened and closed by the lane.
    router : Router
        Over the groups of this backend.
    tools : LaneTools
    settings : LaneSettings
    """

    def __init__(self, backend: Backend, router: Router, tools: LaneTools, settings: LaneSettings) -> None:
        self.backend = backend
        self.router = router
        self._tools = tools
        self._delivery = Delivery(backend, tools, self._retry)
        self._recovery = Recovery(backend, router, tools, self.amounts)
        self._settings = settings
        self._stop = threading.Event()
        self._flush_now = threading.Event()
        self._changed = threading.Condition()
        self._state = "starting"
        self._committed: tuple[int, LaneState] | None = None
        self._retries = 0
        self._failures = 0
        self._last_error = ""
        self._asked_to_drop = (0, "")
        self._paused = threading.Event()
        self._wake = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"lane-{backend.name}", daemon=True)

    # -- life -----------------------------------------------------------------------------------------

    def start(self) -> None:
        """Start the thread; it connects to the backend by itself."""
        self._thread.start()

    def stop(self, *, drain: bool = True) -> None:
        """Stop the thread: at once, or after what the journal holds was tried once more."""
        if drain:
            self.flush(timeout_s=60.0)
        self._stop.set()
        self._wake.set()
        self._flush_now.set()
        if self._thread.is_alive():
            self._thread.join()

    def pause(self) -> None:
        """Write nothing more until `resume`; the journal keeps what comes, and what is stored can be read."""
        with self._changed:
            self._paused.set()
            self._changed.notify_all()
        self._wake.set()

    def resume(self) -> None:
        """Go on where it paused."""
        self._paused.clear()
        self._wake.set()

    @property
    def is_paused(self) -> bool:
        """Whether it was paused and not resumed."""
        return self._paused.is_set()

    def wait_reached(self, timeout_s: float) -> bool:
        """Wait until the backend was reached or has failed to answer; return whether it was reached."""
        with self._changed:
            self._changed.wait_for(lambda: self.state in ("running", "paused") or self._retries > 0, timeout_s)
            return self._committed is not None

    def flush(self, timeout_s: float) -> bool:
        """Write what the journal holds now without waiting for more; return whether the backend has it."""
        target = self._tools.journal.state().last

        def settled() -> bool:
            return (self.position or 0) >= target or self.state in ("retrying", "paused", "stopped")

        with self._changed:
            self._flush_now.set()
            self._changed.wait_for(settled, timeout_s)
            return (self.position or 0) >= target

    @property
    def state(self) -> str:
        """``starting``, ``running``, ``retrying``, ``paused`` or ``stopped``."""
        return "paused" if self.is_paused and self._state != "stopped" else self._state

    @property
    def trouble(self) -> str:
        """What the backend said last, or what it lacks for good; empty when all is well."""
        return self._last_error or self._recovery.gap

    @property
    def amounts(self) -> Amounts:
        """How much the backend holds of each group."""
        return self._delivery.amounts

    @property
    def position(self) -> int | None:
        """Journal offset up to which the backend has everything, None when it has not been reached yet."""
        return self._committed[0] if self._committed else None

    @property
    def committed(self) -> tuple[int, LaneState] | None:
        """Position and the state that belongs to it, None when the backend has not been reached yet."""
        return self._committed

    @property
    def safe_offset(self) -> int:
        """Offset up to which the journal may be trimmed for all this lane cares."""
        return self._recovery.safe_offset(self._committed)

    def status(self) -> LaneStatus:
        """Return how it is doing."""
        journal, position = self._tools.journal, self.position or 0
        waiting, oldest = journal.rows_after(position), 0.0
        if waiting and (entries := journal.read(position, 1)) and entries[-1].batch.num_rows:
            oldest = max(0.0, (now() - int(entries[-1].batch.receive_time[0])) / 1e9)
        written = self._delivery.written
        retries, failures = self._retries, self._failures
        return LaneStatus(self.state, self.position, waiting, oldest, retries, self.trouble, written, failures)

    def lack(self, group: str, interval: Interval, cause: Cause, reason: str) -> None:
        """Note that the backend does not have all of a group in an interval, or will not have it soon."""
        self._tools.holdings.lack(self.backend.name, group, interval, cause, reason)

    def recount(self) -> None:
        """Ask the backend how much it holds, after it was changed by another hand than the lane's."""
        self._recovery.recount()

    def give_up_before(self, offset: int, reason: str) -> None:
        """Ask the lane to go on behind an offset, if its backend does not have what lies before.

        The lane does so between two attempts to write, so that a sample is stored or dropped and never both. What it
        gives up is accounted for as dropped, and then the journal may forget it.
        """
        self._asked_to_drop = max(self._asked_to_drop, (offset, reason))
        self._wake.set()

    # -- the thread -----------------------------------------------------------------------------------

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                self._let_go()
                self._publish(*self._recovery.recover())
                self.snapshot()  # of the groups as they are now: the one before may be of others
                self._set_state("running")
                while not self._stop.is_set():
                    self._rest()
                    self._cycle()
            except ForebayError as exc:
                self._fail(exc)
            except Exception as exc:  # noqa: BLE001 - a lane must survive a bug in a backend, and says so
                _LOG.exception("lane %s: unexpected error; it starts again", self.backend.name)
                self._fail(exc)
        self.snapshot()
        self._set_state("stopped")

    def _rest(self) -> None:
        """Wait while paused; what is to be given up meanwhile is."""
        while self._paused.is_set() and not self._stop.is_set():
            self._let_go()
            self._pause(1.0)

    def archived_around(self, group: str, late: SampleBatch) -> SampleBatch:
        """Return what the backend holds around late samples: the one before each, and a day beyond.

        Times that lie far apart are looked up apart, so that one straggler does not fetch all that lies between.
        """
        order = np.argsort(late.source_time, kind="stable")
        cuts = np.flatnonzero(np.diff(late.source_time[order]) > DAY_NS) + 1
        found = [self._around(group, late.take(rows)) for rows in np.split(order, cuts)]
        return SampleBatch.concat(list(chain.from_iterable(found)))

    def _around(self, group: str, late: SampleBatch) -> list[SampleBatch]:
        names, first = late.present(), int(late.source_time[0])
        interval = Interval(first, min(int(late.source_time[-1]) + DAY_NS, MAX_TIME))
        before = self.backend.last_before(names, first, groups=[group])
        return [before, *self.backend.read(names, interval, groups=[group])]

    def _let_go(self) -> bool:
        """Go on behind what was asked to be given up; return whether the backend lacked any."""
        offset, reason = self._asked_to_drop
        if not self._recovery.give_up(self.position, offset, reason):
            return False
        if self._committed is not None:
            self._publish(offset, self._committed[1])
            self.snapshot()
        return True

    def _cycle(self) -> None:
        self._let_go()
        entries = self._gather()
        if not entries:
            return
        assert self._committed is not None
        around = self.archived_around if self.backend.limits.readable else None
        with span("lane write", backend=self.backend.name, samples=sum(entry.batch.num_rows for entry in entries)):
            processed = process(entries, self.router, self._committed[1], archived_around=around)
            self._delivery.deliver(dict(processed.parts), list(processed.smoothed), entries[-1].offset)
        self._publish(entries[-1].offset, processed.state)
        if self._retries or self._last_error:
            self._retries, self._last_error = 0, ""
            self._set_state("running")

    def _gather(self) -> list[JournalEntry]:
        """Wait until there is enough to write, or it has waited long enough, or somebody asked."""
        journal, settings = self._tools.journal, self._settings
        limit = min(settings.flush_rows, self.backend.limits.largest_batch)
        entries: list[JournalEntry] = []
        rows, size, after = 0, 0, self.position or 0
        deadline = 0.0
        while not self._stop.is_set() and not self._paused.is_set():
            fresh = journal.read(after, limit - rows)
            if fresh:
                deadline = deadline or time.monotonic() + settings.flush_interval / 1e9
                entries += fresh
                rows += sum(entry.batch.num_rows for entry in fresh)
                size += sum(entry.batch.to_arrow().nbytes for entry in fresh)
                after = fresh[-1].offset
            if rows >= limit or size >= _LARGEST_RUN_BYTES or (entries and time.monotonic() >= deadline):
                break
            if self._flush_now.is_set() and not fresh:
                self._flush_now.clear()
                if entries:
                    break
                with self._changed:
                    self._changed.notify_all()
            if entries:
                self._flush_now.wait(min(0.05, max(0.0, deadline - time.monotonic())))
            else:
                journal.wait(after, 0.05 if self._flush_now.is_set() else 0.2)
        return [] if self._stop.is_set() or self._paused.is_set() else entries

    def _retry(self, write: Callable[[], WriteReceipt]) -> WriteReceipt:
        """Call until it does not fail for a passing reason, with backoff and jitter; gives up when stopped."""
        delay = self._settings.retry_first / 1e9
        while True:
            try:
                return write()
            except TransientError as exc:
                self._note_failure(exc)
                _LOG.warning("lane %s: %s; trying again", self.backend.name, exc)
                self._pause(delay * random.uniform(0.5, 1.0))
                if self._stop.is_set() or self._paused.is_set() or self._let_go():
                    raise
                delay = min(delay * 2, self._settings.retry_longest / 1e9)

    # -- bookkeeping ----------------------------------------------------------------------------------

    def _publish(self, position: int, state: LaneState) -> None:
        with self._changed:
            self._committed = (position, state)
            self._changed.notify_all()

    def _set_state(self, state: str) -> None:
        with self._changed:
            self._state = state
            self._changed.notify_all()

    def _fail(self, exc: Exception) -> None:
        self._note_failure(exc)
        longest = self._settings.retry_longest / 1e9
        delay = min(self._settings.retry_first / 1e9 * 2 ** min(self._retries, 20), longest)
        _LOG.warning("lane %s: %s; trying again in %.1f s", self.backend.name, exc, delay)
        self._pause(delay * random.uniform(0.5, 1.0))

    def _note_failure(self, exc: Exception) -> None:
        self._retries += 1
        self._failures += 1
        self._last_error = str(exc)
        self._set_state("retrying")

    def _pause(self, seconds: float) -> None:
        """Wait before the next attempt, unless there is something else to do."""
        self._wake.wait(seconds)
        self._wake.clear()

    def snapshot(self) -> None:
        """Keep the smoothing state, so that the journal may be trimmed up to the position that it belongs to."""
        if self._committed is None:
            return
        self._recovery.snapshot(*self._committed)
