"""Who answers some elements that fare alike: time is cut where what a backend holds changes, and each piece placed."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from archiver.model import Interval
from archiver.model.holding import Cause, Holding, Lack
from archiver.query.costs import Costs, rank
from archiver.query.request import Missing
from archiver.query.ways import Ways

Healthy = Callable[[str], bool]
Classes = Callable[[Iterable[str], tuple[str, ...]], list[tuple[tuple[Holding, ...], list[str]]]]
Amount = Callable[[str, Interval], tuple[float, Interval] | None]
"""Gives, for a backend, how many samples of one element to expect in an interval, and where in it they lie."""
_BY_DESIGN = (Cause.RETENTION, Cause.BY_HAND, Cause.NOT_YET, Cause.NO_LONGER)
_EXACT, _THINNED, _SOME = range(3)


@dataclass(frozen=True)
class Known:
    """What is known of the backends before any of them is asked.

    Parameters
    ----------
    classes : callable
        Gives, for elements and names of groups (all when there are none), what the backends hold of them, those that
        fare alike together.
    healthy : callable
        Whether a backend is worth asking; those which are not are asked last.
    trouble : callable
        What is wrong with a backend, empty when nothing is.
    amount : callable, optional
        See `Amount`; it gives None where nobody counted. Without one the backends are asked how much they hold.
    costs : Costs
        Learns from every answer.
    ways : Ways
        Learns from every answer whether to have a backend aggregate.
    passed_on : callable
        Gives the backend that alone is given an element and cannot be read, empty when there is none.
    """

    classes: Classes
    healthy: Healthy = lambda name: True
    trouble: Callable[[str], str] = lambda name: ""
    amount: Amount | None = None
    costs: Costs = field(default_factory=Costs)
    passed_on: Callable[[str], str] = lambda name: ""
    ways: Ways = field(default_factory=Ways)

    def is_well(self, backend: str) -> bool:
        """Return whether a backend is healthy and did not fail a reader of late."""
        return self.healthy(backend) and not self.costs.is_shunned(backend)

    def expected(self, backend: str, interval: Interval, elements: int) -> tuple[float | None, float | None]:
        """Return rows and seconds that a part is expected to have; None where nothing is known."""
        each = None if self.amount is None else self.amount(backend, interval)
        rows = None if each is None else each[0] * elements
        return rows, self.costs.seconds(backend, rows)


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
    lacking : tuple of (str, Lack)
        What is missing if that backend is the one that answers.
    why : str
        The choice in words.
    """

    elements: tuple[str, ...]
    interval: Interval
    backends: tuple[str, ...]
    lacking: tuple[tuple[str, Lack], ...] = ()
    why: str = field(default="", compare=False)

    def lacks(self, backend: str) -> list[Lack]:
        """Return what is missing if a backend answers."""
        return [lack for name, lack in self.lacking if name == backend]


@dataclass(frozen=True)
class _Choice:
    backends: tuple[str, ...]
    lacking: tuple[tuple[str, Cause, str], ...]
    why: str = field(compare=False)
    missing: tuple[Cause, str] | None = None


def place(
    interval: Interval, holdings: Sequence[Holding], members: Sequence[str], names: Sequence[str], known: Known
) -> tuple[list[Step], list[Missing]]:
    """Return the steps that give some elements in an interval, and what nobody has.

    In each piece of time the backends that hold all of it come first, then those that hold what a smoothing left, then
    those that lack some; among equals the healthy, the quick (in doublings of the best), the first configured. Where
    all lack some, all are read.

    Parameters
    ----------
    holdings : sequence of Holding
        Of each of the elements.
    members : sequence of str
        Sorted.
    names : sequence of str
        Backends that can be read, in the order of the configuration.
    """
    chosen: list[tuple[Interval, _Choice]] = []
    for cell in _cells(interval, holdings):
        for choice in _choices(cell, holdings, len(members), names, known):
            chosen.append((cell, choice))  # noqa: PERF401 - two loops read better
    steps, missing = [], []
    for choice, cell in _joined(chosen):
        lacking = tuple((name, Lack(cell, cause, reason)) for name, cause, reason in choice.lacking)
        steps.append(Step(tuple(members), cell, choice.backends, lacking, choice.why))
        if choice.missing is not None:
            cause, reason = choice.missing
            missing.append(Missing(cell, "", reason, tuple(members), cause))
    return steps, list(dict.fromkeys(missing))


def _cells(interval: Interval, holdings: Sequence[Holding]) -> Iterator[Interval]:
    inside = {edge for holding in holdings for edge in holding.edges() if interval.start < edge < interval.end}
    edges = sorted({interval.start, interval.end, *inside})
    if len(edges) == 1:
        yield interval
    yield from itertools.starmap(Interval, itertools.pairwise(edges))


