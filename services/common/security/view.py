"""An archive as one caller has it: what is hidden is not there, and what it changes is in the audit log.

Routes get this, and never the `Archive` itself.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import Any, TypeVar

import pyarrow as pa

from archiver.asking import BackendState
from archiver.bootstrap import Archive
from archiver.config import GroupSettings
from archiver.model import ElementVersion, Interval, Metadata, NotFoundError, SampleBatch, format_time
from archiver.model.listing import Listing
from archiver.pipeline.copying import CopyReceipt
from archiver.pipeline.dead_letters import DeadLetter
from archiver.pipeline.explain import Explanation
from archiver.pipeline.intake import IntakeReceipt
from archiver.pipeline.ledger import Total
from archiver.pipeline.retention import HeldSegment
from archiver.pipeline.verification import Plan, Report
from archiver.ports import Segment
from archiver.query import Answer, Missing, Query
from archiver.security import AuditLog, Caller
from services.common.errors import ForbiddenError, UnauthorizedError
from services.common.security.sight import Sight

Progress = Callable[[int, int], None]
T = TypeVar("T")
_NAMED = 20
_RECHECK_S = 1.0


class View:
    """What a caller may see of an archive, and do to it.

    Parameters
    ----------
    archive : Archive
        Open.
    caller : Caller
    audit : AuditLog
    holds : callable
        Whether its credentials count still.
    """

    def __init__(
        self, archive: Archive, caller: Caller, audit: AuditLog, holds: Callable[[], bool] = lambda: True
    ) -> None:
        self._archive = archive
        self._audit = audit
        self._holds = holds
        self.caller = caller
        self.sight = Sight(archive, caller.principal.groups)

    # -- asking ---------------------------------------------------------------------------------------

    def elements(self) -> list[ElementVersion]:
        """Return the present version of every element, by name."""
        return self.sight.elements()

    def listing(self) -> Listing:
        """Return the same as what is worked out from them is kept by; see `Sight.listing`."""
        return self.sight.listing()

    def element(self, name: str) -> ElementVersion:
        """Return the present version of an element, by its name or an alias; see `Sight.get`."""
        return self.sight.get(name)

    def history(self, name: str) -> list[ElementVersion]:
        """Return all versions of an element, oldest first."""
        return self._archive.catalog.history(self.sight.get(name).name)

    def query(self, query: Query) -> Answer:
        """Answer a query; see `Archive.query`."""
        named = self._named(query)
        self._note_read("query", named.all_elements, query.interval)
        return self._archive.query(named, self._payer)

    def plan(self, query: Query) -> dict[str, Any]:
        """Return who would answer a query, at what cost, and why; see `Archive.plan`."""
        return self._archive.plan(self._named(query))

    def values_at(self, elements: Sequence[str], time: int, backend: str | None = None) -> SampleBatch:
        """Return the sample that held at an instant (ns), of each element that has one."""
        names = self.sight.chosen(elements)
        self._note_read("values-at", names, Interval(time, time))
        return self._archive.values_at(names, time, backend)

    def latest(self, elements: Sequence[str] | None = None) -> SampleBatch:
        """Return the newest sample of each element, from memory."""
        if elements is None and self.sight.is_whole:
            rows = self._archive.latest(None)
            self._note_read("latest", rows.elements)
            return rows
        names = [v.name for v in self.elements()] if elements is None else self.sight.chosen(elements)
        self._note_read("latest", names)
        return self._archive.latest(names)

    def unknown(self, elements: Sequence[str], rows: SampleBatch) -> list[Missing]:
        """Return which names of values that were asked for are those of no element; see `Archive.unknown`."""
        return self._archive.unknown(self.sight.chosen(elements), rows)

    def explain(self, element: str, interval: Interval) -> Explanation:
        """Return what became of the samples of an element in an interval."""
        name = self.sight.name_of(element)
        self._note_read("explain", [name], interval)
        return self._archive.explain(name, interval)

    def activity(self, pattern: str, interval: Interval) -> pa.Table:
        """Return how the elements that match a glob have been doing; see `Archive.activity`."""
        listing = self.listing()
        names = [listing.versions[place].name for place in listing.matching(pattern).tolist()]
        self._note_read("activity", names, interval)
        return self._archive.activity(names, interval)

    def watch(self, patterns: Sequence[str]) -> Callable[[str], bool]:
        """Return what says of which elements a caller who watches some gets samples; hidden ones never send any.

        Once the caller's credentials have ended it raises `UnauthorizedError`.
        """
        listing = self.listing()
        found = {listing.versions[place].name for pattern in patterns for place in listing.matching(pattern).tolist()}
        found |= {version.name for pattern in patterns if (version := self.sight.find(pattern)) is not None}
        self._note_read("watch", sorted(found))
        checked = time.monotonic()

        def allowed(name: str) -> bool:
            nonlocal checked
            if time.monotonic() - checked > _RECHECK_S:
                checked = time.monotonic()
                self.check_holds()
            return self.sight.admits(name)

        return allowed

    def check_holds(self) -> None:
        """Raise `UnauthorizedError` once the caller's credentials have ended: for answers that have no end."""
        if not self._holds():
            raise UnauthorizedError("the credentials have ended")

    def groups(self) -> list[GroupSettings]:
        """Return the archive groups, as configured."""
        return [group for group in self._archive.settings.groups if self.sight.has_group(group.name)]

    def backend_states(self) -> list[BackendState]:
        """Return how every backend is doing; coverage and dead letters are those of the caller's groups.

        What a backend said last is left out for a caller with groups: it may name anything.
        """
        states = self._archive.backend_states()
        return states if self.sight.is_whole else [self._of_groups(state) for state in states]

    def segments(self, backend: str | None = None, group: str | None = None) -> list[HeldSegment]:
        """Return the segments that backends hold of the caller's groups; see `Archive.segments`."""
        self.sight.check_groups([] if group is None else [group])
        held = self._archive.segments(backend, group)
        return [one for one in held if self.sight.has_group(one.segment.group)]

    def segment(self, backend: str, group: str, instant: int, *, versions: bool = False) -> Answer:
        """Return what a backend has of a group in the segment that an instant (ns) falls into.

        What is acknowledged and the backend has yet to store is among it. Limits count as those of a query.

        Raises
        ------
        NotFoundError
            It holds no such segment, or nothing of it is to be seen.
        """
        held = next((one.segment for one in self.segments(backend, group) if instant in one.segment.interval), None)
        names = [name for name in self._archive.elements_of(backend) if self.sight.is_whole or self.sight.find(name)]
        if held is None or not names:
            at = f"{format_time(instant)} in backend {backend!r}"
            raise NotFoundError(f"there is no segment of archive group {group!r} at {at}; GET /v1/segments lists them")
        return self.query(Query(tuple(names), held.interval, backend=backend, groups=(group,), versions=versions))

    def totals(self) -> list[Total]:
        """Return the ledger's counts by lane, group, outcome and reason."""
        totals = self._archive.totals()
        return totals if self.sight.is_whole else [total for total in totals if self.sight.has_group(total.group)]

    def accounts(self, element: str) -> pa.Table:
        """Return the ledger's rows of one element; see `Ledger.accounts`."""
        name = element if self.sight.is_whole else self.sight.get(element).name
        self._archive.totals()  # takes in what the intake refused just now
        return self._archive.ledger.accounts(name)

    def dead_letters(self, *, replayed: bool = False) -> list[DeadLetter]:
        """Return the dead letters that wait, or all with `replayed`, oldest first."""
        letters = self._archive.dead_letters.list(replayed=replayed)
        return [letter for letter in letters if self.sight.has_group(letter.group)]

    def dead_letter(self, number: int) -> DeadLetter:
        """Return one dead letter.

        Raises
        ------
        NotFoundError
            There is none of this number, or it is not of the caller's groups.
        """
        letter = self._archive.dead_letters.get(number)
        if not self.sight.has_group(letter.group):
            raise NotFoundError(f"there is no dead letter {number}; see `forebay dead-letters list`")
        return letter

    def dead_samples(self, number: int) -> SampleBatch:
        """Return the samples of a dead letter."""
        samples = self._archive.dead_letters.samples(self.dead_letter(number).id)
        self._note_read("dead letter", samples.elements)
        return samples

    # -- doing ----------------------------------------------------------------------------------------

    @property
    def admits(self) -> Callable[[str], bool] | None:
        """What says of which elements the caller may send samples, for `Intake.submit`; None is all."""
        return None if self.sight.is_whole else self.sight.admits

    def describe(
        self, name: str, metadata: Metadata, *, rename: str | None = None, valid_from: int | None = None
    ) -> ElementVersion:
        """Set the metadata of an element from an instant on; see `Catalog.describe`.

        Raises
        ------
        ForbiddenError
            A name, old or new, is not in the caller's groups, or is that of an element that is not.
        """
        for text in (name, *([rename] if rename else ()), *metadata.aliases):
            self._check_own(text)
        what = {"element": name, "rename": rename, "unit": metadata.unit, "description": metadata.description}
        with self._audit.change(self.caller, "describe", **what):
            return self._archive.catalog.describe(name, metadata, rename=rename, valid_from=valid_from)

    def changing(self, action: str, **what: Any) -> AbstractContextManager[object]:
        """Return a block in which the caller changes something; that it begins and how it ended is on record."""
        return self._audit.change(self.caller, action, **what)

    def pause(self, backend: str) -> None:
        """Write nothing more to a backend; see `Archive.pause`."""
        self._change_backend("pause", backend, self._archive.pause)

    def resume(self, backend: str) -> None:
        """Go on writing to a backend."""
        self._change_backend("resume", backend, self._archive.resume)

    def discard(self, backend: str) -> int:
        """Have a backend never get what it lacks by now; see `Archive.discard`."""
        return self._change_backend("discard", backend, self._archive.discard)

    def drop_segments(self, backend: str, group: str, before: int) -> list[Segment]:
        """Drop a backend's oldest segments of one of the caller's groups; see `Archive.drop_segments`."""
        self.sight.check_groups([group])
        what = {"backend": backend, "group": group, "before": format_time(before)}
        with self._audit.change(self.caller, "drop segments", **what):
            return self._archive.drop_segments(backend, group, before)

    def replay_dead_letter(self, number: int, mended: SampleBatch | None = None) -> IntakeReceipt:
        """Send a dead letter, or mended samples in its place, through the intake; returns when they are durable."""
        letter = self.dead_letter(number)
        what = {"letter": number, "backend": letter.lane, "mended": mended is not None}
        with self._audit.change(self.caller, "replay dead letter", **what):
            return self._archive.replay_dead_letter(letter.id, mended, self.admits).result()

    def copy(
        self,
        source: str,
        target: str,
        interval: Interval,
        elements: Sequence[str] | None = None,
        progress: Progress | None = None,
    ) -> CopyReceipt:
        """Fill one backend from another; of a caller with groups, with its elements."""
        names = elements if self.sight.is_whole else self.sight.all_names(elements)
        what = {"source": source, "target": target, **_span(interval), "elements": _some(elements)}
        with self._audit.change(self.caller, "copy", **what):
            return self._archive.copy(source, target, interval, names, progress)

    def verify(
        self, backends: tuple[str, str], plan: Plan, repair: str | None = None, progress: Progress | None = None
    ) -> Report:
        """Compare two backends, and fill the one named by `repair` from the other."""
        if not self.sight.is_whole:
            plan = replace(plan, elements=self.sight.all_names(plan.elements))
        if repair is None:
            return self._archive.verify(backends, plan, None, progress)
        what = {"backends": list(backends), "repair": repair, **_span(plan.interval)}
        with self._audit.change(self.caller, "repair", **what):
            return self._archive.verify(backends, plan, repair, progress)

    def check_whole(self) -> None:
        """Raise for a caller with groups: what follows is of all of the archive.

        Raises
        ------
        ForbiddenError
        """
        if not self.sight.is_whole:
            raise ForbiddenError("this is for callers of all archive groups")

    # -- inside ---------------------------------------------------------------------------------------

    @property
    def _payer(self) -> str:
        """Whose limits count: those of a key or token wherever it is used from, else those of an address."""
        name = self.caller.principal.name
        return self.caller.origin or "unknown" if name == "anonymous" else name

    def _change_backend(self, what: str, backend: str, change: Callable[[str], T]) -> T:
        if not self.sight.is_whole:
            raise ForbiddenError(f"to {what} a backend is for callers of all archive groups: others store in it, too")
        with self._audit.change(self.caller, what, backend=backend):
            return change(backend)

    def _named(self, query: Query) -> Query:
        """Return a query whose names are resolved among what is seen."""
        self.sight.check_groups(query.groups)
        where, join = query.where, query.join
        if where is not None:
            where = where.renamed({name: self.sight.name_of(name) for name in where.elements})
        if join is not None and join.times_of is not None:
            join = replace(join, times_of=self.sight.name_of(join.times_of))
        return replace(query, elements=self.sight.chosen(query.elements), where=where, join=join)

    def _note_read(self, what: str, names: Iterable[str], interval: Interval | None = None) -> None:
        """Record a read, before it, of elements in groups that ask for that."""
        audited = {group.name for group in self._archive.settings.groups if group.audit_reads}
        if not audited:
            return
        router = self._archive.groups
        read = [name for name in names if self.sight.find(name) and not audited.isdisjoint(router.groups_of(name))]
        if read:
            span = {} if interval is None else _span(interval)
            self._audit.record(self.caller, f"read: {what}", elements=_some(read), count=len(read), **span)

    def _of_groups(self, state: BackendState) -> BackendState:
        coverage = tuple(part for part in state.coverage if self.sight.has_group(part.group))
        letters = sum(letter.rows for letter in self.dead_letters() if letter.lane == state.name)
        return replace(state, coverage=coverage, dead_letters=letters, lane=replace(state.lane, last_error=""))

    def _check_own(self, name: str) -> None:
        if self.sight.is_whole or self.sight.find(name) is not None:
            return
        if self._archive.catalog.find(name) is not None or not self.sight.admits(name):
            raise ForbiddenError(f"{name!r} is not yours to give or change: it is taken, or not in your archive groups")


def _span(interval: Interval) -> dict[str, str]:
    return {"start": format_time(interval.start), "end": format_time(interval.end)}


def _some(names: Sequence[str] | None) -> list[str] | None:
    return None if names is None else [*names[:_NAMED], *(["…"] if len(names) > _NAMED else [])]
