"""Files, locks, readers in other processes, compaction and retention of the Parquet backend."""

from __future__ import annotations

import subprocess
import sys
import threading

import numpy as np
import pyarrow as pa
import pytest

from archiver.backends.parquet import compaction, query, writing
from archiver.backends.parquet.entry import Level
from archiver.model import ArchiveGroup, Interval, Kind, PermanentError, SampleBatch, TransientError
from archiver.model.time import ALWAYS
from archiver.ports import Position

START = 1_767_225_600_000_000_000
SECOND = 1_000_000_000
HOUR = 3600 * SECOND
DAY = 24 * HOUR


@pytest.fixture
def small(monkeypatch):
    """Make row groups and chunks small, so that few samples cross their borders."""
    monkeypatch.setattr(writing, "ROW_GROUP_ROWS", 16)
    monkeypatch.setattr(query, "CHUNK_ROWS", 25)
    monkeypatch.setattr(compaction, "CHUNK_ROWS", 25)


def levels(backend):
    return sorted(entry.level for entry in backend._table.index.snapshot.entries)


def test_second_writer_is_refused_and_reader_is_not(lake, samples, everything):
    first = lake()
    first.open()
    with pytest.raises(TransientError, match="being written by process"):
        lake().open()
    reader = lake(read_only=True)
    reader.open()
    first.write({"all": samples()}, Position("j", 1))
    assert everything(reader) == everything(first)
    with pytest.raises(PermanentError, match="read-only"):
        reader.write({"all": samples()})
    first.close()
    lake().open()


def test_second_writer_in_another_process(lake):
    backend = lake()
    backend.open()
    script = (
        "import sys; from pathlib import Path; from archiver.ports import BackendContext;"
        "from archiver.backends.parquet import ParquetBackend as B;"
        "B(BackendContext('lake', Path(sys.argv[1])), B.Options()).open()"
    )
    result = subprocess.run(
        [sys.executable, "-c", script, str(backend.root.parent)], capture_output=True, text=True, check=False
    )
    assert result.returncode == 1
    assert "is being written by process" in result.stderr


def test_reader_of_a_table_that_is_not_there_yet(lake, samples, everything):
    reader = lake(read_only=True)
    reader.open()
    assert everything(reader) == []
    assert not reader.root.exists()
    writer = lake()
    writer.open()
    writer.write({"all": samples()}, Position("j", 7))
    assert len(everything(reader)) == 10
    assert reader.position("j") == Position("j", 7)


def test_reader_follows_through_compaction_and_vacuum(lake, samples, everything):
    writer, reader = lake(keep_removed="0s"), lake(read_only=True)
    writer.open()
    reader.open()
    for number in range(5):
        writer.write({"all": samples(start=START + number * HOUR)}, Position("j", number))
        if number == 1:
            assert len(everything(reader)) == 20
    writer.compact()
    assert everything(reader) == everything(writer)
    assert reader.position("j") == Position("j", 4)


def test_read_under_way_survives_vacuum(lake, samples, small):
    backend = lake(keep_removed="0s")
    backend.open()
    for number in range(4):
        backend.write({"all": samples("T", 20, START + number * DAY)}, Position("j", number))
    reading = backend.read(["T"], ALWAYS)
    got = [next(reading)]
    backend.write({"all": samples("T", 20, START + 50 * HOUR)}, Position("j", 9))
    assert backend.compact() > 0
    got += list(reading)
    assert sum(batch.num_rows for batch in got) == 100
    assert (np.diff(np.concatenate([batch.source_time for batch in got])) > 0).all()


def test_compaction_keeps_versions_order_and_position(lake, small, everything):
    random = np.random.default_rng(3)
    backend = lake()
    backend.open()
    for number in range(12):
        times = START + random.integers(0, 60, 40) * SECOND
        names = random.choice(["a", "b", "c/é\n"], 40)
        batch = SampleBatch.from_columns(names.tolist(), times, random.integers(0, 3, 40) / 4, receive_time=number + 1)
        backend.write({"all": batch}, Position("j", number))
    held = [everything(backend, versions=True), everything(backend), everything(backend, as_of=5)]
    assert len(held[0]) > len(held[1])
    assert backend.compact() == 12
    assert set(levels(backend)) == {Level.DAY}
    assert [everything(backend, versions=True), everything(backend), everything(backend, as_of=5)] == held
    assert backend.position("j") == Position("j", 11)
    assert backend.compact() == 0


