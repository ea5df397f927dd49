"""The door: what comes in is checked, accounted for, stamped and appended to the journal."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, wait
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from archiver.model import Kind, SampleBatch
from archiver.model.batch import Int64s, Mask
from archiver.model.identity import last_of_ascending, number_equals
from archiver.model.kind import VALUE_KINDS
from archiver.model.time import MIN_TIME, format_time, now
from archiver.pipeline.admission import REASONS, Admission
from archiver.pipeline.casting import CASTS, move
from archiver.pipeline.catalog import Catalog
from archiver.pipeline.latest import Latest, versions_of_last
from archiver.pipeline.ledger import SCHEMA, Outcome, account, encode, join
from archiver.pipeline.routing import Router
from archiver.ports import Journal

NOT_ADMITTED = "the sender may not write it"
"""The ledger's reason for samples of elements that are not the sender's."""

_LISTED = 100
Admits = Callable[[str], bool]


@dataclass(frozen=True, slots=True)
class Rejection:
    """One refused sample: its row in the batch as submitted, its element, and why."""

    row: int
    element: str
    reason: str


@dataclass(frozen=True)
class IntakeReceipt:
    """What became of a submitted batch, at the moment when the good part of it is durable.

    Parameters
    ----------
    offset : int
        Where in the journal it is.
    counts : mapping of str to int
        Samples by column of the ledger: ``buffered`` (durable, on their way to the backends) and ``rejected``.
    reasons : mapping of str to int
        The rejected ones by reason.
    rejections : tuple of Rejection
        The first hundred of them.
    """

    offset: int
    counts: Mapping[str, int]
    reasons: Mapping[str, int] = field(default_factory=dict)
    rejections: tuple[Rejection, ...] = ()


class Intake:
    """Validates batches and appends them to the journal.

    Parameters
    ----------
    journal : Journal
    catalog : Catalog
    router : callable
        Gives the router now in force.
    latest : Latest
    future_ns : int
        How far ahead of the clock a source time may be; it may be set anew.
    clock : callable
        Gives ns since the epoch.
    """

    def __init__(
        self,
        journal: Journal,
        catalog: Catalog,
        router: Callable[[], Router],
        latest: Latest,
        future_ns: int,
        clock: Callable[[], int] = now,
    ) -> None:
        self._journal = journal
        self._catalog = catalog
        self._router = router
        self._latest = latest
        self.future_ns = future_ns
        self._clock = clock
        self._lock = threading.Lock()
        self._last_received = 0
        self._appending: Future[int] = Future()
        self._appending.set_result(0)
        self._admission: Admission | None = None

    def resume_after(self, receive_time: int) -> None:
        """Stamp batches later than this (ns), whatever the clock says: receive times only grow."""
        self._last_received = max(self._last_received, receive_time)

    def submit(
        self, batch: SampleBatch, refused: Mapping[str, int] | None = None, admits: Admits | None = None
    ) -> Future[IntakeReceipt]:
        """Take a batch in; the future is done when the good part of it is durable.

        Parameters
        ----------
        batch : SampleBatch
            Receive times are set here; sequence numbers too, where samples of equal element and time differ.
        refused : mapping of reason to count, optional
            What the caller had to refuse before it could make samples of it (lines that do not parse); accounted
            for under no element.
        admits : callable, optional
            Says by its present name whether the sender may write an element; samples of the others are refused.

        Returns
        -------
        Future of IntakeReceipt
            Raises `BackpressureError` when the journal is full: then nothing was taken, send the same again.
        """
        checked = self._check(batch, refused or {}, admits)
        result: Future[IntakeReceipt] = Future()
        result.set_running_or_notify_cancel()
        with self._lock:  # receive times and offsets grow together
            while checked.router is not self._router():  # exchanged since: the lanes of what it let in may be gone
                checked = self._check(batch, refused or {}, admits)
            if not checked.good.num_rows and not checked.tables:
                result.set_result(checked.receipt(self._journal.state().last))
                return result
            self._last_received = max(self._clock(), self._last_received + 1)
            stamped = checked.good.with_receive_time(self._last_received)
            appended = self._journal.append(stamped, encode(join(checked.tables)) if checked.tables else b"")
            if not appended.done():  # the journal keeps the order: all before it are done when this one is
                self._appending = appended
        newest = checked.newest(stamped)  # here, where it is done while the journal syncs, and not by its one thread

        def finish(done: Future[int]) -> None:
            error = done.exception()
            if error is not None:
                result.set_exception(error)
                return
            try:
                self._latest.update(newest, done.result())
            except Exception as exc:  # noqa: BLE001 - else nobody hears of it; sent again, it is a duplicate
                result.set_exception(exc)
                return
            result.set_result(checked.receipt(done.result()))

        appended.add_done_callback(finish)
        return result

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Take nothing in until the end of the block; what was taken before is in the journal when it begins.

        Who submits meanwhile waits, and is judged by the router that is in force at the end.
        """
        with self._lock:
            wait([self._appending])
            yield

    def wait_appended(self, timeout_s: float) -> None:
        """Wait until all that was taken before is in the journal, or for so long."""
        with self._lock:
            appending = self._appending
        wait([appending], timeout_s)

    # -- checks ---------------------------------------------------------------------------------------

    def _check(self, batch: SampleBatch, refused: Mapping[str, int], admits: Admits | None) -> _Checked:
        while True:
            admission, known = self._admission_now(), self._catalog.canonical(batch)
            checked = self._judge(known, admission, admits)
            if admission.version == self._catalog.version or self._catalog.canonical(known) is known:
                break  # else an element was renamed meanwhile
        checked.finish(refused)
        return checked

    def _judge(self, batch: SampleBatch, admission: Admission, admits: Admits | None) -> _Checked:
        checked = _Checked(batch, admission.router)
        if admits is not None:
            foreign = np.fromiter((not admits(name) for name in batch.elements), bool, len(batch.elements))
            checked.reject(NOT_ADMITTED, foreign[batch.codes])
        slots, time = admission.slots(batch), self._clock()
        reasons = admission.reason[slots]
        for reason in np.unique(reasons[reasons > 0]).tolist() if reasons.any() else ():
            checked.reject(REASONS[reason], (reasons == reason)[batch.codes])
        if batch.num_rows and int(batch.source_time.max()) > time + self.future_ns:
            ahead = batch.source_time > time + self.future_ns
            checked.reject(f"too far in the future (over {self.future_ns / 1e9:g} s)", ahead)
        keeps = admission.retention[slots]
        if keeps.any():
            oldest = np.where(keeps > 0, time - keeps, MIN_TIME)
            checked.reject("older than the retention", batch.source_time < oldest[batch.codes])
        self._check_kinds(checked, admission, slots)
        return checked

    def _admission_now(self) -> Admission:
        router = self._router()
        admission = self._admission
        if admission is None or admission.router is not router or admission.version != self._catalog.version:
            admission = self._admission = Admission(self._catalog, router)
        return admission

    def _check_kinds(self, checked: _Checked, admission: Admission, slots: NDArray[np.int32]) -> None:
        """Compare each value's kind with its element's; cast where nothing is lost, refuse otherwise."""
        batch, known = checked.batch, admission.kind[slots]
        if not batch.num_rows or (len(batch.kinds) == 1 and (known == int(batch.kinds[0])).all()):
            return
        actual = batch.kind_codes
        if known.min() <= 0:
            admission.register(_first_kinds(checked, known))
            known = admission.kind[slots]
        wanted = known[batch.codes]
        differs = (actual != wanted) & (actual != 0) & (wanted > 0) & ~checked.bad
        if differs.any():
            checked.cast(wanted, differs)


