"""A backend with the journal's tail over it: what was acknowledged is readable at once."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace
from itertools import chain
from typing import cast

import numpy as np

from archiver.model import Interval, SampleBatch
from archiver.model.grid import Grid
from archiver.model.identity import duplicates, newest_versions
from archiver.model.merge import merged
from archiver.model.partials import Partials
from archiver.model.time import MIN_TIME
from archiver.pipeline.lane import Lane
from archiver.pipeline.latest import last_of_each
from archiver.pipeline.processing import LaneState, process, runs_of
from archiver.ports import Aggregated, Coverage, Journal, SupportsAggregation


class TailedBackend:
    """The reading verbs of a backend, over what it holds and what the journal holds beyond its position.

    The tail goes through the same routing and smoothing that the lane will apply, so an answer does not change
    when the lane catches up; samples that the swinging door still holds are shown as they would be stored now.
    """

    def __init__(self, lane: Lane, journal: Journal) -> None:
        self._lane = lane
        self._journal = journal
        self.name = lane.backend.name

    def read(
        self,
        elements: Sequence[str],
        interval: Interval,
        *,
        groups: Sequence[str] | None = None,
        as_of: int | None = None,
        versions: bool = False,
    ) -> Iterator[SampleBatch]:
        """Yield samples in order; see `archiver.ports.Readable.read`."""
        tail = self._tail(elements, interval, groups, as_of)  # first: what moves meanwhile is then in both
        stored = self._lane.backend.read(elements, interval, groups=groups, as_of=as_of, versions=versions)
        tail = tail.sorted() if versions else newest_versions(tail)  # a stream that is merged repeats no identity
        yield from merged([stored, iter([tail])], versions=versions) if tail.num_rows else stored

    def last_before(
        self,
        elements: Sequence[str],
        time: int,
        *,
        groups: Sequence[str] | None = None,
        as_of: int | None = None,
    ) -> SampleBatch:
        """Return the last sample of each element before a time; see `archiver.ports.Readable.last_before`."""
        tail = self._tail(elements, Interval(MIN_TIME, time), groups, as_of)
        stored = self._lane.backend.last_before(elements, time, groups=groups, as_of=as_of)
        return last_of_each(newest_versions(SampleBatch.concat([stored, tail]))).sorted() if tail.num_rows else stored

    @property
    def in_process(self) -> bool:
        """Whether the backend leaves the work of a read to this process."""
        return getattr(self._lane.backend, "in_process", False)

    @property
    def aggregates(self) -> frozenset[str]:
        """Which aggregates the backend makes by itself."""
        return getattr(self._lane.backend, "aggregates", frozenset())

    def aggregate(
        self,
        elements: Sequence[str],
        grid: Grid,
        aggregates: Collection[str],
        until: int,
        *,
        groups: Sequence[str] | None = None,
    ) -> Iterator[Aggregated]:
        """Yield the cells that end before the tail begins; see `archiver.ports.SupportsAggregation.aggregate`."""
        backend, interval = cast(SupportsAggregation, self._lane.backend), grid.interval
        tail, end = self._tail(elements, interval, groups, None), interval.end
        if tail.num_rows:
            first = grid.numbers(tail.source_time.min(keepdims=True))
            end = int(max(grid.starts(first)[0], interval.start))
        if end == interval.start:
            yield Aggregated(elements, Partials.none(), elements, interval.end)
            return
        head = Grid(Interval(interval.start, end), grid.bucket_ns)
        for answer in backend.aggregate(elements, head, aggregates, until, groups=groups):
            owners, buckets = np.divmod(answer.cells.cells, head.count)
            cells = replace(answer.cells, cells=owners * grid.count + buckets)
            yield replace(answer, cells=cells, end=end)

    def elements(self) -> list[str]:
        """Return the names of all elements that have a sample, sorted."""
        names = set(self._lane.backend.elements())
        for entry in chain.from_iterable(runs_of(self._journal, self._lane.position or 0)):
            names.update(name for name in entry.batch.present() if self._lane.router.groups_of(name))
        return sorted(names)

    def coverage(self) -> list[Coverage]:
        """Return what the backend itself holds."""
        return self._lane.backend.coverage()

    def _tail(
        self, elements: Sequence[str], interval: Interval, groups: Sequence[str] | None, as_of: int | None
    ) -> SampleBatch:
        """Return what the lane has yet to store; what it will find to be known is not in there."""
        parts = self._parts(set(elements))
        tail = SampleBatch.concat([batch for name, batch in parts if groups is None or name in groups])
        tail = tail.filter(tail.mask_interval(interval))
        if as_of is not None:
            tail = tail.filter(tail.receive_time <= as_of)
        if not tail.num_rows:
            return tail
        span = Interval(tail.source_time.min(), tail.source_time.max() + 1)
        stored = self._lane.backend.read(sorted(tail.present()), span, groups=groups, versions=True)
        return tail.filter(~duplicates(tail, SampleBatch.concat(list(stored))))

    def _parts(self, wanted: set[str]) -> list[tuple[str, SampleBatch]]:
        """Return the tail by group; read again when the lane went on, and the journal was trimmed, meanwhile."""
        while True:
            committed = self._lane.committed
            position, state = committed or (0, LaneState.initial(self._lane.router))
            parts: list[tuple[str, SampleBatch]] = []
            for entries in runs_of(self._journal, position):
                archived = self._lane.archived_around
                processed = process(entries, self._lane.router, state, wanted, archived)
                parts += processed.parts.items()
                state = processed.state
            if self._lane.committed is committed or self._journal.state().first <= position + 1:
                return [*parts, *state.held(wanted).items()]
