"""A plan carried out: parts read side by side, merged, aggregated, and cut to the limit."""

from __future__ import annotations

import functools
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from typing import Any

from archiver.model import ArchiveGroup, Interval, Kind, SampleBatch, TransientError, format_time
from archiver.model import time as clock
from archiver.model.merge import after, key_of, merged
from archiver.model.time import MAX_TIME
from archiver.ports import Readers
from archiver.query.aggregate import aggregate
from archiver.query.answer import Answer, bounds
from archiver.query.buckets import KEEPING_KIND, Buckets
from archiver.query.cursor import Cursor, decode
from archiver.query.grid import Grid
from archiver.query.plan import Healthy, Plan, Step, held, plan
from archiver.query.prefetch import Prefetched
from archiver.query.reading import Record, last_values, read_step
from archiver.query.request import Missing, Query
from archiver.query.shape import kinds_in

_HINTED = 3


@dataclass(frozen=True)
class _Scope:
    """Some elements over one interval; `place` is the cursor in it, after which the rows begin."""

    elements: tuple[str, ...]
    interval: Interval
    place: Cursor | None = None


def execute(
    query: Query,
    readers: Readers,
    groups: Mapping[str, ArchiveGroup] | None = None,
    healthy: Healthy | None = None,
    *,
    now: int | None = None,
    hint: Callable[[str], str] = lambda name: "",
) -> Answer:
    """Return the answer to a query. It is read while its batches are consumed.

    Parts are read at the same time, each by a thread. What is held of a part is two batches of its reader, and what
    the reader itself needs for a call of about `archiver.query.reading.CHUNK_ROWS` samples; the merge holds another
    batch of each part, an aggregation some batches and a row per element.

    Parameters
    ----------
    readers, groups, healthy
        See `archiver.query.plan.plan`.
    now : int, optional
        Instant beyond which no value is held, ns; the machine's clock when left out.
    hint : callable
        Gives what to add to the reason why an element that nobody has is missing, such as the name that was meant.

    Raises
    ------
    NotFoundError
        The query names a backend that does not exist.
    InvalidInputError
        The cursor is not one of this query, or the buckets are too many.
    TransientError
        While the batches are consumed: none of the backends could be read.
    """
    cursor = decode(query.cursor, query) if query.cursor else None
    if cursor is not None:
        query = replace(query, interval=cursor.interval)
    planned = plan(query, readers, groups=groups, healthy=healthy)
    work = _Execution(planned, readers, clock.now() if now is None else now, hint)
    return Answer(work.run(cursor), work.record, planned.elements, query.aggregates, work.kinds, _asked(planned))


def _asked(planned: Plan) -> dict[str, Any]:
    query = planned.query
    return {
        **bounds(query.interval),
        "as_of": None if query.as_of is None else format_time(query.as_of),
        "groups": list(query.groups),
        "steps": [{"backends": list(step.backends), **bounds(step.interval)} for step in planned.steps],
    }


