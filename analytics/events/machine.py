"""State machines."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from analytics.events.expressions import Expression
from analytics.events.judging import Conditions, Judged, Truths, last_of_instant, said
from analytics.events.operator import Found, Step
from analytics.events.rows import BEFORE_ALL, NEVER, Int64s, Mask, Rows, grown
from archiver.model import format_time


def _none(dtype: Any) -> Any:
    return field(default_factory=lambda: np.empty(0, dtype))


@dataclass(frozen=True)
class Transition:
    """A way from one state to another.

    Parameters
    ----------
    source : str
        State that it leads from, ``*`` for every other one than `target`.
    target : str
    when : Expression, optional
        It is taken while this holds; left out: by time alone.
    after : int
        How long it was in the state before, at least, ns; positive where `when` is left out.
    """

    source: str
    target: str
    when: Expression | None = None
    after: int = 0


@dataclass(frozen=True)
class InState:
    """What is remembered of each instance.

    Parameters
    ----------
    judged : Judged
    state : ndarray of int64
        Number of the state that it is in.
    entered, looked : ndarray of int64
        When that was entered, and time of the last sample, ns; `BEFORE_ALL` before the first one.
    """

    judged: Judged
    state: Int64s = _none(np.int64)
    entered: Int64s = _none(np.int64)
    looked: Int64s = _none(np.int64)


class Machine:
    """An operator: an instance is in one of some states, and each state that it enters is an event of that kind.

    It is in the initial state from its first sample on. A sample takes it one transition further at most: the first,
    in the order given, that leads from its state, whose condition holds, and that has waited long enough. A transition
    that has to wait is taken without a sample as soon as it has, if its condition held until then. A condition that
    is unknown is as it was.

    Parameters
    ----------
    names : tuple of str
        Inputs, as the expressions call them.
    initial : str
    transitions : sequence of Transition
    """

    def __init__(self, names: tuple[str, ...], initial: str, transitions: Sequence[Transition]) -> None:
        self._conditions = Conditions(names, tuple(move.when for move in transitions if move.when is not None))
        ends = [state for move in transitions for state in (move.source, move.target) if state != "*"]
        self._states = tuple(dict.fromkeys([initial, *ends]))
        self._moves: dict[int, list[_Move]] = {number: [] for number in range(len(self._states))}
        place = 0
        for move in transitions:
            column = None if move.when is None else place
            place += move.when is not None
            for number, state in enumerate(self._states):
                if move.source == state or (move.source == "*" and move.target != state):
                    self._moves[number].append(_Move(self._states.index(move.target), column, move.after))

    def initial(self) -> InState:
        """Return the state before the first sample."""
        return InState(self._conditions.initial())

    def advance(self, state: InState, rows: Rows, known: Int64s) -> Step:
        """Take samples in; see `Operator.advance`."""
        count = len(known)
        judged, truths, _ = self._conditions.advance(state.judged, rows, count)
        now = _Now.of(state, count, truths.shape[1])
        starts = rows.starts()
        keys, ends = rows.key[starts], np.append(starts[1:], len(rows))[: len(starts)]
        begins = now.entered[keys] == BEFORE_ALL
        now.entered[keys[begins]] = rows.time[starts[begins]]
        begin, end = np.zeros((2, count), np.int64)
        begin[keys], end[keys] = starts, ends
        looked = last_of_instant(rows) if rows.whole else np.ones(len(rows), bool)
        found: list[Found] = []
        reached = np.full(count, BEFORE_ALL)
        for key in np.flatnonzero(self._may_move(now, truths, rows, known)).tolist():
            places = np.flatnonzero(looked[begin[key] : end[key]]) + begin[key]
            path = _Path(rows.time[places], truths[places], now.last[key], int(now.looked[key]), int(known[key]))
            for time, target, place in self._walked(now, key, path):
                value = None if place is None else said(rows, int(places[place]))
                told = {"from": self._states[now.state[key]], "since": format_time(int(now.entered[key]))}
                found.append(Found(key, self._states[target], time, value, told))
                now.state[key], now.entered[key], reached[key] = target, time, time
        now.looked[keys] = rows.time[ends - 1]
        after = InState(judged, now.state, now.entered, now.looked)
        return Step(after, found, self._due(after), reached)

    def _may_move(self, now: _Now, truths: Truths, rows: Rows, known: Int64s) -> Mask:
        """Return which instances may take a transition: some that do not are among them."""
        holds = np.zeros(now.last.shape, bool)
        if len(rows):
            starts = rows.starts()
            holds[rows.key[starts]] = np.maximum.reduceat(truths, starts) > 0
        result = np.zeros(len(known), bool)
        for number, moves in self._moves.items():
            here = now.state == number
            for move in moves:
                if move.column is not None:
                    result |= here & holds[:, move.column]
                if move.after:
                    ready = now.entered + move.after
                    held = np.True_ if move.column is None else (now.last[:, move.column] > 0)
                    result |= here & held & (ready <= known) & (ready > now.looked)
        result &= now.entered != BEFORE_ALL
        return result

    def _walked(self, now: _Now, key: int, path: _Path) -> Iterator[tuple[int, int, int | None]]:
        """Yield the transitions of one instance: when, to which state, and the sample that takes it there, if one does.

        Where it is then is to be set before the next one is asked for.
        """
        place = 0
        while True:
            moves = self._moves[int(now.state[key])]
            ways = [path.first(move, int(now.entered[key]) + move.after, place) for move in moves]
            first = min((way for way in ways if way is not None), key=_instant, default=None)
            if first is None:
                return
            yield first.time, first.target, first.place if first.by_sample else None
            place = first.place + first.by_sample

    def _due(self, state: InState) -> Int64s:
        """Return when each instance takes a transition if no sample comes before."""
        result = np.full(len(state.state), NEVER)
        for number, moves in self._moves.items():
            for move in moves:
                if move.after:
                    held = np.True_ if move.column is None else state.judged.last[:, move.column] > 0
                    ready = state.entered + move.after
                    waits = (state.state == number) & held & (ready > state.looked) & (state.entered != BEFORE_ALL)
                    result[waits] = np.minimum(result[waits], ready[waits])
        return result


class _Move(NamedTuple):
    """A transition from one state: to which, the column of its condition, and how long it waits."""

    target: int
    column: int | None
    after: int


class _Way(NamedTuple):
    """A transition that can be taken: when, at or before which sample, and to where."""

    time: int
    by_sample: bool
    place: int
    target: int


def _instant(way: _Way) -> tuple[int, bool, int]:
    """Return what decides which comes first: what is due comes before what a sample does."""
    return way.time, way.by_sample, way.place


class _Path(NamedTuple):
    """The samples of one instance: times, and what conditions are there; what they were before, and until when."""

    times: Int64s
    truths: Truths
    before: Truths
    looked: int
    known: int

    def first(self, move: _Move, ready: int, place: int) -> _Way | None:
        """Return when a transition can be taken from a sample on, having waited; None for not by now."""
        first = int(np.searchsorted(self.times, ready))
        if move.after and self.looked < ready <= self.known:
            truths = self.truths[first - 1] if first else self.before
            if move.column is None or truths[move.column] > 0:
                return _Way(ready, False, first, move.target)
        if move.column is None:
            return None
        first = max(first, place)
        holds = self.truths[first:, move.column] > 0
        row = first + int(holds.argmax()) if holds.any() else len(self.times)
        return _Way(int(self.times[row]), True, row, move.target) if row < len(self.times) else None


@dataclass
class _Now:
    """Copies that a step works on; `last` is what each condition was before it."""

    state: Int64s
    entered: Int64s
    looked: Int64s
    last: Truths

    @classmethod
    def of(cls, state: InState, count: int, width: int) -> _Now:
        last = np.zeros((count, width), np.int8)
        last[: len(state.judged.last)] = state.judged.last
        return cls(
            grown(state.state, count, 0).copy(),
            grown(state.entered, count, BEFORE_ALL).copy(),
            grown(state.looked, count, BEFORE_ALL).copy(),
            last,
        )
