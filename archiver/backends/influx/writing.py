"""What a write does: points first, then the one string that makes them count."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from itertools import chain
from typing import Any, NamedTuple

import numpy as np

from archiver.backends.influx import layout, lines, names
from archiver.backends.influx.client import Client
from archiver.backends.influx.errors import NotTakenError
from archiver.backends.influx.reading import Reader
from archiver.backends.influx.segments import Segments, point_time
from archiver.backends.influx.state import RESERVED_AT_ONCE, Extent, SegmentRecord, State
from archiver.backends.influx.versions import existing_of, ordinals, some_meet
from archiver.model import PermanentError, SampleBatch, TransientError, UnsupportedError
from archiver.model.batch import Int64s, Mask, sort_order
from archiver.model.identity import Watermarks, duplicates, same_identity
from archiver.ports import BackendContext, BeforeCommit, Position, Segment, WriteReceipt

CONNECTIONS = 2
"""Bodies that are posted at a time: a server takes two sooner than one, and not more of them."""


class _Fresh(NamedTuple):
    """Samples to store, and their version numbers, by line; `order` are the rows of the lines, None as they are.

    They are put in order as they are encoded, while the server has something to do.
    """

    rows: SampleBatch
    versions: Int64s
    order: Int64s | None


class Writer:
    """Writes of one process; what it remembers from one to the next is used only if nobody else wrote in between.

    Parameters
    ----------
    client : Client
    reader : Reader
    context : BackendContext
    """

    def __init__(self, client: Client, reader: Reader, context: BackendContext) -> None:
        self._client = client
        self._reader = reader
        self._context = context
        self._known: State | None = None
        self._marks: dict[str, Watermarks] = {}
        self._segments: dict[str, Segments] = {}
        self._used = 0
        self._limit = 0

    def close(self) -> None:
        """Give back the numbers that were not used, where the server takes that."""
        state = self._known
        if state is None or self._used > state.committed or self._limit != state.reserved:
            return
        try:
            if self._reader.state() == state:
                self._put_state(replace(state, reserved=state.committed))
        except (TransientError, PermanentError):  # then they are passed over, which costs nothing
            return

    def write(
        self, parts: Mapping[str, SampleBatch], position: Position | None, before_commit: BeforeCommit | None
    ) -> WriteReceipt:
        """Store samples and position: see `archiver.ports.Backend.write`."""
        with _no_sample_to_blame():
            state = self._begin()
            if position is not None and position.offset <= state.offsets.get(position.stream, -1):
                return WriteReceipt(Position(position.stream, state.offsets[position.stream]), repeated=True)
            fresh, known = self._sort_out(state, parts)
            number = self._number(state) if fresh else state.committed
            for group in sorted(fresh.keys() - state.groups.keys()):
                self._client.make_table(group)
        records = self._post(fresh, number)
        receipt = WriteReceipt(position, known)
        if before_commit is not None:
            before_commit(receipt)
        with _no_sample_to_blame():
            self._commit(state.with_commit(number) if fresh else state, fresh, records, position)
        return receipt

    def drop_before(self, group: str, time: int) -> list[Segment]:
        """Drop the segments of a group that end at or before `time`; return them.

        The samples go first: when that is interrupted, the segments are still there to be dropped again.

        Raises
        ------
        UnsupportedError
            InfluxDB 3 deletes nothing.
        """
        if self._client.major >= 3:
            raise UnsupportedError("InfluxDB 3 deletes no samples: give the groups that are stored there no retention")
        state = self._begin()
        held = self._segments_of(state, group).extents
        gone = [(interval, extent) for interval, extent in held if interval.end <= time]
        if not gone:
            return []
        end, last = gone[-1][0].end, point_time(gone[-1][0])
        self._client.query(f"DELETE FROM {names.identifier(group)} WHERE time <= {min(end - 1, layout.LAST_TIME)}")
        rest = {name: extent for name, extent in state.groups.items() if name != group}
        if left := [extent for interval, extent in held if interval.end > time]:
            rest[group] = _joined(left)
        self._put_state(replace(state, groups=rest))
        self._client.query(
            f'DELETE FROM {names.identifier(layout.SEGMENTS)} WHERE "group" = {names.literal(group)} AND time <= {last}'
        )
        for remembered in (self._marks, self._segments):
            remembered.pop(group, None)
        return [Segment(group, interval, extent.rows, 0) for interval, extent in gone]

    # -- what is known --------------------------------------------------------------------------------

    def _begin(self) -> State:
        """Return what is committed, and forget what was true of another state."""
        state = self._reader.state()
        if state != self._known:
            self._marks, self._segments = {}, {}
            self._known = state
        return state

    def _number(self, state: State) -> int:
        """Return a number for a write that no other has had; numbers are set aside before they are used."""
        number = max(self._used, state.committed) + 1
        if state.reserved != self._limit or number > self._limit:
            number = max(self._used, state.committed, state.reserved) + 1
            self._put_state(replace(state, reserved=number + RESERVED_AT_ONCE))
            self._limit = number + RESERVED_AT_ONCE
        return number

    def _marks_of(self, state: State, group: str) -> Watermarks:
        if group not in self._marks:
            self._marks[group] = Watermarks(self._reader.newest(state, group))
        return self._marks[group]

    def _segments_of(self, state: State, group: str) -> Segments:
        if group not in self._segments:
            self._segments[group] = Segments(self._reader.segments(group), state)
        return self._segments[group]

    # -- steps of a write -----------------------------------------------------------------------------

    def _sort_out(self, state: State, parts: Mapping[str, SampleBatch]) -> tuple[dict[str, _Fresh], dict[str, Mask]]:
        """Return the samples that are new, and per group given which are known."""
        fresh, known = {}, {}
        for group, batch in parts.items():
            found, known[group] = self._new_rows(state, group, batch)
            if found.rows.num_rows:
                fresh[group] = found
                self._segments_of(state, group)
        return fresh, known

    def _new_rows(self, state: State, group: str, batch: SampleBatch) -> tuple[_Fresh, Mask]:
        none = np.zeros(batch.num_rows, np.int64)
        if not batch.num_rows:
            return _Fresh(batch, none, None), none.astype(bool)
        marks = self._marks_of(state, group)
        late = batch.filter(marks.at_or_below(batch)) if marks.newest else SampleBatch.empty()
        ordered = batch.compacted()
        order = sort_order(ordered.codes, ordered.source_time, ordered.sequence)
        if not late.num_rows and not some_meet(ordered, order):
            return _Fresh(ordered, none, order), none.astype(bool)
        existing = existing_of(self._reader, state, group, late)
        if order is not None:
            ordered = ordered.take(order)
        known = duplicates(ordered, existing.batch)
        rows = ordered.filter(~known)
        if same_identity(rows).any():  # then the order in which they were received matters
            rows = rows.sorted()
        if order is not None:
            known[order] = known.copy()
        return _Fresh(rows, ordinals(rows, existing), None), known

    def _post(self, fresh: Mapping[str, _Fresh], number: int) -> dict[str, list[SegmentRecord]]:
        """Post points and segments; encode the next body while others are on their way."""
        records = {
            group: self._segments[group].grown(new.rows.source_time, self._context.group(group).segment_ns, number)
            for group, new in fresh.items()
        }
        bodies: Iterable[Any] = chain.from_iterable(
            lines.bodies(group, new.rows, new.versions, number, new.order) for group, new in fresh.items()
        )
        if records:
            bodies = chain([_segment_lines(records)], bodies)
        with ThreadPoolExecutor(CONNECTIONS, f"influx-{self._context.name}") as posting:
            self._post_bodies(posting, bodies, number)
        return records

    def _post_bodies(self, posting: ThreadPoolExecutor, bodies: Iterable[Any], number: int) -> None:
        pending: deque[Future[None]] = deque()
        try:
            for body in bodies:
                pending.append(posting.submit(self._client.write, body))
                if len(pending) > CONNECTIONS:
                    pending.popleft().result()
                    self._used = number
            while pending:
                pending.popleft().result()
                self._used = number
        except BaseException as exc:
            failed = [exc, *(future.exception() for future in pending)]
            if any(not isinstance(error, NotTakenError) for error in failed):
                self._used = number  # something of it may be there
            raise

    def _commit(
        self,
        state: State,
        fresh: Mapping[str, _Fresh],
        records: Mapping[str, list[SegmentRecord]],
        position: Position | None,
    ) -> None:
        """Let the points count, and take them as known."""
        if self._reader.state() != self._known:
            raise TransientError("another process has just written to this database: only one may, at a time")
        groups = dict(state.groups)
        for group, (rows, _, _) in fresh.items():
            extent = Extent(rows.num_rows, int(rows.source_time.min()), int(rows.source_time.max()))
            groups[group] = groups[group].joined(extent) if group in groups else extent
        offsets = dict(state.offsets) | ({} if position is None else {position.stream: position.offset})
        self._put_state(replace(state, offsets=offsets, groups=groups, reserved=max(self._limit, state.reserved)))
        for group, (rows, _, _) in fresh.items():
            self._marks[group].advance(rows)
            self._segments[group].put(records[group])

    def _put_state(self, state: State) -> None:
        if state == self._known:
            return
        text = state.text().replace("\\", "\\\\").replace('"', '\\"')
        self._client.write(f'{layout.STATE} state="{text}" 0\n'.encode())
        self._known = state


def _segment_lines(records: Mapping[str, list[SegmentRecord]]) -> bytes:
    """Return the lines of segments."""
    found = []
    for group, ours in records.items():
        for record in ours:
            text = record.text().replace('"', '\\"')
            found.append(
                f'{layout.SEGMENTS},group={names.escaped(group)} segment="{text}" {point_time(record.interval)}\n'
            )
    return "".join(found).encode()


def _joined(extents: list[Extent]) -> Extent:
    whole = extents[0]
    for extent in extents[1:]:
        whole = whole.joined(extent)
    return whole


@contextmanager
def _no_sample_to_blame() -> Iterator[None]:
    """Raise `TransientError` for whatever fails: the lane must not look for a sample that is the reason."""
    try:
        yield
    except PermanentError as exc:
        raise TransientError(str(exc)) from exc
