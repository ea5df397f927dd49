"""Where a lane goes on: what its backend has, the state that belongs there, and what it gives up on request."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from itertools import chain

from archiver.model import Interval, SampleBatch
from archiver.model.holding import Cause
from archiver.model.time import MAX_TIME, MIN_TIME
from archiver.pipeline.amounts import Amounts
from archiver.pipeline.delivery import LaneTools, stored
from archiver.pipeline.ledger import Outcome, account, join
from archiver.pipeline.processing import LaneState, process, runs_of
from archiver.pipeline.routing import Router
from archiver.ports import Backend, Position, WriteReceipt

_LOG = logging.getLogger(__name__)


class Recovery:
    """The places of one lane in the journal: where its backend is, its snapshot, and what it was made to give up.

    Parameters
    ----------
    backend : Backend
    router : Router
    tools : LaneTools
    amounts : Amounts
        Counted anew from the backend.

    Attributes
    ----------
    gap : str
        What the backend lacks for good; empty when it lacks nothing.
    """

    def __init__(self, backend: Backend, router: Router, tools: LaneTools, amounts: Amounts) -> None:
        self.gap = ""
        self._backend = backend
        self._router = router
        self._tools = tools
        self._amounts = amounts
        self._snapshot_offset = 0
        self._dropped_before = tools.ledger.position(backend.name, self._dropped_stream)

    def recover(self) -> tuple[int, LaneState]:
        """Open the backend; return where it is, and the state there: a snapshot, and what came after it again."""
        backend, tools = self._backend, self._tools
        backend.close()
        backend.open()
        stream = tools.journal.stream
        reached = backend.position(stream)
        position = reached.offset if reached else 0
        if backend.limits.readable:
            self._note_holdings(reached, position)
        tools.ledger.forget_after(backend.name, stream, position)
        first = tools.journal.state().first
        if reached is not None and position + 1 < first:
            self.gap = f"lacks journal entries {position + 1} to {first - 1}, which are trimmed: use `forebay copy`"
            _LOG.error("lane %s: %s", backend.name, self.gap)
        # what the journal has no more is behind it as well: nobody is to wait for that
        return max(position, self._dropped_before, first - 1), self._state_at(position)

    def safe_offset(self, committed: tuple[int, LaneState] | None) -> int:
        """Return the offset up to which the journal may be trimmed, by what the lane has committed."""
        if committed is None:
            return self._dropped_before
        position, state = committed
        return max(position if not state.smoothers else self._snapshot_offset, self._dropped_before)

    def snapshot(self, position: int, state: LaneState) -> None:
        """Keep the smoothing state, so that the journal may be trimmed up to the position that it belongs to."""
        self._tools.snapshots.save(f"lane/{self._backend.name}", self._tools.journal.stream, position, state.dump())
        self._snapshot_offset = position

    def recount(self) -> None:
        """Ask the backend how much it holds."""
        self._amounts.reset(self._backend.coverage())

    def give_up(self, reached: int | None, offset: int, why: str) -> bool:
        """Account for what the backend lacks up to an offset as dropped; return whether it lacked any.

        Parameters
        ----------
        reached : int or None
            What the backend has; None before it ever answered: that is known from the ledger then.
        offset : int
        why : str
            In two or three words, for the ledger.
        """
        tools, name = self._tools, self._backend.name
        if reached is None:
            reached = max(tools.ledger.certain(name, tools.journal.stream), self._dropped_before)
        if offset <= reached:
            return False
        tools.ledger.forget_after(name, tools.journal.stream, reached)
        for entry in chain.from_iterable(runs_of(tools.journal, reached)):
            if entry.offset > offset:
                break
            parts = self._router.split(entry.batch).items()
            for group, part in parts:
                span = Interval(part.source_time.min(), part.source_time.max() + 1)
                reason = f"{why}, and the backend did not have it yet"
                follows = entry.offset == self._dropped_before + 1
                tools.holdings.lack(name, group, span, Cause.DROPPED, reason, follows=follows)
            tables = [account(part, Outcome.DROPPED, group=group, reason=why) for group, part in parts]
            tools.ledger.record(name, self._dropped_stream, entry.offset, join(tables))
            self._dropped_before = entry.offset
        self._dropped_before = offset
        return True

    @property
    def _dropped_stream(self) -> str:
        return f"{self._tools.journal.stream}/dropped"

    def _note_holdings(self, stored_position: Position | None, position: int) -> None:
        """Write down since when the backend is given which groups, and what of the journal it can never get."""
        tools, name, stream = self._tools, self._backend.name, self._tools.journal.stream
        reached, first = max(position, self._dropped_before), tools.journal.state().first
        entries = tools.journal.read(reached, 1)
        received = int(entries[-1].batch.receive_time[0]) if entries and entries[-1].batch.num_rows else None
        since = tools.journal.state().newest + 1 if received is None else received
        known = tools.holdings.knows(name)
        if known and reached + 1 < first:
            lost = None if stored_position is None else tools.ledger.span_after(name, stream, reached)
            whole = lost or Interval(MIN_TIME, min(since + tools.holdings.future_ns, MAX_TIME))
            reason = "the backend lost it, and the journal has it no more: use `forebay copy`"
            tools.holdings.lack(name, "", whole, Cause.LOST, reason)
        elif not known and (reached + 1 >= first or tools.ledger.position(name, stream)):
            since = MIN_TIME  # it was given all that was ever acknowledged
        tools.holdings.begin(name, self._router.groups, since)
        self.recount()

    def _state_at(self, position: int) -> LaneState:
        """Return the smoothing state at the backend's position: a snapshot, and what came after it once more.

        A snapshot beyond the position belongs to where the lane gave up what the backend lacked.
        """
        tools, state, offset = self._tools, LaneState.initial(self._router), 0
        saved = tools.snapshots.load(f"lane/{self._backend.name}", tools.journal.stream)
        if saved is not None and saved[0] <= max(position, self._dropped_before):
            offset = saved[0]
            state, released = LaneState.load(self._router, saved[1])
            if released:
                self._release(released, offset)
        self._snapshot_offset = offset
        while state.smoothers and (entries := tools.journal.read(offset, 1_000_000)):
            entries = [entry for entry in entries if entry.offset <= position]
            if not entries:
                break
            state = process(entries, self._router, state).state
            offset = entries[-1].offset
        return state

    def _release(self, held: Mapping[str, SampleBatch], offset: int) -> None:
        """Store what groups held that were reconfigured or removed meanwhile."""
        ledger, name, stream = self._tools.ledger, self._backend.name, f"{self._tools.journal.stream}/released"

        def record(receipt: WriteReceipt) -> None:
            again = receipt.duplicates == sum(batch.num_rows for batch in held.values())
            if not again or ledger.position(name, stream) < offset:
                ledger.record(name, stream, offset, join(stored(held, receipt)))

        self._backend.write(held, None, record)
