"""What a rule document may say: a table per kind of rule, with what each key means."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from hashlib import blake2b
from typing import Annotated, Any, Literal, Self, get_args

from pydantic import BeforeValidator, Field, model_validator
from pydantic_core import PydanticCustomError

from analytics.events.event import CAME, GONE, HAPPENED, SUPPRESSED, UNSUPPRESSED
from analytics.events.matching import Pattern
from archiver.config.fields import Duration, LongerDuration, Table, lasting
from archiver.config.plugins import NAME
from archiver.model import InvalidInputError

RESERVED = (CAME, GONE, HAPPENED, SUPPRESSED, UNSUPPRESSED)
"""Kinds of events that no state is called."""
SECOND_NS = 1_000_000_000
SINGLE = "value"
"""Name of the input of a rule on single elements, whose fields expressions know by themselves."""


def _wrong(*problems: str) -> PydanticCustomError:
    """Return the error that `archiver.config.problems.explain` tells a line each of."""
    return PydanticCustomError("problems", "{problems}", {"problems": list(problems)})


def _listed(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


Patterns = Annotated[
    tuple[str, ...],
    BeforeValidator(_listed, json_schema_input_type=str | list[str]),
    Field(min_length=1, description="names with * ? and {captures}"),
]
Expression = Annotated[str, Field(min_length=1, json_schema_extra={"examples": ["value > 80.0 && good"]})]
"""Text of an expression, see docs/reference/expressions.md."""


class Rule(Table):
    """What every rule says.

    Either `elements`, each of which is an instance of the rule by itself, or `inputs`, by name, whose captures name the
    instances.
    """

    name: str = Field(pattern=NAME, description="letters, digits, _ and -")
    description: str = Field("", description="what it is for, for those who read the alarm")
    elements: Patterns | None = Field(None, description="the rule looks at each of these by itself")
    inputs: dict[str, Patterns] | None = Field(None, description="what the rule looks at together, by name")
    lateness: Duration | None = Field(
        None, description="how late samples may come; 0s for elements, 1s for inputs when left out"
    )
    suppressed_by: Expression | None = Field(None, description="while it is true, the alarm is suppressed by design")
    alarm: str | None = Field(None, description="class of the alarm that it raises; left out: events only")
    text: str = Field("", description="of the alarm; {key}, {value} and {rule} are filled in")
    enabled: bool = True

    @model_validator(mode="after")
    def _looks_at_something(self) -> Self:
        problems = []
        if (self.elements is None) == (self.inputs is None):
            told = "neither of them is there" if self.elements is None else "both are there"
            problems.append(f"elements: a rule has either elements or inputs; {told}")
        for key, patterns in self._patterns():
            for pattern in patterns:
                try:
                    Pattern(pattern)
                except InvalidInputError as exc:
                    problems.append(f"{key} = {pattern!r}: {exc}")
        problems += [
            f"inputs.{name}: is no name for an expression; use letters, digits and _"
            for name in self.inputs or {}
            if not name.isidentifier()
        ]
        if problems:
            raise _wrong(*problems)
        return self

    def _patterns(self) -> list[tuple[str, tuple[str, ...]]]:
        own = [("elements", self.elements)] if self.elements is not None else []
        return own + [(f"inputs.{name}", patterns) for name, patterns in (self.inputs or {}).items()]

    @property
    def sources(self) -> Mapping[str, tuple[str, ...]]:
        """The patterns by input."""
        return {SINGLE: self.elements} if self.elements is not None else (self.inputs or {})

    @property
    def lateness_ns(self) -> int:
        """How late samples may come, ns."""
        if self.lateness is not None:
            return self.lateness
        return 0 if self.elements is not None else SECOND_NS

    @property
    def version(self) -> str:
        """16 hexadecimal digits of what it says, whatever it is called or told as."""
        said = self.model_dump(mode="json", exclude={"name", "description", "text", "alarm", "enabled"})
        return blake2b(json.dumps(said, sort_keys=True).encode(), digest_size=8).hexdigest()


class Latching(Rule):
    """A rule whose condition comes and goes."""

    on_delay: Duration = lasting("0s", "how long it must hold before it came")
    off_delay: Duration = lasting("0s", "how long it must not hold before it is gone")


class Banded(Latching):
    """A rule with a limit above and a limit below."""

    above: float | None = Field(None, allow_inf_nan=False, description="it came when it is greater")
    below: float | None = Field(None, allow_inf_nan=False, description="it came when it is less")
    hysteresis: float = Field(0.0, ge=0, allow_inf_nan=False, description="how far back before it is gone")

    @model_validator(mode="after")
    def _has_a_limit(self) -> Self:
        if self.above is None and self.below is None:
            raise _wrong("above: missing; add it, or below")
        if (
            self.above is not None
            and self.below is not None
            and self.below + self.hysteresis > self.above - self.hysteresis
        ):
            told = f"below = {self.below!r}: with hysteresis it meets above = {self.above!r}, and would never be gone"
            raise _wrong(told)
        return self


class Threshold(Banded):
    """The value leaves a band."""

    kind: Literal["threshold"]


class Condition(Latching):
    """An expression is true."""

    kind: Literal["condition"]
    when: Expression = Field(description="it came when this is true")
    until: Expression | None = Field(None, description="it is gone when this is true; left out: when the other is not")


class Rate(Latching):
    """The value rises or falls too fast."""

    kind: Literal["rate"]
    rises: float | None = Field(None, gt=0, allow_inf_nan=False, description="by more than this in a second")
    falls: float | None = Field(None, gt=0, allow_inf_nan=False, description="by more than this in a second")
    over: Duration = lasting("0s", "looked back so far; 0s: from sample to sample")

    @model_validator(mode="after")
    def _has_a_limit(self) -> Self:
        if self.rises is None and self.falls is None:
            raise _wrong("rises: missing; add it, or falls")
        return self


class Deviation(Latching):
    """The values of one instance lie apart."""

    kind: Literal["deviation"]
    more_than: float = Field(ge=0, allow_inf_nan=False, description="the greatest less the least")
    hysteresis: float = Field(0.0, ge=0, allow_inf_nan=False, description="how far back before it is gone")


class Vote(Latching):
    """Some of several elements agree: k of n."""

    kind: Literal["vote"]
    when: Expression = Field(description="true of an element, called value, that votes for it")
    at_least: int = Field(ge=1, description="so many votes")


class Stale(Rule):
    """No sample came for a while."""

    kind: Literal["stale"]
    after: LongerDuration = Field(description="without a sample")


class Unchanged(Rule):
    """Samples came, but the value stayed."""

    kind: Literal["unchanged"]
    after: LongerDuration = Field(description="with the same value")
    tolerance: float = Field(0.0, ge=0, allow_inf_nan=False, description="a change by no more is none")


class Absence(Rule):
    """One thing was not followed by another in time."""

    kind: Literal["absence"]
    when: Expression = Field(description="what begins it, each time it becomes true")
    expect: Expression = Field(description="what must follow")
    within: LongerDuration


class SequenceStep(Table):
    """A step of a sequence."""

    name: str = Field(pattern=r"[A-Za-z_][A-Za-z0-9_]*", description="later steps know its sample by this name")
    when: Expression
    absent: bool = Field(False, description="it must not come between the step before and the one after")
    at_least: int = Field(1, ge=1, description="so many samples")
    at_most: int | None = Field(None, ge=1, description="and no more than this; left out: as at_least")

    @model_validator(mode="after")
    def _takes_some(self) -> Self:
        if self.at_most is not None and self.at_most < self.at_least:
            raise _wrong(f"at_most = {self.at_most}: is less than at_least = {self.at_least}")
        return self


class Sequence(Rule):
    """One thing, then another, in time."""

    kind: Literal["sequence"]
    steps: tuple[SequenceStep, ...] = Field(min_length=2)
    within: LongerDuration = Field(description="from the first step to the last")
    contiguity: Literal["strict", "next", "any"] = Field(
        "next", description="strict: sample after sample; next: others between are skipped; any: every combination"
    )
    after_match: Literal["past_last", "to_next", "no_skip", "to_first"] = Field(
        "past_last",
        description="where another match may begin: after the last sample, at any other sample than the first, "
        "anywhere, or where the step resume began",
    )
    resume: str | None = Field(None, description="name of a step, for after_match = to_first")
    every: bool = Field(True, description="again after a match; else once for each instance")

    @model_validator(mode="after")
    def _hangs_together(self) -> Self:
        problems = []
        if self.steps[0].absent:
            problems.append("steps[0].absent: a sequence begins with something that came")
        names = [*self.sources, *(step.name for step in self.steps)]
        problems += [
            f"steps: name = {name!r} is used {count} times; give each step its own, and none that of an input"
            for name, count in Counter(names).items()
            if count > 1
        ]
        later = [step.name for step in self.steps[1:] if not step.absent]
        if self.after_match == "to_first" and self.resume not in later:
            problems.append(f"resume = {self.resume!r}: name one of the later steps: {', '.join(later)}")
        if self.after_match != "to_first" and self.resume is not None:
            problems.append(f"resume = {self.resume!r}: goes with after_match = to_first; leave it out, or set that")
        if problems:
            raise _wrong(*problems)
        return self


class Count(Latching):
    """Something happened too often in a while."""

    kind: Literal["count"]
    when: Expression | None = Field(None, description="samples that are counted; left out: every one")
    turns: float | None = Field(
        None, ge=0, allow_inf_nan=False, description="counted is where the value turns back by more than this"
    )
    more_than: int = Field(ge=0)
    within: LongerDuration

    @model_validator(mode="after")
    def _counts_one_thing(self) -> Self:
        if self.when is not None and self.turns is not None:
            raise _wrong(f"turns = {self.turns!r}: a rule counts samples or turns; leave out this or when")
        return self


class Aggregate(Latching):
    """A number made of the samples of a while, again and again; with a limit, it came while the number is beyond."""

    kind: Literal["aggregate"]
    of: Literal["mean", "min", "max", "sum", "count", "std", "first", "last", "range"]
    over: LongerDuration = Field(description="length of a window")
    every: LongerDuration | None = Field(None, description="from window to window; left out: one after the other")
    above: float | None = Field(None, allow_inf_nan=False, description="it came when the number is greater")
    below: float | None = Field(None, allow_inf_nan=False, description="it came when the number is less")
    hysteresis: float = Field(0.0, ge=0, allow_inf_nan=False, description="how far back before it is gone")


class Transition(Table):
    """From one state to another."""

    source: str = Field(alias="from", description="state, or * for any")
    target: str = Field(alias="to")
    when: Expression | None = Field(None, description="left out: by time alone")
    after: Duration = lasting("0s", "how long it was in the state, at least")

    @model_validator(mode="after")
    def _happens(self) -> Self:
        if self.when is None and not self.after:
            raise _wrong("when: missing; add it, or after")
        return self


class States(Rule):
    """A state machine: an event for each state that is entered."""

    kind: Literal["states"]
    initial: str
    transitions: tuple[Transition, ...] = Field(min_length=1)
    alarm_states: tuple[str, ...] = Field((), description="states in which the alarm is there")

    @model_validator(mode="after")
    def _knows_its_states(self) -> Self:
        ends = {state for move in self.transitions for state in (move.source, move.target)} | {self.initial}
        taken = [state for state in ends if state in RESERVED]
        unknown = [state for state in self.alarm_states if state not in ends]
        problems = [f"transitions: no state can be called {state!r}; choose another name" for state in taken]
        problems += [
            f"alarm_states = {state!r}: no transition leads there; there are: {', '.join(sorted(ends - {'*'}))}"
            for state in unknown
        ]
        if self.alarm and not self.alarm_states:
            problems.append("alarm_states: missing; add it: states in which the alarm is there")
        if problems:
            raise _wrong(*problems)
        return self


class FirstOut(Latching):
    """Which of several conditions came first since none was there."""

    kind: Literal["first_out"]
    conditions: dict[str, Expression] = Field(min_length=2)


KINDS: dict[str, type[Rule]] = {
    get_args(model.model_fields["kind"].annotation)[0]: model
    for model in (
        *(Threshold, Condition, Rate, Deviation, Vote, Stale, Unchanged),
        *(Absence, Sequence, Count, Aggregate, States, FirstOut),
    )
}
"""Models by kind of rule."""
