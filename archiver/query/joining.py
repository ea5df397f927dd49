"""A join carried out: elements read by windows of time, put side by side, and given as soon as a row cannot change."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from dataclasses import replace
from typing import Any, Protocol

import numpy as np

from archiver.model import Interval, Kind, SampleBatch, format_duration, format_time
from archiver.model.batch import Int64s
from archiver.model.interruption import Interruption
from archiver.model.time import MAX_TIME
from archiver.query.comparison import States
from archiver.query.cursor import Cursor
from archiver.query.join import Join, align
from archiver.query.limits import Budget
from archiver.query.plan import bounds
from archiver.query.record import Record
from archiver.query.request import Query
from archiver.query.shape import kinds_in
from archiver.query.truth import Truth
from archiver.query.wide import Wide, WideAnswer
from archiver.query.windows import Ask, Windows, by_element

PIECE_CELLS = 1_000_000
"""About how many values of a wide table are made at a time."""
PIECE_ROWS = 1024
"""Rows that are made at a time, of however many elements."""


def joined(
    query: Query, cursor: Cursor | None, ask: Ask, budget: Budget, states: States, left: Callable[[], object]
) -> WideAnswer:
    """Return the answer to a query with a join. It is read while its rows are consumed.

    What is held is a window of samples (`archiver.query.windows.WINDOW_ROWS`) and what lies within the tolerance.

    Parameters
    ----------
    cursor : Cursor, optional
        After which row the answer begins.
    ask : callable
        Answers the queries for the samples.
    budget : Budget
        Of this query.
    states : callable
        Gives the state set of an element, for conditions.
    left : callable
        Called when the answer was read or closed.

    Raises
    ------
    InvalidInputError
        Two columns would have the same name.
    """
    budget.limits.check(len(query.elements))
    work = _Joining(query, ask, budget, states)
    elements = list(dict.fromkeys(query.elements))
    return WideAnswer(work.run(cursor), work.record, elements, work.kinds, _asked(query), work.stop.set, left)


def _asked(query: Query) -> dict[str, Any]:
    join = query.join or Join()
    return {
        **bounds(query.interval),
        "as_of": None if query.as_of is None else format_time(query.as_of),
        "groups": list(query.groups),
        "where": None if query.where is None else query.where.text,
        "wide": str(join.match),
        "tolerance": None if join.tolerance_ns is None else format_duration(join.tolerance_ns),
        "step": format_duration(join.step_ns) if join.step_ns else None,
        "times_of": join.times_of,
    }


class _Joining:
    def __init__(self, query: Query, ask: Ask, budget: Budget, states: States) -> None:
        self.record = Record()
        self.stop = Interruption()
        self._query = query
        self._join = query.join or Join()
        self._budget = budget
        self._windows = Windows(ask, self.record, self.stop)
        self._states = states
        self._kinds: dict[str, set[Kind]] = {}
        shown = dict.fromkeys(query.elements)
        self._read_too = {} if self._join.times_of is None else dict.fromkeys([self._join.times_of])
        self._elements = tuple(shown)
        self._held = dict.fromkeys([*shown, *self._read_too], SampleBatch.empty())

    def kinds(self) -> dict[str, tuple[Kind, ...]]:
        """Return the kinds of value of each element, as far as they are known."""
        return {name: tuple(sorted(kinds)) for name, kinds in self._kinds.items()}

    def run(self, cursor: Cursor | None) -> Generator[Wide, None, None]:
        """Yield the rows after the cursor, up to the limit, and complete the record."""
        interval, limit = self._query.interval, self._query.limit
        rest = interval if cursor is None else Interval(min(cursor.time + 1, interval.end), interval.end)
        given, last = 0, 0
        with closing(self._rows(rest)) as pieces:
            while (wide := self._next(pieces)) is not None:
                kept = wide if limit is None else wide.slice(0, limit - given)
                given += kept.num_rows
                if kept.num_rows:
                    last = int(kept.time[-1])
                    self._budget.spend(kept.num_rows)
                    yield kept
                if kept.num_rows < wide.num_rows:
                    self.record.cursor = Cursor(interval, "", last).encode(self._query)
                    return

    def _next(self, pieces: Iterator[Wide]) -> Wide | None:
        with self._budget.working():
            return next(pieces, None)

    def _rows(self, interval: Interval) -> Generator[Wide, None, None]:
        """Yield the rows of an interval; the samples behind its end count where the tolerance reaches them."""
        ahead = self._join.ahead_ns
        extended = Interval(interval.start, min(interval.end + ahead, MAX_TIME))
        query = replace(
            self._query, elements=tuple(self._held), interval=extended, limit=None, cursor=None, where=None, join=None
        )
        times: _Times = _Steps(interval, self._join.step_ns) if self._join.step_ns else _Sampled(interval)
        windows = Windows(self._windows.ask, self.record, self.stop)
        truth = Truth.of(replace(self._query, interval=interval), windows, self._states)
        for window, samples in self._windows.read(query):
            self._hold(samples, times)
            self._settle(query, window)
            until = interval.end if window.end == extended.end else min(window.end - ahead, interval.end)
            for piece in times.until(until, max(PIECE_ROWS, PIECE_CELLS // len(self._held))):
                chosen = piece if truth is None else piece[truth.holds(piece)]
                if len(chosen):
                    yield self._beside(chosen)
            self._held = {name: _from(held, until) for name, held in self._held.items()}

    def _hold(self, samples: SampleBatch, times: _Times) -> None:
        """Take the samples of a window: of several of an element at one instant, the last in sequence."""
        same = (samples.codes[1:] == samples.codes[:-1]) & (samples.source_time[1:] == samples.source_time[:-1])
        valid = samples.filter(~np.append(same, False)) if same.any() else samples
        found = by_element(valid)
        for name, mine in found.items():
            self._held[name] = SampleBatch.concat([self._held[name], mine])
            self._kinds.setdefault(name, set()).update(kinds_in(mine))
        given = found if not self._read_too else {name: found[name] for name in self._read_too if name in found}
        times.add([mine.source_time for mine in given.values()])

    def _settle(self, query: Query, window: Interval) -> None:
        """Look at the last values, once, when there is more to come than the first window."""
        end = query.interval.end
        if window.start == query.interval.start and window.end < end:
            with closing(self._windows.ask(replace(query, interval=Interval(end - 1, end), before=1))) as answer:
                for batch in answer.batches:
                    for name, mine in by_element(batch.sorted()).items():
                        self._kinds.setdefault(name, set()).update(kinds_in(mine))

    def _beside(self, times: Int64s) -> Wide:
        columns = {}
        for name in self._elements:
            held = self._held[name]
            first = max(0, int(np.searchsorted(held.source_time, times[0], "right")) - 1)
            stop = int(np.searchsorted(held.source_time, times[-1], "right")) + 1
            columns[name] = align(held.slice(first, stop - first), times, self._join)
        return Wide(times, columns)


def _from(held: SampleBatch, time: int) -> SampleBatch:
    """Return what may still count for rows at or after a time."""
    return held.slice(max(0, int(np.searchsorted(held.source_time, time, "right")) - 1))


class _Times(Protocol):
    """Where the rows are."""

    def add(self, sampled: list[Int64s]) -> None:
        """Take the times of the samples of another window."""

    def until(self, time: int, rows: int) -> Iterator[Int64s]:
        """Yield the times before a time that were not given yet, ascending, about so many at a time."""


class _Sampled:
    """Rows at the times of samples, each once."""

    def __init__(self, interval: Interval) -> None:
        self._interval = interval
        self._waiting = np.empty(0, np.int64)

    def add(self, sampled: list[Int64s]) -> None:
        every = np.concatenate([self._waiting, *sampled])
        every.sort(kind="stable")  # runs that ascend: they are merged
        mine = (every >= self._interval.start) & (every < self._interval.end)
        self._waiting = every[mine & np.append(True, every[1:] != every[:-1])[: len(every)]]

    def until(self, time: int, rows: int) -> Iterator[Int64s]:
        stop = int(np.searchsorted(self._waiting, time))
        ready, self._waiting = self._waiting[:stop], self._waiting[stop:]
        for start in range(0, stop, rows):
            yield ready[start : start + rows]


class _Steps:
    """Rows at the multiples of a step since the epoch."""

    def __init__(self, interval: Interval, step_ns: int) -> None:
        self._next = -(-interval.start // step_ns)
        self._step = step_ns

    def add(self, sampled: list[Int64s]) -> None:
        """Do nothing: samples do not move the grid."""

    def until(self, time: int, rows: int) -> Iterator[Int64s]:
        stop = max(self._next, -(-time // self._step))
        while self._next < stop:
            count = min(rows, stop - self._next)
            first, self._next = self._next, self._next + count
            yield (np.arange(count) + first) * self._step
