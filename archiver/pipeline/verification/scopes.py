"""What of two backends can be compared: which elements, in which groups of each, and in which time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

from archiver.model import ArchiveGroup, Interval, SampleBatch, format_duration
from archiver.model.time import DAY_NS, MAX_TIME, MIN_TIME
from archiver.pipeline.routing import Router
from archiver.pipeline.verification.report import Exemption
from archiver.ports import Backend, Coverage

Groups = tuple[str, ...]
_SEGMENT_ROWS = 2_000_000


@dataclass(frozen=True)
class Side:
    """One of the two backends.

    Parameters
    ----------
    backend : Backend
    router : Router
        Over its groups.
    held : SampleBatch
        What its smoothing had neither stored nor discarded yet, when the comparison began.
    """

    backend: Backend
    router: Router
    held: SampleBatch = field(default_factory=SampleBatch.empty)

    @property
    def name(self) -> str:
        """Name of the backend."""
        return self.backend.name


@dataclass(frozen=True)
class Scope:
    """Elements that are compared in the same way.

    Parameters
    ----------
    groups : tuple of two tuples of str
        The archive groups of the one and of the other that store them; none where one stores them no more.
    anywhere : tuple of two bool
        Whether a side has them in other groups only, of an earlier configuration: then all its groups are read.
    elements : tuple of str
    interval : Interval
    segment_ns : int
        The segments that it is compared by are multiples of this.
    rows : int
        Samples that the larger of both holds in these groups, about.
    """

    groups: tuple[tuple[str, ...], tuple[str, ...]]
    anywhere: tuple[bool, bool]
    elements: tuple[str, ...]
    interval: Interval
    segment_ns: int = DAY_NS
    rows: int = 0

    @property
    def label(self) -> tuple[str, ...]:
        """The groups that are named for it."""
        return tuple(dict.fromkeys(self.groups[0] + self.groups[1]))

    def read_from(self, index: int) -> tuple[str, ...] | None:
        """Return the groups that a side is asked for, None for all that it has."""
        return None if self.anywhere[index] else self.groups[index]

    def segments(self) -> Iterator[Interval]:
        """Yield the stretches that it is compared by: so long that each has some work in it."""
        start, end = self.interval.start, self.interval.end
        many = max(1, -(-self.rows // _SEGMENT_ROWS))
        length = max(1, -(-(end - start) // (many * self.segment_ns))) * self.segment_ns
        while start < end:
            stop = min((start // length + 1) * length, end)
            yield Interval(start, stop)
            start = stop


class Scoping:
    """Sorts elements into scopes, and says what cannot be compared.

    Parameters
    ----------
    sides : tuple of two Side
    interval : Interval
        As asked for.
    at : int
        Now, ns: what is older than a retention at this time is not compared.
    """

    def __init__(self, sides: tuple[Side, Side], interval: Interval, at: int) -> None:
        self._sides = sides
        self._interval = interval
        self._at = at
        self._coverage = [{part.group: part for part in side.backend.coverage()} for side in sides]
        self._present = [set(side.backend.elements()) for side in sides]
        self._alone: Counter[tuple[int, Groups]] = Counter()
        self._unlike: Counter[Groups] = Counter()
        self.exempt: list[Exemption] = []

    def scopes(self, elements: Sequence[str] | None) -> list[Scope]:
        """Return what is to be compared, of some elements or of all; `exempt` then says what is not."""
        names = sorted(self._present[0] | self._present[1] if elements is None else set(elements))
        found: dict[tuple[tuple[Groups, Groups], tuple[bool, bool]], list[str]] = {}
        for name in names:
            pairs = self._pairs(name)
            for pair in pairs:
                one, other = (len(pairs) == 1 and self._elsewhere(index, name) for index in (0, 1))
                found.setdefault((pair, (one, other)), []).append(name)
        self._explain()
        scopes = [self._bounded(Scope(*key, tuple(members), self._interval)) for key, members in found.items()]
        return [scope for scope in scopes if scope.interval.start < scope.interval.end]

    def _pairs(self, name: str) -> list[tuple[Groups, Groups]]:
        """Return the groups of both in which an element is compared: each that they share, else all against all."""
        one, other = (side.router.groups_of(name) for side in self._sides)
        shared = [group for group in one if group in other]
        if not shared and one and other:
            if len({self._group(0, g).smoothing for g in one} | {self._group(1, g).smoothing for g in other}) > 1:
                self._unlike[one + other] += 1
                return []
            return [(one, other)]
        if not shared and all(name in present for present in self._present):
            return [(one, other)]  # a side without a group stored it once
        for index, groups in enumerate((one, other)):
            rest = tuple(group for group in groups if group not in shared)
            if rest or (not one + other and name in self._present[index]):
                self._alone[index, rest] += 1
        return [((group,), (group,)) for group in shared]

    def _elsewhere(self, index: int, name: str) -> bool:
        """Whether a side has an element, and nothing in any group that is configured for it."""
        return name in self._present[index] and not any(
            group in self._coverage[index] for group in self._sides[index].router.groups_of(name)
        )

    def _group(self, index: int, name: str) -> ArchiveGroup:
        return self._sides[index].router.groups[name]

    def _explain(self) -> None:
        for (index, groups), count in self._alone.items():
            mine, other = self._sides[index].name, self._sides[1 - index].name
            where = f"{_words(groups)}, which {mine} stores and {other} does not" if groups else "no group any more"
            reason = f"{count} elements are in {where}"
            self.exempt.append(Exemption("group", mine, groups, reason))
        for groups, count in self._unlike.items():
            reason = f"{count} elements are smoothed differently in {_words(groups)}: other samples are kept of them"
            self.exempt.append(Exemption("smoothing", "", groups, reason))

    def _bounded(self, scope: Scope) -> Scope:
        """Return the scope within what is there, what a retention keeps, and the resolution that both have."""
        covers = [self._covers(index, scope.read_from(index)) for index in (0, 1)]
        everything = [*covers[0], *covers[1]]
        if not everything:
            return replace(scope, interval=Interval(0, 0))
        start = max(min(part.first for part in everything), self._interval.start)
        end = min(max(part.last for part in everything) + 1, self._interval.end)
        for index in (0, 1):
            if not scope.groups[index] and scope.groups[1 - index]:
                end = min(end, max(part.last for part in covers[index]) + 1)
                reason = f"it stores {_words(scope.label)} no more: compared up to its last sample"
                self.exempt.append(Exemption("group", self._sides[index].name, scope.label, reason))
        configured = [self._group(index, name) for index in (0, 1) for name in scope.groups[index]]
        start = self._kept(configured, start)
        step = max(side.backend.limits.resolution_ns for side in self._sides)
        start, end = max(start // step * step, MIN_TIME), min(-(-end // step) * step, MAX_TIME)
        length = -(-min((group.segment_ns for group in configured), default=DAY_NS) // step) * step
        rows = max(sum(part.rows for part in parts) for parts in covers)
        return replace(scope, interval=Interval(start, max(start, end)), segment_ns=length, rows=rows)

    def _kept(self, groups: Sequence[ArchiveGroup], start: int) -> int:
        """Return the time from which on no retention of these groups has dropped anything."""
        for group in dict.fromkeys(groups):
            cut = self._at - group.retention_ns
            if group.retention_ns and start < cut:
                kept = format_duration(group.retention_ns)
                reason = f"what is older than the retention of group {group.name}, {kept}, may be dropped in either"
                self.exempt.append(Exemption("retention", "", (group.name,), reason))
                start = cut
        return start

    def _covers(self, index: int, groups: Groups | None) -> list[Coverage]:
        held = self._coverage[index]
        return list(held.values()) if groups is None else [held[name] for name in groups if name in held]


def _words(groups: Groups) -> str:
    return f"group{'s' if len(groups) > 1 else ''} {', '.join(dict.fromkeys(groups))}"