def _joined(chosen: list[tuple[Interval, _Choice]]) -> Iterator[tuple[_Choice, Interval]]:
    """Yield each choice with the time it is for, that of neighbours together."""
    spans: dict[_Choice, list[Interval]] = {}
    for cell, choice in chosen:
        known = spans.setdefault(choice, [])
        if known and known[-1].end == cell.start:
            known[-1] = Interval(known[-1].start, cell.end)
        else:
            known.append(cell)
    parts = [(span.start, span.end, number) for number, each in enumerate(spans.values()) for span in each]
    choices = list(spans)
    for start, end, number in sorted(parts):
        yield choices[number], Interval(start, end)


def _choices(
    cell: Interval, holdings: Sequence[Holding], elements: int, names: Sequence[str], known: Known
) -> list[_Choice]:
    present = [holding for holding in holdings if holding.configured and holding.backend in names]
    tiers: list[list[Holding]] = [[], [], []]
    for holding in present:
        tier = _EXACT if holding.is_exact(cell) else _THINNED if holding.is_thinned(cell) else _SOME
        tiers[tier].append(holding)
    best = next((tier for tier in tiers if tier), [])
    seconds = {h.backend: known.expected(h.backend, cell, elements)[1] for h in present} if len(present) > 1 else {}
    fastest = min((s for h in best if (s := seconds.get(h.backend)) is not None), default=None)

    def preference(holding: Holding) -> tuple[bool, int, int]:
        name = holding.backend
        return not known.is_well(name), rank(seconds.get(name), fastest), names.index(name)

    order = [holding for tier in tiers for holding in sorted(tier, key=preference)]
    lacking = _lacking(cell, tiers, [h for h in holdings if h not in present])
    backends = tuple(holding.backend for holding in order)
    if tiers[_EXACT] or tiers[_THINNED]:
        return [_Choice(backends, lacking, _why(cell, order, best, seconds, known))]
    gone = [lack for holding in holdings if holding not in present for lack in _removed(holding, cell)]
    causes = [*(cause for _, cause, _ in lacking), *(lack.cause for lack in gone)]
    reasons = [*(f"{name}: {reason}" for name, _, reason in lacking), *(lack.reason for lack in gone)]
    told = (causes[0], "; ".join(dict.fromkeys(reasons))) if causes else None
    return [_Choice((name,), (), "no backend has all of it: each is read", told) for name in backends]


def _lacking(cell: Interval, tiers: list[list[Holding]], absent: list[Holding]) -> tuple[tuple[str, Cause, str], ...]:
    """Return what is missing of a piece of time, by the backend that answers it."""
    found: list[tuple[str, Cause, str]] = []
    for holding in tiers[_THINNED]:
        if tiers[_EXACT]:
            found.append((holding.backend, Cause.SMOOTHED, "it has only what a smoothing left"))
            continue
        lost = [lack for other in tiers[_SOME] for lack in other.lacking(cell) if lack.cause not in _BY_DESIGN]
        lost += [lack for other in absent for lack in _removed(other, cell)]
        found += [(holding.backend, lack.cause, f"{lack.reason}; a smoothing's rest is given") for lack in lost]
    found += [(h.backend, lack.cause, lack.reason) for h in tiers[_SOME] for lack in h.lacking(cell)]
    return tuple(dict.fromkeys(found))


def _removed(holding: Holding, cell: Interval) -> list[Lack]:
    if not holding.is_thinned(cell):
        return []
    return [Lack(cell, Cause.REMOVED, f"{holding.backend} holds it, and is not in the configuration any more")]


def _why(
    cell: Interval, order: list[Holding], best: list[Holding], seconds: dict[str, float | None], known: Known
) -> str:
    """Return in words why the first is the first."""
    first = order[0].backend
    if len(order) == 1:
        return "it alone stores it"
    reasons = []
    for other in order[1:]:
        name = other.backend
        mine, its = seconds.get(first), seconds.get(name)
        if other not in best:
            lacks = other.lacking(cell)
            reasons.append(f"{name} {lacks[0].reason if lacks else 'has only what a smoothing left'}")
        elif known.is_well(first) and not known.is_well(name):
            reasons.append(f"{name} is not well{f' ({trouble})' if (trouble := known.trouble(name)) else ''}")
        elif mine is not None and its is not None and rank(its, mine) > 0:
            reasons.append(f"{name} is expected to take {its:.3g} s, it {mine:.3g} s")
        else:
            reasons.append(f"{name} would do as well and comes later in the configuration")
    return "; ".join(reasons)
