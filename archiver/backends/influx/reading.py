"""What is asked of InfluxDB in InfluxQL, and what its answers mean as of a state."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import pyarrow as pa

from archiver.backends.influx import layout, names, rows
from archiver.backends.influx.client import Client
from archiver.backends.influx.rows import Stored
from archiver.backends.influx.state import SegmentRecord, State
from archiver.model import Interval, NotFoundError, SampleBatch
from archiver.model.identity import newest_versions
from archiver.model.merge import merged
from archiver.model.time import MAX_TIME
from archiver.ports import Coverage

_STATE = f'SELECT "state" FROM {names.identifier(layout.STATE)}'
_NO_WRITE = 2**63 - 1
_LAST_ROWS = 4
_MORE = 16


class Reader:
    """Reads as of the last committed write.

    Parameters
    ----------
    client : Client
    """

    tag = "element"
    always = '"write"'
    types: Mapping[str, pa.DataType] = layout.TYPES
    mark = f'SELECT "mark" FROM {names.identifier(layout.STATE)}'

    def __init__(self, client: Client) -> None:
        self._client = client

    # -- what another layout does differently ---------------------------------------------------------

    def measurement(self, group: str) -> str:
        """Return the measurement of a group, as a statement names it."""
        return names.identifier(group)

    def value_of(self, name: str) -> str:
        """Return the value of the tag for an element name."""
        return names.tag_value(name)

    def name_of(self, value: str) -> str:
        """Return the element name of a value of the tag."""
        return names.element_name(value)

    def counting(self, state: State) -> str:
        """Return the condition that a point counts."""
        return state.condition()

    def decoded(self, state: State, table: pa.RecordBatch) -> Stored:
        """Return those samples of an answer that count.

        A point that is being written may be seen without its number, as fields come one after the other: it has none.
        """
        counts = state.counts(table.column("write").fill_null(_NO_WRITE).to_numpy())
        return rows.decode(table if counts.all() else table.filter(counts))

    def coverage(self, state: State) -> list[Coverage]:
        """Return what is held of each group."""
        return [Coverage(name, held.first, held.last, held.rows) for name, held in sorted(state.groups.items())]

    # -- what all do ----------------------------------------------------------------------------------

    def state(self) -> State:
        """Return what is committed now; an empty state where there is no database or nothing in it."""
        try:
            found = self._client.query(_STATE)
        except NotFoundError:
            found = []
        return State.parse(found[0]["state"]) if found else State()

    def make_mark(self) -> None:
        """Make the point that answers end with."""
        self._client.write(f"{layout.STATE} mark=1i 0\n".encode())

    def segments(self, group: str) -> list[SegmentRecord]:
        """Return the records of the segments of a group, oldest first."""
        where = f'"group" = {names.literal(group)}'
        found = self._client.query(f'SELECT "segment" FROM {names.identifier(layout.SEGMENTS)} WHERE {where}')
        return sorted((SegmentRecord.parse(row["segment"]) for row in found), key=lambda record: record.interval.start)

    def newest(self, state: State, group: str) -> dict[str, int]:
        """Return the time of the last point that counts of each element; no sample of it is newer."""
        if group not in state.groups:
            return {}
        statement = f"SELECT last({self.always}), {self._tag} FROM {self.measurement(group)} WHERE "
        statement += f"{self.counting(state)} GROUP BY {self._tag}"
        found: dict[str, int] = {}
        with self._client.csv(statement, self.mark) as answer:
            for table in rows.tables(answer, self.types):
                values = table.column(self.tag).cast("string").to_pylist()
                found |= dict(zip(map(self.name_of, values), table.column("time").to_pylist(), strict=True))
        return {name: MAX_TIME if time >= layout.LAST_TIME else time for name, time in found.items()}

    def read(
        self,
        state: State,
        elements: Sequence[str],
        interval: Interval,
        groups: Sequence[str],
        as_of: int | None,
        versions: bool,
    ) -> Iterator[SampleBatch]:
        """Yield samples: see `archiver.ports.Readable.read`; `groups` are of the state."""

        def of_group(group: str) -> Iterator[SampleBatch]:
            for part in self.stored(state, group, elements, interval):
                batch = part.batch
                if not versions:
                    yield newest_versions(batch, as_of)
                else:
                    yield batch if as_of is None else batch.filter(batch.receive_time <= as_of)

        yield from merged([of_group(group) for group in groups], versions=versions)

    def stored(self, state: State, group: str, elements: Sequence[str], interval: Interval) -> Iterator[Stored]:
        """Yield all versions of samples in order, those of one element and time in one piece."""
        if interval.start == interval.end:
            return
        for run in names.runs(elements, self.value_of):
            statement = self.select(group, [within(interval), self.among(run)])
            yield from _in_order(
                part.filter(part.batch.mask_interval(interval)) for part in self._counting(state, statement)
            )

    def select(self, group: str, conditions: Sequence[str]) -> str:
        """Return the statement for all columns of some points, by element."""
        where = " AND ".join(conditions)
        return f"SELECT {self._tag}, * FROM {self.measurement(group)} WHERE {where} GROUP BY {self._tag}"

    def among(self, elements: Sequence[str]) -> str:
        """Return the condition that a point is of one of some elements."""
        return names.one_of(self.tag, [self.value_of(name) for name in elements])

    @property
    def _tag(self) -> str:
        return names.identifier(self.tag)

    def _counting(self, state: State, statement: str) -> Iterator[Stored]:
        with self._client.csv(statement, self.mark) as answer:
            for table in rows.tables(answer, self.types):
                yield self.decoded(state, table)

    def last_before(
        self, state: State, elements: Sequence[str], time: int, groups: Sequence[str], as_of: int | None
    ) -> SampleBatch:
        """Return the last valid sample of each element: see `archiver.ports.Readable.last_before`."""
        found = [
            self._last_in_group(state, group, run, time, as_of)
            for run in names.runs(elements, self.value_of)
            for group in groups
        ]
        batch = newest_versions(SampleBatch.concat(found))
        return batch.filter(np.append(batch.codes[1:] != batch.codes[:-1], True)[: batch.num_rows])

    def _last_in_group(
        self, state: State, group: str, elements: list[str], time: int, as_of: int | None
    ) -> SampleBatch:
        """Return the samples at the last time of each element: asked for again, more of them, where all were of one."""
        conditions = [f"time <= {_clipped(time - 1)}", self.counting(state)]
        if as_of is not None:
            conditions.append(f'"receive_time" <= {as_of}')
        found, pending, limit = [], elements, _LAST_ROWS
        while pending:
            statement = self.select(group, [*conditions, self.among(pending)])
            found_rows = self._counting(state, f"{statement} ORDER BY time DESC LIMIT {limit}")
            stored = Stored.concat(list(found_rows))
            batch, pending = _settled(stored, time, limit)
            found.append(batch)
            limit *= _MORE
        return SampleBatch.concat(found)


def _settled(stored: Stored, time: int, limit: int) -> tuple[SampleBatch, list[str]]:
    """Return the samples at the last time before `time` of each element, and the elements of which some may lack."""
    batch = _by_version(stored)
    points = layout.point_times(batch.source_time)
    there = batch.source_time < time
    size = len(batch.elements)
    lowest, last = np.full(size, MAX_TIME), np.full(size, layout.FIRST_TIME - 1)
    np.minimum.at(lowest, batch.codes, points)
    np.maximum.at(last, batch.codes[there], points[there])
    lacking = (np.bincount(batch.codes, minlength=size) >= limit) & (last <= lowest)
    keep = there & (points == last[batch.codes]) & ~lacking[batch.codes]
    return batch.filter(keep), [batch.elements[code] for code in np.flatnonzero(lacking).tolist()]


def within(interval: Interval) -> str:
    """Return the condition that a point may be of an interval that is not empty."""
    return f"time >= {_clipped(interval.start)} AND time <= {_clipped(interval.end - 1)}"


def _clipped(time: int) -> int:
    return min(max(time, layout.FIRST_TIME), layout.LAST_TIME)


def _by_version(stored: Stored) -> SampleBatch:
    """Return samples in order; of equal receive times the later version comes last."""
    batch, versions = stored
    return (batch.take(np.argsort(versions, kind="stable")) if versions.any() else batch).sorted()


def _in_order(parts: Iterator[Stored]) -> Iterator[Stored]:
    """Yield parts of one answer in full order: what is of the last element and time waits for the next part."""
    held: list[Stored] = []
    for part in parts:
        if not part.batch.num_rows:
            continue
        stored = Stored.concat([*held, part])
        batch = stored.batch
        same = (batch.codes == batch.codes[-1]) & (
            layout.point_times(batch.source_time) == layout.point_times(batch.source_time[-1:])
        )
        if not same.all():
            yield _sorted(stored.filter(~same))
        held = [stored.filter(same)]
    for last in held:
        yield _sorted(last)


def _sorted(stored: Stored) -> Stored:
    batch = stored.batch.compacted()
    order = np.lexsort((stored.versions, batch.receive_time, batch.sequence, batch.source_time, batch.codes))
    return Stored(batch.take(order), stored.versions[order])
