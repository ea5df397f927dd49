"""What a rule does, in plain words."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from analytics.events.rules import documents as doc
from archiver.model import format_duration

Say = Callable[[str], str]
"""Tells an expression in words."""


def explained(rule: doc.Rule, say: Say) -> str:
    """Return what a rule does, as sentences.

    Parameters
    ----------
    rule : Rule
    say : callable
        Tells an expression in words.

    Examples
    --------
    >>> rule = doc.Stale(name="silent", kind="stale", elements=("T*",), after="5m")
    >>> explained(rule, str)
    'It looks at each of T* by itself. It comes when no sample came for 5m, and is gone with the next one.'
    """
    sentences = [_looks_at(rule), _WORDS[type(rule)](rule, say)]
    if isinstance(rule, doc.Latching) and (rule.on_delay or rule.off_delay):
        sentences.append(_delayed(rule))
    if rule.suppressed_by:
        sentences.append(f"It is suppressed while {say(rule.suppressed_by)}.")
    if rule.alarm:
        sentences.append(f"It raises an alarm of class {rule.alarm}.")
    if rule.lateness_ns:
        sentences.append(f"Samples may come {format_duration(rule.lateness_ns)} late.")
    return " ".join(sentences)


def _looks_at(rule: doc.Rule) -> str:
    if rule.elements is not None:
        return f"It looks at each of {_listed(rule.elements)} by itself."
    inputs = [f"{name} ({_listed(patterns)})" for name, patterns in (rule.inputs or {}).items()]
    return f"It looks at {_listed(inputs)} together."


def _delayed(rule: doc.Latching) -> str:
    parts = []
    if rule.on_delay:
        parts.append(f"it comes once that has held for {format_duration(rule.on_delay)} without a break")
    if rule.off_delay:
        parts.append(f"it is gone once that has not held for {format_duration(rule.off_delay)}")
    told = ", and ".join(parts)
    return f"{told[0].upper()}{told[1:]}."


def _threshold(rule: doc.Threshold, say: Say) -> str:
    return f"It comes when the value is {_beyond(rule)}, and is gone when it is back{_back(rule.hysteresis)}."


def _beyond(rule: doc.Banded | doc.Aggregate) -> str:
    limits = [("above", rule.above), ("below", rule.below)]
    return " or ".join(f"{word} {limit:g}" for word, limit in limits if limit is not None)


def _back(hysteresis: float) -> str:
    return f" by {hysteresis:g}" if hysteresis else ""


def _condition(rule: doc.Condition, say: Say) -> str:
    gone = say(rule.until) if rule.until else "that is not so any more"
    return f"It comes when {say(rule.when)}, and is gone when {gone}."


def _rate(rule: doc.Rate, say: Say) -> str:
    limits = [("rises", rule.rises), ("falls", rule.falls)]
    told = " or ".join(f"{word} by more than {limit:g} in a second" for word, limit in limits if limit is not None)
    over = f", looked at over {format_duration(rule.over)}" if rule.over else ", from sample to sample"
    return f"It comes when the value {told}{over}."


def _deviation(rule: doc.Deviation, say: Say) -> str:
    back = f", and is gone when they are closer by {rule.hysteresis:g}" if rule.hysteresis else ""
    return f"It comes when the values lie more than {rule.more_than:g} apart{back}."


def _vote(rule: doc.Vote, say: Say) -> str:
    return f"It comes when for at least {rule.at_least} of them {say(rule.when)}."


def _stale(rule: doc.Stale, say: Say) -> str:
    return f"It comes when no sample came for {format_duration(rule.after)}, and is gone with the next one."


def _unchanged(rule: doc.Unchanged, say: Say) -> str:
    by = f" by more than {rule.tolerance:g}" if rule.tolerance else ""
    return (
        f"It comes when the value has not changed{by} for {format_duration(rule.after)}, and is gone when it changes."
    )


def _absence(rule: doc.Absence, say: Say) -> str:
    return f"It happens when {say(rule.when)}, and not within {format_duration(rule.within)} {say(rule.expect)}."


def _sequence(rule: doc.Sequence, say: Say) -> str:
    steps = ", then ".join(_step(step, say) for step in rule.steps)
    once = "" if rule.every else " It happens once."
    return f"It happens when {steps}, all within {format_duration(rule.within)}.{once}"


def _step(step: doc.SequenceStep, say: Say) -> str:
    most = step.at_most or step.at_least
    times = f"{step.at_least}" if most == step.at_least else f"{step.at_least} to {most}"
    return (
        f"{'without that ' if step.absent else ''}{say(step.when)} ({step.name}"
        f"{f', {times} times' if most > 1 else ''})"
    )


def _count(rule: doc.Count, say: Say) -> str:
    what = f"samples where {say(rule.when)}" if rule.when else "samples"
    if rule.turns is not None:
        what = f"turns of the value by more than {rule.turns:g}" if rule.turns else "turns of the value"
    return f"It comes when there were more than {rule.more_than} {what} in {format_duration(rule.within)}."


def _aggregate(rule: doc.Aggregate, say: Say) -> str:
    every = f", every {format_duration(rule.every)}" if rule.every else ", one after the other"
    made = f"the {rule.of} over {format_duration(rule.over)}{every}"
    if rule.above is None and rule.below is None:
        return f"It tells {made}."
    return f"It comes when {made}, is {_beyond(rule)}, and is gone when it is back{_back(rule.hysteresis)}."


def _states(rule: doc.States, say: Say) -> str:
    moves = []
    for move in rule.transitions:
        why = [f"when {say(move.when)}"] if move.when else []
        why += [f"after {format_duration(move.after)}"] if move.after else []
        moves.append(f"from {move.source} to {move.target} {' '.join(why)}")
    return f"It is {rule.initial} at first, and goes {'; '.join(moves)}."


def _first_out(rule: doc.FirstOut, say: Say) -> str:
    told = [f"{name} ({say(condition)})" for name, condition in rule.conditions.items()]
    return f"It comes with the first of {_listed(told)}, says which one that was, and is gone when none is left."


def _listed(parts: Any) -> str:
    *most, last = parts
    return f"{', '.join(most)} and {last}" if most else str(last)


_WORDS: Mapping[type[doc.Rule], Callable[[Any, Say], str]] = {
    doc.Threshold: _threshold,
    doc.Condition: _condition,
    doc.Rate: _rate,
    doc.Deviation: _deviation,
    doc.Vote: _vote,
    doc.Stale: _stale,
    doc.Unchanged: _unchanged,
    doc.Absence: _absence,
    doc.Sequence: _sequence,
    doc.Count: _count,
    doc.Aggregate: _aggregate,
    doc.States: _states,
    doc.FirstOut: _first_out,
}
