"""A plan carried out: parts read side by side, merged, aggregated, and cut to the limit."""

from __future__ import annotations

import functools
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from typing import Any

from archiver.model import ArchiveGroup, IncompleteError, Interval, Kind, SampleBatch, TransientError, format_time
from archiver.model import time as clock
from archiver.model.grid import Grid
from archiver.model.holding import Cause
from archiver.model.interruption import Interruption
from archiver.model.merge import after, key_of, merged
from archiver.model.time import ALWAYS, MAX_TIME, MIN_TIME
from archiver.ports import Readers
from archiver.query.aggregate import aggregate, check_size, end_of_holding
from archiver.query.answer import Answer
from archiver.query.buckets import KEEPING_KIND, Buckets
from archiver.query.choosing import Healthy, Known, Step
from archiver.query.comparison import States
from archiver.query.cursor import Cursor, resumed
from archiver.query.joining import joined
from archiver.query.limits import Budget, Lease, Limits
from archiver.query.plan import Plan, bounds, held, known_from, missing_to_dict, plan, plan_before
from archiver.query.prefetch import Prefetched
from archiver.query.pushing import Pushing
from archiver.query.reading import Reading, last_values, read_step
from archiver.query.record import Record
from archiver.query.request import Missing, Query
from archiver.query.shape import kinds_in
from archiver.query.silence import Silence
from archiver.query.thinning import thinned
from archiver.query.truth import Truth
from archiver.query.windows import Ask, Windows

_HINTED = 3
_TURN_S = 0.005
"""For how long a thread of Python keeps the others waiting (`sys.getswitchinterval`)."""


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
    known: Known | None = None,
    limits: Limits | None = None,
    lease: Lease | None = None,
    now: int | None = None,
    hint: Callable[[str], str] = lambda name: "",
    states: States = lambda name: {},
) -> Answer:
    """Return the answer to a query. It is read while its batches are consumed.

    Parts are read at the same time, each by a thread. What is held of a part is two batches of its reader, and what
    the reader itself needs for a call of about `archiver.query.reading.CHUNK_ROWS` samples; the merge holds another
    batch of each part, an aggregation some batches and a row per element.

    Parameters
    ----------
    readers, groups, healthy, known
        See `archiver.query.plan.plan`.
    limits : Limits, optional
        How much may be asked; anything when left out.
    lease : Lease, optional
        Told how many rows are given, and closed with the answer.
    now : int, optional
        Instant beyond which no value is held, ns; the machine's clock when left out.
    hint : callable
        Gives what to add to the reason why an element that nobody has is missing, such as the name that was meant.
    states : callable
        Gives the state set of an element, for conditions on enumerations.

    Raises
    ------
    NotFoundError
        The query names a backend that does not exist.
    InvalidInputError
        The cursor is not one of this query, or the buckets are too many.
    LimitError
        It asks for more than is allowed; of rows and time this turns out while the batches are consumed.
    IncompleteError
        The query requires a complete answer, and there is none; outages show while the batches are consumed.
    TransientError
        While the batches are consumed: none of the backends could be read.
    """
    known, limits, lease = known or known_from(groups or {}, healthy), limits or Limits(), lease or Lease()
    instant, budget = clock.now() if now is None else now, Budget(limits, lease)
    ask = _asking(readers, known, budget, instant, hint)
    query, cursor = resumed(query)
    if query.join is not None:
        return joined(query, cursor, ask, budget, states, lease.close)
    planned = plan(query, readers, known=known)
    limits.check(len(planned.elements))
    work = _Execution(planned, readers, known, budget, instant, hint)
    work.check_complete()
    work.choose(ask, states)
    rows, asked = work.run(cursor), _asked(planned)
    return Answer(rows, work.record, planned.elements, query.aggregates, work.kinds, asked, work.stop, lease.close)


def _asking(readers: Readers, known: Known, budget: Budget, now: int, hint: Callable[[str], str]) -> Ask:
    """Return what answers the queries that are a part of one."""
    return lambda part: execute(part, readers, known=known, limits=budget.rest(), now=now, hint=hint)


def _asked(planned: Plan) -> dict[str, Any]:
    query = planned.query
    return {
        **bounds(query.interval),
        "as_of": None if query.as_of is None else format_time(query.as_of),
        "groups": list(query.groups),
        "where": None if query.where is None else query.where.text,
        "steps": [{"backends": list(step.backends), **bounds(step.interval)} for step in planned.steps],
    }


