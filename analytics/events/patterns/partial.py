"""Partial matches of a sequence in one instance: how a sample takes them on, and which of them end.

A partial match is a tuple of what was taken for each step by now. This is the automaton of a sequence without anything
of columns: what a sample is to a step is asked for.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, NamedTuple

Contiguity = Literal["strict", "next", "any"]
AfterMatch = Literal["past_last", "to_next", "no_skip", "to_first"]


class Taken(NamedTuple):
    """What was taken for a step: one sample, or the last of several.

    Parameters
    ----------
    samples : int
        How many.
    first, time : int
        Times of the first one and of the last one, ns.
    first_place, place : int
        Their places among all samples of the instance.
    number, text, good, status
        Of the last one, as in `Values`.
    """

    samples: int
    first: int
    time: int
    first_place: int
    place: int
    number: float
    text: str | None
    good: bool
    status: int

    def then(self, sample: Taken) -> Taken:
        """Return it with one more sample."""
        return sample._replace(samples=self.samples + 1, first=self.first, first_place=self.first_place)

    @property
    def value(self) -> float | str | None:
        """What the last one says: a number or a text; None where it is not good."""
        if not self.good:
            return None
        return self.number if self.text is None else self.text


Partial = tuple[Taken, ...]
Fits = Callable[[int, Partial], bool]
"""Says whether the sample that is looked at fits a step, given a partial match: by number among all steps."""


class Match(NamedTuple):
    """A match, and when it was complete, ns."""

    time: int
    taken: Partial


@dataclass(frozen=True)
class Shape:
    """What a sequence consists of, and how it is matched; see `Sequence`.

    Parameters
    ----------
    steps : tuple of int
        Numbers of the steps that are taken, in order.
    absent : tuple of tuple of int
        Numbers of the steps that must not come before each of them, and after the last one: one more than `steps`.
    at_least, at_most : tuple of int
        How many samples each of `steps` takes.
    within : int
        ns.
    contiguity, after_match
    resume : int
        Which of `steps` ``to_first`` is about.
    every : bool
    most : int
        Partial matches at a time.
    """

    steps: tuple[int, ...]
    absent: tuple[tuple[int, ...], ...]
    at_least: tuple[int, ...]
    at_most: tuple[int, ...]
    within: int
    contiguity: Contiguity = "next"
    after_match: AfterMatch = "past_last"
    resume: int = 0
    every: bool = True
    most: int = 1000

    @property
    def is_patient(self) -> bool:
        """Whether a sample that fits none but the first step leaves partial matches as they are."""
        return self.contiguity != "strict" and self.at_most[0] == 1

    def is_complete(self, partial: Partial) -> bool:
        """Return whether nothing more is to be taken."""
        return len(partial) == len(self.steps) and partial[-1].samples >= self.at_least[-1]

    def fits_next(self, fits: Fits, partial: Partial) -> bool:
        """Return whether a sample can be taken for the next step."""
        place = len(partial)
        return partial[-1].samples >= self.at_least[place - 1] and fits(self.steps[place], partial)

    def fits_again(self, fits: Fits, partial: Partial) -> bool:
        """Return whether a sample can be taken for the last step once more."""
        place = len(partial) - 1
        most = self.at_most[place] if place + 1 < len(self.steps) else self.at_least[place]
        return partial[-1].samples < most and fits(self.steps[place], partial[:-1])

    def ends(self, fits: Fits, partial: Partial) -> bool:
        """Return whether a sample is one that must not come now."""
        if partial[-1].samples < self.at_least[len(partial) - 1]:
            return False
        return any(fits(step, partial) for step in self.absent[len(partial)])


class Progress:
    """The partial matches of one instance, oldest first, as samples come.

    Parameters
    ----------
    shape : Shape
    partials : list of Partial
        Becomes its own.
    is_over : bool
        There was a match, and no other is looked for.

    Attributes
    ----------
    matches : list of Match
        Found by now.
    dropped : int
        Partial matches that were given up by now, as there were too many.
    """

    def __init__(self, shape: Shape, partials: list[Partial], *, is_over: bool = False) -> None:
        self._shape = shape
        self.partials = partials
        self.is_over = is_over
        self.matches: list[Match] = []
        self.dropped = 0

    def pass_to(self, time: int) -> None:
        """End what has lasted too long before a time, ns: what was complete but for what must not come is a match."""
        end = time - self._shape.within
        while self.partials and self.partials[0][0].first < end:
            oldest = self.partials.pop(0)
            if self._shape.is_complete(oldest):
                self._match(oldest[0].first + self._shape.within, oldest)

    def take(self, sample: Taken, fits: Fits, *, may_go_on: bool = True) -> None:
        """Take a sample on; what has lasted too long before it has ended.

        Parameters
        ----------
        sample : Taken
        fits : callable
        may_go_on : bool
            Whether it may fit a step of a partial match.
        """
        if self.is_over:
            return
        complete: list[Partial] = []
        going: list[Partial] = []
        if not may_go_on:
            going, self.partials = self.partials, []
        for partial in self.partials:
            for after in self._taken(partial, sample, fits):
                (complete if after is not partial and self._is_match(after) else going).append(after)
        if fits(self._shape.steps[0], ()):
            begun = (sample,)
            (complete if self._is_match(begun) else going).append(begun)
        self.partials = going
        while complete and not self.is_over:
            first = complete.pop(0)
            complete = self._match(sample.time, first, complete)
        over = len(self.partials) - self._shape.most
        if over > 0:
            self.dropped += over
            del self.partials[:over]

    def _taken(self, partial: Partial, sample: Taken, fits: Fits) -> list[Partial]:
        """Return what becomes of a partial match: nothing, or one or more that stand in its place."""
        shape = self._shape
        if shape.ends(fits, partial):
            return []
        if shape.is_complete(partial):
            return [partial]
        if shape.contiguity == "strict" and sample.place != partial[-1].place + 1:
            return []
        onwards = []
        if len(partial) < len(shape.steps) and shape.fits_next(fits, partial):
            onwards.append((*partial, sample))
        if (not onwards or shape.contiguity == "any") and shape.fits_again(fits, partial):
            onwards.append((*partial[:-1], partial[-1].then(sample)))
        stays = shape.contiguity == "any" or (not onwards and shape.contiguity == "next")
        return [*onwards, partial] if stays else onwards

    def _is_match(self, partial: Partial) -> bool:
        return self._shape.is_complete(partial) and not self._shape.absent[-1]

    def _match(self, time: int, match: Partial, others: list[Partial] | None = None) -> list[Partial]:
        """Note a match; return which others of its time are left, and leave as many partial ones."""
        self.matches.append(Match(time, match))
        if not self._shape.every:
            self.is_over, self.partials = True, []
            return []
        self.partials = [partial for partial in self.partials if self._may_be(partial, match)]
        return [partial for partial in others or [] if self._may_be(partial, match)]

    def _may_be(self, partial: Partial, match: Partial) -> bool:
        """Return whether a partial match goes on after a match."""
        begun, first = partial[0].first_place, match[0].first_place
        match self._shape.after_match:
            case "no_skip":
                return True
            case "to_next":
                return begun != first
            case "past_last":
                return not first <= begun <= match[-1].place
        return not first <= begun < match[self._shape.resume].first_place
