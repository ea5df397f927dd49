"""Housekeeping goes on whatever happens, and a restart never stamps behind what was stamped before."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pytest

from archiver.journal.file import FileJournal, FileOptions
from archiver.model import SampleBatch
from archiver.model.time import NANOSECONDS, now
from archiver.pipeline import keeper as module
from archiver.pipeline.dead_letters import DeadLetters
from archiver.pipeline.delivery import LaneTools
from archiver.pipeline.holdings import Holdings
from archiver.pipeline.keeper import Keeper
from archiver.pipeline.latest import Latest
from archiver.pipeline.ledger import Ledger
from archiver.pipeline.store import Snapshots, Store
from archiver.testing.patience import SOON_S


class Bench:
    def __init__(self, directory: Path) -> None:
        self.store = Store(directory / "archive.db")
        self.journal = FileJournal(directory, FileOptions())
        self.journal.open()
        store = self.store
        self.tools = LaneTools(self.journal, Ledger(store), DeadLetters(store), Snapshots(store), Holdings(store, 0))
        self.latest = Latest()
        self.keeper = Keeper(self.tools, self.latest, list)

    def submit(self, element: str, source_time: int, received: int) -> None:
        batch = SampleBatch.from_columns(element, [source_time], [1.0], receive_time=received)
        self.latest.update(batch, self.journal.append(batch).result(SOON_S))

    def close(self) -> None:
        self.journal.close()
        self.store.close()


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    bench = Bench(tmp_path)
    yield bench
    bench.close()


@pytest.mark.parametrize("error", [pa.ArrowInvalid("offset overflow"), MemoryError()], ids=repr)
def test_an_unexpected_error_does_not_end_it(bench: Bench, monkeypatch, caplog, error):
    monkeypatch.setattr(module, "_TICK_S", 0.001)
    asked, again = [], threading.Event()

    def accounts(after: int) -> list[tuple[int, bytes]]:
        asked.append(after)
        if len(asked) == 1:
            raise error
        again.set()
        return []

    monkeypatch.setattr(bench.journal, "accounts", accounts)
    bench.keeper.start()
    assert again.wait(SOON_S)
    bench.keeper.stop()
    assert repr(error) in caplog.text
    assert "it is tried again" in caplog.text


def test_an_unexpected_error_does_not_keep_it_from_stopping(bench: Bench, monkeypatch, caplog):
    monkeypatch.setattr(bench.journal, "accounts", lambda after: 1 / 0)
    bench.keeper.stop()
    assert "the next start does it" in caplog.text


def test_a_restart_knows_the_newest_receive_time_of_what_was_trimmed_and_is_not_the_latest(tmp_path: Path):
    """A correction of an older sample came in while the clock was an hour fast."""
    bench, time = Bench(tmp_path), now()
    ahead = time + 3600 * NANOSECONDS
    for source_time, received in ((1, time), (100, time + 1), (1, ahead), (2, time + 2)):
        bench.submit("A", source_time, received)
    bench.keeper.once()
    assert bench.journal.state().entries == 0
    bench.close()
    bench = Bench(tmp_path)
    assert bench.keeper.recover() == ahead
    assert bench.latest.get().receive_time.tolist() == [time + 1]
    bench.close()


def test_what_another_reader_has_not_seen_is_kept_over_a_restart(bench: Bench):
    for number in range(4):
        bench.submit("T1", number, number + 1)
    first = bench.journal.state().first
    bench.keeper.holds.hold("rules", first)
    again = Keeper(bench.tools, bench.latest, list)
    again.once()
    assert bench.journal.state().first == first + 1
    again.holds.release("rules")
    again.once()
    assert bench.journal.state().entries == 0


def test_a_reader_that_is_far_behind_does_not_fill_the_journal(bench: Bench, monkeypatch):
    bench.submit("T1", 0, 1)
    bench.keeper.holds.hold("rules", 0)
    monkeypatch.setattr(bench.journal, "fullness", lambda: 0.51)
    bench.keeper.once()
    assert bench.journal.state().entries == 0
