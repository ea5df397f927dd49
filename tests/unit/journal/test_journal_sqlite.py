"""The embedded journal: clocks that are set, few connections, memory that is bounded, errors that end nothing."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from archiver.journal import sqlite
from archiver.journal.sqlite import SqliteJournal, SqliteOptions
from archiver.model import BackpressureError, Kind, PermanentError, SampleBatch
from archiver.model.time import DAY_NS, now

SOON_S = 30.0
CONNECTIONS = 4


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Callable[..., SqliteJournal]]:
    made = []

    def open_one(**options) -> SqliteJournal:
        journal = SqliteJournal(tmp_path, SqliteOptions(**options))
        journal.open()
        made.append(journal)
        return journal

    yield open_one
    for journal in made:
        journal.close()


@pytest.fixture
def journal(make) -> SqliteJournal:
    return make()


def sample(received: int | None = None) -> SampleBatch:
    return SampleBatch.from_columns("A", [1], [1.0], receive_time=now() if received is None else received)


def append(journal: SqliteJournal, batch: SampleBatch | None = None, account: bytes = b"") -> int:
    return journal.append(batch or sample(), account).result(SOON_S)


def step_clock(monkeypatch: pytest.MonkeyPatch, by_ns: int) -> None:
    real = time.time_ns
    monkeypatch.setattr(time, "time_ns", lambda: real() + by_ns)


# -- age ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("days", [40, -40])
@pytest.mark.parametrize("policy", ["block", "drop_oldest"])
def test_a_clock_that_is_set_makes_no_entry_old(make, monkeypatch, policy, days):
    journal = make(when_full=policy)
    append(journal)
    step_clock(monkeypatch, days * DAY_NS)
    assert not journal.overfull()
    assert 0 <= journal.fullness() < 0.1
    append(journal)


def test_what_was_there_at_open_is_as_old_as_its_receive_time_says(make, monkeypatch):
    journal = make()
    append(journal, sample(now() - 29 * DAY_NS))
    append(journal)
    journal.close()
    journal = make(when_full="drop_oldest")
    step_clock(monkeypatch, -40 * DAY_NS)
    assert journal.overfull()
    assert journal.fullness() == pytest.approx(29 / 30, rel=1e-3)
    journal.trim(1)
    assert journal.fullness() < 0.1


def test_the_age_is_that_of_the_oldest_entry_that_is_left(make, monkeypatch):
    journal = make(max_age_s=1000)
    passed = [time.monotonic()]
    monkeypatch.setattr("archiver.journal.waiting.time.monotonic", lambda: passed[0])
    for _ in range(3):
        append(journal)
        passed[0] += 300
    assert journal.fullness() == pytest.approx(0.9)
    journal.trim(1)
    assert journal.fullness() == pytest.approx(0.6)
    passed[0] += 500
    with pytest.raises(BackpressureError, match="waits for more than 1000 s"):
        append(journal)
    journal.trim(3)
    assert journal.fullness() == 0
    append(journal)


# -- connections --------------------------------------------------------------------------------------


@pytest.fixture
def connections(monkeypatch) -> list[sqlite3.Connection]:
    made, connect = [], SqliteJournal._connect
    monkeypatch.setattr(SqliteJournal, "_connect", lambda self: made.append(connect(self)) or made[-1])
    return made


def test_threads_that_come_and_go_share_a_few_connections(make, connections):
    journal = make()
    for _ in range(3):
        append(journal, account=b"x")
    journal.close()
    journal = make()
    connections.clear()
    found = []
    for _ in range(50):
        thread = threading.Thread(target=lambda: found.append((journal.read(0, 10), journal.accounts(0))))
        thread.start()
        thread.join()
    assert [(len(entries), len(accounts)) for entries, accounts in found] == [(3, 3)] * 50
    assert len(connections) == 1


def test_many_threads_at_once_wait_for_a_connection(make, connections, monkeypatch):
    append(make())
    journal = make()
    connections.clear()
    full, go, decode = threading.Barrier(CONNECTIONS + 1), threading.Event(), sqlite.decode

    def slow(payload: bytes) -> SampleBatch:
        if not go.is_set():
            full.wait(SOON_S)
            go.wait(SOON_S)
        return decode(payload)

    monkeypatch.setattr(sqlite, "decode", slow)
    found = []
    threads = [threading.Thread(target=lambda: found.append(len(journal.read(0, 1)))) for _ in range(20)]
    for thread in threads:
        thread.start()
    full.wait(SOON_S)
    go.set()
    for thread in threads:
        thread.join()
    assert found == [1] * 20
    assert len(connections) == CONNECTIONS


def test_a_connection_is_lent_again_after_an_error(make, connections, monkeypatch):
    append(make())
    journal = make()
    connections.clear()
    with monkeypatch.context() as patch:
        patch.setattr(sqlite, "decode", lambda payload: 1 / 0)
        for _ in range(CONNECTIONS + 1):
            with pytest.raises(ZeroDivisionError):
                journal.read(0, 1)
    assert len(journal.read(0, 1)) == 1


def test_asked_for_what_is_not_there_yet_it_reads_nothing(make, connections):
    append(make(), account=b"x")
    journal = make()
    connections.clear()
    assert (journal.read(1, 10), journal.accounts(1), journal.rows_after(1)) == ([], [], 0)
    assert connections == []


# -- memory -------------------------------------------------------------------------------------------


def wave(mebibytes: int) -> SampleBatch:
    return SampleBatch.from_columns("W", [1], [bytes(mebibytes << 20)], kind=Kind.BINARY, receive_time=now())


def test_what_is_kept_decoded_is_bounded_by_bytes(connections, journal):
    connections.clear()
    for _ in range(10):
        append(journal, wave(10))
    assert len(journal.read(9, 1)) == 1
    assert connections == [], "the newest are kept"
    assert [entry.offset for entry in journal.read(0, 1)] == [1]
    assert len(connections) == 1, "the oldest are not"


def test_an_entry_larger_than_what_is_kept_is_read_from_the_file(journal):
    for size in (1, 70, 1):
        append(journal, wave(size))
    entries = [entry for after in range(3) for entry in journal.read(after, 1)]
    assert [entry.offset for entry in entries] == [1, 2, 3]
    assert [len(entry.batch.values(Kind.BINARY)[0].as_py()) >> 20 for entry in entries] == [1, 70, 1]


# -- errors -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("error", "raised", "said"),
    [
        (MemoryError(), BackpressureError, "cannot be used now: MemoryError"),
        (sqlite3.DataError("string or blob too big"), PermanentError, "send it in parts"),
        (ValueError("a bug"), PermanentError, "cannot take this: ValueError: a bug"),
    ],
    ids=["memory", "size", "bug"],
)
def test_an_unexpected_error_fails_the_batch_and_not_the_journal(journal, monkeypatch, error, raised, said):
    insert = SqliteJournal._insert

    def fail(*given):
        monkeypatch.setattr(SqliteJournal, "_insert", insert)
        raise error

    monkeypatch.setattr(SqliteJournal, "_insert", fail)
    with pytest.raises(raised, match=said):
        append(journal)
    assert append(journal) == 1
    assert journal.rows_after(0) == 1


def test_a_batch_that_cannot_be_written_does_not_sink_those_beside_it(journal, monkeypatch):
    insert, held, go = SqliteJournal._insert, threading.Event(), threading.Event()

    def fail(self, connection, task, state):
        if not held.is_set():
            held.set()
            go.wait(SOON_S)
        if task.account == b"bad":
            raise MemoryError
        return insert(self, connection, task, state)

    monkeypatch.setattr(SqliteJournal, "_insert", fail)
    first = journal.append(sample())
    assert held.wait(SOON_S)
    others = [journal.append(sample(), account) for account in (b"", b"bad", b"")]
    go.set()
    assert [future.exception(SOON_S) is None for future in (first, *others)] == [True, True, False, True]
    assert [entry.offset for entry in journal.read(0, 10)] == [1, 2, 3]


def test_a_trim_that_fails_says_so_and_the_journal_goes_on(journal, monkeypatch):
    append(journal)
    with monkeypatch.context() as patch:
        patch.setattr(SqliteJournal, "_delete", lambda *given: 1 / 0)
        with pytest.raises(PermanentError, match="ZeroDivisionError"):
            journal.trim(1)
    journal.trim(1)
    assert append(journal) == 2
