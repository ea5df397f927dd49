"""Sequences by search: every way in which samples can be taken for the steps, one decision after the other."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from analytics.checks.events.driver import Sample, Told
from analytics.events.event import HAPPENED
from archiver.model import format_time

Fits = Callable[[Sample, Mapping[str, Sample]], bool]
"""Whether a sample fits, given what the steps before took last, by name."""


class Stage(NamedTuple):
    """A step; see `analytics.events.patterns.sequence.Step`."""

    name: str
    fits: Fits
    absent: bool = False
    at_least: int = 1
    at_most: int = 1


class _Match(NamedTuple):
    """When it is told, whether a sample completes it, and what was taken for each step that is not absent."""

    time: int
    by_sample: bool
    taken: tuple[tuple[int, ...], ...]


@dataclass(frozen=True)
class Search:
    """A sequence; see `analytics.events.patterns.sequence.Sequence`."""

    stages: Sequence[Stage]
    within: int
    contiguity: str = "next"
    after_match: str = "past_last"
    resume: str | None = None
    every: bool = True

    def found(self, samples: Sequence[Sample]) -> list[Told]:
        """Return the matches in the samples of one instance."""
        stages = [stage for stage in self.stages if not stage.absent]
        matches = [
            match
            for place, sample in enumerate(samples)
            if stages[0].fits(sample, {})
            for match in self._matches(samples, ((place,),), place + 1)
        ]
        matches.sort(key=lambda match: (match.time, match.by_sample, match.taken[-1][-1] if match.by_sample else -1))
        kept: list[_Match] = []
        for match in matches:
            if not any(self._rules_out(other, match) for other in kept) and (self.every or not kept):
                kept.append(match)
        return [self._told(samples, match) for match in kept]

    def _matches(self, samples: Sequence[Sample], taken: tuple[tuple[int, ...], ...], place: int) -> Iterator[_Match]:
        """Yield the matches that begin with what was taken, `place` being the sample that is looked at next."""
        stages = [stage for stage in self.stages if not stage.absent]
        absent = self._absent(len(taken))
        enough = len(taken[-1]) >= stages[len(taken) - 1].at_least
        is_complete = enough and len(taken) == len(stages)
        deadline = samples[taken[0][0]].time + self.within
        if is_complete and not absent:
            yield _Match(samples[taken[-1][-1]].time, True, taken)
            return
        if place == len(samples) or samples[place].time > deadline:
            if is_complete:
                yield _Match(deadline, False, taken)
            return
        sample = samples[place]

        def chosen(count: int) -> dict[str, Sample]:
            pairs = zip(stages[:count], taken[:count], strict=True)
            return {stage.name: samples[places[-1]] for stage, places in pairs}

        if enough and any(stage.fits(sample, chosen(len(taken))) for stage in absent):
            return
        if self.contiguity == "strict" and not is_complete and place != taken[-1][-1] + 1:
            return
        took = False
        if not is_complete and enough and stages[len(taken)].fits(sample, chosen(len(taken))):
            took = True
            yield from self._matches(samples, (*taken, (place,)), place + 1)
        own = stages[len(taken) - 1]
        most = own.at_least if len(taken) == len(stages) else own.at_most
        goes_on = (not took or self.contiguity == "any") and len(taken[-1]) < most
        if goes_on and own.fits(sample, chosen(len(taken) - 1)):
            took = True
            yield from self._matches(samples, (*taken[:-1], (*taken[-1], place)), place + 1)
        if is_complete or self.contiguity == "any" or (self.contiguity == "next" and not took):
            yield from self._matches(samples, taken, place + 1)

    def _absent(self, place: int) -> list[Stage]:
        """Return the steps that must not come after so many that were taken."""
        taken = 0
        result = []
        for stage in self.stages:
            taken += not stage.absent
            if stage.absent and taken == place:
                result.append(stage)
        return result

    def _rules_out(self, earlier: _Match, match: _Match) -> bool:
        """Return whether a match is none as there was another one."""
        begun, first = match.taken[0][0], earlier.taken[0][0]
        if self.after_match == "to_next":
            return begun == first
        if self.after_match == "past_last":
            return first <= begun <= earlier.taken[-1][-1]
        if self.after_match == "to_first":
            names = [stage.name for stage in self.stages if not stage.absent]
            return first <= begun < earlier.taken[names.index(self.resume or "")][0]
        return False

    def _told(self, samples: Sequence[Sample], match: _Match) -> Told:
        told: dict[str, object] = {}
        stages = [stage for stage in self.stages if not stage.absent]
        for stage, places in zip(stages, match.taken, strict=True):
            last = samples[places[-1]]
            told[stage.name] = {
                **({"first": format_time(samples[places[0]].time)} if len(places) > 1 else {}),
                "time": format_time(last.time),
                "value": last.said if last.is_good else None,
                **({"count": len(places)} if len(places) > 1 else {}),
            }
        last = samples[match.taken[-1][-1]]
        return Told(HAPPENED, match.time, last.said if last.is_good else None, told)
