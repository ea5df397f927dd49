"""How a run of samples gets into a backend: what may pass is tried again, what never will is found and put aside."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from archiver.model import Kind, PermanentError, SampleBatch
from archiver.model.identity import duplicates
from archiver.pipeline.amounts import Amounts
from archiver.pipeline.dead_letters import DeadLetters
from archiver.pipeline.holdings import Holdings
from archiver.pipeline.ledger import Ledger, Outcome, account, join
from archiver.pipeline.store import Snapshots
from archiver.ports import Backend, Journal, Position, WriteReceipt

_LOG = logging.getLogger(__name__)

Write = Callable[[], WriteReceipt]
Retry = Callable[[Write], WriteReceipt]
"""Calls until it does not fail for a passing reason."""


@dataclass(frozen=True)
class LaneTools:
    """What all lanes share."""

    journal: Journal
    ledger: Ledger
    dead_letters: DeadLetters
    snapshots: Snapshots
    holdings: Holdings


class Delivery:
    """The writes of one lane, accounted for in the ledger.

    Parameters
    ----------
    backend : Backend
    tools : LaneTools
    retry : callable
        Makes each write.

    Attributes
    ----------
    amounts : Amounts
        What the backend holds by now.
    written : int
        Samples stored since the start.
    """

    def __init__(self, backend: Backend, tools: LaneTools, retry: Retry) -> None:
        self.amounts = Amounts()
        self.written = 0
        self._backend = backend
        self._tools = tools
        self._retry = retry

    def deliver(self, parts: dict[str, SampleBatch], tables: list[pa.Table], offset: int) -> None:
        """Write until the backend has it: repeat what may pass, isolate and put aside what never will.

        Parameters
        ----------
        parts : dict of group to SampleBatch
            What cannot be stored is taken out.
        tables : list of Arrow tables
            Rows of the ledger for what is not in the parts.
        offset : int
            Journal offset that the backend has reached then.

        Raises
        ------
        TransientError
            It was told to stop, or to give up what the backend lacks.
        """
        tables += self._refuse_kinds(parts)
        position = Position(self._tools.journal.stream, offset)
        try:
            self._write(parts, tables, position)
            return
        except PermanentError as exc:
            _LOG.warning("lane %s: a sample up to offset %d cannot be stored: %s", self._backend.name, offset, exc)
        tables += self._set_aside(parts)
        try:
            self._write(parts, tables, position)
        except PermanentError:  # a backend that refuses only when it commits: store what it takes, piece by piece
            for group, batch in parts.items():
                tables += self._isolate(group, batch)
            self._write({}, tables, position)

    def _write(self, parts: Mapping[str, SampleBatch], tables: list[pa.Table], position: Position) -> None:
        def record(receipt: WriteReceipt) -> None:
            rows = join([*tables, *stored(parts, receipt)])
            self._tools.ledger.record(self._backend.name, position.stream, position.offset, rows)

        receipt = self._retry(lambda: self._backend.write(parts, position, record))
        self.amounts.add(parts, receipt)
        if not receipt.repeated:
            self.written += sum(batch.num_rows for batch in parts.values()) - receipt.duplicates

    # -- what cannot be stored ------------------------------------------------------------------------

    def _refuse_kinds(self, parts: dict[str, SampleBatch]) -> list[pa.Table]:
        """Put aside values of kinds that the backend does not hold."""
        tables = []
        name, held = self._backend.name, self._backend.limits.kinds
        for group, batch in list(parts.items()):
            if all(kind in held for kind in batch.kinds):
                continue
            bad = np.isin(batch.kind_codes, [int(kind) for kind in Kind if kind not in held])
            refused = batch.filter(bad).pruned()
            reason = f"{name} holds no values of type {', '.join(k.name.lower() for k in refused.kinds)}"
            for start in range(0, refused.num_rows, 10_000):
                self._tools.dead_letters.add(name, group, reason, refused.slice(start, 10_000))
            tables.append(account(refused, Outcome.DEAD, group=group, reason="kind not held"))
            parts[group] = batch.filter(~bad).pruned()
        return tables

    def _set_aside(self, parts: dict[str, SampleBatch]) -> list[pa.Table]:
        """Take out of the parts what the backend refuses, found by writes that are abandoned before the commit.

        So nothing is stored without its position, and a crash in between leaves no trace.
        """
        tables = []
        for group, batch in list(parts.items()):
            again = duplicates(batch, SampleBatch.empty())  # alone, each of them would be refused once more
            tables.append(account(batch, Outcome.DUPLICATE, group=group, reason="already stored", where=again))
            parts[group] = batch = batch.filter(~again)
            refused = self._refused(group, batch)
            bad = np.zeros(batch.num_rows, bool)
            for row, reason in refused:
                bad[row] = True
                self._tools.dead_letters.add(self._backend.name, group, reason, batch.slice(row, 1))
            tables.append(account(batch, Outcome.DEAD, group=group, reason="refused by the backend", where=bad))
            parts[group] = batch.filter(~bad)
        return tables

    def _refused(self, group: str, batch: SampleBatch, first: int = 0) -> list[tuple[int, str]]:
        """Return row and reason of the samples that the backend will not take, by halving."""
        try:
            self._retry(lambda: self._backend.write({group: batch}, None, _abandon))
        except _AbandonedError:
            return []
        except PermanentError as exc:
            if batch.num_rows == 1:
                return [(first, str(exc))]
            half = batch.num_rows // 2
            return self._refused(group, batch.slice(0, half), first) + self._refused(
                group, batch.slice(half), first + half
            )
        return []

    def _isolate(self, group: str, batch: SampleBatch) -> list[pa.Table]:
        """Store a batch by halves, so that only the samples that cannot be stored are put aside."""
        receipts: list[WriteReceipt] = []
        try:
            self._retry(lambda: self._backend.write({group: batch}, None, receipts.append))
            return stored({group: batch}, receipts[0])  # of the first attempt: a later one may find its own samples
        except PermanentError as exc:
            if batch.num_rows == 1:
                self._tools.dead_letters.add(self._backend.name, group, str(exc), batch)
                return [account(batch, Outcome.DEAD, group=group, reason="refused by the backend")]
        half = batch.num_rows // 2
        return self._isolate(group, batch.slice(0, half)) + self._isolate(group, batch.slice(half))


def stored(parts: Mapping[str, SampleBatch], receipt: WriteReceipt) -> list[pa.Table]:
    """Return the rows of the ledger for a write: stored, and duplicates."""
    tables = []
    for group, batch in parts.items():
        duplicate = receipt.duplicate.get(group)
        if duplicate is None or not duplicate.any():
            tables.append(account(batch, Outcome.STORED, group=group))
            continue
        tables.append(account(batch, Outcome.STORED, group=group, where=~duplicate))
        tables.append(account(batch, Outcome.DUPLICATE, group=group, reason="already stored", where=duplicate))
    return tables


class _AbandonedError(Exception):
    """A write that was only tried."""


def _abandon(receipt: WriteReceipt) -> None:
    raise _AbandonedError
