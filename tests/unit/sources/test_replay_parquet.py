"""Parquet files, tables of samples, and replay as a source."""

import asyncio
from decimal import Decimal

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from archiver.model import BackpressureError, InvalidInputError, Kind, SampleBatch
from archiver.sources.replay import Replay, ReplayOptions, ReplaySource, long_table


def samples(file, **options):
    chunks = list(Replay(ReplayOptions(file=file, **options)))
    return SampleBatch.concat([chunk.batch for chunk in chunks]), chunks


@pytest.mark.parametrize(
    ("times", "options"),
    [
        (pa.array([1, 2], pa.timestamp("ns", "UTC")), {}),
        (pa.array([1, 2], pa.timestamp("ns")), {}),
        (pa.array([1, 2], pa.int64()), {}),
        (pa.array([1e-9, 2e-9]), {"time_unit": "1s"}),
        (pa.array(["1970-01-01T00:00:00.000000001Z", "1970-01-01T00:00:00.000000002Z"]), {}),
    ],
)
def test_types_are_kept(tmp_path, times, options):
    columns = {
        "t": times,
        "f": pa.array([1.5, None], pa.float32()),
        "i": pa.array([2**63 - 1, 0]),
        "u": pa.array([2**64 - 1, 0], pa.uint64()),
        "b": pa.array([True, False]),
        "s": pa.array(["a", "b"]).dictionary_encode(),
        "w": pa.array([[1.0], [2.0, 3.0]]),
    }
    pq.write_table(pa.table(columns), tmp_path / "x.parquet")
    batch, _ = samples(tmp_path / "x.parquet", time="t", **options)
    assert [(n, t, k, v) for n, t, _, _, _, k, v in batch.to_pylist()] == [
        ("f", 1, Kind.FLOAT, 1.5),
        ("f", 2, Kind.NONE, None),
        ("i", 1, Kind.INT, 2**63 - 1),
        ("i", 2, Kind.INT, 0),
        ("u", 1, Kind.UINT, 2**64 - 1),
        ("u", 2, Kind.UINT, 0),
        ("b", 1, Kind.BOOL, True),
        ("b", 2, Kind.BOOL, False),
        ("s", 1, Kind.TEXT, "a"),
        ("s", 2, Kind.TEXT, "b"),
        ("w", 1, Kind.FLOATS, [1.0]),
        ("w", 2, Kind.FLOATS, [2.0, 3.0]),
    ]


def test_progress_ends_at_the_size_of_the_file(tmp_path):
    file = tmp_path / "x.parquet"
    pq.write_table(pa.table({"t": np.arange(200_000), "v": np.zeros(200_000)}), file)
    batch, chunks = samples(file, time="t", element="X")
    assert batch.num_rows == 200_000
    assert [chunk.done for chunk in chunks] == sorted(chunk.done for chunk in chunks)
    assert chunks[-1].done == file.stat().st_size == Replay(ReplayOptions(file=file, time="t", element="X")).total


def test_a_row_without_time_is_refused_by_its_number(tmp_path):
    pq.write_table(pa.table({"t": pa.array([1, None, 3]), "v": [1.0, 2.0, 3.0]}), tmp_path / "x.parquet")
    batch, chunks = samples(tmp_path / "x.parquet", time="t", element="X")
    assert batch.source_time.tolist() == [1, 3]
    assert chunks[0].refused == ((2, "no time"),)


def test_a_type_that_no_kind_holds_names_the_column(tmp_path):
    pq.write_table(pa.table({"t": [1], "v": [Decimal("1.5")]}), tmp_path / "x.parquet")
    with pytest.raises(InvalidInputError, match=r"column 'v'.*decimal"):
        samples(tmp_path / "x.parquet", time="t", element="X")
    assert samples(tmp_path / "x.parquet", time="t", element="X", kind="float")[0].to_pylist()[0][6] == 1.5


def test_a_file_that_is_no_parquet(tmp_path):
    (tmp_path / "x.parquet").write_text("t,v")
    with pytest.raises(InvalidInputError, match="as Parquet"):
        Replay(ReplayOptions(file=tmp_path / "x.parquet", time="t"))


@pytest.mark.parametrize("times", ["2026-01-01T00:00:00.000000001Z", 1767225600000000001])
def test_a_table_of_samples(times):
    columns = {"element": ["A", "B"], "source_time": [times] * 2, "value": [1.5, None], "status": [4, 2**64 - 1]}
    batch = long_table(pa.table(columns | {"status": pa.array(columns["status"], pa.uint64())}))
    assert batch.to_pylist() == [
        ("A", 1767225600000000001, 0, 0, 4, Kind.FLOAT, 1.5),
        ("B", 1767225600000000001, 0, 0, 2**64 - 1, Kind.NONE, None),
    ]
    with pytest.raises(InvalidInputError, match="no column value"):
        long_table(pa.table({"element": ["A"], "source_time": [1]}))


def run(options, push):
    asyncio.run(ReplaySource("r", options).run(push))


def test_as_fast_as_it_goes_nothing_is_lost_when_the_archive_is_full(tmp_path):
    (tmp_path / "x.csv").write_text("t,v\n" + "".join(f"{n},{n}\n" for n in range(100)))
    taken, calls = [], 0

    async def push(batch):
        nonlocal calls
        calls += 1
        if calls < 3:
            raise BackpressureError("full", retry_after_s=0.0)
        taken.append(batch)

    run(ReplayOptions(file=tmp_path / "x.csv", time="t", time_unit="1h", element="X"), push)
    assert SampleBatch.concat(taken).source_time.tolist() == [n * 3600 * 10**9 for n in range(100)]


def test_at_a_speed_samples_come_in_order_of_time_and_not_before_they_are_due(tmp_path):
    (tmp_path / "x.csv").write_text("t,a,b\n0,1,2\n300,3,4\n600,5,6\n")
    arrivals = []

    async def push(batch):
        now = asyncio.get_running_loop().time()
        arrivals.extend((int(time), now) for time in batch.source_time)

    run(ReplayOptions(file=tmp_path / "x.csv", time="t", time_unit="1ms", speed=1.0), push)
    times = [time for time, _ in arrivals]
    assert times == sorted(times)
    assert len(times) == 6
    assert arrivals[-1][1] - arrivals[0][1] >= 0.4  # due after 600 ms, pushed at most 100 ms early