def test_hours_that_are_over_become_one_file_each(lake, samples, monkeypatch, everything):
    backend = lake()
    backend.open()
    for number in range(9):
        backend.write({"all": samples(start=START + number * HOUR // 3)}, Position("j", number))
    held = everything(backend)
    monkeypatch.setattr("archiver.backends.parquet.backend.now", lambda: START + 2 * HOUR + compaction.SETTLED_NS)
    assert backend.compact() == 6
    assert levels(backend) == [Level.WRITE] * 3 + [Level.HOUR] * 2
    assert everything(backend) == held


def test_number_of_small_files_stays_bounded_without_compaction(lake, samples, everything):
    backend = lake()
    backend.open()
    for number in range(compaction.FEW_FILES + 3):
        backend.write({"all": samples(count=2, start=START + number * 2 * SECOND)}, Position("j", number))
    assert levels(backend) == [Level.WRITE] * 3 + [Level.MERGED]
    assert len(everything(backend)) == 2 * (compaction.FEW_FILES + 3)


def test_day_file_parts_repeating_values_from_noise(lake):
    random = np.random.default_rng(0)
    backend = lake()
    backend.open()
    times = START + np.arange(5000) * SECOND
    for name, values in (("noise", random.normal(size=5000)), ("setpoint", np.repeat([1.5, 2.5], 2500))):
        backend.write({"all": SampleBatch.from_columns(name, times, values)})
    backend.compact()
    entries = backend._table.index.snapshot.entries
    assert sorted(backend._table.names.names(entry.pieces.ids)[0] for entry in entries) == ["noise", "setpoint"]


def test_late_days_do_not_rewrite_a_large_day(lake, samples, everything):
    backend = lake()
    backend.open()
    backend.write({"all": samples(count=1000)})
    backend.compact()
    backend.write({"all": samples(count=3, start=START + 2 * HOUR)})
    assert backend.compact() == 0
    assert len(everything(backend)) == 1003


def test_dropping_segments_shorter_and_longer_than_a_day(lake, samples):
    groups = {
        "hourly": ArchiveGroup("hourly", ("*",), ("lake",), segment_ns=HOUR),
        "weekly": ArchiveGroup("weekly", ("*",), ("lake",), segment_ns=7 * DAY),
    }
    backend = lake(groups=groups)
    backend.open()
    week = START // (7 * DAY) * 7 * DAY
    backend.write({"hourly": samples(count=4, step=HOUR), "weekly": samples(count=10, start=week, step=DAY)})
    backend.compact()
    assert [s.interval.start for s in backend.segments("hourly")] == [START + i * HOUR for i in range(4)]
    assert [s.rows for s in backend.drop_before("hourly", START + 2 * HOUR + 1)] == [1, 1]
    assert [s.rows for s in backend.drop_before("weekly", week + 8 * DAY)] == [7]
    assert {c.group: c.rows for c in backend.coverage()} == {"hourly": 2, "weekly": 3}


def test_dropping_everything_forgets_the_latest_value(lake, samples):
    backend = lake()
    backend.open()
    reader = lake(read_only=True)
    backend.write({"all": samples("gone"), "other": samples("kept")})
    reader.open()
    backend.drop_before("all", START + 2 * DAY)
    for either in (backend, reader):
        assert either.last_before(["gone", "kept"], START + DAY).present() == ["kept"]
    assert backend.elements() == ["kept"]
    assert backend.write({"all": samples("gone")}).duplicates == 0


def test_buckets_part_elements_and_names_never_reach_a_path(lake, everything):
    backend = lake(buckets=4)
    backend.open()
    names = ["../../etc", "a/b", 'q"uote', "per%20cent", "né\nwline", "x" * 5000, ""]
    backend.write({"all": SampleBatch.from_columns(names, np.full(7, START), np.arange(7.0))}, Position("j", 1))
    assert len({entry.cell.bucket for entry in backend._table.index.snapshot.entries}) > 1
    backend.close()
    backend.open()
    assert [row[0] for row in everything(backend)] == sorted(names)
    for path in backend.root.rglob("*"):
        assert set(path.name) <= set("abcdefghijklmnopqrstuvwxyz0123456789_-=.T")


def test_other_kinds_survive_compaction(lake, everything):
    values = {
        Kind.UINT: pa.array([2**64 - 1, 0], pa.uint64()),
        Kind.UINTS: pa.array([[2**64 - 1, 0], []], pa.list_(pa.uint64())),
        Kind.FLOATS: pa.array([[1.5, float("inf")], [-0.0]], pa.list_(pa.float64())),
        Kind.TEXTS: pa.array([["a", "é"], []], pa.list_(pa.utf8())),
        Kind.BINARIES: pa.array([[b"\0", b""], None], pa.list_(pa.binary())),
        Kind.ENUM: pa.array([3, None], pa.int32()),
        Kind.BOOL: pa.array([True, None]),
    }
    backend = lake()
    backend.open()
    for number, (kind, array) in enumerate(values.items()):
        batch = SampleBatch.from_columns(kind.name, [START, START + 1], array, kind=kind, status=2**64 - 1)
        backend.write({"all": batch}, Position("j", number))
    held = everything(backend)
    assert len(held) == 14
    backend.compact()
    assert everything(backend) == held


def test_readers_see_whole_commits_while_writing_and_compacting(lake, samples):
    """Each commit adds ten samples: no reader may ever see another number, or fewer than before."""
    backend = lake(keep_removed="0s")
    backend.open()
    wrong: list[object] = []
    done = threading.Event()

    def follow() -> None:
        seen = 0
        while not done.is_set():
            try:
                count = sum(batch.num_rows for batch in backend.read(["T1"], Interval(START, START + DAY)))
            except Exception as exc:  # noqa: BLE001 - whatever a reader meets is wrong
                wrong.append(exc)
                return
            if count % 10 or count < seen:
                wrong.append((seen, count))
            seen = count

    reader = threading.Thread(target=follow)
    reader.start()
    for number in range(25):
        backend.write({"all": samples(start=START + number * 100 * SECOND)}, Position("j", number))
        if number % 5 == 4:
            backend.compact()
    done.set()
    reader.join()
    assert wrong == []