def _first_kinds(checked: _Checked, known: NDArray[np.int16]) -> dict[str, Kind]:
    """Return the kind of the first accepted value of each element whose kind is not known; new ones without too."""
    batch = checked.batch
    kinds = np.where(checked.bad, 0, batch.kind_codes)
    first = np.zeros(len(batch.elements), np.int16)
    rows = np.flatnonzero(kinds)[::-1]
    first[batch.codes[rows]] = kinds[rows]
    present = np.zeros(len(batch.elements), bool)
    present[batch.codes[~checked.bad]] = True
    wanted = present & ((known < 0) | ((known == 0) & (first > 0)))
    return {batch.elements[index]: Kind(int(first[index])) for index in np.flatnonzero(wanted).tolist()}


class _Checked:
    """A batch with the samples that were refused of it so far, and why."""

    def __init__(self, batch: SampleBatch, router: Router) -> None:
        self.router = router
        self.batch = batch
        self.good = batch
        self.last: Int64s | None = None
        self.bad = np.zeros(batch.num_rows, bool)
        self.reasons: dict[str, int] = {}
        self.tables: list[pa.Table] = []
        self.rejections: list[Rejection] = []

    def reject(self, reason: str, rows: Mask) -> None:
        rows = rows & ~self.bad
        count = int(rows.sum())
        if not count:
            return
        self.bad |= rows
        self.reasons[reason] = self.reasons.get(reason, 0) + count
        self.tables.append(account(self.batch, Outcome.REJECTED, reason=reason, where=rows))
        names, codes, times = self.batch.elements, self.batch.codes, self.batch.source_time
        for row in np.flatnonzero(rows)[: _LISTED - len(self.rejections)].tolist():
            why = f"{reason}: {format_time(int(times[row]))}" if "future" in reason or "older" in reason else reason
            self.rejections.append(Rejection(row, names[codes[row]], why))

    def cast(self, wanted: NDArray[np.int16], differs: Mask) -> None:
        """Move values to the column of their element's kind where that loses nothing, refuse the others."""
        values = {kind: self.batch.values(kind) for kind in self.batch.kinds}
        actual = self.batch.kind_codes
        for source, target in sorted({(int(actual[i]), int(wanted[i])) for i in np.flatnonzero(differs)}):
            rows = differs & (actual == source) & (wanted == target)
            pair = (Kind(source), Kind(target))
            reason = f"wrong type: {pair[0].name.lower()} for an element of type {pair[1].name.lower()}"
            if pair not in CASTS:
                self.reject(reason, rows)
                continue
            moved, kept = move(values, pair, rows)
            self.reject(reason + ", and the value would change", rows & ~kept)
            values.update(moved)
        self.batch = SampleBatch.from_columns(
            self.batch.column("element"),
            self.batch.column("source_time"),
            {kind: values[kind] for kind in VALUE_KINDS if kind in values},
            status=self.batch.column("status"),
            sequence=self.batch.sequence,
        )

    def finish(self, refused: Mapping[str, int]) -> None:
        """Settle what is good, and add what was refused before it came here."""
        good = self.batch.filter(~self.bad).pruned()
        self.last = last_of_ascending(good)
        self.good = number_equals(good) if self.last is None else good
        self.tables += [_refusal(reason, count) for reason, count in refused.items() if count]
        for reason, count in refused.items():
            self.reasons[reason] = self.reasons.get(reason, 0) + count

    def newest(self, stamped: SampleBatch) -> SampleBatch:
        """Return the newest samples of each element among the good ones, which were stamped meanwhile."""
        return versions_of_last(stamped) if self.last is None else stamped.take(self.last)

    def receipt(self, offset: int) -> IntakeReceipt:
        counts = {str(Outcome.BUFFERED): self.good.num_rows, str(Outcome.REJECTED): sum(self.reasons.values())}
        return IntakeReceipt(offset, counts, self.reasons, tuple(self.rejections))


def _refusal(reason: str, count: int) -> pa.Table:
    one = SampleBatch.from_columns("", [now()], [0.0])
    return account(one, Outcome.REJECTED, reason=reason).set_column(
        4, SCHEMA.field("count"), pa.array([count], pa.int64())
    )
