"""One thing, then another, in time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from collections.abc import Sequence as Many
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from analytics.events.event import HAPPENED
from analytics.events.expressions import Expression
from analytics.events.holding import Held, hold, initial
from analytics.events.operator import Found
from analytics.events.operator import Step as Outcome
from analytics.events.patterns.looking import Looks
from analytics.events.patterns.partial import AfterMatch, Contiguity, Progress, Shape, Taken
from analytics.events.rows import BEFORE_ALL, NEVER, Int64s, Mask, Rows, grown
from archiver.model import format_time

OVERFLOW = "overflow"
"""Kind of the event that an instance has too many partial matches: from there on the oldest are given up."""
_NOTHING = np.empty(0, np.int64)


@dataclass(frozen=True)
class Step:
    """A step of a sequence.

    Parameters
    ----------
    name : str
        What conditions call its sample: its own condition, and those of later steps.
    when : Expression
        Of a sample of the inputs that it looks at; of any one where it looks at none.
    absent : bool
        It must not come between the step before and the one after; as the last step, not until the end of the time.
    at_least, at_most : int
        How many samples it takes: of the later ones as many as come before the next step. Of the last step it takes
        `at_least`.
    """

    name: str
    when: Expression
    absent: bool = False
    at_least: int = 1
    at_most: int = 1


@dataclass(frozen=True)
class Sequenced:
    """What is remembered.

    Parameters
    ----------
    held : tuple of Held
    count : ndarray of int64
        Per instance: samples by now.
    partials : dict of str to list
        By number of the instance: its partial matches, oldest first.
    first, last : ndarray of int64
        Per instance: when its oldest partial match began, and its newest, ns; `NEVER` and `BEFORE_ALL` for none.
    due : ndarray of int64
        Per instance: when a match is complete if nothing that must not come comes, ns; else `NEVER`.
    is_over, is_full : ndarray of bool
        Per instance: there was a match and no other is looked for; partial matches are given up.
    dropped : ndarray of int64
        Per instance: how many partial matches were given up by now.
    """

    held: tuple[Held, ...]
    count: Int64s = field(default_factory=_NOTHING.copy)
    partials: Mapping[str, Any] = field(default_factory=dict)
    first: Int64s = field(default_factory=_NOTHING.copy)
    last: Int64s = field(default_factory=_NOTHING.copy)
    due: Int64s = field(default_factory=_NOTHING.copy)
    is_over: Mask = field(default_factory=lambda: np.empty(0, bool))
    is_full: Mask = field(default_factory=lambda: np.empty(0, bool))
    dropped: Int64s = field(default_factory=_NOTHING.copy)

    def for_step(self, count: int) -> _Now:
        """Return copies that a step works on, for so many instances."""
        return _Now(
            grown(self.count, count, 0).copy(),
            dict(self.partials),
            grown(self.first, count, NEVER).copy(),
            grown(self.last, count, BEFORE_ALL).copy(),
            grown(self.due, count, NEVER).copy(),
            grown(self.is_over, count, False).copy(),
            grown(self.is_full, count, False).copy(),
            grown(self.dropped, count, 0).copy(),
        )


@dataclass
class _Now:
    """Copies that a step works on; see `Sequenced`."""

    count: Int64s
    partials: dict[str, Any]
    first: Int64s
    last: Int64s
    due: Int64s
    is_over: Mask
    is_full: Mask
    dropped: Int64s


class Sequence:
    """An operator: it happened that samples came that fit some steps, one after the other.

    The first sample of a match and the last lie no further apart than `within`, that included. A sample begins a
    partial match if it fits the first step. Taken on is each partial match by the sample that fits its next step. A
    step that is absent ends it, and is looked at before the step that follows it. Absent at the end, it happened once
    the time is over. A condition that is unknown does not hold.

    Parameters
    ----------
    names : tuple of str
        Inputs, as the expressions call them.
    steps : sequence of Step
        The first of them is not absent.
    within : int
        ns.
    contiguity : {"next", "strict", "any"}
        ``strict``: no other sample of the instance comes between. ``next``: samples that do not fit are skipped.
        ``any``: so are those that do, so that there is a match for every combination.
    after_match : {"past_last", "to_next", "no_skip", "to_first"}
        Which partial matches go on after a match: those that began after its last sample (or before its first);
        those that began at another sample; all of them; those that began at the first sample of the step `resume` or
        later.
    resume : str, optional
        Name of a step.
    every : bool
        Matches are looked for again and again; else there is one in each instance.
    most : int
        Partial matches of an instance at a time. With more the oldest are given up: that is an event of the kind
        `OVERFLOW`, once until there are half as many.

    References
    ----------
    E. Wu, Y. Diao and S. Rizvi, High-performance complex event processing over streams, SIGMOD 2006; as in the
    libraries of Apache Flink (relaxed contiguity is ``next``, non-deterministic relaxed contiguity ``any``) and Esper
    (`every`).
    """

    def __init__(
        self,
        names: tuple[str, ...],
        steps: Many[Step],
        within: int,
        *,
        contiguity: Contiguity = "next",
        after_match: AfterMatch = "past_last",
        resume: str | None = None,
        every: bool = True,
        most: int = 1000,
    ) -> None:
        self._names = names
        self._steps = tuple(steps)
        taken = tuple(number for number, step in enumerate(steps) if not step.absent)
        self._called = tuple(steps[number].name for number in taken)
        before = [sum(other < number for other in taken) for number in range(len(steps))]
        self._earlier = [self._called[:count] for count in before]
        self._shape = Shape(
            taken,
            tuple(
                tuple(number for number, step in enumerate(steps) if step.absent and before[number] == place)
                for place in range(len(taken) + 1)
            ),
            tuple(steps[number].at_least for number in taken),
            tuple(steps[number].at_most for number in taken),
            within,
            contiguity,
            after_match,
            0 if resume is None else self._called.index(resume),
            every,
            most,
        )

    def initial(self) -> Sequenced:
        """Return the state before the first sample."""
        return Sequenced(initial(len(self._names)))

    def advance(self, state: Sequenced, rows: Rows, known: Int64s) -> Outcome:
        """Take samples in; see `Operator.advance`."""
        held, seen = hold(state.held, rows, len(known))
        now = state.for_step(len(known))
        starts = rows.starts()
        sizes = np.diff(starts, append=len(rows))
        places = now.count[rows.key] + np.arange(len(rows)) - np.repeat(starts, sizes)
        now.count[rows.key[starts]] += sizes
        looks = Looks(rows, places, dict(zip(self._names, seen, strict=True)), self._steps, self._earlier)
        reached = np.full(len(known), BEFORE_ALL)
        found: list[Found] = []
        for key, mine in self._touched(now, looks, known):
            found += self._taken(now, key, looks, mine, int(known[key]), reached)
        state = Sequenced(
            held, now.count, now.partials, now.first, now.last, now.due, now.is_over, now.is_full, now.dropped
        )
        return Outcome(state, found, now.due, reached)

    def _touched(self, now: _Now, looks: Looks, known: Int64s) -> Iterator[tuple[int, list[int]]]:
        """Yield the instances that have something to be looked at, with the rows that may fit a step."""
        begun = looks.last_begin(now.last)
        within = (begun != BEFORE_ALL) & (looks.rows.time <= begun + self._shape.within)
        may = np.flatnonzero(looks.may_fit & within)
        keys = looks.rows.key[may]
        begin = np.searchsorted(keys, np.arange(len(known)), "left")
        end = np.searchsorted(keys, np.arange(len(known)), "right")
        passed = known - self._shape.within > now.first
        for key in np.flatnonzero((end > begin) & ~now.is_over | passed).tolist():
            yield key, may[begin[key] : end[key]].tolist()

    def _taken(
        self, now: _Now, key: int, looks: Looks, places: list[int], known: int, reached: Int64s
    ) -> Iterator[Found]:
        """Yield what is found in one instance."""
        shape = self._shape
        before = [tuple(Taken(*taken) for taken in partial) for partial in now.partials.get(str(key), ())]
        progress = Progress(shape, before, is_over=bool(now.is_over[key]))
        for place in places:
            if not progress.partials and not looks.may_begin[place]:
                continue
            sample = looks.sample(place)
            progress.pass_to(sample.time)
            yield from self._told(key, progress)
            now.is_full[key] &= 2 * len(progress.partials) > shape.most
            dropped = progress.dropped
            may_go_on = not shape.is_patient or bool(looks.may_go_on[place])
            progress.take(sample, looks.fits(place, progress.partials), may_go_on=may_go_on)
            yield from self._told(key, progress)
            if progress.dropped > dropped and not now.is_full[key]:
                now.is_full[key] = True
                yield Found(key, OVERFLOW, sample.time, float(shape.most), {"partial_matches": shape.most})
        progress.pass_to(known)
        for one in self._told(key, progress):
            reached[key] = one.time + 1
            yield one
        self._keep(now, key, progress)

    def _keep(self, now: _Now, key: int, progress: Progress) -> None:
        """Remember what there is of an instance."""
        shape, partials = self._shape, progress.partials
        now.is_over[key] = progress.is_over
        now.dropped[key] += progress.dropped
        now.first[key] = partials[0][0].first if partials else NEVER
        now.last[key] = partials[-1][0].first if partials else BEFORE_ALL
        waits = shape.absent[-1] and [partial[0].first for partial in partials if shape.is_complete(partial)]
        now.due[key] = min(waits) + shape.within + 1 if waits else NEVER
        if partials:
            now.partials[str(key)] = partials
        else:
            now.partials.pop(str(key), None)

    def _told(self, key: int, progress: Progress) -> Iterator[Found]:
        """Yield the matches that were found since, and forget them."""
        for match in progress.matches:
            told = {name: _said(taken) for name, taken in zip(self._called, match.taken, strict=True)}
            yield Found(key, HAPPENED, match.time, match.taken[-1].value, told)
        progress.matches.clear()


def _said(taken: Taken) -> dict[str, Any]:
    """Return what is told of a step."""
    value = taken.value
    if isinstance(value, float) and not np.isfinite(value):
        value = str(value)  # JSON has no such number
    told = {"time": format_time(taken.time), "value": value}
    return told if taken.samples == 1 else {"first": format_time(taken.first), **told, "count": taken.samples}
