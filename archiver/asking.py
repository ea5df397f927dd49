"""What an open archive can be asked: samples, and what became of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pyarrow as pa

from archiver.config import Settings
from archiver.knowledge import PlanningKnowledge, limits_of
from archiver.model import ForebayError, Interval, NotFoundError, SampleBatch, UnsupportedError, format_time
from archiver.model.holding import Cause
from archiver.model.time import ALWAYS, now
from archiver.pipeline.activity import activity
from archiver.pipeline.catalog import Catalog
from archiver.pipeline.dead_letters import DeadLetters
from archiver.pipeline.explain import Explanation, explain
from archiver.pipeline.keeper import Keeper
from archiver.pipeline.lane import Lane, LaneStatus
from archiver.pipeline.latest import Latest, last_of_each
from archiver.pipeline.ledger import HELD, Ledger, Outcome, Total
from archiver.pipeline.renames import RenamedReader
from archiver.pipeline.retention import HeldSegment, held_segments
from archiver.pipeline.routing import Router
from archiver.pipeline.tail import TailedBackend
from archiver.ports import Coverage, Journal
from archiver.query import Answer, Missing, Query, execute, expand, plan, values_at
from archiver.query.elements import is_glob
from archiver.query.limits import Callers


@dataclass(frozen=True)
class BackendState:
    """A backend as its lane sees it, and what it holds (nothing when it cannot be asked now).

    One that is not `readable` only passes samples on: there is no saying what it holds.
    """

    name: str
    kind: str
    lane: LaneStatus
    dead_letters: int
    coverage: tuple[Coverage, ...]
    readable: bool = True

    def to_row(self) -> dict[str, Any]:
        """Return name, kind, state, position, lag, oldest unflushed age, coverage and trouble as plain values."""
        return {
            "name": self.name,
            "kind": self.kind,
            "state": self.lane.state,
            "position": self.lane.position,
            "lag_samples": self.lane.lag_samples,
            "oldest_unflushed_s": round(self.lane.oldest_unflushed_s, 3),
            "samples": sum(part.rows for part in self.coverage) if self.readable else None,
            "first": format_time(min(part.first for part in self.coverage)) if self.coverage else None,
            "last": format_time(max(part.last for part in self.coverage)) if self.coverage else None,
            "dead_letters": self.dead_letters,
            "retries": self.lane.retries,
            "last_error": self.lane.last_error,
        }


class Asking:
    """The asking verbs of an archive; `archiver.bootstrap.Archive` has them, and puts in place what they ask.

    Attributes
    ----------
    on_answer : list of callables
        Told of every answer to a query before anybody reads it.
    """

    settings: Settings
    directory: Path
    catalog: Catalog
    ledger: Ledger
    dead_letters: DeadLetters
    journal: Journal
    lanes: dict[str, Lane]
    on_answer: list[Callable[[Answer], object]]
    _router: Router
    _callers: Callers
    _known: PlanningKnowledge
    _latest: Latest
    _keeper: Keeper

    def readers(self) -> dict[str, RenamedReader]:
        """Return the reading verbs of every backend that can be asked, the journal's tail over it, by name."""
        return {
            name: RenamedReader(TailedBackend(lane, self.journal), self.catalog.names)
            for name, lane in self.lanes.items()
            if lane.backend.limits.readable
        }

    def query(self, query: Query, caller: str = "") -> Answer:
        """Answer a query; aliases stand for the elements they name, globs for those in the catalogue that match.

        Parameters
        ----------
        caller : str
            Whose limits count, such as an address; nobody's when empty.

        Raises
        ------
        NotFoundError
            It names a backend or an archive group that does not exist, or a glob matches nothing.
        UnsupportedError
            It names a backend that only passes samples on.
        LimitError, QuotaError
            It, or its caller, asks for more than the settings allow.
        IncompleteError
            It requires a complete answer, and there is none.
        """
        limits = limits_of(self.settings.query)
        named = self._named(query)
        lease = self._callers.admit(caller, limits) if caller else None
        try:
            readers, known = self.readers(), self._known.known
            answer = execute(
                named, readers, known=known, limits=limits, hint=self._hint, lease=lease, states=self._states
            )
        except BaseException:  # also when it is interrupted: the caller has one query less on the way
            if lease is not None:
                lease.close()
            raise
        for tell in self.on_answer:
            tell(answer)
        return answer

    def plan(self, query: Query) -> dict[str, Any]:
        """Return who would answer a query, at what cost, and why, as plain values; nothing is read.

        Raises
        ------
        NotFoundError
            As `query` does.
        """
        known, named = self._known.known, self._named(query)
        return plan(replace(named, elements=named.all_elements), self.readers(), known=known).to_dict(known)

    def values_at(self, elements: Sequence[str], time: int, backend: str | None = None) -> SampleBatch:
        """Return the sample that held at an instant (ns), of each element that has one."""
        chosen = self.readers() if backend is None else {backend: self._reader(backend)}
        return values_at(self._chosen(elements), time, chosen, known=self._known.known)

    def latest(self, elements: Sequence[str] | None = None) -> SampleBatch:
        """Return the newest sample of each element, from memory."""
        chosen = None if elements is None else self._chosen(elements)
        names = None if chosen is None else [name for element in chosen for name in self.catalog.names(element)]
        rows = self._latest.get(names)
        renamed = self.catalog.canonical(rows)
        return rows if renamed is rows else last_of_each(renamed).sorted()

    def unknown(self, elements: Sequence[str], rows: SampleBatch) -> list[Missing]:
        """Return the names of which single values were asked and nobody ever heard, as a query's answer says it."""
        names = [name for name in self._chosen(elements) if self.catalog.find(name) is None]
        silent = sorted(set(names) - set(rows.present()))
        reason = "no backend has a sample of it"
        return [Missing(ALWAYS, "", reason + self._hint(name), (name,), Cause.UNKNOWN) for name in silent]

    def explain(self, element: str, interval: Interval) -> Explanation:
        """Return what became of the samples of an element in an interval."""
        self._keeper.absorb()
        return explain(
            self.catalog.names(element),
            interval,
            catalog=self.catalog,
            router=self._router,
            ledger=self.ledger,
            dead_letters=self.dead_letters,
            lanes=list(self.lanes.values()),
            readers=self.readers(),
            journal=self.journal,
        )

    def backend_states(self) -> list[BackendState]:
        """Return how every backend is doing."""
        states = []
        for settings in self.settings.backends:
            lane = self.lanes.get(settings.name)
            if lane is None:
                continue  # between two configurations: `reload` has yet to start it
            try:
                coverage = tuple(lane.backend.coverage()) if lane.position is not None else ()
            except ForebayError:
                coverage = ()  # it cannot be asked now: the lane's status says why
            count = self.dead_letters.count(settings.name)
            readable = lane.backend.limits.readable
            states.append(BackendState(settings.name, settings.kind, lane.status(), count, coverage, readable))
        return states

    def totals(self) -> list[Total]:
        """Return the ledger's counts by lane, group, outcome and reason, with what is buffered for each backend."""
        self._keeper.absorb()
        buffered = [
            Total(name, "", str(Outcome.BUFFERED), "", waiting)
            for name, lane in self.lanes.items()
            if (waiting := lane.status().lag_samples)
        ]
        held = [
            Total(name, group, str(Outcome.BUFFERED), HELD, batch.num_rows)
            for name, lane in self.lanes.items()
            if lane.committed is not None
            for group, batch in lane.committed[1].held().items()
        ]
        return self.ledger.totals() + buffered + held

    def segments(self, backend: str | None = None, group: str | None = None) -> list[HeldSegment]:
        """Return the segments that backends hold; see `held_segments`. Raises for a backend that there is not."""
        return held_segments(list(self.lanes.values()) if backend is None else [self._lane(backend)], group)

    def elements_of(self, backend: str) -> list[str]:
        """Return the present names of the elements of which a backend has samples, or soon will, sorted.

        Raises
        ------
        NotFoundError
            There is no such backend.
        UnsupportedError
            It only passes samples on.
        """
        stored, aliases = self._reader(backend).elements(), self.catalog.aliases()
        return sorted({aliases.get(name, name) for name in stored})

    def activity(self, elements: Sequence[str], interval: Interval) -> pa.Table:
        """Return how elements, by their present names, have been doing; see `archiver.pipeline.activity`."""
        self._keeper.absorb()
        accounts, aliases = self.ledger.accounts(interval=interval), self.catalog.aliases()
        named = [aliases.get(name, name) for name in accounts["element"].cast(pa.utf8()).to_pylist()]
        accounts = accounts.set_column(0, "element", pa.array(named, pa.utf8()))
        return activity(elements, self.latest(), accounts, interval, now())

    @property
    def groups(self) -> Router:
        """The archive groups in force."""
        return self._router

    # -- inside ---------------------------------------------------------------------------------------

    def _lane(self, backend: str) -> Lane:
        if backend not in self.lanes:
            raise NotFoundError(f"there is no backend {backend!r}; there are {', '.join(self.lanes)}")
        return self.lanes[backend]

    def _reader(self, backend: str) -> RenamedReader:
        self._check_readable(backend)
        readers = self.readers()
        if backend not in readers:
            raise NotFoundError(f"there is no backend {backend!r}; there are {', '.join(readers)}")
        return readers[backend]

    def _check_readable(self, *names: str | None) -> None:
        """Raise for backends that cannot be asked."""
        for name in names:
            if name in self.lanes and not self.lanes[name].backend.limits.readable:
                others = ", ".join(self.readers()) or "there is none"
                raise UnsupportedError(f"backend {name} only passes samples on; ask another one: {others}")

    def _check_groups(self, names: Sequence[str]) -> None:
        """Raise for groups that are neither configured nor held by any backend since they were."""
        unknown = set(names) - self._router.groups.keys()
        if unknown:
            unknown -= {part.group for lane in self.lanes.values() for part in lane.backend.coverage()}
        if unknown:
            there = ", ".join(self._router.groups)
            raise NotFoundError(f"there is no archive group {', '.join(sorted(unknown))}; there are {there}")

    def _named(self, query: Query) -> Query:
        self._check_groups(query.groups)
        self._check_readable(query.backend, *(range_.backend for range_ in query.ranges))
        where, join = query.where, query.join
        if where is not None:
            where = where.renamed({name: self._present(name) for name in where.elements})
        if join is not None and join.times_of is not None:
            join = replace(join, times_of=self._present(join.times_of))
        return replace(query, elements=self._chosen(query.elements), where=where, join=join)

    def _present(self, name: str) -> str:
        version = self.catalog.find(name)
        return name if version is None else version.name

    def _states(self, name: str) -> Mapping[int, str]:
        version = self.catalog.find(name)
        return {} if version is None else version.metadata.states

    def _chosen(self, patterns: Sequence[str]) -> tuple[str, ...]:
        """Return the present names of the elements that names, aliases and globs stand for."""
        found = [(text, self.catalog.find(text)) for text in patterns]
        names = tuple(text if version is None else version.name for text, version in found)
        if not any(version is None and is_glob(text) for text, version in found):
            return names
        return expand(names, [version.name for version in self.catalog.elements()])

    def _hint(self, name: str) -> str:
        return self.catalog.hint(name) if self.catalog.find(name) is None else ""
