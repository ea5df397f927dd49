"""What a power cut or a crash can leave behind, and that `open` puts it right."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from archiver.backends.parquet import sidecar
from archiver.backends.parquet.index import Index
from archiver.backends.parquet.log import DeltaLog
from archiver.model import TransientError, disk
from archiver.ports import Position

START = 1_767_225_600_000_000_000


def last_commit(backend) -> Path:
    return max((backend.root / "_delta_log").glob("*.json"))


def truncate(path: Path, size: int) -> None:
    os.truncate(path, size)


@pytest.fixture
def two_writes(lake, samples, everything):
    """Return an open backend after two writes, and what it held after the first."""
    backend = lake()
    backend.open()
    backend.write({"all": samples()}, Position("j", 1))
    first = everything(backend)
    backend.write({"all": samples(start=START + 10**12)}, Position("j", 2))
    return backend, first


TEARS = {
    "empty": lambda commit: truncate(commit, 0),
    "half a line": lambda commit: truncate(commit, commit.stat().st_size // 2),
    "whole lines lost": lambda commit: truncate(commit, len(commit.read_bytes().splitlines(keepends=True)[0])),
    "zeros": lambda commit: commit.write_bytes(b"\0" * commit.stat().st_size),
}


@pytest.mark.parametrize("tear", TEARS)
def test_torn_commit_is_rolled_back_with_its_position(tear, two_writes, samples, everything):
    backend, first = two_writes
    commit = last_commit(backend)
    backend.close()
    TEARS[tear](commit)
    backend.open()
    assert backend.position("j") == Position("j", 1)
    assert everything(backend) == first
    receipt = backend.write({"all": samples(start=START + 10**12)}, Position("j", 2))
    assert not receipt.repeated
    assert receipt.duplicates == 0
    assert len(everything(backend)) == 20


@pytest.mark.parametrize("damage", ["missing", "truncated", "overwritten end"])
def test_commit_of_a_damaged_data_file_is_rolled_back(damage, two_writes, everything):
    backend, first = two_writes
    path = backend.root / backend._table.index.snapshot.entries[-1].path
    backend.close()
    if damage == "missing":
        path.unlink()
    elif damage == "truncated":
        truncate(path, path.stat().st_size - 1)
    else:
        path.write_bytes(path.read_bytes()[:-4] + b"\0\0\0\0")
    backend.open()
    assert backend.position("j") == Position("j", 1)
    assert everything(backend) == first


def test_reader_steps_over_a_torn_commit_and_repairs_nothing(lake, two_writes, everything):
    backend, first = two_writes
    commit = last_commit(backend)
    backend.close()
    truncate(commit, 10)
    reader = lake(read_only=True)
    reader.open()
    assert everything(reader) == first
    assert commit.stat().st_size == 10


def test_torn_creation_of_the_table_is_done_again(lake, samples, everything):
    backend = lake()
    backend.open()
    backend.close()
    truncate(last_commit(backend), 20)
    backend.open()
    backend.write({"all": samples()}, Position("j", 1))
    assert len(everything(backend)) == 10


def test_torn_checkpoint_is_not_used(two_writes, everything):
    backend, _ = two_writes
    backend.compact()
    held = everything(backend)
    (checkpoint,) = (backend.root / "_delta_log").glob("*.checkpoint.parquet")
    backend.close()
    truncate(checkpoint, checkpoint.stat().st_size // 2)
    backend.open()
    assert everything(backend) == held
    assert backend.position("j") == Position("j", 2)


def test_files_of_a_crash_before_the_commit_are_ignored_and_then_removed(
    lake, monkeypatch, two_writes, samples, everything
):
    backend, _ = two_writes
    held = everything(backend)

    class Crash(BaseException):
        pass

    def crash(*_args, **_kwargs):
        raise Crash

    monkeypatch.setattr(DeltaLog, "commit", crash)
    monkeypatch.setattr(type(backend), "_discard", lambda *_: None)  # a crash tidies nothing up
    with pytest.raises(Crash):
        backend.write({"all": samples("orphan")}, Position("j", 3))
    monkeypatch.undo()
    backend.close()
    again = lake(keep_removed="0s")
    again.open()
    assert everything(again) == held
    assert len(list(again.root.glob("group=*/**/*.parquet"))) == 3
    again.compact()
    assert len(list(again.root.glob("group=*/**/*.parquet"))) == len(again._table.log.files)
    assert everything(again) == held


def test_crash_inside_compaction_leaves_the_old_files_in_force(monkeypatch, two_writes, everything):
    backend, _ = two_writes
    held = everything(backend)

    def fail(*_args, **_kwargs):
        raise OSError(errno.EIO, "injected")

    monkeypatch.setattr(DeltaLog, "commit", fail)
    with pytest.raises(TransientError, match="injected"):
        backend.compact()
    monkeypatch.undo()
    assert everything(backend) == held
    backend.close()
    backend.open()
    assert everything(backend) == held
    assert backend.compact() == 2
    assert everything(backend) == held


@pytest.mark.parametrize("fails_at", range(1, 8))
def test_full_disk_leaves_no_half_commit(monkeypatch, fails_at, two_writes, samples, everything):
    backend, _ = two_writes
    held, commits = everything(backend), last_commit(backend)
    calls = 0
    real = disk.sync

    def sync(path: Path) -> None:
        nonlocal calls
        calls += 1
        if calls == fails_at:
            raise OSError(errno.ENOSPC, "No space left on device", str(path))
        real(path)

    monkeypatch.setattr(disk, "sync", sync)
    parts = {"all": samples("new")}
    if fails_at <= 4:  # data file, its folder, log entry, log folder
        with pytest.raises(TransientError, match="free some space"):
            backend.write(parts, Position("j", 3))
        monkeypatch.undo()
        assert everything(backend) == held
        assert backend.position("j") == Position("j", 2)
        assert last_commit(backend) == commits
        assert len(list(backend.root.glob("group=*/**/*.parquet"))) == 2
    monkeypatch.undo()
    assert backend.write(parts, Position("j", 3 if fails_at <= 4 else 4)).duplicates == 0
    assert len(everything(backend)) == 30


def test_full_disk_while_the_data_is_written(monkeypatch, two_writes, samples, everything):
    backend, _ = two_writes
    held = everything(backend)

    def write_table(*_args, **_kwargs):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(pq.ParquetWriter, "write_table", write_table)
    with pytest.raises(TransientError, match="No space left"):
        backend.write({"all": samples("new")}, Position("j", 3))
    monkeypatch.undo()
    assert everything(backend) == held
    assert len(list(backend.root.glob("group=*/**/*.parquet"))) == 2


@pytest.mark.parametrize("damage", ["missing", "torn"])
def test_index_is_made_again_from_the_data(damage, two_writes, samples, everything):
    backend, _ = two_writes
    held, entries = everything(backend), backend._table.index.snapshot.entries
    backend.close()
    for entry in entries:
        path = sidecar.path_of(backend.root, entry.path)
        path.unlink() if damage == "missing" else truncate(path, path.stat().st_size - 3)
    backend.open()
    assert everything(backend) == held
    assert backend.last_before(["T1"], 2**62).to_pylist() == held[-1:]
    assert backend.write({"all": samples()}, Position("j", 3)).duplicates == 10


def test_refused_by_before_commit_leaves_nothing(two_writes, samples, everything):
    backend, _ = two_writes
    held = everything(backend)

    def refuse(_receipt):
        raise RuntimeError("no")

    with pytest.raises(RuntimeError):
        backend.write({"all": samples("new")}, Position("j", 3), refuse)
    assert everything(backend) == held
    assert len(list(backend.root.glob("group=*/**/*.parquet"))) == 2


def test_failure_after_the_commit_removes_nothing_of_it(monkeypatch, two_writes, samples, everything):
    backend, _ = two_writes

    def fail(*_args):
        raise MemoryError

    monkeypatch.setattr(Index, "change", fail)
    with pytest.raises(MemoryError):
        backend.write({"all": samples("new")}, Position("j", 3))
    with pytest.raises(MemoryError):
        backend.compact()
    monkeypatch.undo()
    backend.close()
    backend.open()
    assert backend.position("j") == Position("j", 3)
    assert len(everything(backend)) == 30
