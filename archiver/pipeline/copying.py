"""Fills one backend from another: a new backend gets the past, a repaired one what it missed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from archiver.model import Interval, SampleBatch
from archiver.pipeline.ledger import Ledger, Outcome, account
from archiver.pipeline.routing import Router
from archiver.ports import Backend, Position, WriteReceipt

_ELEMENTS_AT_ONCE = 100
_ROWS_AT_ONCE = 1_000_000

Write = Callable[[str, SampleBatch], WriteReceipt]
"""Stores samples of a group beside the lane."""


@dataclass(frozen=True, slots=True)
class CopyReceipt:
    """How many samples were read, group by group, how many of them were stored and how many were there already."""

    read: int
    stored: int
    duplicates: int


class Booking:
    """Stores in a backend beside its lane, and accounts for what it stores.

    The ledger and the backend agree as for a lane: each write has a position of its own in a stream beside the
    journal's, and an account beyond the backend's position is withdrawn. One at a time may fill a backend.

    Parameters
    ----------
    target : Backend
    ledger : Ledger
    stream : str
        The journal's.
    reason : str
        What the ledger says of it, such as ``copied from lake``.
    """

    def __init__(self, target: Backend, ledger: Ledger, stream: str, reason: str) -> None:
        self._target = target
        self._ledger = ledger
        self._stream = f"{stream}/copied"
        self._reason = reason
        stored = target.position(self._stream)
        self._offset = stored.offset if stored else 0
        ledger.forget_after(target.name, self._stream, self._offset)

    def write(self, group: str, batch: SampleBatch) -> WriteReceipt:
        """Store samples of a group; see `archiver.ports.Backend.write`."""
        position = Position(self._stream, self._offset + 1)

        def record(receipt: WriteReceipt) -> None:
            known = receipt.duplicate.get(group)
            where = None if known is None else ~known
            table = account(batch, Outcome.STORED, group=group, reason=self._reason, where=where)
            self._ledger.record(self._target.name, position.stream, position.offset, table)

        receipt = self._target.write({group: batch}, position, record)
        self._offset = position.offset
        return receipt


def copy(
    source: Backend,
    target: Backend,
    router: Router,
    interval: Interval,
    elements: Sequence[str] | None = None,
    progress: Callable[[int, int], None] | None = None,
    write: Write | None = None,
) -> CopyReceipt:
    """Copy samples, all versions of them, from one backend to another; harmless to repeat.

    Values of kinds that the target does not hold are left out.

    Parameters
    ----------
    router : Router
        Over the groups of the target. A group that the source has too is copied as it is there; another one gets all
        that the source has of its elements. Nothing is smoothed on the way.
    elements : sequence of str, optional
        Only these; all that the source has when left out.
    progress : callable, optional
        Called with elements done and elements in all.
    write : callable, optional
        Stores in the target, such as `Booking.write`; the target itself when left out.
    """
    names = [name for name in (elements or source.elements()) if router.groups_of(name)]
    held = {part.group for part in source.coverage()}
    read = stored = duplicate = 0
    for start in range(0, len(names), _ELEMENTS_AT_ONCE):
        chunk = names[start : start + _ELEMENTS_AT_ONCE]
        for group in router.groups:
            members = [name for name in chunk if group in router.groups_of(name)]
            groups = [group] if group in held else None
            for batch in _gathered(source.read(members, interval, groups=groups, versions=True)):
                taken = _holdable(batch, target)
                receipt = target.write({group: taken}) if write is None else write(group, taken)
                read += taken.num_rows
                duplicate += receipt.duplicates
                stored += taken.num_rows - receipt.duplicates
        if progress is not None:
            progress(min(start + _ELEMENTS_AT_ONCE, len(names)), len(names))
    return CopyReceipt(read, stored, duplicate)


def _holdable(batch: SampleBatch, target: Backend) -> SampleBatch:
    lacking = [kind for kind in np.unique(batch.kind_codes).tolist() if kind not in target.limits.kinds]
    return batch.filter(~np.isin(batch.kind_codes, lacking)).pruned() if lacking else batch


def _gathered(batches: Iterator[SampleBatch]) -> Iterator[SampleBatch]:
    waiting: list[SampleBatch] = []
    rows = 0
    for batch in batches:
        waiting.append(batch)
        rows += batch.num_rows
        if rows >= _ROWS_AT_ONCE:
            yield SampleBatch.concat(waiting)
            waiting, rows = [], 0
    if rows:
        yield SampleBatch.concat(waiting)
