"""Which backend answers what: the decision, before anything is read."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass

from archiver.model import ArchiveGroup, Interval, NotFoundError, TransientError
from archiver.model.time import MAX_TIME
from archiver.ports import Readable, Readers
from archiver.query.request import Missing, Query

Healthy = Callable[[str], bool]


@dataclass(frozen=True)
class Step:
    """Some elements over some time, and who can answer: the first, or after an outage the next.

    Parameters
    ----------
    elements : tuple of str
        Sorted.
    interval : Interval
    backends : tuple of str
        At least one, in order of preference.
    """

    elements: tuple[str, ...]
    interval: Interval
    backends: tuple[str, ...]


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


def plan(
    query: Query,
    readers: Readers,
    *,
    groups: Mapping[str, ArchiveGroup] | None = None,
    healthy: Healthy | None = None,
) -> Plan:
    """Return which backend answers what.

    Ranges and a named backend are taken as they are. Otherwise each element is answered by the first reader that
    is healthy and stores it, and the others that store it stand by.

    Parameters
    ----------
    readers : mapping of name to Readable
        In the order of the configuration, which is the order of preference.
    groups : mapping of name to ArchiveGroup, optional
        Says which backend stores which element. Readers are asked about elements that no group takes.
    healthy : callable, optional
        Whether a backend is worth asking; those which are not are asked last.

    Raises
    ------
    NotFoundError
        The query names a backend that does not exist.
    TransientError
        Nothing can be answered: no backend could be asked what it stores.
    """
    elements = tuple(sorted(set(query.elements)))
    if query.backend is not None:
        _check(readers, query.backend)
        return Plan(query, elements, (Step(elements, query.interval, (query.backend,)),))
    if query.ranges:
        return _from_ranges(query, elements, readers)
    names = sorted(readers, key=lambda name: healthy is not None and not healthy(name))
    missing: list[Missing] = []
    placed = _placed_by_groups(query, elements, names, groups or {})
    unplaced = [element for element in elements if element not in placed]
    placed |= _placed_by_content(query, unplaced, names, readers, missing)
    if missing and not placed:
        raise TransientError(f"no backend could answer: {'; '.join(f'{m.backend} {m.reason}' for m in missing)}")
    by_backends = itertools.groupby(sorted(placed, key=lambda e: (placed[e], e)), key=placed.__getitem__)
    steps = tuple(Step(tuple(members), query.interval, backends) for backends, members in by_backends)
    return Plan(query, elements, steps, tuple(missing))


def held(reader: Readable, elements: Collection[str]) -> set[str]:
    """Return which of some elements have a sample at all."""
    return set(reader.last_before(sorted(elements), MAX_TIME).present()) if elements else set()


def _check(readers: Readers, name: str) -> None:
    if name not in readers:
        raise NotFoundError(f"no such backend: {name!r}; there are {', '.join(readers) or 'none'}")


def _from_ranges(query: Query, elements: tuple[str, ...], readers: Readers) -> Plan:
    steps: list[Step] = []
    for range_ in query.ranges:
        _check(readers, range_.backend)
        shared = range_.interval.intersect(query.interval)
        if shared is not None:
            steps.append(Step(elements, shared, (range_.backend,)))
    steps.sort(key=lambda step: (step.interval.start, step.interval.end))
    gaps = _gaps(query.interval, [step.interval for step in steps])
    missing = tuple(Missing(gap, "", "no range of the query names a backend for it") for gap in gaps)
    return Plan(query, elements, tuple(steps), missing)


def _gaps(whole: Interval, covered: Iterable[Interval]) -> list[Interval]:
    """Return what intervals, sorted by start, leave open."""
    gaps, reached = [], whole.start
    for interval in covered:
        if interval.start > reached:
            gaps.append(Interval(reached, interval.start))
        reached = max(reached, interval.end)
    return [*gaps, Interval(reached, whole.end)] if reached < whole.end else gaps


def _placed_by_groups(
    query: Query, elements: Iterable[str], names: list[str], groups: Mapping[str, ArchiveGroup]
) -> dict[str, tuple[str, ...]]:
    asked = [group for group in groups.values() if not query.groups or group.name in query.groups]
    result: dict[str, tuple[str, ...]] = {}
    for element in elements:
        stored = {backend for group in asked if group.matches(element) for backend in group.backends}
        backends = tuple(name for name in names if name in stored)
        if backends:
            result[element] = backends
    return result


def _placed_by_content(
    query: Query, elements: list[str], names: list[str], readers: Readers, missing: list[Missing]
) -> dict[str, tuple[str, ...]]:
    result: dict[str, tuple[str, ...]] = {}
    for name in names if elements else ():
        try:
            for element in held(readers[name], elements):
                result[element] = (*result.get(element, ()), name)
        except TransientError as exc:
            missing.append(Missing(query.interval, name, f"cannot be asked: {exc}", tuple(elements)))
    return result
