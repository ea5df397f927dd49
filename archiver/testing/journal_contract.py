"""The contract suite of journals: what is acknowledged is there, in order, until it is trimmed.

A distribution with a journal of its own subclasses it in a test module, with one fixture, `harness`: see
`archiver.testing.harness.DirectoryJournalHarness`.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import Future

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from archiver.model import BackpressureError, SampleBatch
from archiver.model.time import now
from archiver.ports import READ_BYTES, Journal, JournalEntry, Options
from archiver.testing.backend_suite.base import batch, per_example, sample
from archiver.testing.harness import JournalHarness
from archiver.testing.patience import SOON_S
from archiver.testing.rows import Row, rows_of
from archiver.testing.strategies import batches

ALL_ROWS = 2**31


def stamped(*rows: Row) -> SampleBatch:
    """Return samples as the intake hands them on: received now."""
    return batch(*rows).with_receive_time(now())


def append(journal: Journal, given: SampleBatch, account: bytes = b"") -> int:
    """Append a batch and return its offset when it is durable."""
    return journal.append(given, account).result(SOON_S)


def start(journal: Journal) -> int:
    """Return the offset after which everything lies that is kept."""
    return journal.state().first - 1


def kept(journal: Journal) -> list[tuple[int, list[Row]]]:
    """Return offset and samples of everything that is kept."""
    return [(entry.offset, rows_of(entry.batch)) for entry in journal.read(start(journal), ALL_ROWS)]


class JournalContract:
    """All of it; a subclass overrides `harness`."""

    @pytest.fixture
    def harness(self) -> Iterator[JournalHarness]:
        """Yield the harness of the kind of journal under test, and close it."""
        raise NotImplementedError("give the contract suite a `harness` fixture: see archiver.testing.harness")

    @pytest.fixture
    def journal(self, harness: JournalHarness) -> Journal:
        """Return a new, open journal in an empty place."""
        return harness.create()

    def test_it_is_a_journal(self, journal: Journal) -> None:
        """The verbs are there, and the class says which options it takes."""
        assert isinstance(journal, Journal)
        assert issubclass(journal.Options, Options)

    # -- identity -------------------------------------------------------------------------------------

    def test_the_stream_outlasts_a_restart(self, harness: JournalHarness) -> None:
        """And is another one for another journal: offsets of one mean nothing in the other."""
        journal, other = harness.create(), harness.create()
        stream = journal.stream
        assert stream
        assert stream != other.stream
        assert harness.reopen(journal).stream == stream

    # -- what goes in comes out -----------------------------------------------------------------------

    def test_entries_in_order(self, journal: Journal) -> None:
        """Offsets ascend without a gap; each entry is the batch as it was appended, in its own order."""
        given = [stamped(*(sample(9 - i, float(n)) for i in range(3))) for n in range(5)]
        offsets = [append(journal, one) for one in given]
        assert offsets == list(range(offsets[0], offsets[0] + 5))
        assert kept(journal) == [(offset, rows_of(one)) for offset, one in zip(offsets, given, strict=True)]

    @per_example
    @given(st.lists(batches(), min_size=1, max_size=3))
    def test_anything(self, harness: JournalHarness, given_batches: list[SampleBatch]) -> None:
        """Random samples of every kind; from memory, and after a restart from where they lie."""
        journal = harness.create()
        filled = [one.with_receive_time(now()) for one in given_batches if one.num_rows]
        for one in filled:
            append(journal, one)
        expected = [rows_of(one) for one in filled]
        assert [rows for _, rows in kept(journal)] == expected
        journal = harness.reopen(journal)
        assert [rows for _, rows in kept(journal)] == expected
        journal.close()

    def test_a_large_batch(self, harness: JournalHarness) -> None:
        """Hundreds of thousands of samples in one entry."""
        count = 300_000
        values = np.random.default_rng(1).normal(size=count)
        large = SampleBatch.from_columns("a", np.arange(count), values, receive_time=now())
        journal = harness.create()
        append(journal, large)
        (entry,) = harness.reopen(journal).read(0, 1)
        assert entry.batch.to_arrow().equals(large.to_arrow())

    def test_a_slice_of_a_batch(self, harness: JournalHarness) -> None:
        """Columns with an offset, and names in the dictionary that have no sample."""
        whole = stamped(*(sample(i, float(i), element=name) for i, name in enumerate("edcba")))
        journal = harness.create()
        append(journal, whole.slice(1, 2))
        assert [rows for _, rows in kept(journal)] == [rows_of(whole)[1:3]]
        assert [rows for _, rows in kept(harness.reopen(journal))] == [rows_of(whole)[1:3]]

    @pytest.mark.parametrize("restart", [False, True], ids=["", "restart"])
    def test_a_read_is_bounded_by_samples(self, harness: JournalHarness, restart: bool) -> None:
        """At least one entry, then as many as it takes to reach the number of samples."""
        journal = harness.create()
        offsets = [append(journal, stamped(*(sample(i) for i in range(10)))) for _ in range(5)]
        if restart:
            journal = harness.reopen(journal)

        def read(after: int, rows: int) -> list[int]:
            return [entry.offset for entry in journal.read(after, rows)]

        before = offsets[0] - 1
        assert {rows: len(read(before, rows)) for rows in (1, 10, 11, 25, 50, 99)} == {
            1: 1,
            10: 1,
            11: 2,
            25: 3,
            50: 5,
            99: 5,
        }
        assert read(offsets[1], 20) == offsets[2:4]
        assert read(offsets[-1], 20) == []
        assert read(offsets[-1] + 100, 20) == []

    @pytest.mark.parametrize("restart", [False, True], ids=["", "restart"])
    def test_a_read_is_bounded_by_bytes(self, harness: JournalHarness, restart: bool) -> None:
        """Large values count by what they take: a read ends with the entry that reaches `READ_BYTES`."""
        journal = harness.create()
        value = np.random.default_rng(3).bytes(READ_BYTES * 2 // 5)
        large = SampleBatch.from_columns("a", [1], [value], receive_time=now())
        offsets = [append(journal, large) for _ in range(4)]
        if restart:
            journal = harness.reopen(journal)
        assert [entry.offset for entry in journal.read(offsets[0] - 1, ALL_ROWS)] == offsets[:3]
        assert [entry.offset for entry in journal.read(offsets[2], ALL_ROWS)] == offsets[3:]

    # -- acknowledged is durable ----------------------------------------------------------------------

    def test_acknowledged_outlasts_a_crash(self, harness: JournalHarness) -> None:
        """What the future has given an offset for is there if everything ends now."""
        journal = harness.create()
        offsets = [append(journal, stamped(sample(i)), b"account") for i in range(20)]
        survivor = harness.after_crash(journal)
        if survivor is None:
            pytest.skip("the harness cannot show what is durable")
        assert kept(survivor) == kept(journal)
        assert [offset for offset, _ in kept(survivor)] == offsets
        assert survivor.stream == journal.stream
        assert append(survivor, stamped(sample(99))) > offsets[-1]

    def test_close_commits_what_was_appended(self, harness: JournalHarness) -> None:
        """Nobody needs to wait for the futures first."""
        journal = harness.create()
        futures: list[Future[int]] = [journal.append(stamped(sample(i))) for i in range(50)]
        journal = harness.reopen(journal)
        assert [offset for offset, _ in kept(journal)] == [future.result(SOON_S) for future in futures]

    def test_many_appenders_at_once(self, journal: Journal) -> None:
        """Each one's batches keep their order, and nobody's is lost or doubled, while somebody reads along."""
        done: list[list[int]] = [[] for _ in range(4)]

        def work(number: int) -> None:
            futures = [journal.append(stamped(sample(i, element=f"e{number}"))) for i in range(50)]
            done[number] = [future.result(SOON_S) for future in futures]

        threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
        for thread in threads:
            thread.start()
        after, seen = start(journal), list[JournalEntry]()
        while len(seen) < 200 and journal.wait(after, SOON_S):
            seen += journal.read(after, 7)
            after = seen[-1].offset
        for thread in threads:
            thread.join()
        assert [entry.offset for entry in seen] == sorted(offset for offsets in done for offset in offsets)
        for number, offsets in enumerate(done):
            assert offsets == sorted(offsets)
            mine = [rows_of(entry.batch)[0] for entry in seen if entry.offset in set(offsets)]
            assert [(row.element, row.source_time) for row in mine] == [(f"e{number}", i) for i in range(50)]

    # -- accounts -------------------------------------------------------------------------------------

    def test_accounts(self, harness: JournalHarness) -> None:
        """What was refused of a batch is kept with it, byte for byte; an account alone takes an offset as well."""
        journal = harness.create()
        first = append(journal, stamped(sample(1)), b"\x00one")
        append(journal, stamped(sample(2)))
        third = append(journal, SampleBatch.empty(), bytes(range(256)))
        for _ in range(2):
            assert journal.accounts(first - 1) == [(first, b"\x00one"), (third, bytes(range(256)))]
            assert journal.accounts(first) == [(third, bytes(range(256)))]
            assert journal.accounts(third) == []
            assert [(offset, len(rows)) for offset, rows in kept(journal)] == [(first, 1), (first + 1, 1), (third, 0)]
            journal = harness.reopen(journal)

    # -- waiting --------------------------------------------------------------------------------------

    def test_wait(self, journal: Journal) -> None:
        """False when the time is over, true at once when there is an entry, and soon when one comes."""
        after = start(journal)
        assert journal.wait(after, 0.0) is False
        assert journal.wait(after, 0.01) is False
        found: list[bool] = []
        waiting = threading.Thread(target=lambda: found.append(journal.wait(after, SOON_S)))
        waiting.start()
        offset = append(journal, stamped(sample(1)))
        waiting.join()
        assert found == [True]
        assert journal.wait(offset - 1, 0.0) is True
        assert journal.wait(offset, 0.0) is False

    # -- trimming -------------------------------------------------------------------------------------

    def test_trim(self, harness: JournalHarness) -> None:
        """Entries up to and including the offset are gone, others stay; also after a restart."""
        journal = harness.create()
        offsets = [append(journal, stamped(sample(i)), b"account") for i in range(10)]
        journal.trim(offsets[3])
        for _ in range(2):
            assert [offset for offset, _ in kept(journal)] == offsets[4:]
            assert [entry.offset for entry in journal.read(offsets[0] - 1, ALL_ROWS)] == offsets[4:]
            assert [offset for offset, _ in journal.accounts(offsets[0] - 1)] == offsets[4:]
            assert (journal.state().first, journal.state().last) == (offsets[4], offsets[-1])
            journal.trim(offsets[1])
            journal = harness.reopen(journal)

    def test_offsets_are_never_used_again(self, harness: JournalHarness) -> None:
        """Not even by an empty journal: a backend would take a new entry for one that it has."""
        journal = harness.create()
        last = [append(journal, stamped(sample(i))) for i in range(3)][-1]
        journal.trim(last + 100)
        assert kept(journal) == []
        assert (journal.state().entries, journal.state().last) == (0, last)
        journal = harness.reopen(journal)
        assert journal.wait(last, 0.0) is False
        assert (journal.state().first, journal.state().last) == (last + 1, last)
        assert append(journal, stamped(sample(9))) == last + 1
        assert [offset for offset, _ in kept(journal)] == [last + 1]

    # -- how full it is -------------------------------------------------------------------------------

    def test_state(self, harness: JournalHarness) -> None:
        """Entries, samples, offsets and the oldest receive time; nothing when nothing is there."""
        journal = harness.create()
        empty = journal.state()
        assert (empty.entries, empty.rows, empty.bytes, empty.oldest, empty.newest) == (0, 0, 0, None, 0)
        base = now()
        given = [batch(*(sample(i, received=base + n) for i in range(4))) for n in range(3)]
        offsets = [append(journal, one) for one in given]
        journal.trim(offsets[0])
        for _ in range(2):
            state = journal.state()
            assert (state.entries, state.rows, state.first, state.last, state.oldest) == (2, 8, *offsets[1:], base + 1)
            assert state.bytes > 0
            journal = harness.reopen(journal)
        journal.trim(offsets[-1])
        assert (journal.state().rows, journal.state().bytes, journal.state().oldest) == (0, 0, None)

    def test_the_newest_receive_time_is_never_forgotten(self, harness: JournalHarness) -> None:
        """Not when a clock went back, not with the entry, not over a restart: later ones are stamped after it."""
        journal = harness.create()
        base = now()
        offsets = [append(journal, batch(sample(0, received=base + later))) for later in (1, 9, 2)]
        assert journal.state().newest == base + 9
        journal.trim(offsets[1])
        for _ in range(2):
            assert journal.state().newest == base + 9
            journal = harness.reopen(journal)
        journal.trim(offsets[2])
        assert journal.state().newest == base + 9
        assert harness.reopen(journal).state().newest == base + 9

    def test_a_full_journal(self, harness: JournalHarness) -> None:
        """It refuses, stores nothing of what it refused, stays readable, and takes more after a trim."""
        journal = harness.create(max_bytes=100_000)
        values = np.random.default_rng(2).normal(size=500)
        part = SampleBatch.from_columns("a", np.arange(500), values, receive_time=now())
        futures = [journal.append(part) for _ in range(200)]
        refused = [future.exception(SOON_S) for future in futures]
        assert {type(exc) for exc in refused} == {type(None), BackpressureError}
        assert all(exc.retry_after_s > 0 for exc in refused if isinstance(exc, BackpressureError))
        offsets = [future.result() for future in futures if not future.exception()]
        assert [offset for offset, _ in kept(journal)] == offsets
        with pytest.raises(BackpressureError):
            append(journal, part)
        journal.trim(offsets[-1])
        assert append(journal, part) == offsets[-1] + 1
        assert len(kept(journal)) == 1
