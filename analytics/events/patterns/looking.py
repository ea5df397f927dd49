"""What samples are to the steps of a sequence: by columns as far as that goes, then for each partial match."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Protocol

import numpy as np

from analytics.events.expressions import Expression, Input
from analytics.events.expressions import Held as Known
from analytics.events.holding import Seen
from analytics.events.judging import Truths, feeds, truth_at
from analytics.events.patterns.partial import Fits, Partial, Taken
from analytics.events.rows import Int64s, Mask, Rows


class Named(Protocol):
    """A step: what conditions call its sample, and its own condition."""

    @property
    def name(self) -> str:
        """Name of its sample."""

    @property
    def when(self) -> Expression:
        """Its condition."""


class Looks:
    """Some samples, and which steps they fit.

    While it is not chosen which samples the earlier steps took, all about those is unknown. What a condition is then
    decides nearly always: a sample that does not fit whatever they took is never looked at again.

    Parameters
    ----------
    rows : Rows
    places : ndarray of int64
        Of each row among all samples of its instance.
    seen : mapping of str to Seen
        What the inputs hold at the rows.
    steps : sequence of Named
    earlier : sequence of tuple of str
        Names of the steps that are taken before each of them.
    """

    def __init__(
        self,
        rows: Rows,
        places: Int64s,
        seen: Mapping[str, Seen],
        steps: Sequence[Named],
        earlier: Sequence[tuple[str, ...]],
    ) -> None:
        self.rows = rows
        self._places, self._seen, self._steps, self._earlier = places, seen, steps, earlier
        self._truths = [self._truth(number) for number in range(len(steps))]

    @cached_property
    def may_fit(self) -> Mask:
        """Which samples may fit any step."""
        result: Mask = np.max(self._truths, axis=0) >= 0
        return result

    @cached_property
    def may_begin(self) -> Mask:
        """Which samples fit the first step."""
        return self._truths[0] > 0

    @cached_property
    def may_go_on(self) -> Mask:
        """Which samples may fit a later step."""
        result: Mask = np.max(self._truths[1:], axis=0, initial=-1) >= 0
        return result

    def last_begin(self, before: Int64s) -> Int64s:
        """Return the time of the last sample of the instance, until each row, that fits the first step, ns.

        Parameters
        ----------
        before : ndarray of int64
            The time of the last one before the rows, for each instance.
        """
        starts = self.rows.starts()
        last = np.maximum.accumulate(np.where(self.may_begin, np.arange(len(self.rows)), -1))
        fresh = last >= np.repeat(starts, np.diff(starts, append=len(self.rows)))
        return np.where(fresh, self.rows.time[last], before[self.rows.key])

    def sample(self, place: int) -> Taken:
        """Return a sample as what is taken of it."""
        rows, at = self.rows, int(self.rows.time[place])
        number, text = float(rows.number[place]), None if rows.text is None else rows.text[place]
        among = int(self._places[place])
        return Taken(1, at, at, among, among, number, text, bool(rows.good[place]), int(rows.status[place]))

    def fits(self, place: int, partials: Sequence[Partial]) -> Fits:
        """Return what says whether a sample fits a step, given one of some partial matches or how one begins."""
        answers: dict[int, dict[tuple[int, ...], bool]] = {}

        def fits(number: int, partial: Partial) -> bool:
            truth = int(self._truths[number][place])
            if truth:
                return truth > 0
            if number not in answers:
                answers[number] = self._answers(number, place, partials)
            return answers[number][_chosen(partial, len(self._earlier[number]))]

        return fits

    def _truth(self, number: int) -> Truths:
        """Return what a step's condition is at each row: unknown only where that is up to what earlier steps took."""
        when, count = self._steps[number].when, len(self.rows)
        others = {name: Input.open(count) for name in self._earlier[number]}
        truths = truth_at(when, self._seen, self.rows.time, {**others, **self._own(number, slice(None))})
        is_settled = when.names.isdisjoint(self._earlier[number])
        no = ~feeds(when, tuple(self._seen), self.rows) | (truths < is_settled)
        truths[no] = -1
        return truths

    def _own(self, number: int, places: slice | Int64s) -> dict[str, Input]:
        """Return the samples as what the step's own name holds."""
        rows, step = self.rows, self._steps[number]
        if step.name not in step.when.names:
            return {}
        text = None if rows.text is None else rows.text[places]
        value = Known(rows.good[places], rows.number[places], text)
        return {step.name: Input(value, rows.status[places], rows.time[places])}

    def _answers(self, number: int, place: int, partials: Sequence[Partial]) -> dict[tuple[int, ...], bool]:
        """Return whether a sample fits a step, by the places of what the steps before it took."""
        names = self._earlier[number]
        chosen = {_chosen(partial, len(names)): partial for partial in partials if len(partial) >= len(names)}
        at = np.full(len(chosen), place)
        when = self._steps[number].when
        others = {
            name: _taken([partial[step] for partial in chosen.values()])
            for step, name in enumerate(names)
            if name in when.names
        }
        seen = {name: held.take(at) for name, held in self._seen.items() if name in when.names}
        truths = truth_at(when, seen, self.rows.time[at], {**others, **self._own(number, at)})
        return dict(zip(chosen, (truths > 0).tolist(), strict=True))


def _chosen(partial: Partial, count: int) -> tuple[int, ...]:
    return tuple(taken.place for taken in partial[:count])


def _taken(column: Sequence[Taken]) -> Input:
    """Return what a step took in some partial matches as what its name holds."""
    text = None
    if any(taken.text is not None for taken in column):
        text = np.empty(len(column), object)
        text[:] = [taken.text for taken in column]
    good = np.array([taken.good for taken in column])
    value = Known(good, np.array([taken.number for taken in column]), text)
    status, time = np.array([taken.status for taken in column], np.uint64), np.array([taken.time for taken in column])
    return Input(value, status, time)
