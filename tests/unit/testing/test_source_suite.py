"""The contract suite of sources finds the faults it is for."""

from __future__ import annotations

import asyncio
import contextlib
from typing import ClassVar

import pytest

from archiver.model import BackpressureError, Kind, Metadata, PermanentError, SampleBatch
from archiver.ports import Options
from archiver.sources.delivery import deliver
from archiver.testing import source_contract
from archiver.testing.source_contract import SourceContract, SourceHarness

T0 = 1_767_225_600_000_000_000


class Good:
    Options = Options
    name = "good"
    made = 0

    def batch(self, number):
        return SampleBatch.from_columns(["a", "b"], [T0 + number] * 2, [float(number), 1.0])

    async def push(self, push, batch):
        await deliver(push, batch)

    async def run(self, push):
        for number in range(20):
            await self.push(push, self.batch(number))


class WithoutARun:
    Options, name = Options, "none"


class OneIdentityForAll(Good):
    def batch(self, number):
        return super().batch(0)


class OfTheFuture(Good):
    def batch(self, number):
        return SampleBatch.from_columns("a", [T0 * 2 + number], [1.0])


class OtherKindThanDescribed(Good):
    metadata: ClassVar = {"a": Metadata(kind=Kind.INT)}


class OtherValuesAfterARestart(Good):
    def __init__(self):
        Good.made += 1
        self.number = Good.made

    def batch(self, number):
        return SampleBatch.from_columns("a", [T0 + number], [float(self.number)])


class LosesWhatIsRefused(Good):
    async def push(self, push, batch):
        with contextlib.suppress(BackpressureError):
            await push(batch)
        await asyncio.sleep(0)


class SwallowsErrors(Good):
    async def push(self, push, batch):
        with contextlib.suppress(PermanentError):
            await deliver(push, batch)


class GoesOnAfterCancel(Good):
    async def push(self, push, batch):
        try:
            await deliver(push, batch)
        except asyncio.CancelledError:
            await asyncio.sleep(3600)  # until it is cancelled again, as the loop does at its end


class SaysNothing(Good):
    async def run(self, push):
        await asyncio.Event().wait()


CONTRACT = SourceContract()
FAULTS = [
    (WithoutARun, CONTRACT.test_it_is_a_source),
    (OneIdentityForAll, CONTRACT.test_samples_can_be_told_apart),
    (OfTheFuture, CONTRACT.test_samples_can_be_told_apart),
    (OtherKindThanDescribed, CONTRACT.test_what_is_described_has_its_kind),
    (OtherValuesAfterARestart, CONTRACT.test_a_restart_doubles_nothing),
    (LosesWhatIsRefused, CONTRACT.test_what_was_not_taken_is_pushed_again),
    (SwallowsErrors, CONTRACT.test_an_error_of_the_archive_is_not_swallowed),
    (SaysNothing, CONTRACT.test_an_origin_that_fails_is_reported),
    (GoesOnAfterCancel, CONTRACT.test_it_stops_while_the_archive_takes_its_time),
]


@pytest.mark.parametrize(("source", "test"), FAULTS, ids=lambda it: getattr(it, "__name__", ""))
def test_a_fault_is_found(source, test, monkeypatch):
    monkeypatch.setattr(source_contract, "SOON_S", 0.2)
    with pytest.raises((AssertionError, pytest.fail.Exception)):
        test(SourceHarness(source, source, ends=True))


@pytest.mark.parametrize(
    "test", sorted({test.__name__ for _, test in FAULTS} - {"test_an_origin_that_fails_is_reported"})
)
def test_a_good_source_passes(test):
    getattr(CONTRACT, test)(SourceHarness(Good, ends=True))
