"""Goes through two backends segment by segment, names what differs, and fills the one from the other if asked to."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from archiver.model import Interval, InvalidInputError, SampleBatch
from archiver.model.digest import Hashes
from archiver.model.time import MAX_TIME, now
from archiver.pipeline.copying import Write, copy
from archiver.pipeline.routing import Router
from archiver.pipeline.verification.comparing import Comparison, Digest
from archiver.pipeline.verification.report import Differences, Exemption, Report, SegmentResult
from archiver.pipeline.verification.scopes import Scope, Scoping, Side
from archiver.ports import WriteReceipt


@dataclass(frozen=True)
class Plan:
    """What to compare.

    Parameters
    ----------
    interval : Interval
    elements : sequence of str, optional
        Only these, by the names they are stored under; all of either when left out.
    versions : bool
        All versions of each sample with their receive times, not the valid one alone.
    received_until : int, optional
        Only what was received before or at this time (ns): what both were certainly given.
    shown : int
        Most differing samples that are named; all are counted.
    """

    interval: Interval
    elements: Sequence[str] | None = None
    versions: bool = False
    received_until: int | None = None
    shown: int = 100


@dataclass(frozen=True)
class Repair:
    """Which of the two is filled from the other, and what stores in it (see `copying.Booking`)."""

    target: str
    write: Write


def verify(
    sides: tuple[Side, Side],
    plan: Plan,
    repair: Repair | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Report:
    """Compare two backends, and with a repair, fill the one from the other; harmless to repeat.

    Memory is bounded by what a backend yields at a time and by 500,000 samples of each, however much differs.

    Parameters
    ----------
    repair : Repair, optional
        Samples that the target lacks are copied with all their versions. Where both have a sample with another
        content, that of the source becomes the valid one, as a correction received at `received_until`; but a content
        that the target has replaced by a newer one stays replaced: then it is the source that lacks something.
        Nothing is deleted.
    progress : callable, optional
        Called with segments done and segments in all.

    Raises
    ------
    InvalidInputError
        The target of the repair stores none of the groups in which there is something to repair.
    """
    report = Report((sides[0].name, sides[1].name), plan.interval, plan.received_until)
    scoping = Scoping(sides, plan.interval, now())
    scopes = scoping.scopes(plan.elements)
    report.exempt += scoping.exempt
    work = [(scope, segment) for scope in scopes for segment in scope.segments()]
    with ThreadPoolExecutor(2, thread_name_prefix="verify") as executor:
        comparison = Comparison(sides, executor, plan.received_until, plan.versions)
        run = _Run(sides, plan, repair, comparison, report)
        for done, (scope, segment) in enumerate(work, 1):
            run.segment(scope, segment)
            if progress is not None:
                progress(done, len(work))
        run.conclude()
    return report


class _Run:
    """One verification under way."""

    def __init__(
        self, sides: tuple[Side, Side], plan: Plan, repair: Repair | None, comparison: Comparison, report: Report
    ) -> None:
        self._sides = sides
        self._plan = plan
        self._repair = repair
        self._comparison = comparison
        self._report = report
        self._unheld: dict[tuple[int, tuple[str, ...]], int] = {}
        if repair is not None:
            report.repaired = {"backend": repair.target, "read": 0, "stored": 0, "duplicates": 0, "corrected": 0}

    def segment(self, scope: Scope, interval: Interval) -> None:
        """Compare a segment, and repair it."""
        digests = self._comparison.digests(scope, scope.elements, interval)
        result = _result(scope, interval, digests)
        self._report.segments.append(result)
        for index in (0, 1):
            if digests[index].unheld:
                key = (index, scope.label)
                self._unheld[key] = self._unheld.get(key, 0) + digests[index].unheld
        if result.same:
            return
        for found in self._comparison.narrow(scope, scope.elements, interval, digests):
            self._report.add(found, self._plan.shown)
            self._report.remaining += found.count if self._repair is None else self._mend(scope, found)

    def conclude(self) -> None:
        """Say what was left out on the way."""
        for (index, groups), count in self._unheld.items():
            other = self._sides[1 - index].name
            reason = f"{other} holds no values of their kind"
            self._report.exempt.append(Exemption("kind", self._sides[index].name, groups, reason, count))
        if self._comparison.coarse:
            reason = f"several lie within {self._comparison.step} ns, of which the coarser backend keeps one"
            self._report.exempt.append(Exemption("resolution", "", (), reason, self._comparison.coarse))
        if self._comparison.held:
            reason = "a smoothing had not decided whether to store them"
            self._report.exempt.append(Exemption("held", "", (), reason, self._comparison.held))

    # -- repair ---------------------------------------------------------------------------------------

    def _mend(self, scope: Scope, found: Differences) -> int:
        """Repair what was found; return how much differs still."""
        if not self._plan.versions:
            self._correct(scope, found)
        target, batches = self._target, [*found.only, *found.changed]
        times = np.concatenate([batch.source_time for batch in batches])
        interval = Interval(times.min(), min(int(times.max()) + self._comparison.step, MAX_TIME))
        names = sorted({name for batch in batches for name in batch.present()})
        lacking = SampleBatch.concat([found.only[1 - target], found.changed[1 - target]])
        self._fill(scope, names, interval, self._comparison.identities(lacking))
        known = self._comparison.coarse, self._comparison.held
        digests = self._comparison.digests(scope, names, interval)
        remaining = sum(rest.count for rest in self._comparison.narrow(scope, names, interval, digests))
        self._comparison.coarse, self._comparison.held = known  # counted before the repair
        return remaining

    def _correct(self, scope: Scope, found: Differences) -> None:
        """Make the source's content valid, where the copy of its own version would come before the target's."""
        assert self._repair is not None
        right, wrong = found.changed[1 - self._target], found.changed[self._target]
        mask = wrong.receive_time >= right.receive_time
        if not mask.any():
            return
        until = self._plan.received_until
        correction = right.filter(mask).with_receive_time(now() if until is None else until)
        for group, batch in self._router(scope).split(correction).items():
            receipt = self._repair.write(group, batch)
            self._note(corrected=batch.num_rows - receipt.duplicates)

    def _fill(self, scope: Scope, elements: list[str], interval: Interval, lacking: Hashes) -> None:
        """Copy all versions of what the target lacks, and nothing else of the interval."""
        source, target = self._sides[1 - self._target].backend, self._sides[self._target].backend

        def write(group: str, batch: SampleBatch) -> WriteReceipt:
            assert self._repair is not None
            chosen = batch.filter(np.isin(self._comparison.identities(batch), lacking))
            if not chosen.num_rows:
                return WriteReceipt(None)
            receipt = self._repair.write(group, chosen)
            stored = chosen.num_rows - receipt.duplicates
            self._note(read=chosen.num_rows, stored=stored, duplicates=receipt.duplicates)
            return receipt

        if len(lacking):
            copy(source, target, self._router(scope), interval, elements, write=write)

    @property
    def _target(self) -> int:
        assert self._repair is not None
        return self._report.names.index(self._repair.target)

    def _router(self, scope: Scope) -> Router:
        side, groups = self._sides[self._target], scope.groups[self._target]
        if not groups:
            raise InvalidInputError(
                f"{side.name} stores no archive group with {scope.elements[0]!r}: nothing can be repaired there; "
                f"add it to group {', '.join(scope.label)}, or repair the other backend"
            )
        return Router({name: side.router.groups[name] for name in groups})

    def _note(self, **counts: int) -> None:
        assert self._report.repaired is not None
        for name, count in counts.items():
            self._report.repaired[name] += count


def _result(scope: Scope, interval: Interval, digests: tuple[Digest, Digest]) -> SegmentResult:
    rows = (int(digests[0].rows.sum()), int(digests[1].rows.sum()))
    hashes = (digests[0].total(scope.elements), digests[1].total(scope.elements))
    return SegmentResult(scope.label, interval, rows, hashes)
