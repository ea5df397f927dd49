"""The embedded journal: clocks that are set, files that are torn, memory that is bounded, errors that end nothing."""

from __future__ import annotations

import errno
import os
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from archiver.journal import segments
from archiver.journal.file import FileJournal, FileOptions
from archiver.journal.segments import Segments
from archiver.model import BackpressureError, Kind, PermanentError, SampleBatch
from archiver.model.time import DAY_NS, now
from archiver.testing.patience import SOON_S


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Callable[..., FileJournal]]:
    made = []

    def open_one(**options) -> FileJournal:
        journal = FileJournal(tmp_path, FileOptions(**options))
        journal.open()
        made.append(journal)
        return journal

    yield open_one
    for journal in made:
        journal.close()


@pytest.fixture
def journal(make) -> FileJournal:
    return make()


def sample(received: int | None = None) -> SampleBatch:
    return SampleBatch.from_columns("A", [1], [1.0], receive_time=now() if received is None else received)


def append(journal: FileJournal, batch: SampleBatch | None = None, account: bytes = b"") -> int:
    return journal.append(sample() if batch is None else batch, account).result(SOON_S)


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


# -- files --------------------------------------------------------------------------------------------


@pytest.fixture
def opened(monkeypatch) -> list[Path]:
    """The files that were read."""
    paths, read = [], Path.open
    monkeypatch.setattr(Path, "open", lambda self, *given, **named: paths.append(self) or read(self, *given, **named))
    return paths


@pytest.fixture
def small_files(monkeypatch) -> None:
    """A file for every few entries, and a mark for every frame or two."""
    monkeypatch.setattr(segments, "_SEGMENT_BYTES", 2000)
    monkeypatch.setattr(segments, "_MARK_BYTES", 700)


def files(folder: Path) -> list[Path]:
    return sorted((folder / "journal").glob("*.log"))


def test_asked_for_what_is_not_there_yet_it_reads_nothing(make, opened):
    append(make(), account=b"x")
    journal = make()
    opened.clear()
    assert (journal.read(1, 10), journal.accounts(1), journal.rows_after(1)) == ([], [], 0)
    assert opened == []


@pytest.mark.usefixtures("small_files")
@pytest.mark.parametrize("restart", [False, True])
@pytest.mark.parametrize("indexed", [False, True])
def test_counts_and_reads_agree_from_every_offset(make, tmp_path, restart, indexed):
    journal = make()
    accounts = {}
    for offset in range(1, 41):
        rows = [1.0] * (offset % 7)
        batch = SampleBatch.from_columns("A", range(len(rows)), rows, receive_time=1000 + offset)
        accounts[offset] = b"a" * (offset % 3)
        assert append(journal, batch, accounts[offset]) == offset
    if restart:
        journal.close()
        for path in (tmp_path / "journal").glob("*.index"):
            path.write_bytes(path.read_bytes() if indexed else b"torn")
        journal = make()
    journal._recent.clear()
    assert len(files(tmp_path)) > 5
    for after in range(41):
        left = range(after + 1, 41)
        assert [entry.offset for entry in journal.read(after, 10**6)] == list(left)
        assert journal.rows_after(after) == sum(offset % 7 for offset in left)
        assert journal.accounts(after) == [(offset, accounts[offset]) for offset in left if accounts[offset]]
    for through in range(41):
        journal.trim(through)
        left = range(through + 1, 41)
        state = journal.state()
        assert (state.first, state.last, state.entries) == (through + 1, 40, len(left))
        assert state.rows == sum(offset % 7 for offset in left)
        assert (state.bytes == 0) is (not left)
        assert [entry.offset for entry in journal.read(0, 10**6)] == list(left)
    assert len(files(tmp_path)) == 1


@pytest.mark.usefixtures("small_files")
def test_offsets_go_on_after_all_was_trimmed_and_a_restart(make):
    journal = make()
    for _ in range(20):
        append(journal)
    journal.trim(20)
    journal.close()
    journal = make()
    assert journal.state().first == 21
    assert append(journal) == 21


@pytest.mark.usefixtures("small_files")
def test_a_file_that_is_removed_while_it_is_read_ends_the_run(make):
    journal = make()
    for _ in range(20):
        append(journal)
    stored = journal._segments.read(0)
    assert next(stored)[0] == 1
    journal.trim(20)
    offsets = [offset for offset, _ in stored]
    assert offsets == list(range(2, 2 + len(offsets))), "no gap"
    assert journal.read(0, 10) == []


# -- crashes ------------------------------------------------------------------------------------------


def test_every_cut_of_the_last_frame_leaves_what_was_acknowledged(make, tmp_path):
    journal = make()
    append(journal)
    append(journal)
    whole = files(tmp_path)[0].stat().st_size
    append(journal, account=b"not told")
    journal.close()
    (path,) = files(tmp_path)
    data = path.read_bytes()
    for length in range(whole, len(data), 7):
        path.write_bytes(data[:length])
        journal = make()
        assert [entry.offset for entry in journal.read(0, 10)] == [1, 2]
        assert append(journal) == 3
        journal.close()


@pytest.mark.parametrize("how", ["zeros", "noise", "flipped"])
def test_a_torn_last_frame_is_cut_off_whatever_is_in_it(make, tmp_path, how):
    journal = make()
    append(journal)
    whole = files(tmp_path)[0].stat().st_size
    append(journal)
    journal.close()
    (path,) = files(tmp_path)
    data = bytearray(path.read_bytes())
    if how == "flipped":
        data[-1] ^= 1
    else:
        data[whole:] = (b"\x00" if how == "zeros" else b"\x89frame\r\n") * 5000
    path.write_bytes(data)
    journal = make()
    assert journal.state().last == 1
    assert path.stat().st_size == whole
    assert append(journal) == 2