class _Execution:
    def __init__(
        self,
        planned: Plan,
        readers: Readers,
        known: Known,
        budget: Budget,
        now: int,
        hint: Callable[[str], str],
    ) -> None:
        self.record = Record(missing=list(planned.missing))
        self._plan = planned
        self._query = planned.query
        self._budget = budget
        self._reading = Reading(planned.query, readers, known, self.record, budget.limits.hedge_s, budget.left_s)
        self._readers = readers
        self._now = now
        self._hint = hint
        self._silences: list[Silence] = []
        self._answered: set[str] = set()
        self._truth: Truth | None = None

    def choose(self, ask: Ask, states: States) -> None:
        """Give only the samples where the condition of the query holds, if it has one."""
        windows = Windows(ask, self.record, self._reading.stop)
        self._truth = Truth.of(self._query, windows, states)

    def stop(self) -> None:
        """Stop reading, whoever is doing so."""
        self._reading.stop.set()

    def check_complete(self) -> None:
        """Raise when something is missing from an answer that is to be complete."""
        if self._query.complete and self.record.is_partial:
            partial = [missing for missing in dict.fromkeys(self.record.missing) if missing.is_partial]
            raise IncompleteError([missing_to_dict(missing) for missing in partial])

    def kinds(self, rows: SampleBatch | Buckets) -> set[Kind]:
        """Return the kinds of the last values of the elements not complete with some rows of a long answer."""
        query = self._query
        if query.aggregates and not set(query.aggregates) & set(KEEPING_KIND):
            return set()
        reached = self._place(rows).element
        steps = _cut(self._plan.steps, [name for name in self._plan.elements if name >= reached], query.interval)
        return set(kinds_in(last_values(steps, query.interval.end, replace(self._reading, record=Record()))))

    def run(self, cursor: Cursor | None) -> Generator[SampleBatch | Buckets, None, None]:
        """Yield the rows after the cursor, up to the limit, and complete the record."""
        limit, given = self._query.limit, 0
        reached = last = None
        with closing(self._rows(cursor)) as batches:
            while (rows := self._next(batches)) is not None:
                kept = rows if limit is None else rows.slice(0, limit - given)
                given += kept.num_rows
                if kept.num_rows:
                    reached = self._place(kept) if limit is not None else None
                    self._budget.spend(kept.num_rows)
                    yield kept
                if kept.num_rows < rows.num_rows:
                    last = reached
                    break
        self._complete(cursor, last)
        self.check_complete()

    def _next(self, batches: Iterator[SampleBatch | Buckets]) -> SampleBatch | Buckets | None:
        with self._budget.working():
            rows = next(batches, None)
        self.check_complete()
        return rows

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
        if query.points:
            batches = thinned(batches, query.interval, query.points)
        for batch in batches:
            self._answered.update(batch.present())
            yield batch

    def _buckets(self, scope: _Scope) -> Iterator[Buckets]:
        grid = Grid(scope.interval, self._query.bucket_ns)
        check_size(grid, scope.elements)
        until = end_of_holding(scope.interval, self._now)

        def read(elements: Sequence[str], interval: Interval) -> Iterator[SampleBatch]:
            return self._read(_Scope(tuple(elements), interval), [])

        steps = _cut(self._plan.steps, scope.elements, scope.interval)
        cells = Pushing(self._reading, scope.elements, grid, until, read).cells(steps)
        before = functools.partial(self._before, scope)
        rows = aggregate(cells, before, scope.elements, grid, self._query.aggregates, until)
        for buckets in rows:
            self._answered.update(buckets.element.dictionary.to_pylist())
            yield buckets

    def _before(self, scope: _Scope, elements: Sequence[str]) -> SampleBatch:
        time = scope.interval.start
        steps = plan_before(self._plan, time, elements, self._readers, self._reading.known)
        return last_values(_cut(steps, elements, ALWAYS), time, self._reading)

    def _read(self, scope: _Scope, before: list[Iterator[SampleBatch]]) -> Iterator[SampleBatch]:
        steps = _cut(self._plan.steps, scope.elements, scope.interval)
        hurried, several = self._budget.limits.seconds, len(steps) > 1
        with ExitStack() as stack:
            streams: list[Iterator[SampleBatch]] = []
            for step in steps:
                stop = Interruption()
                stack.enter_context(self._reading.stop.stopping(stop.set))
                part: Any = read_step(step, replace(self._reading, stop=stop))
                if hurried or (several and self._is_awaited(step)):
                    part = Prefetched(part, step.backends[0], stop, left_s=self._budget.left_s)
                stack.callback(part.close)
                streams.append(part)
            samples = merged([*before, *streams], versions=self._query.versions)
            watched = samples if self._query.versions else self._watched(samples)
            yield from watched if self._truth is None else self._truth.filter(watched)

    def _watched(self, samples: Iterator[SampleBatch]) -> Iterator[SampleBatch]:
        interval = self._query.interval
        self._silences.append(Silence(max(interval.start, min(interval.end, self._now))))
        return self._silences[-1].watch(samples)

    def _is_awaited(self, step: Step) -> bool:
        """Return whether something is won by reading a step beside others: not what only this process works on.

        A thread of Python that does so takes its turns with the others; neither is it worth it where a step is
        expected to be read before its turn is over.
        """
        if getattr(self._readers[step.backends[0]], "in_process", False):
            return False
        rows, seconds = self._reading.known.expected(step.backends[0], step.interval, len(step.elements))
        return rows is None or seconds is None or seconds >= _TURN_S

    # -- afterwards -----------------------------------------------------------------------------------

    def _complete(self, cursor: Cursor | None, last: Cursor | None) -> None:
        """Note where the answer goes on, and the elements that nobody has."""
        record = self.record
        if record.errors and not record.finished and not any(part.rows for part in record.parts):
            raise record.errors[0]
        record.cursor = None if last is None else last.encode(self._query)
        record.missing += [missing for silence in self._silences for missing in silence.missing()]
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
        silent = self._without_passed_on(silent)
        reasons = {name: self._hint(name) for name in silent[:_HINTED]}
        for hint in dict.fromkeys(reasons.get(name, "") for name in silent):
            names = tuple(name for name in silent if reasons.get(name, "") == hint)
            reason = f"no backend has a sample of it{hint}"
            record.missing.append(Missing(self._query.interval, "", reason, names, Cause.UNKNOWN))

    def _without_passed_on(self, silent: list[str]) -> list[str]:
        """Note the elements that nobody has since they were only passed on, and return the others."""
        found: dict[str, list[str]] = {}
        for name in silent:
            found.setdefault(self._reading.known.passed_on(name), []).append(name)
        rest = found.pop("", [])
        for backend, names in found.items():
            reason = "it alone is given this, and only passes samples on: they cannot be read"
            missing = Missing(self._query.interval, backend, reason, tuple(names), Cause.PASSED_ON)
            self.record.missing.append(missing)
        return rest


