"""Backends that are filled from each other and compared, while their lanes go on."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence

from archiver.model import Interval, InvalidInputError, NotFoundError, SampleBatch, TransientError, format_time
from archiver.model.time import now
from archiver.pipeline.copying import Booking, CopyReceipt, copy
from archiver.pipeline.delivery import LaneTools
from archiver.pipeline.intake import Intake
from archiver.pipeline.lane import Lane
from archiver.pipeline.processing import runs_of
from archiver.pipeline.verification import Plan, Repair, Report, Side, verify
from archiver.pipeline.verification.report import Exemption

Progress = Callable[[int, int], None]
_FLUSH_S = 60.0


class Filling:
    """Copies and comparisons of an archive; one copy or repair at a time.

    Parameters
    ----------
    lanes : callable
        Gives the lanes now in force by backend.
    tools : LaneTools
    intake : Intake
    """

    def __init__(self, lanes: Callable[[], Mapping[str, Lane]], tools: LaneTools, intake: Intake) -> None:
        self._lanes = lanes
        self._tools = tools
        self._intake = intake
        self._one_at_a_time = threading.Lock()

    def copy(
        self,
        source: str,
        target: str,
        interval: Interval,
        elements: Sequence[str] | None = None,
        progress: Progress | None = None,
    ) -> CopyReceipt:
        """Fill one backend from another: see `archiver.bootstrap.Archive.copy`."""
        giving, taking = self._pair(source, target)
        for lane in self._lanes().values():
            lane.flush(_FLUSH_S)
        with self._one_at_a_time:
            shared = {part.group for part in giving.backend.coverage()}
            booking = self._booking(taking, f"copied from {source}")
            router = taking.router
            receipt = copy(giving.backend, taking.backend, router, interval, elements, progress, booking.write)
            if taking.backend.limits.readable:
                groups = router.groups.values()
                self._tools.holdings.fill(source, target, groups, interval, elements, shared)
            taking.recount()
            return receipt

    def verify(self, names: tuple[str, str], plan: Plan, repair: str | None, progress: Progress | None) -> Report:
        """Compare two backends: see `archiver.bootstrap.Archive.verify`."""
        lanes = self._pair(*names)
        if repair is not None and repair not in names:
            raise InvalidInputError(f"{repair} is not one of the two backends: repair {' or '.join(names)}")
        until, behind = self._common(lanes)
        sides = [Side(lane.backend, lane.router, _held(lane)) for lane in lanes]
        limited = Plan(plan.interval, plan.elements, plan.versions, until, plan.shown)
        if repair is None:
            report = verify((sides[0], sides[1]), limited, None, progress)
        else:
            with self._one_at_a_time:
                source = names[1 - names.index(repair)]
                booking = self._booking(self._lanes()[repair], f"repaired from {source}")
                report = verify((sides[0], sides[1]), limited, Repair(repair, booking.write), progress)
                self._note_repair(report, source, repair, plan)
        report.exempt += behind
        return report

    def _pair(self, one: str, other: str) -> tuple[Lane, Lane]:
        lanes = self._lanes()
        for name in (one, other):
            if name not in lanes:
                raise NotFoundError(f"there is no backend {name!r}; there are {', '.join(lanes)}")
        if one == other:
            raise InvalidInputError(f"{one} is given twice; name another backend")
        return lanes[one], lanes[other]

    def _booking(self, lane: Lane, reason: str) -> Booking:
        return Booking(lane.backend, self._tools.ledger, self._tools.journal.stream, reason)

    def _common(self, lanes: tuple[Lane, Lane]) -> tuple[int, list[Exemption]]:
        """Return up to which receive time (ns) both backends were given everything, and what lies behind that."""
        journal = self._tools.journal
        with self._intake.paused():  # nothing is under way: what comes after is received later
            state = journal.state()
            until = max(now(), state.newest)
        behind = []
        for lane in lanes:
            lane.wait_reached(_FLUSH_S)
            lane.flush(_FLUSH_S)
            position = lane.position
            if position is None:
                raise TransientError(f"backend {lane.backend.name} cannot be asked now: {lane.trouble}")
            if position >= state.last:
                continue
            waiting = (e for run in runs_of(journal, position) for e in run if e.batch.num_rows)
            if (entry := next(waiting, None)) is not None:
                until = min(until, int(entry.batch.receive_time[0]) - 1)
                reason = f"its lane is behind: what was received after {format_time(until)} is not compared"
                behind.append(Exemption("journal", lane.backend.name, (), reason, journal.rows_after(position)))
        return until, behind

    def _note_repair(self, report: Report, source: str, target: str, plan: Plan) -> None:
        """Let queries know that the target has what the source has, where everything was compared."""
        lane = self._lanes()[target]
        lane.recount()
        partly = {group for exemption in report.exempt for group in exemption.groups}
        compared = {group for segment in report.segments for group in segment.groups} - partly
        groups = [group for name, group in lane.router.groups.items() if name in compared]
        self._tools.holdings.fill(source, target, groups, plan.interval, plan.elements, compared)


def _held(lane: Lane) -> SampleBatch:
    committed = lane.committed
    return SampleBatch.empty() if committed is None else SampleBatch.concat(list(committed[1].held().values()))