class _Execution:
    def __init__(self, planned: Plan, readers: Readers, now: int, hint: Callable[[str], str]) -> None:
        self.record = Record(missing=list(planned.missing))
        self._plan = planned
        self._query = planned.query
        self._readers = readers
        self._now = now
        self._hint = hint
        self._answered: set[str] = set()

    def kinds(self, rows: SampleBatch | Buckets) -> set[Kind]:
        """Return the kinds of the last values of the elements not complete with some rows of a long answer."""
        query = self._query
        if query.aggregates and not set(query.aggregates) & set(KEEPING_KIND):
            return set()
        reached = self._place(rows).element
        steps = _cut(self._plan.steps, [name for name in self._plan.elements if name >= reached], query.interval)
        return set(kinds_in(last_values(steps, query.interval.end, query, self._readers, Record())))

    def run(self, cursor: Cursor | None) -> Generator[SampleBatch | Buckets, None, None]:
        """Yield the rows after the cursor, up to the limit, and complete the record."""
        limit, given = self._query.limit, 0
        reached = last = None
        with closing(self._rows(cursor)) as batches:
            for rows in batches:
                if limit is None:
                    yield rows
                    continue
                kept = rows.slice(0, limit - given)
                given += kept.num_rows
                if kept.num_rows:
                    reached = self._place(kept)
                    yield kept
                if kept.num_rows < rows.num_rows:
                    last = reached
                    break
        self._complete(cursor, last)

    def _rows(self, cursor: Cursor | None) -> Generator[SampleBatch | Buckets, None, None]:
        for scope in self._scopes(cursor):
            yield from self._buckets(scope) if self._query.aggregates else self._samples(scope)

    def _place(self, rows: SampleBatch | Buckets) -> Cursor:
        """Return the cursor after the last row."""
        interval = self._query.interval
        if isinstance(rows, Buckets):
            return Cursor(interval, rows.element[-1].as_py(), int(rows.end[-1]))
        element, *numbers = key_of(rows, -1, versions=True)
        return Cursor(interval, str(element), *(int(number) for number in numbers))

    def _scopes(self, cursor: Cursor | None) -> Iterator[_Scope]:
        """Yield what is to be read one after the other: the rest of the cursor's element, then all after it."""
        elements, interval = self._plan.elements, self._query.interval
        if cursor is None:
            yield _Scope(elements, interval)
            return
        start = max(cursor.time, interval.start)
        if cursor.element in elements and start < interval.end:
            yield _Scope((cursor.element,), Interval(start, interval.end), cursor)
        rest = tuple(name for name in elements if name > cursor.element)
        if rest:
            yield _Scope(rest, interval)

    def _samples(self, scope: _Scope) -> Iterator[SampleBatch]:
        query, before = self._query, []
        if query.before and scope.interval.start == query.interval.start:
            before = [iter([self._before(scope, scope.elements)])]
        batches = self._read(scope, before)
        if scope.place is not None:
            place = scope.place
            identity = (place.element, place.time, place.sequence)
            batches = after(batches, (*identity, place.receive_time) if query.versions else identity)
        for batch in batches:
            self._answered.update(batch.present())
            yield batch

    def _buckets(self, scope: _Scope) -> Iterator[Buckets]:
        grid = Grid(scope.interval, self._query.bucket_ns)
        batches = self._read(scope, [])
        before = functools.partial(self._before, scope)
        rows = aggregate(batches, before, scope.elements, grid, self._query.aggregates, self._now)
        for buckets in rows:
            self._answered.update(buckets.element.dictionary.to_pylist())
            yield buckets

    def _before(self, scope: _Scope, elements: Sequence[str]) -> SampleBatch:
        steps = _cut(self._plan.steps, elements, self._query.interval)
        return last_values(steps, scope.interval.start, self._query, self._readers, self.record)

    def _read(self, scope: _Scope, before: list[Iterator[SampleBatch]]) -> Iterator[SampleBatch]:
        steps = _cut(self._plan.steps, scope.elements, scope.interval)
        sources = [read_step(step, self._query, self._readers, self.record) for step in steps]
        with ExitStack() as stack:
            streams: list[Iterator[SampleBatch]] = []
            for source, step in zip(sources, steps, strict=True):
                part = source if len(sources) == 1 else Prefetched(source, step.backends[0])
                stack.callback(part.close)
                streams.append(part)
            yield from merged([*before, *streams], versions=self._query.versions)

    # -- afterwards -----------------------------------------------------------------------------------

    def _complete(self, cursor: Cursor | None, last: Cursor | None) -> None:
        """Note where the answer goes on, and the elements that nobody has."""
        record = self.record
        if record.errors and not record.finished and not any(part.rows for part in record.parts):
            raise record.errors[0]
        record.cursor = None if last is None else last.encode(self._query)
        silent = [
            name
            for name in self._plan.elements
            if name not in self._answered
            and (cursor is None or name > cursor.element)
            and (last is None or name < last.element)
        ]
        for reader in self._readers.values():
            try:
                known = held(reader, silent)
            except TransientError:
                return  # it may be there: the outage is in the record when it was asked to answer
            silent = [name for name in silent if name not in known]
        reasons = {name: self._hint(name) for name in silent[:_HINTED]}
        for hint in dict.fromkeys(reasons.get(name, "") for name in silent):
            names = tuple(name for name in silent if reasons.get(name, "") == hint)
            record.missing.append(Missing(self._query.interval, "", f"no backend has a sample of it{hint}", names))


def _cut(steps: Iterable[Step], elements: Sequence[str], interval: Interval) -> list[Step]:
    """Return what of the steps concerns some elements and an interval."""
    wanted = set(elements)
    result = []
    for step in steps:
        shared = step.interval.intersect(interval)
        names = step.elements if wanted.issuperset(step.elements) else [e for e in step.elements if e in wanted]
        if names and shared is not None:
            result.append(Step(tuple(names), shared, step.backends))
    return result


def values_at(
    elements: Sequence[str],
    time: int,
    readers: Readers,
    groups: Mapping[str, ArchiveGroup] | None = None,
    healthy: Healthy | None = None,
    *,
    as_of: int | None = None,
) -> SampleBatch:
    """Return the sample that held at an instant: per element, the last at or before it; sorted by element.

    An element without such a sample has no row. A sample that says "bad", "disconnected" or NaN is the answer, too:
    it is what was known at that time.

    Parameters
    ----------
    time : int
        ns.
    readers, groups, healthy
        See `archiver.query.plan.plan`. Backends are asked at the same time, each once for all its elements.
    as_of : int, optional
        As known at this time, ns.

    Raises
    ------
    TransientError
        No backend that stores some of the elements could be asked.
    """
    if not elements:
        return SampleBatch.empty()
    next_ns = min(time + 1, MAX_TIME)
    query = Query(tuple(elements), Interval(time, next_ns), as_of=as_of)
    planned, record = plan(query, readers, groups=groups, healthy=healthy), Record()
    result = last_values(planned.steps, next_ns, query, readers, record)
    if record.errors:
        raise record.errors[0]
    return result