def _cut(steps: Iterable[Step], elements: Sequence[str], interval: Interval) -> list[Step]:
    """Return what of the steps concerns some elements and an interval."""
    wanted = set(elements)
    result = []
    for step in steps:
        shared = step.interval.intersect(interval)
        names = step.elements if wanted.issuperset(step.elements) else [e for e in step.elements if e in wanted]
        if names and shared is not None:
            result.append(replace(step, elements=tuple(names), interval=shared))
    return result


def values_at(
    elements: Sequence[str],
    time: int,
    readers: Readers,
    groups: Mapping[str, ArchiveGroup] | None = None,
    healthy: Healthy | None = None,
    *,
    known: Known | None = None,
    as_of: int | None = None,
) -> SampleBatch:
    """Return the sample that held at an instant: per element, the last at or before it; sorted by element.

    An element without such a sample has no row. A sample that says "bad", "disconnected" or NaN is the answer, too:
    it is what was known at that time.

    Parameters
    ----------
    time : int
        ns.
    readers, groups, healthy, known
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
    known = known or known_from(groups or {}, healthy)
    query = Query(tuple(elements), Interval(MIN_TIME, next_ns), as_of=as_of)
    reading = Reading(query, readers, known, Record())
    result = last_values(plan(query, readers, known=known).steps, next_ns, reading)
    if reading.record.errors:
        raise reading.record.errors[0]
    return result
