"""Which backend answers what: the decision, before anything is read."""

from __future__ import annotations

import itertools
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from archiver.model import ArchiveGroup, Interval, NotFoundError, TransientError, format_time
from archiver.model.holding import Cause, Holding, Lack, union, without
from archiver.model.time import ALWAYS, MAX_TIME, MIN_TIME
from archiver.ports import Readable, Readers
from archiver.query.choosing import Healthy, Known, Step, place
from archiver.query.request import Missing, Query


@dataclass(frozen=True)
class Plan:
    """The steps of a query, and what is known at once to be missing.

    Steps may overlap in elements and time; the merge gives each sample once.
    """

    query: Query
    elements: tuple[str, ...]
    steps: tuple[Step, ...]
    missing: tuple[Missing, ...] = ()

    @property
    def backends(self) -> tuple[str, ...]:
        """Names of the backends that are asked first."""
        return tuple(dict.fromkeys(step.backends[0] for step in self.steps))

    def to_dict(self, known: Known) -> dict[str, Any]:
        """Return it as plain values, with what it is expected to cost; seconds are of parts read at the same time."""
        expected = [known.expected(step.backends[0], step.interval, len(step.elements)) for step in self.steps]
        rows = [rows for rows, _ in expected if rows is not None]
        seconds = [seconds for _, seconds in expected if seconds is not None]
        return {
            **bounds(self.query.interval),
            "elements": list(self.elements),
            "steps": [
                _step_to_dict(step, *figures, self.elements) for step, figures in zip(self.steps, expected, strict=True)
            ],
            "missing": [missing_to_dict(missing) for missing in self.missing],
            "complete": not any(missing.is_partial for missing in self.missing),
            "rows": round(sum(rows)) if rows else None,
            "seconds": round(max(seconds), 6) if seconds else None,
        }


def bounds(interval: Interval) -> dict[str, str]:
    """Return the two ends of an interval as ISO-8601, by name."""
    return {"start": format_time(interval.start), "end": format_time(interval.end)}


def missing_to_dict(missing: Missing) -> dict[str, Any]:
    """Return what is missing as plain values."""
    return {
        "backend": missing.backend,
        **bounds(missing.interval),
        "cause": str(missing.cause),
        "reason": missing.reason,
        "elements": list(missing.elements),
    }


def plan(
    query: Query,
    readers: Readers,
    *,
    groups: Mapping[str, ArchiveGroup] | None = None,
    healthy: Healthy | None = None,
    known: Known | None = None,
) -> Plan:
    """Return which backend answers what.

    Ranges and a named backend are taken as they are. Otherwise time is cut where what the backends hold changes, and
    each piece is answered by the best that holds it (`archiver.query.choosing.place`); the others stand by.

    Parameters
    ----------
    readers : mapping of name to Readable
        In the order of the configuration, which is the order of preference among equals.
    groups, healthy
        Make what is known, where `known` is left out: a backend has everything of the groups that it stores.
    known : Known, optional
        What is known of the backends. Readers are asked about elements of which nothing is known.

    Raises
    ------
    NotFoundError
        The query names a backend that does not exist.
    TransientError
        Nothing can be answered: no backend could be asked what it stores.
    """
    known = known or known_from(groups or {}, healthy)
    elements = tuple(sorted(set(query.elements)))
    if query.backend is not None:
        _check(readers, query.backend)
        step = Step(elements, query.interval, (query.backend,), why="the query names it")
        return Plan(query, elements, (step,), tuple(_shortfalls(query, [step], elements, known)))
    if query.ranges:
        return _from_ranges(query, elements, readers, known)
    return _from_holdings(query, elements, readers, known)


def plan_before(planned: Plan, time: int, elements: Iterable[str], readers: Readers, known: Known) -> tuple[Step, ...]:
    """Return who gives the last values of some elements before a time (ns): the same choice, over all time before."""
    query = planned.query
    if query.ranges:
        return planned.steps
    whole = replace(query, elements=tuple(elements), interval=Interval(MIN_TIME, time), complete=False)
    return plan(whole, readers, known=known).steps


def known_from(groups: Mapping[str, ArchiveGroup], healthy: Healthy | None = None) -> Known:
    """Return what the configuration says alone: each backend of a group has everything of it."""

    def classes(elements: Iterable[str], asked: tuple[str, ...]) -> list[tuple[tuple[Holding, ...], list[str]]]:
        chosen = [group for group in groups.values() if not asked or group.name in asked]
        found: dict[frozenset[str], list[str]] = {}
        for element in elements:
            backends = frozenset(name for group in chosen if group.matches(element) for name in group.backends)
            found.setdefault(backends, []).append(element)
        return [(tuple(Holding(name, (ALWAYS,)) for name in sorted(names)), of) for names, of in found.items()]

    return Known(classes) if healthy is None else Known(classes, healthy)


def held(reader: Readable, elements: Collection[str]) -> set[str]:
    """Return which of some elements have a sample at all."""
    return set(reader.last_before(sorted(elements), MAX_TIME).present()) if elements else set()


def _check(readers: Readers, name: str) -> None:
    if name not in readers:
        raise NotFoundError(f"no such backend: {name!r}; there are {', '.join(readers) or 'none'}")


def _step_to_dict(step: Step, rows: float | None, seconds: float | None, elements: tuple[str, ...]) -> dict[str, Any]:
    return {
        "backend": step.backends[0],
        "stand_by": list(step.backends[1:]),
        **bounds(step.interval),
        "elements": [] if step.elements == elements else list(step.elements),
        "rows": None if rows is None else round(rows),
        "seconds": None if seconds is None else round(seconds, 6),
        "why": step.why,
    }


