"""Rules tried on what is archived: what they would have found, and how many alarms a day that makes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from analytics.events.engine import Engine
from analytics.events.event import CAME, ELEMENT_PREFIX, HAPPENED, Event
from analytics.events.rehearsal import rehearse
from analytics.events.rules.documents import Rule
from analytics.events.rules.programs import program_of
from archiver.model import ConfigurationError, Interval, SampleBatch
from archiver.model.time import DAY_NS
from archiver.query import Query

Ask = Callable[[Query], Iterable[SampleBatch]]
"""Answers a query with samples."""

Progress = Callable[[int, int], None]
"""Is told how many nanoseconds of how many have been looked at."""


def try_out(
    rules: Sequence[Rule],
    names: Iterable[str],
    ask: Ask,
    interval: Interval,
    tell: Progress = lambda done, whole: None,
) -> Iterator[Event]:
    """Yield the events that rules would have found in an interval, in order; nothing is written and nobody is told.

    Parameters
    ----------
    rules : sequence of Rule
    names : iterable of str
        Elements that there are.
    ask : callable
    interval : Interval
    tell : callable

    Raises
    ------
    ConfigurationError
        A rule cannot run.
    """
    engine = Engine(_programs(rules))
    looked_at = [name for name in names if not name.startswith(ELEMENT_PREFIX) and engine.wants(name)]

    def read(span: Interval, before: int) -> SampleBatch:
        tell(span.start - interval.start, interval.end - interval.start)
        if not looked_at:
            return SampleBatch.empty()
        return SampleBatch.concat(list(ask(Query(tuple(looked_at), span, before=before))))

    yield from rehearse(engine, read, interval)


def summary(rules: Sequence[Rule], events: Iterable[Event], interval: Interval) -> list[dict[str, Any]]:
    """Return for each rule how many events of each kind there were, and how many alarms a day that makes."""
    kinds: dict[str, Counter[str]] = {rule.name: Counter() for rule in rules}
    keys: dict[str, set[str]] = {rule.name: set() for rule in rules}
    for event in events:
        kinds[event.rule][event.kind] += 1
        keys[event.rule].add(event.key)
    days = max(1, interval.end - interval.start) / DAY_NS
    return [
        {
            "rule": rule.name,
            "instances": len(keys[rule.name]),
            "events": dict(sorted(kinds[rule.name].items())),
            "alarms_per_day": round((kinds[rule.name][CAME] + kinds[rule.name][HAPPENED]) / days, 3),
        }
        for rule in rules
    ]


def _programs(rules: Sequence[Rule]) -> list[Any]:
    programs, problems = [], []
    for rule in rules:
        try:
            programs.append(program_of(rule))
        except ConfigurationError as exc:
            problems += exc.problems
    if problems:
        raise ConfigurationError(problems)
    return programs
