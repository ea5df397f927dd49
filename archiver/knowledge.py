"""What the archive knows of its backends, as the planner of queries needs it; and what the settings let anybody ask."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace

from archiver.config import QuerySettings
from archiver.model import Interval, format_time
from archiver.model.holding import Cause, Holding, Lack, without
from archiver.model.time import now
from archiver.pipeline.catalog import Catalog
from archiver.pipeline.dead_letters import DeadLetters, Refused
from archiver.pipeline.holdings import Holdings
from archiver.pipeline.lane import Lane
from archiver.pipeline.store import Snapshots
from archiver.query import Costs, Known
from archiver.query.limits import Limits

_COSTS = "costs"


def limits_of(settings: QuerySettings) -> Limits:
    """Return the limits that the settings say."""
    return Limits(
        elements=settings.max_elements,
        rows=settings.max_rows,
        seconds=settings.max_time / 1e9,
        caller_queries=settings.caller_queries,
        caller_rows_per_minute=settings.caller_rows_per_minute,
        hedge_s=settings.hedge_after / 1e9,
    )


class PlanningKnowledge:
    """Holdings from the lanes' book, refused samples from the dead letters, health and amounts from the lanes.

    Parameters
    ----------
    lanes : callable
        Gives the lanes now in force by backend.
    snapshots : Snapshots
        Where the learnt costs are kept over restarts.
    """

    def __init__(
        self,
        holdings: Holdings,
        dead_letters: DeadLetters,
        catalog: Catalog,
        lanes: Callable[[], Mapping[str, Lane]],
        snapshots: Snapshots,
    ) -> None:
        self._holdings = holdings
        self._dead_letters = dead_letters
        self._catalog = catalog
        self._lanes = lanes
        self._snapshots = snapshots
        saved = snapshots.load(_COSTS, "")
        costs = Costs(saved[1]) if saved is not None else Costs()
        self._members: dict[str, tuple[Lane, int, int]] = {}
        self.known = Known(self._classes, self._is_healthy, self._trouble, self._amount, costs, self._passed_on)

    def keep(self) -> None:
        """Keep the learnt costs for the next start."""
        self._snapshots.save(_COSTS, "", 0, self.known.costs.dump())

    def _classes(self, elements: Iterable[str], groups: tuple[str, ...]) -> list[tuple[tuple[Holding, ...], list[str]]]:
        refused = self._dead_letters.waiting()
        if not refused:
            return self._holdings.classes(elements, groups)
        found: list[tuple[tuple[Holding, ...], list[str]]] = []
        for holdings, members in self._holdings.classes(elements, groups):
            apart = [name for name in members if name in refused]
            plain = [name for name in members if name not in refused]
            found += [(holdings, plain)] if plain else []
            found += [(tuple(_less(holding, refused[name]) for holding in holdings), [name]) for name in apart]
        return found

    def _is_healthy(self, backend: str) -> bool:
        lane = self._lanes().get(backend)
        return lane is not None and lane.state == "running"

    def _trouble(self, backend: str) -> str:
        lane = self._lanes().get(backend)
        if lane is None:
            return "it is being exchanged"
        status = lane.status()
        parts = [status.last_error] if status.last_error else []
        if status.lag_samples and status.state != "running":
            since = format_time(now() - round(status.oldest_unflushed_s * 1e9))
            parts.append(f"its lane is behind since {since}, by {status.lag_samples} samples")
        return "; ".join(parts)

    def _amount(self, backend: str, interval: Interval) -> tuple[float, Interval] | None:
        lane = self._lanes().get(backend)
        return None if lane is None else lane.amounts.expected(interval, self._elements_of(backend, lane))

    def _passed_on(self, name: str) -> str:
        version = self._catalog.find(name)
        lanes = {} if version is None else self._lanes()
        storing = {name: lane for name, lane in lanes.items() if version and lane.router.groups_of(version.name)}
        return "" if any(lane.backend.limits.readable for lane in storing.values()) else next(iter(storing), "")

    def _elements_of(self, backend: str, lane: Lane) -> int:
        """Return how many elements of the catalogue a lane stores; counted when the catalogue or the lane changed."""
        count = len(self._catalog)
        known = self._members.get(backend)
        if known is None or known[0] is not lane or known[1] != count:
            stored = sum(1 for version in self._catalog.elements() if lane.router.groups_of(version.name))
            known = self._members[backend] = (lane, count, stored)
        return known[2]


def _less(holding: Holding, refused: Iterable[Refused]) -> Holding:
    """Return a holding without what its backend refused of the element."""
    for letter in refused:
        if letter.lane == holding.backend:
            span = Interval(letter.first, letter.last + 1)
            lack = Lack(span, Cause.DEAD_LETTERED, f"it refused samples: {letter.reason}")
            exact, thinned = without(holding.exact, span), without(holding.thinned, span)
            holding = replace(holding, exact=tuple(exact), thinned=tuple(thinned), lacks=(*holding.lacks, lack))
    return holding