def test_damage_before_the_last_frame_is_said_and_nothing_is_cut(make, tmp_path):
    journal = make()
    for _ in range(3):
        append(journal)
    journal.close()
    (path,) = files(tmp_path)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    with pytest.raises(PermanentError, match=r"the journal is damaged: .*\.log at byte .*put a copy of the file back"):
        make()
    assert path.read_bytes() == bytes(data)


@pytest.mark.usefixtures("small_files")
def test_damage_that_comes_later_is_said_when_it_is_read(make, tmp_path):
    journal = make()
    for _ in range(20):
        append(journal)
    journal.close()
    oldest = files(tmp_path)[0]
    data = bytearray(oldest.read_bytes())
    data[-1] ^= 1
    oldest.write_bytes(data)
    journal = make()
    with pytest.raises(PermanentError, match="damaged"):
        journal.read(0, 10**6)


@pytest.mark.usefixtures("small_files")
def test_a_file_that_is_gone_between_two_others_is_said(make, tmp_path):
    journal = make()
    for _ in range(20):
        append(journal)
    journal.close()
    files(tmp_path)[1].unlink()
    with pytest.raises(PermanentError, match=r"lacks entries \d+ to \d+: a file is gone"):
        make()


@pytest.mark.parametrize("cut", [True, False])
def test_after_a_failed_sync_the_same_offset_is_given_again_and_kept_once(make, tmp_path, monkeypatch, cut):
    journal = make()
    append(journal)
    with monkeypatch.context() as patch:
        patch.setattr(os, "fdatasync", lambda descriptor: fail(errno.EIO))
        if not cut:
            patch.setattr(os, "ftruncate", lambda *given: fail(errno.EIO))
        with pytest.raises(BackpressureError, match="cannot grow"):
            append(journal, account=b"lost")
    assert append(journal, account=b"kept") == 2
    for _ in range(2):
        assert journal.accounts(0) == [(2, b"kept")]
        assert [entry.offset for entry in journal.read(0, 10)] == [1, 2]
        journal.close()
        journal = make()


def fail(number: int) -> None:
    raise OSError(number, os.strerror(number))


# -- memory -------------------------------------------------------------------------------------------


def wave(mebibytes: int) -> SampleBatch:
    return SampleBatch.from_columns("W", [1], [bytes(mebibytes << 20)], kind=Kind.BINARY, receive_time=now())


def test_what_is_kept_decoded_is_bounded_by_bytes(opened, journal):
    for _ in range(10):
        append(journal, wave(10))
    opened.clear()
    assert len(journal.read(9, 1)) == 1
    assert opened == [], "the newest are kept"
    assert [entry.offset for entry in journal.read(0, 1)] == [1]
    assert len(opened) == 1, "the oldest are not"


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
        (OSError(errno.ENOSPC, "No space left"), BackpressureError, "cannot grow .* free space on its disk"),
        (OSError(errno.EMFILE, "Too many open files"), BackpressureError, "cannot be used now: .*Too many open files"),
        (ValueError("a bug"), PermanentError, "cannot take this: ValueError: a bug"),
    ],
    ids=["memory", "disk", "files", "bug"],
)
def test_an_error_fails_the_batch_and_not_the_journal(journal, monkeypatch, error, raised, said):
    write = segments._write

    def broken(descriptor, buffers):
        monkeypatch.setattr(segments, "_write", write)
        write(descriptor, [b"half of it"])
        raise error

    monkeypatch.setattr(segments, "_write", broken)
    with pytest.raises(raised, match=said):
        append(journal)
    assert append(journal) == 1
    assert journal.rows_after(0) == 1


def test_a_batch_that_cannot_be_written_does_not_sink_those_beside_it(journal, monkeypatch):
    write, held, go = Segments.append, threading.Event(), threading.Event()

    def broken(self, entries):
        if not held.is_set():
            held.set()
            go.wait(SOON_S)
        if any(entry.account == b"bad" for entry in entries):
            raise MemoryError
        write(self, entries)

    monkeypatch.setattr(Segments, "append", broken)
    first = journal.append(sample())
    assert held.wait(SOON_S)
    others = [journal.append(sample(), account) for account in (b"", b"bad", b"")]
    go.set()
    assert [future.exception(SOON_S) is None for future in (first, *others)] == [True, True, False, True]
    assert [entry.offset for entry in journal.read(0, 10)] == [1, 2, 3]


def test_what_waits_together_is_synced_together(journal, monkeypatch):
    sync, held, go, syncs = os.fdatasync, threading.Event(), threading.Event(), []

    def slow(descriptor):
        syncs.append(descriptor)
        if not held.is_set():
            held.set()
            go.wait(SOON_S)
        sync(descriptor)

    monkeypatch.setattr(os, "fdatasync", slow)
    first = journal.append(sample())
    assert held.wait(SOON_S)
    others = [journal.append(sample()) for _ in range(1500)]
    go.set()
    assert [future.result(SOON_S) for future in (first, *others)] == list(range(1, 1502))
    assert len(syncs) == 2


def test_a_trim_that_fails_says_so_and_the_journal_goes_on(journal, monkeypatch):
    append(journal)
    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", lambda *given: fail(errno.ENOSPC))
        with pytest.raises(BackpressureError, match="cannot grow"):
            journal.trim(1)
    journal.trim(1)
    assert append(journal) == 2
