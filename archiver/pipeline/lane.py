"""A lane: one thread that carries the journal into one backend, at that backend's own pace."""

from __future__ import annotations

import logging
import random
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import chain

import numpy as np
import pyarrow as pa

from archiver.config import LaneSettings
from archiver.model import ForebayError, Interval, Kind, PermanentError, SampleBatch, TransientError
from archiver.model.holding import Cause
from archiver.model.identity import duplicates
from archiver.model.time import DAY_NS, MAX_TIME, MIN_TIME, now
from archiver.pipeline.amounts import Amounts
from archiver.pipeline.dead_letters import DeadLetters
from archiver.pipeline.holdings import Holdings
from archiver.pipeline.ledger import Ledger, Outcome, account, join
from archiver.pipeline.processing import LaneState, process, runs_of
from archiver.pipeline.routing import Router
from archiver.pipeline.store import Snapshots
from archiver.ports import Backend, Journal, JournalEntry, Position, WriteReceipt

_LOG = logging.getLogger(__name__)


_LARGEST_RUN_BYTES = 2**28


@dataclass(frozen=True)
class LaneTools:
    """What all lanes share."""

    journal: Journal
    ledger: Ledger
    dead_letters: DeadLetters
    snapshots: Snapshots
    holdings: Holdings


@dataclass(frozen=True)
class LaneStatus:
    """How a lane is doing.

    Parameters
    ----------
    state : str
        ``starting``, ``running``, ``retrying`` or ``stopped``.
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
    """

    state: str
    position: int | None
    lag_samples: int
    oldest_unflushed_s: float
    retries: int
    last_error: str
    written: int


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
        self.amounts = Amounts()
        self._tools = tools
        self._settings = settings
        self._stop = threading.Event()
        self._flush_now = threading.Event()
        self._changed = threading.Condition()
        self._state = "starting"
        self._committed: tuple[int, LaneState] | None = None
        self._snapshot_offset = 0
        self._retries = 0
        self._last_error = ""
        self._gap = ""
        self._written = 0
        self._dropped_before = tools.ledger.position(backend.name, self._dropped_stream)
        self._asked_to_drop = 0
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

    def wait_reached(self, timeout_s: float) -> bool:
        """Wait until the backend was reached or has failed to answer; return whether it was reached."""
        with self._changed:
            self._changed.wait_for(lambda: self._state == "running" or self._retries > 0, timeout_s)
            return self._committed is not None

    def flush(self, timeout_s: float) -> bool:
        """Write what the journal holds now without waiting for more; return whether the backend has it."""
        target = self._tools.journal.state().last

        def settled() -> bool:
            return (self.position or 0) >= target or self._state in ("retrying", "stopped")

        with self._changed:
            self._flush_now.set()
            self._changed.wait_for(settled, timeout_s)
            return (self.position or 0) >= target

    @property
    def state(self) -> str:
        """``starting``, ``running``, ``retrying`` or ``stopped``."""
        return self._state

    @property
    def trouble(self) -> str:
        """What the backend said last, or what it lacks for good; empty when all is well."""
        return self._last_error or self._gap

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
        if self._committed is None:
            return self._dropped_before
        position, state = self._committed
        return max(position if not state.smoothers else self._snapshot_offset, self._dropped_before)

    def status(self) -> LaneStatus:
        """Return how it is doing."""
        journal, position = self._tools.journal, self.position or 0
        waiting, oldest = journal.rows_after(position), 0.0
        if waiting and (entries := journal.read(position, 1)) and entries[-1].batch.num_rows:
            oldest = max(0.0, (now() - int(entries[-1].batch.receive_time[0])) / 1e9)
        return LaneStatus(self._state, self.position, waiting, oldest, self._retries, self.trouble, self._written)

    def lack(self, group: str, interval: Interval, cause: Cause, reason: str) -> None:
        """Note that the backend does not have all of a group in an interval, or will not have it soon."""
        self._tools.holdings.lack(self.backend.name, group, interval, cause, reason)

    def recount(self) -> None:
        """Ask the backend how much it holds, after it was changed by another hand than the lane's."""
        self.amounts.reset(self.backend.coverage())

    def give_up_before(self, offset: int) -> None:
        """Ask the lane to go on behind an offset, if its backend does not have what lies before.

        The lane does so between two attempts to write, so that a sample is stored or dropped and never both. What it
        gives up is accounted for as dropped, and then the journal may forget it.
        """
        self._asked_to_drop = max(self._asked_to_drop, offset)
        self._wake.set()

    # -- the thread -----------------------------------------------------------------------------------

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                self._let_go()
                self._recover()
                self._set_state("running")
                while not self._stop.is_set():
                    self._cycle()
            except ForebayError as exc:
                self._fail(exc)
            except Exception as exc:  # noqa: BLE001 - a lane must survive a bug in a backend, and says so
                _LOG.exception("lane %s: unexpected error; it starts again", self.backend.name)
                self._fail(exc)
        self.snapshot()
        self._set_state("stopped")

    def _recover(self) -> None:
        """Find where the backend is, and the state that belongs there: a snapshot, and what came after it again."""
        backend, tools = self.backend, self._tools
        backend.close()
        backend.open()
        stream = tools.journal.stream
        stored = backend.position(stream)
        position = stored.offset if stored else 0
        if backend.limits.readable:
            self._note_holdings(stored, position)
        tools.ledger.forget_after(backend.name, stream, position)
        first = tools.journal.state().first
        if stored is not None and position + 1 < first:
            self._gap = f"lacks journal entries {position + 1} to {first - 1}, which are trimmed: use `forebay copy`"
            _LOG.error("lane %s: %s", backend.name, self._gap)
        # what the journal has no more is behind it as well: nobody is to wait for that
        self._publish(max(position, self._dropped_before, first - 1), self._state_at(position))
        self.snapshot()  # of the groups as they are now: the one before may be of others

    def _note_holdings(self, stored: Position | None, position: int) -> None:
        """Write down since when the backend is given which groups, and what of the journal it can never get."""
        tools, name, stream = self._tools, self.backend.name, self._tools.journal.stream
        reached, first = max(position, self._dropped_before), tools.journal.state().first
        entries = tools.journal.read(reached, 1)
        received = int(entries[-1].batch.receive_time[0]) if entries and entries[-1].batch.num_rows else None
        since = tools.journal.state().newest + 1 if received is None else received
        known = tools.holdings.knows(name)
        if known and reached + 1 < first:
            lost = None if stored is None else tools.ledger.span_after(name, stream, reached)
            whole = lost or Interval(MIN_TIME, min(since + tools.holdings.future_ns, MAX_TIME))
            self.lack("", whole, Cause.LOST, "the backend lost it, and the journal has it no more: use `forebay copy`")
        elif not known and (reached + 1 >= first or tools.ledger.position(name, stream)):
            since = MIN_TIME  # it was given all that was ever acknowledged
        tools.holdings.begin(name, self.router.groups, since)
        self.recount()

    def _state_at(self, position: int) -> LaneState:
        """Return the smoothing state at the backend's position: a snapshot, and what came after it once more.

        A snapshot beyond the position belongs to where the lane gave up what the backend lacked.
        """
        tools, state, offset = self._tools, LaneState.initial(self.router), 0
        saved = tools.snapshots.load(f"lane/{self.backend.name}", tools.journal.stream)
        if saved is not None and saved[0] <= max(position, self._dropped_before):
            offset = saved[0]
            state, released = LaneState.load(self.router, saved[1])
            if released:
                self._release(released, offset)
        self._snapshot_offset = offset
        while state.smoothers and (entries := tools.journal.read(offset, 1_000_000)):
            entries = [entry for entry in entries if entry.offset <= position]
            if not entries:
                break
            state = process(entries, self.router, state).state
            offset = entries[-1].offset
        return state

    def _release(self, held: Mapping[str, SampleBatch], offset: int) -> None:
        """Store what groups held that were reconfigured or removed meanwhile."""
        stream = f"{self._tools.journal.stream}/released"

        def record(receipt: WriteReceipt) -> None:
            again = receipt.duplicates == sum(batch.num_rows for batch in held.values())
            if not again or self._tools.ledger.position(self.backend.name, stream) < offset:
                self._tools.ledger.record(self.backend.name, stream, offset, join(_stored(held, receipt)))

        self.backend.write(held, None, record)

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
        """Go on behind what was asked to be given up, and account for it; return whether the backend lacked any."""
        tools, offset = self._tools, self._asked_to_drop
        reached = self.position
        if reached is None:  # it never answered: what it has for certain is known from the ledger
            reached = max(tools.ledger.certain(self.backend.name, tools.journal.stream), self._dropped_before)
        if offset <= reached:
            return False
        tools.ledger.forget_after(self.backend.name, tools.journal.stream, reached)
        for entry in chain.from_iterable(runs_of(tools.journal, reached)):
            if entry.offset > offset:
                break
            parts = self.router.split(entry.batch).items()
            for name, part in parts:
                span = Interval(part.source_time.min(), part.source_time.max() + 1)
                reason = "the journal was full, and the backend did not have it yet"
                follows = entry.offset == self._dropped_before + 1
                tools.holdings.lack(self.backend.name, name, span, Cause.DROPPED, reason, follows=follows)
            tables = [account(part, Outcome.DROPPED, group=name, reason="journal full") for name, part in parts]
            tools.ledger.record(self.backend.name, self._dropped_stream, entry.offset, join(tables))
            self._dropped_before = entry.offset
        self._dropped_before = offset
        if self._committed is not None:
            self._publish(offset, self._committed[1])
            self.snapshot()
        return True

    @property
    def _dropped_stream(self) -> str:
        return f"{self._tools.journal.stream}/dropped"

    def _cycle(self) -> None:
        self._let_go()
        entries = self._gather()
        if not entries:
            return
        assert self._committed is not None
        around = self.archived_around if self.backend.limits.readable else None
        processed = process(entries, self.router, self._committed[1], archived_around=around)
        self._deliver(dict(processed.parts), list(processed.smoothed), entries[-1].offset)
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
        while not self._stop.is_set():
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
        return entries if not self._stop.is_set() else []

    def _deliver(self, parts: dict[str, SampleBatch], tables: list[pa.Table], offset: int) -> None:
        """Write until the backend has it: repeat what may pass, isolate and put aside what never will."""
        tables += self._refuse_kinds(parts)
        position = Position(self._tools.journal.stream, offset)
        try:
            self._write(parts, tables, position)
            return
        except PermanentError as exc:
            _LOG.warning("lane %s: a sample up to offset %d cannot be stored: %s", self.backend.name, offset, exc)
        tables += self._set_aside(parts)
        try:
            self._write(parts, tables, position)
        except PermanentError:  # a backend that refuses only when it commits: store what it takes, piece by piece
            for group, batch in parts.items():
                tables += self._isolate(group, batch)
            self._write({}, tables, position)

    def _set_aside(self, parts: dict[str, SampleBatch]) -> list[pa.Table]:
        """Take out of the parts what the backend refuses, found by writes that are abandoned before the commit.

        So nothing is stored without its position, and a crash in between leaves no trace.
        """
        tables = []
        for group, batch in list(parts.items()):
            again = duplicates(batch, SampleBatch.empty())  # alone, each of them would be refused once more
            tables.append(account(batch, Outcome.DUPLICATE, group=group, reason="already stored", where=again))
            parts[group] = batch = batch.filter(~again)
            refused = self._refused(group, batch)
            bad = np.zeros(batch.num_rows, bool)
            for row, reason in refused:
                bad[row] = True
                self._tools.dead_letters.add(self.backend.name, group, reason, batch.slice(row, 1))
            tables.append(account(batch, Outcome.DEAD, group=group, reason="refused by the backend", where=bad))
            parts[group] = batch.filter(~bad)
        return tables

    def _refused(self, group: str, batch: SampleBatch, first: int = 0) -> list[tuple[int, str]]:
        """Return row and reason of the samples that the backend will not take, by halving."""
        try:
            self._retry(lambda: self.backend.write({group: batch}, None, _abandon))
        except _AbandonedError:
            return []
        except PermanentError as exc:
            if batch.num_rows == 1:
                return [(first, str(exc))]
            half = batch.num_rows // 2
            return self._refused(group, batch.slice(0, half), first) + self._refused(
                group, batch.slice(half), first + half
            )
        return []

    def _write(self, parts: Mapping[str, SampleBatch], tables: list[pa.Table], position: Position) -> None:
        def record(receipt: WriteReceipt) -> None:
            rows = join([*tables, *_stored(parts, receipt)])
            self._tools.ledger.record(self.backend.name, position.stream, position.offset, rows)

        receipt = self._retry(lambda: self.backend.write(parts, position, record))
        self.amounts.add(parts, receipt)
        if not receipt.repeated:
            self._written += sum(batch.num_rows for batch in parts.values()) - receipt.duplicates

    def _isolate(self, group: str, batch: SampleBatch) -> list[pa.Table]:
        """Store a batch by halves, so that only the samples that cannot be stored are put aside."""
        receipts: list[WriteReceipt] = []
        try:
            self._retry(lambda: self.backend.write({group: batch}, None, receipts.append))
            return _stored({group: batch}, receipts[0])  # of the first attempt: a later one may find its own samples
        except PermanentError as exc:
            if batch.num_rows == 1:
                self._tools.dead_letters.add(self.backend.name, group, str(exc), batch)
                return [account(batch, Outcome.DEAD, group=group, reason="refused by the backend")]
        half = batch.num_rows // 2
        return self._isolate(group, batch.slice(0, half)) + self._isolate(group, batch.slice(half))

    def _refuse_kinds(self, parts: dict[str, SampleBatch]) -> list[pa.Table]:
        """Put aside values of kinds that the backend does not hold."""
        tables = []
        held = self.backend.limits.kinds
        for group, batch in list(parts.items()):
            if all(kind in held for kind in batch.kinds):
                continue
            bad = np.isin(batch.kind_codes, [int(kind) for kind in Kind if kind not in held])
            refused = batch.filter(bad).pruned()
            reason = f"{self.backend.name} holds no values of type {', '.join(k.name.lower() for k in refused.kinds)}"
            for start in range(0, refused.num_rows, 10_000):
                self._tools.dead_letters.add(self.backend.name, group, reason, refused.slice(start, 10_000))
            tables.append(account(refused, Outcome.DEAD, group=group, reason="kind not held"))
            parts[group] = batch.filter(~bad).pruned()
        return tables

    def _retry(self, write: Callable[[], WriteReceipt]) -> WriteReceipt:
        """Call until it does not fail for a passing reason, with backoff and jitter; gives up when stopped."""
        delay = self._settings.retry_first / 1e9
        while True:
            try:
                return write()
            except TransientError as exc:
                self._retries += 1
                self._last_error = str(exc)
                self._set_state("retrying")
                _LOG.warning("lane %s: %s; trying again", self.backend.name, exc)
                self._pause(delay * random.uniform(0.5, 1.0))
                if self._stop.is_set() or self._let_go():
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
        self._retries += 1
        self._last_error = str(exc)
        self._set_state("retrying")
        longest = self._settings.retry_longest / 1e9
        delay = min(self._settings.retry_first / 1e9 * 2 ** min(self._retries, 20), longest)
        _LOG.warning("lane %s: %s; trying again in %.1f s", self.backend.name, exc, delay)
        self._pause(delay * random.uniform(0.5, 1.0))

    def _pause(self, seconds: float) -> None:
        """Wait before the next attempt, unless there is something else to do."""
        self._wake.wait(seconds)
        self._wake.clear()

    def snapshot(self) -> None:
        """Keep the smoothing state, so that the journal may be trimmed up to the position that it belongs to."""
        if self._committed is None:
            return
        position, state = self._committed
        self._tools.snapshots.save(f"lane/{self.backend.name}", self._tools.journal.stream, position, state.dump())
        self._snapshot_offset = position


class _AbandonedError(Exception):
    """A write that was only tried."""


def _abandon(receipt: WriteReceipt) -> None:
    raise _AbandonedError


def _stored(parts: Mapping[str, SampleBatch], receipt: WriteReceipt) -> list[pa.Table]:
    """Return the rows of the ledger for a write: stored, and duplicates."""
    tables = []
    for group, batch in parts.items():
        duplicate = receipt.duplicate.get(group)
        if duplicate is None or not duplicate.any():
            tables.append(account(batch, Outcome.STORED, group=group))
            continue
        tables.append(account(batch, Outcome.STORED, group=group, where=~duplicate))
        tables.append(account(batch, Outcome.DUPLICATE, group=group, reason="already stored", where=duplicate))
    return tables
