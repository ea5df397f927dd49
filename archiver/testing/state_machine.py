"""Any backend against the model: random histories of writes, resends, corrections, crashes and drops, then reads.

Run it on a harness::

    run_state_machine_as_test(lambda: BackendComparison(harness), settings=...)
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from archiver.backends.memory import MemoryBackend
from archiver.model import ArchiveGroup, Interval, SampleBatch
from archiver.model.time import ALWAYS, DAY_NS, NANOSECONDS
from archiver.ports import (
    Backend,
    BackendContext,
    Position,
    SupportsCompaction,
    SupportsSegments,
    WriteReceipt,
)
from archiver.testing.harness import GROUPS, BackendHarness
from archiver.testing.rows import rows_of, unambiguous
from archiver.testing.strategies import batches

ELEMENTS = ("a", "B", "ä/'%")
TIMES = (-1, 0, 1, 3600 * NANOSECONDS, DAY_NS - 1, DAY_NS, 20_000 * DAY_NS, 20_000 * DAY_NS + 1)
GROUP_NAMES = tuple(GROUPS)
STREAM = "journal"

few_times = st.sampled_from(TIMES)
names = st.one_of(st.just(ELEMENTS), st.lists(st.sampled_from((*ELEMENTS, "unknown")), max_size=4))
choices = st.one_of(st.none(), st.lists(st.sampled_from((*GROUP_NAMES, "unknown")), max_size=2))
intervals = st.one_of(st.just(ALWAYS), st.tuples(few_times, few_times).map(lambda ends: Interval(min(ends), max(ends))))
new_samples = batches(elements=ELEMENTS, source_time=few_times, receive_time=st.just(0), min_rows=2, max_rows=15)


class Crash(Exception):  # noqa: N818 - stands for the end of a process, which is not an error of ours
    """Raised just before a commit."""


class BackendComparison(RuleBasedStateMachine):
    """A backend and the model are told the same, and must give the same answers.

    Parameters
    ----------
    harness : BackendHarness
        Of the backend that is compared.
    """

    def __init__(self, harness: BackendHarness) -> None:
        super().__init__()
        self.harness = harness
        self.backend: Backend = harness.create()
        groups = {name: ArchiveGroup(name, ("*",), ("model",), segment_ns=1) for name in GROUPS}
        self.model = MemoryBackend(BackendContext("model", Path(), groups), MemoryBackend.Options())
        self.clock = 0
        self.offset = 0
        self.sent: list[dict[str, SampleBatch]] = []

    def teardown(self) -> None:
        """Remove what this history left."""
        self.harness.discard(self.backend)

    # -- writing --------------------------------------------------------------------------------------

    def _write(self, parts: dict[str, SampleBatch], position: Position | None) -> None:
        seen: list[WriteReceipt] = []
        expected = self.model.write(parts, position)
        receipt = self.backend.write(parts, position, seen.append)
        assert (receipt.position, receipt.repeated) == (expected.position, expected.repeated)
        assert len(seen) == (0 if expected.repeated else 1)
        if not expected.repeated:
            assert {name: mask.tolist() for name, mask in receipt.duplicate.items()} == {
                name: mask.tolist() for name, mask in expected.duplicate.items()
            }

    def _next(self) -> Position:
        self.offset += 1
        return Position(STREAM, self.offset)

    @rule(batch=new_samples, seed=st.integers(0, 2**16), share=st.sampled_from((0.0, 0.5, 1.0)))
    def write(self, batch: SampleBatch, seed: int, share: float) -> None:
        """Write new samples, late ones and corrections among them; the second group gets a share of them."""
        self.clock += 1
        first = unambiguous(batch).with_receive_time(self.clock)
        second = first.filter(np.random.default_rng(seed).random(first.num_rows) < share)
        parts = dict(zip(GROUP_NAMES, (first, second), strict=True))
        self.sent.append(parts)
        self._write(parts, self._next())

    @rule(offset=st.integers(0, 3))
    def repeat_a_position(self, offset: int) -> None:
        """Write what was written before, at its position."""
        parts = self.sent[-1] if self.sent else {}
        if self.offset:
            self._write(parts, Position(STREAM, max(0, self.offset - offset)))

    @precondition(lambda self: self.sent)
    @rule(data=st.data(), batch=new_samples, fresh=st.booleans(), back_fill=st.booleans())
    def resend(self, data: st.DataObject, batch: SampleBatch, fresh: bool, back_fill: bool) -> None:
        """Write old samples among new ones, in any order, as received now; or old ones alone, as received then."""
        self.clock += 1
        mixed = data.draw(st.sampled_from(self.sent))[GROUP_NAMES[0]]
        if fresh:
            mixed = SampleBatch.concat([mixed, batch]).with_receive_time(self.clock)
        mixed = unambiguous(mixed.take(data.draw(st.permutations(range(mixed.num_rows)))))
        parts = {group: mixed.slice(0, data.draw(st.integers(0, mixed.num_rows))) for group in GROUP_NAMES}
        self._write(parts, None if back_fill else self._next())

    @rule(batch=new_samples)
    def crash_before_commit(self, batch: SampleBatch) -> None:
        """Write, and end just before the commit: nothing has changed."""

        def crash(_: WriteReceipt) -> None:
            raise Crash

        parts = {GROUP_NAMES[0]: unambiguous(batch).with_receive_time(self.clock + 1)}
        try:
            self.backend.write(parts, Position(STREAM, self.offset + 1), crash)
        except Crash:
            return
        raise AssertionError("the exception of before_commit did not arrive")

    # -- life -----------------------------------------------------------------------------------------

    @rule()
    def restart(self) -> None:
        """Close, and open a new instance."""
        self.backend = self.harness.reopen(self.backend)

    @precondition(lambda self: isinstance(self.backend, SupportsCompaction))
    @rule()
    def compact(self) -> None:
        """Rewrite what is worth it."""
        assert isinstance(self.backend, SupportsCompaction)
        self.backend.compact()

    @precondition(lambda self: isinstance(self.backend, SupportsSegments))
    @rule(group=st.sampled_from(GROUP_NAMES), time=st.one_of(few_times, few_times.map(lambda time: time + DAY_NS)))
    def drop_before(self, group: str, time: int) -> None:
        """Drop segments: how long they are is the backend's affair, what they held is not."""
        assert isinstance(self.backend, SupportsSegments)
        dropped = self.backend.drop_before(group, time)
        assert all(segment.interval.end <= time for segment in dropped)
        assert all(segment.interval.end > time for segment in self.backend.segments(group))
        end = max((segment.interval.end for segment in dropped), default=None)
        gone = [] if end is None else self.model.drop_before(group, end)
        assert sum(segment.rows for segment in dropped) == sum(segment.rows for segment in gone)

    # -- reading --------------------------------------------------------------------------------------

    @rule(elements=names, interval=intervals, groups=choices, age=st.integers(-1, 3), versions=st.booleans())
    def read(
        self, elements: Sequence[str], interval: Interval, groups: Sequence[str] | None, age: int, versions: bool
    ) -> None:
        """Read in every form, as known now or some writes ago."""
        known = None if age < 0 else self.clock - age
        found, expected = (
            rows_of(*target.read(elements, interval, groups=groups, as_of=known, versions=versions))
            for target in (self.backend, self.model)
        )
        assert found == expected

    @rule(elements=names, time=few_times, groups=choices, age=st.integers(-1, 3))
    def last_before(self, elements: Sequence[str], time: int, groups: Sequence[str] | None, age: int) -> None:
        """Ask for the last value before an instant, as known now or some writes ago."""
        known = None if age < 0 else self.clock - age
        found, expected = (
            rows_of(target.last_before(elements, time, groups=groups, as_of=known))
            for target in (self.backend, self.model)
        )
        assert found == expected

    @invariant()
    def holds_the_same(self) -> None:
        """After every step all versions, the inventory and the position are the same."""
        for target in ("elements", "coverage"):
            assert getattr(self.backend, target)() == getattr(self.model, target)()
        assert self.backend.position(STREAM) == self.model.position(STREAM)
        for choice in ({"versions": True}, {"as_of": self.clock - 1}):
            found, expected = (
                rows_of(*target.read(ELEMENTS, ALWAYS, **choice)) for target in (self.backend, self.model)
            )
            assert found == expected
