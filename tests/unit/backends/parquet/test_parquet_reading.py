"""How rows are found in data files: what is kept, in which order they come, by one thread or several."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from archiver.backends.parquet import gathering, reading, writing
from archiver.backends.parquet.rowgroups import KeptRowGroups, RowGroup
from archiver.model import Interval, SampleBatch

START = 1_767_225_600_000_000_000
SECOND = 1_000_000_000


def row_group(rows: int) -> RowGroup:
    return RowGroup(rows, {"source_time": pa.array(np.arange(rows))}, {"status": 0})


def test_what_was_used_longest_ago_is_forgotten_first():
    kept = KeptRowGroups(limit=250)
    for number in (0, 1, 2):
        kept.put("file", number, row_group(10))
    assert kept.get("file", 0) is not None
    kept.put("file", 3, row_group(10))  # 4 x 80 bytes are one too many
    assert [number for number in range(4) if kept.get("file", number)] == [0, 2, 3]
    kept.put("file", 4, row_group(1000))
    assert kept.get("file", 4) is None, "larger than all that is kept"


def test_nothing_is_kept_without_room():
    kept = KeptRowGroups(limit=0)
    kept.put("file", 0, row_group(1))
    assert kept.get("file", 0) is None


def test_second_read_does_not_decode_again(lake, samples, everything, monkeypatch):
    backend = lake()
    backend.open()
    backend.write({"all": samples("A")})
    backend.write({"all": samples("B")})
    first = everything(backend)
    monkeypatch.setattr(reading.DataFiles, "_decode", None)
    assert everything(backend) == first
    interval = Interval(START + 2 * SECOND, START + 4 * SECOND)
    (batch,) = backend.read(["B"], interval)
    assert batch.source_time.tolist() == [START + 2 * SECOND, START + 3 * SECOND]


@pytest.mark.parametrize("place", ["rows by number", "several threads", "both"])
def test_rows_are_the_same_however_they_are_gathered(lake, everything, monkeypatch, place):
    monkeypatch.setattr(writing, "ROW_GROUP_ROWS", 16)
    backend = lake()
    backend.open()
    for late in (0, 40, 20):  # the last batch lies between the others
        parts = [SampleBatch.from_columns(f"E{n}", times(late), np.arange(30.0) + n) for n in range(7)]
        backend.write({"all": SampleBatch.concat(parts)})
    backend.write({"all": SampleBatch.from_columns("E3", times(90), ["text"] * 30)})
    expected, before = everything(backend), backend.last_before(backend.elements(), START + 50 * SECOND).to_pylist()
    backend.close()
    if place != "several threads":
        monkeypatch.setattr(gathering, "_MOST_SLICES", 0)
    if place != "rows by number":
        monkeypatch.setattr(reading, "_MANY_ROWS", 0)
        monkeypatch.setattr(reading, "_GROUPS_AT_A_TIME", 2)
    backend.open()
    assert everything(backend) == expected
    assert backend.last_before(backend.elements(), START + 50 * SECOND).to_pylist() == before
    assert [row[:2] for row in expected] == sorted({row[:2] for row in expected})


def test_instant_shared_by_several_samples_gives_the_last_of_them(lake):
    backend = lake()
    backend.open()
    at = [START, START + SECOND, START + SECOND, START + SECOND]
    samples = SampleBatch.from_columns("A", at, [1.0, 2.0, 3.0, 4.0]).with_sequence(np.array([0, 0, 1, 2], np.int32))
    later = SampleBatch.from_columns("A", [START + 9 * SECOND], [5.0], receive_time=1)
    corrected = SampleBatch.from_columns("A", [START + SECOND], [6.0], receive_time=2).with_sequence(
        np.array([2], np.int32)
    )
    for batch in (samples, later, corrected):
        backend.write({"all": batch})
    (row,) = backend.last_before(["A"], START + 2 * SECOND).to_pylist()
    assert row[2] == 2
    assert row[-1] == 6.0


def times(offset: int) -> list[int]:
    return [START + (offset + n) * SECOND for n in range(30)]
