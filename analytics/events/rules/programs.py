"""From a rule as it is written to what runs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from analytics.events.engine import Program
from analytics.events.expressions import Expression, ExpressionError, Shape, Wanted
from analytics.events.first_out import FirstOut
from analytics.events.latch import Latch
from analytics.events.machine import Machine, Transition
from analytics.events.matching import Inputs, Pattern
from analytics.events.operator import Operator, Signal
from analytics.events.patterns.absence import Absence
from analytics.events.patterns.count import Count
from analytics.events.patterns.occurrences import EverySample, Occurrences, Whenever
from analytics.events.patterns.sequence import Sequence, Step
from analytics.events.patterns.turns import Turns
from analytics.events.rules import documents as doc
from analytics.events.rules.words import explained
from analytics.events.signals.condition import Condition
from analytics.events.signals.deviation import Deviation
from analytics.events.signals.rate import Rate
from analytics.events.signals.stale import Stale
from analytics.events.signals.suppression import Suppression
from analytics.events.signals.threshold import Band, Threshold
from analytics.events.signals.unchanged import Unchanged
from analytics.events.signals.vote import Vote
from analytics.events.windows import Aggregate, Beyond, Windows
from archiver.model import ConfigurationError, InvalidInputError

Read = Callable[..., Expression]
"""Reads the expression of a key of the rule, knowing the rule's inputs by name, or other names."""


def program_of(rule: doc.Rule) -> Program:
    """Return what runs a rule.

    Raises
    ------
    ConfigurationError
        Its expressions or inputs are wrong: every problem, each with key, value and fix.
    """
    return _Making(rule).program()


def words_of(rule: doc.Rule) -> str:
    """Return what a rule does, as sentences. Raises as `program_of`."""
    program_of(rule)
    making = _Making(rule)
    names = {**making.names, **{step.name: Shape.ANY for step in getattr(rule, "steps", ())}}
    return explained(rule, lambda text: Expression.parse(text, {**names, doc.SINGLE: Shape.ANY}).words())


class _Making:
    """Makes one program, and collects what is wrong with the rule."""

    def __init__(self, rule: doc.Rule) -> None:
        self._rule = rule
        self._problems: list[str] = []
        self.names = dict.fromkeys(rule.sources, Shape.ANY)

    def program(self) -> Program:
        rule, inputs = self._rule, None
        try:
            patterns = {name: [Pattern(text) for text in texts] for name, texts in rule.sources.items()}
            inputs = Inputs(patterns, each=rule.elements is not None)
        except InvalidInputError as exc:
            self._problems.append(f"rule {rule.name}: inputs: {exc}")
        operator = _OPERATORS[type(rule)](rule, self._read, tuple(self.names))  # what it read wrong is never run
        if rule.suppressed_by is not None:
            by = self._read("suppressed_by", rule.suppressed_by)
            operator = operator and by and Suppression(operator, Condition(tuple(self.names), by))
        if self._problems or inputs is None or operator is None:
            raise ConfigurationError(self._problems)
        return Program(rule.name, inputs, operator, rule.lateness_ns, rule.version)

    def _read(self, key: str, text: str, names: Mapping[str, Shape] | None = None) -> Any:
        """Return an expression, or None and note what is wrong with it."""
        try:
            return Expression.parse(text, self.names if names is None else names, Wanted.CONDITION)
        except ExpressionError as exc:
            self._problems.append(f"rule {self._rule.name}: {key} = {text!r}: {exc}")
            return None


def _latched(rule: doc.Latching, signal: Signal) -> Operator:
    return Latch(signal, rule.on_delay, rule.off_delay)


def _threshold(rule: doc.Threshold, read: Read, names: tuple[str, ...]) -> Operator:
    return _latched(rule, Threshold(Band(rule.above, rule.below, rule.hysteresis)))


