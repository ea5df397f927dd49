"""A journal with bounds: sources wait and lose nothing, or the ledger says what each backend lacks."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable

import httpx
import numpy as np
import pytest

from archiver.bootstrap import Archive
from archiver.config import ServerSettings
from archiver.model import BackpressureError, Interval, SampleBatch
from archiver.query import Query
from archiver.sources.simulator import SimulatorSource
from archiver.testing.faults import Faults, FaultyBackend
from archiver.testing.patience import SOON_S
from archiver.testing.service import until
from services.archive.app import create_app

T0 = 1_760_000_000_000_000_000
ROWS = 5000


def noise(number: int) -> SampleBatch:
    values = np.random.default_rng(number).random(ROWS)
    return SampleBatch.from_columns("T1", T0 + number * ROWS + np.arange(ROWS), values)


class Lake:
    """Lets the lake of an archive fail."""

    def __init__(self) -> None:
        self.faults = Faults()

    def __call__(self, backend):
        return FaultyBackend(backend, self.faults) if backend.name == "lake" else backend


def held(archive: Archive, backend: str) -> set[int]:
    return set(
        archive.query(Query(("T1",), Interval(T0, T0 + 10**9), backend=backend)).table()["source_time"].to_pylist()
    )


def fill(archive: Archive) -> list[int]:
    """Submit until it is full; return the batches that were acknowledged."""
    taken: list[int] = []
    while not (error := archive.intake.submit(noise(len(taken))).exception()):
        taken.append(len(taken))
    assert isinstance(error, BackpressureError)
    assert "see `forebay backends`" in str(error)
    assert error.retry_after_s > 0
    return taken


@pytest.mark.parametrize("journal", [{"max_bytes": 1_000_000}, {"max_age_s": 1}], ids=["size", "age"])
def test_block_lets_sources_wait_and_loses_nothing(make_archive: Callable[..., Archive], journal):
    lake = Lake()
    with make_archive(wrap=lake, journal=journal) as archive:
        assert archive.wait_ready()
        lake.faults.outage = True
        taken = fill(archive)
        assert archive.lanes["warm"].flush(SOON_S), "the other backend goes on"
        lake.faults.outage = False
        until(archive.flush)
        until(lambda: _accepted(archive, len(taken)))
        until(archive.flush)
        everything = {T0 + n * ROWS + i for n in [*taken, len(taken)] for i in range(ROWS)}
        assert held(archive, "lake") == held(archive, "warm") == everything
        assert {t.outcome for t in archive.totals()} == {"stored"}


def _accepted(archive: Archive, number: int) -> bool:
    try:
        archive.intake.submit(noise(number)).result()
    except BackpressureError:
        return False
    return True


def test_a_small_journal_does_not_block_when_every_backend_keeps_up(make_archive: Callable[..., Archive]):
    with make_archive(journal={"max_bytes": 1_000_000}) as archive:
        for number in range(60):  # several times what the journal holds
            until(lambda number=number: _accepted(archive, number))
        assert archive.flush()
        assert len(held(archive, "lake")) == 60 * ROWS


def test_full_is_503_with_a_time_to_wait_on_every_door(make_archive: Callable[..., Archive]):
    lake = Lake()
    with make_archive(wrap=lake, journal={"max_bytes": 300_000}) as archive:
        assert archive.wait_ready()
        lake.faults.outage = True
        fill(archive)

        async def ask() -> list[httpx.Response]:
            app = create_app(archive, ServerSettings())
            async with app.router.lifespan_context(app):
                transport = httpx.ASGITransport(app)
                async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
                    values = np.random.default_rng(1).random(ROWS).tolist()
                    columns = {"element": "T2", "source_time": [T0 + i for i in range(ROWS)], "value": values}
                    lines = "".join(f"m,element=T2 value={value} {T0 + i}\n" for i, value in enumerate(values))
                    return [
                        await client.post("/v1/samples", json=columns),
                        await client.post("/write", content=lines),
                        await client.post("/api/v2/write", content=lines),
                    ]

        for answer in asyncio.run(ask()):
            assert answer.status_code == 503
            assert int(answer.headers["Retry-After"]) >= 1
            assert "the journal is full" in answer.text
        assert archive.query(Query(("T2",), Interval(T0, T0 + 10**9))).table().num_rows == 0


def test_a_source_waits_and_sends_the_same_again(make_archive: Callable[..., Archive]):
    lake = Lake()
    with make_archive(wrap=lake, journal={"max_bytes": 200_000}) as archive:
        assert archive.wait_ready()
        lake.faults.outage = True
        fill(archive)
        while archive.intake.submit(noise(0).slice(0, 2)).exception() is None:
            pass  # to the brim
        refused, taken = [], []

        async def push(batch: SampleBatch) -> None:
            try:
                await asyncio.wrap_future(archive.intake.submit(batch))
                taken.append(batch.source_time.tolist())
            except BackpressureError as exc:
                refused.append(batch.source_time.tolist())
                lake.faults.outage = False
                raise BackpressureError(str(exc), 0.05) from exc

        async def run() -> None:
            source = asyncio.create_task(
                SimulatorSource("plant", SimulatorSource.Options.model_validate({"interval": "10ms"})).run(push)
            )
            while len(taken) < 3:
                await asyncio.sleep(0.01)
            source.cancel()
            await asyncio.gather(source, return_exceptions=True)

        asyncio.run(asyncio.wait_for(run(), SOON_S))
        assert refused
        assert refused[0] == taken[0]


def test_drop_oldest_is_on_record(make_archive: Callable[..., Archive]):
    lake = Lake()
    journal = {"max_bytes": 1_000_000, "when_full": "drop_oldest"}
    with make_archive(wrap=lake, journal=journal) as archive:
        assert archive.wait_ready()
        archive.intake.submit(noise(0)).result()
        assert archive.flush()
        lake.faults.outage = True
        for number in range(1, 41):
            until(lambda number=number: _accepted(archive, number))
        assert archive.lanes["warm"].flush(SOON_S)
        dropped = _count(archive, "lake", "dropped")
        assert dropped > 5 * ROWS
        lake.faults.outage = False
        until(archive.flush)
        everything = {T0 + n * ROWS + i for n in range(41) for i in range(ROWS)}
        assert held(archive, "warm") == everything
        lacks = everything - held(archive, "lake")
        assert _count(archive, "lake", "dropped") == len(lacks)
        assert _count(archive, "lake", "stored") == len(everything) - len(lacks)
        assert _count(archive, "warm", "stored") == len(everything)
        assert math.isclose(len(lacks), dropped, rel_tol=0.5)
        sentence = f"{len(lacks)} samples between"
        interval = Interval(T0, T0 + 10**9)
        said = [text for text in archive.explain("T1", interval).sentences if "dropped by lake" in text]
        assert [text.startswith(sentence) for text in said] == [True]
        receipt = archive.copy("warm", "lake", interval)
        assert receipt.stored == len(lacks)
        assert held(archive, "lake") == everything


def _count(archive: Archive, lane: str, outcome: str) -> int:
    return sum(t.count for t in archive.totals() if (t.lane, t.outcome) == (lane, outcome))
