"""A backend in memory: what every other backend is compared with. Obvious before fast; lost with the process."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np

from archiver import ports
from archiver.model import Interval, SampleBatch
from archiver.model.identity import distinct, duplicates, newest_versions
from archiver.model.time import MIN_TIME
from archiver.ports import (
    BackendContext,
    BackendLimits,
    BeforeCommit,
    Coverage,
    Position,
    Segment,
    WriteReceipt,
)


@dataclass(frozen=True)
class _State:
    """Everything that is stored, never changed: a write replaces it as a whole, so a reader sees all of it or none."""

    groups: Mapping[str, SampleBatch] = field(default_factory=dict)
    offsets: Mapping[str, int] = field(default_factory=dict)


class MemoryBackend:
    """Keeps samples in one sorted batch per group for as long as the instance lives, over `close` and `open`.

    Parameters
    ----------
    context : BackendContext
        The groups' `segment_ns` is the length of a segment.
    options : Options
        None are known.
    """

    Options: ClassVar[type[ports.Options]] = ports.Options

    def __init__(self, context: BackendContext, options: ports.Options) -> None:
        self.name = context.name
        self.limits = BackendLimits()
        self._context = context
        self._state = _State()
        self._writing = threading.Lock()

    def open(self) -> None:
        """Do nothing: there is nothing to connect to."""

    def close(self) -> None:
        """Do nothing: what was written stays readable after the next `open`."""

    def position(self, stream: str) -> Position | None:
        """Return the position stored for this stream."""
        offset = self._state.offsets.get(stream)
        return None if offset is None else Position(stream, offset)

    def write(
        self,
        parts: Mapping[str, SampleBatch],
        position: Position | None = None,
        before_commit: BeforeCommit | None = None,
    ) -> WriteReceipt:
        """Store samples, by group, and the position: see `archiver.ports.Backend.write`."""
        with self._writing:
            before = self._state
            if position is not None:
                stored = self.position(position.stream)
                if stored is not None and position.offset <= stored.offset:
                    return WriteReceipt(stored, repeated=True)
            nothing = SampleBatch.empty()
            known = {name: duplicates(part, before.groups.get(name, nothing)) for name, part in parts.items()}
            groups = dict(before.groups)
            for name, part in parts.items():
                groups[name] = SampleBatch.concat([groups.get(name, nothing), part.filter(~known[name])]).sorted()
            offsets = dict(before.offsets) | ({} if position is None else {position.stream: position.offset})
            receipt = WriteReceipt(position, known)
            if before_commit is not None:
                before_commit(receipt)
            self._state = _State(groups, offsets)
            return receipt

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
        batch = self._select(elements, interval, groups)
        if versions:
            batch = batch if as_of is None else batch.filter(batch.receive_time <= as_of)
        else:
            batch = newest_versions(batch, as_of)
        if batch.num_rows:
            yield batch

    def last_before(
        self,
        elements: Sequence[str],
        time: int,
        *,
        groups: Sequence[str] | None = None,
        as_of: int | None = None,
    ) -> SampleBatch:
        """Return the last valid sample per element before `time` (ns): see `archiver.ports.Backend.last_before`."""
        batch = newest_versions(self._select(elements, Interval(MIN_TIME, time), groups), as_of)
        codes = batch.codes
        return batch.filter(np.append(codes[1:] != codes[:-1], True)[: batch.num_rows])

    def elements(self) -> list[str]:
        """Return the names of all elements that have a sample here, sorted."""
        return sorted({name for batch in self._state.groups.values() for name in batch.present()})

    def coverage(self) -> list[Coverage]:
        """Return first time, last time and number of samples (versions counted) of each group that has any."""
        return [
            Coverage(name, int(batch.source_time.min()), int(batch.source_time.max()), batch.num_rows)
            for name, batch in sorted(self._state.groups.items())
            if batch.num_rows
        ]

    def segments(self, group: str) -> list[Segment]:
        """Return the segments of a group, oldest first: multiples of its `segment_ns` since the epoch."""
        batch = self._state.groups.get(group, SampleBatch.empty())
        length = self._context.group(group).segment_ns
        numbers = batch.source_time // length
        found = []
        for number in np.unique(numbers).tolist():
            part = batch.filter(numbers == number)
            interval = Interval(number * length, (number + 1) * length)
            found.append(Segment(group, interval, part.num_rows, part.to_arrow().nbytes))
        return found

    def drop_before(self, group: str, time: int) -> list[Segment]:
        """Drop the segments of a group that end at or before `time` (ns); return what was dropped."""
        with self._writing:
            dropped = [segment for segment in self.segments(group) if segment.interval.end <= time]
            if dropped:
                batch = self._state.groups[group]
                kept = batch.filter(batch.source_time >= dropped[-1].interval.end)
                self._state = _State({**self._state.groups, group: kept}, self._state.offsets)
            return dropped

    def _select(self, elements: Sequence[str], interval: Interval, groups: Sequence[str] | None) -> SampleBatch:
        """Return all versions of some elements in an interval, sorted; what two groups hold is in there once."""
        state = self._state
        held = [state.groups[name] for name in state.groups if groups is None or name in groups]
        return distinct(
            SampleBatch.concat(
                [part.filter(part.mask_elements(elements) & part.mask_interval(interval)) for part in held]
            )
        )