def _condition(rule: doc.Condition, read: Read, names: tuple[str, ...]) -> Operator:
    until = None if rule.until is None else read("until", rule.until)
    return _latched(rule, Condition(names, read("when", rule.when), until))


def _rate(rule: doc.Rate, read: Read, names: tuple[str, ...]) -> Operator:
    return _latched(rule, Rate(rule.rises, rule.falls, rule.over))


def _deviation(rule: doc.Deviation, read: Read, names: tuple[str, ...]) -> Operator:
    return _latched(rule, Deviation(rule.more_than, rule.hysteresis))


def _vote(rule: doc.Vote, read: Read, names: tuple[str, ...]) -> Operator:
    return _latched(rule, Vote(read("when", rule.when, {doc.SINGLE: Shape.ANY}), rule.at_least))


def _stale(rule: doc.Stale, read: Read, names: tuple[str, ...]) -> Operator:
    return Latch(Stale(rule.after))


def _unchanged(rule: doc.Unchanged, read: Read, names: tuple[str, ...]) -> Operator:
    return Latch(Unchanged(rule.after, rule.tolerance))


def _count(rule: doc.Count, read: Read, names: tuple[str, ...]) -> Operator:
    counted: Occurrences = EverySample()
    if rule.turns is not None:
        counted = Turns(rule.turns)
    elif rule.when is not None:
        counted = Whenever(names, read("when", rule.when))
    return _latched(rule, Count(counted, rule.more_than, rule.within))


def _aggregate(rule: doc.Aggregate, read: Read, names: tuple[str, ...]) -> Operator:
    windows = Windows(rule.of, rule.over, rule.every or rule.over)
    if rule.above is None and rule.below is None:
        return Aggregate(windows)
    return _latched(rule, Beyond(windows, Band(rule.above, rule.below, rule.hysteresis)))


def _absence(rule: doc.Absence, read: Read, names: tuple[str, ...]) -> Operator:
    return Absence(names, read("when", rule.when), read("expect", rule.expect), rule.within)


def _sequence(rule: doc.Sequence, read: Read, names: tuple[str, ...]) -> Operator:
    offered = dict.fromkeys(names, Shape.ANY)
    steps = []
    for place, step in enumerate(rule.steps):
        own = {**offered, step.name: Shape.ANY}
        when = read(f"steps[{place}].when", step.when, own)
        steps.append(Step(step.name, when, step.absent, step.at_least, step.at_most or step.at_least))
        if not step.absent:
            offered = own
    return Sequence(
        names,
        steps,
        rule.within,
        contiguity=rule.contiguity,
        after_match=rule.after_match,
        resume=rule.resume,
        every=rule.every,
    )


def _states(rule: doc.States, read: Read, names: tuple[str, ...]) -> Operator | None:
    moves = [
        Transition(
            move.source,
            move.target,
            None if move.when is None else read(f"transitions[{place}].when", move.when),
            move.after,
        )
        for place, move in enumerate(rule.transitions)
    ]
    whole = all(made.when is not None for made, move in zip(moves, rule.transitions, strict=True) if move.when)
    return Machine(names, rule.initial, moves) if whole else None


def _first_out(rule: doc.FirstOut, read: Read, names: tuple[str, ...]) -> Operator:
    conditions = {name: read(f"conditions.{name}", text) for name, text in rule.conditions.items()}
    return FirstOut(names, conditions, rule.on_delay, rule.off_delay)


_OPERATORS: Mapping[type[doc.Rule], Callable[[Any, Read, tuple[str, ...]], Any]] = {
    doc.Threshold: _threshold,
    doc.Condition: _condition,
    doc.Rate: _rate,
    doc.Deviation: _deviation,
    doc.Vote: _vote,
    doc.Stale: _stale,
    doc.Unchanged: _unchanged,
    doc.Count: _count,
    doc.Aggregate: _aggregate,
    doc.Absence: _absence,
    doc.Sequence: _sequence,
    doc.States: _states,
    doc.FirstOut: _first_out,
}