# -- as the query says ------------------------------------------------------------------------------------


def _from_ranges(query: Query, elements: tuple[str, ...], readers: Readers, known: Known) -> Plan:
    steps: list[Step] = []
    for range_ in query.ranges:
        _check(readers, range_.backend)
        shared = range_.interval.intersect(query.interval)
        if shared is not None:
            steps.append(Step(elements, shared, (range_.backend,), why="a range of the query names it"))
    steps.sort(key=lambda step: (step.interval.start, step.interval.end))
    gaps = _gaps(query.interval, [step.interval for step in steps])
    reason = "no range of the query names a backend for it"
    missing = [Missing(gap, "", reason, cause=Cause.NO_RANGE) for gap in gaps]
    return Plan(query, elements, tuple(steps), (*missing, *_shortfalls(query, steps, elements, known)))


def _gaps(whole: Interval, covered: Iterable[Interval]) -> list[Interval]:
    """Return what intervals, sorted by start, leave open."""
    gaps, reached = [], whole.start
    for interval in covered:
        if interval.start > reached:
            gaps.append(Interval(reached, interval.start))
        reached = max(reached, interval.end)
    return [*gaps, Interval(reached, whole.end)] if reached < whole.end else gaps


def _shortfalls(query: Query, steps: list[Step], elements: tuple[str, ...], known: Known) -> list[Missing]:
    """Return what the backends that a query names do not hold of what it asks them, and nobody else named holds."""
    missing: dict[tuple[Interval, str, Cause, str], list[str]] = {}
    for holdings, members in known.classes(elements, query.groups):
        by_name = {holding.backend: holding for holding in holdings}
        for step in steps if holdings else ():
            name = step.backends[0]
            others = [
                (other.interval, by_name[other.backends[0]])
                for other in steps
                if other is not step and other.backends[0] in by_name
            ]
            for lack in _lacks(by_name.get(name), step.interval):
                for rest in _left(lack.interval, others):
                    missing.setdefault((rest, name, lack.cause, lack.reason), []).extend(members)
    return [
        Missing(interval, name, reason, () if tuple(sorted(of)) == elements else tuple(sorted(of)), cause)
        for (interval, name, cause, reason), of in missing.items()
    ]


def _lacks(holding: Holding | None, interval: Interval) -> list[Lack]:
    if holding is None:
        return [Lack(interval, Cause.NOT_STORED, "it does not store this element")]
    return holding.lacking(interval)


def _left(interval: Interval, others: list[tuple[Interval, Holding]]) -> list[Interval]:
    """Return what of an interval is not held exactly by backends that are asked for it as well."""
    left = [interval]
    for asked, holding in others:
        for exact in holding.exact:
            if (shared := exact.intersect(asked)) is not None:
                left = without(left, shared)
    return left


# -- as the backends hold it ------------------------------------------------------------------------------


def _from_holdings(query: Query, elements: tuple[str, ...], readers: Readers, known: Known) -> Plan:
    steps: list[Step] = []
    missing: list[Missing] = []
    unplaced: list[str] = []
    names = list(readers)
    for holdings, members in known.classes(elements, query.groups):
        if not any(holding.configured and holding.backend in readers for holding in holdings):
            unplaced += members
            missing += [m for holding in holdings for m in _gone(holding, query.interval, members)]
            continue
        placed, lacking = place(query.interval, holdings, members, names, known)
        steps += placed
        missing += lacking
    outages: list[Missing] = []
    steps += _placed_by_content(query, unplaced, readers, known, outages)
    if outages and not steps:
        raise TransientError(f"no backend could answer: {'; '.join(f'{m.backend} {m.reason}' for m in outages)}")
    steps.sort(key=lambda step: (step.interval.start, step.elements[:1]))
    missing += [
        Missing(lack.interval, step.backends[0], lack.reason, step.elements, lack.cause)
        for step in steps
        for lack in step.lacks(step.backends[0])
    ]
    told = [replace(m, elements=()) if m.elements == elements else m for m in missing]
    return Plan(query, elements, tuple(steps), (*told, *outages))


def _gone(holding: Holding, interval: Interval, members: Sequence[str]) -> list[Missing]:
    spans = [span.intersect(interval) for span in union([*holding.exact, *holding.thinned])]
    reason = "it holds this, and is not in the configuration any more"
    return [Missing(span, holding.backend, reason, tuple(members), Cause.REMOVED) for span in spans if span is not None]


def _placed_by_content(
    query: Query, elements: list[str], readers: Readers, known: Known, missing: list[Missing]
) -> list[Step]:
    """Return steps for elements of which nothing is known, by asking every backend which of them it has."""
    found: dict[str, tuple[str, ...]] = {}
    for name in sorted(readers, key=lambda name: not known.is_well(name)) if elements else ():
        try:
            for element in held(readers[name], elements):
                found[element] = (*found.get(element, ()), name)
        except TransientError as exc:
            missing.append(Missing(query.interval, name, f"cannot be asked: {exc}", tuple(elements)))
    by_backends = itertools.groupby(sorted(found, key=lambda e: (found[e], e)), key=found.__getitem__)
    why = "it has samples, though no group of the configuration says so"
    return [Step(tuple(members), query.interval, backends, why=why) for backends, members in by_backends]
