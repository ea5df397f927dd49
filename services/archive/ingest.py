"""Bodies in, receipts out: decoding and intake happen in threads, the event loop only waits for the journal."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, TypeVar

from archiver.bootstrap import Archive
from archiver.config import LineProtocolRule
from archiver.model import SampleBatch
from archiver.model.time import now
from archiver.pipeline.intake import Admits, IntakeReceipt
from archiver.sources import line_protocol
from services.archive import decoding
from services.common.bodies import BodyBudget

UNREADABLE = "unreadable"
"""The ledger's reason for rows and lines that are no samples."""

LISTED = 1000
"""How many refused rows an answer names; the counts are of all."""

_THREADS = 4
D = TypeVar("D", decoding.Decoded, line_protocol.Decoded)


@dataclass(frozen=True)
class Refused:
    """A row or line that was not taken: its index from 0 in the body, its text or element, and why."""

    index: int
    what: str
    reason: str


@dataclass(frozen=True)
class Taken:
    """What became of a body whose good part is durable now."""

    received: int
    receipt: IntakeReceipt
    refused: tuple[Refused, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain values, as ``POST /v1/samples`` answers."""
        return {
            "received": self.received,
            "counts": dict(self.receipt.counts),
            "reasons": dict(self.receipt.reasons),
            "refused": [{"index": r.index, "element": r.what, "reason": r.reason} for r in self.refused],
        }


class Ingest:
    """Takes bodies into an archive.

    Parameters
    ----------
    archive : Archive
    budget : BodyBudget
        Bounds what unpacking a body gives.
    """

    def __init__(self, archive: Archive, budget: BodyBudget) -> None:
        self._archive = archive
        self._budget = budget
        self._pool = ThreadPoolExecutor(_THREADS, "ingest")
        self._rules: Sequence[LineProtocolRule] | None = None
        self._decoder = line_protocol.Decoder()

    def close(self) -> None:
        """Finish what runs, and let the threads go."""
        self._pool.shutdown()

    async def samples(self, body: bytes, encoding: str | None, media_type: str, admits: Admits | None = None) -> Taken:
        """Take rows or columns in; returns when the good ones are durable. For `admits` see `Intake.submit`.

        Raises
        ------
        ForebayError
            The body cannot be read, or the journal is full; nothing was taken.
        """
        decoded, receipt = await self._take(lambda: self._submit_samples(body, encoding, media_type, admits))
        refused = [Refused(r.index, "", r.reason) for r in decoded.refused[:LISTED]]
        refused += [Refused(decoded.index_of(r.row), r.element, r.reason) for r in receipt.rejections]
        received = decoded.batch.num_rows + len(decoded.refused)
        return Taken(received, receipt, tuple(sorted(refused, key=lambda r: r.index)[:LISTED]))

    async def lines(self, body: bytes, encoding: str | None, precision: str, admits: Admits | None = None) -> Taken:
        """Take line protocol in; returns when the good lines are durable. For `admits` see `Intake.submit`.

        Raises
        ------
        ForebayError
            The body cannot be read, or the journal is full; nothing was taken.
        """
        decoded, receipt = await self._take(lambda: self._submit_lines(body, encoding, precision, admits))
        refused = [Refused(r.line - 1, r.text, r.reason) for r in decoded.refused[:LISTED]]
        return Taken(decoded.batch.num_rows + len(decoded.refused), receipt, tuple(refused))

    def batch(self, batch: SampleBatch, refused: Mapping[str, int], admits: Admits | None = None) -> IntakeReceipt:
        """Take samples in that are columns already; returns when the good ones are durable. See `Intake.submit`."""
        return self._archive.intake.submit(batch, refused, admits).result()

    def decode(self, body: bytes, encoding: str | None, media_type: str) -> decoding.Decoded:
        """Return the samples of a body without taking them in."""
        return decoding.decode(self._budget.unpack(body, encoding), media_type)

    async def _take(self, submit: Callable[[], tuple[D, Future[IntakeReceipt]]]) -> tuple[D, IntakeReceipt]:
        decoded, future = await asyncio.get_running_loop().run_in_executor(self._pool, submit)
        return decoded, await asyncio.wrap_future(future)

    def _submit_samples(
        self, body: bytes, encoding: str | None, media_type: str, admits: Admits | None
    ) -> tuple[decoding.Decoded, Future[IntakeReceipt]]:
        decoded = self.decode(body, encoding, media_type)
        refused = {UNREADABLE: len(decoded.refused)} if decoded.refused else {}
        return decoded, self._archive.intake.submit(decoded.batch, refused, admits)

    def _submit_lines(
        self, body: bytes, encoding: str | None, precision: str, admits: Admits | None
    ) -> tuple[line_protocol.Decoded, Future[IntakeReceipt]]:
        plain = self._budget.unpack(body, encoding)
        decoded = self._line_decoder().decode(plain, precision=precision, receive_time=now())
        refused = {UNREADABLE: len(decoded.refused)} if decoded.refused else {}
        return decoded, self._archive.intake.submit(decoded.batch, refused, admits)

    def _line_decoder(self) -> line_protocol.Decoder:
        """Return the decoder for the rules in force; they change when the configuration is read again."""
        rules = self._archive.settings.line_protocol
        if rules is not self._rules:
            self._rules, self._decoder = rules, line_protocol.Decoder(rules)
        return self._decoder
