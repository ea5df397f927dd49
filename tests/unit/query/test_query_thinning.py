"""Fewer samples, and a line through them that looks the same."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from archiver.model import Interval, Kind, SampleBatch, Status
from archiver.model.time import MAX_TIME, MIN_TIME
from archiver.query import thinning
from archiver.query.thinning import thinned

SECOND = 10**9


def cut(batch: SampleBatch, *sizes: int) -> Iterator[SampleBatch]:
    """Yield a batch in slices of these sizes, over and over."""
    at = 0
    for size in itertools.cycle(sizes):
        if at >= len(batch):
            return
        yield batch.slice(at, size)
        at += size


def thin(batch: SampleBatch, points: int, *sizes: int) -> SampleBatch:
    end = int(batch.source_time.max()) + 1
    return SampleBatch.concat(list(thinned(cut(batch, *(sizes or (1000,))), Interval(0, end), points)))


def walk(count: int, seed: int = 1) -> SampleBatch:
    values = np.cumsum(np.random.default_rng(seed).normal(size=count))
    return SampleBatch.from_columns("a", np.arange(count) * SECOND, values)


def test_few_samples_stay_as_they_are() -> None:
    batch = walk(500)
    assert thin(batch, 500, 7) == batch


@pytest.mark.parametrize("sizes", [(1000,), (100_000,), (1, 17, 4096)])
def test_a_line_keeps_its_extremes(sizes: tuple[int, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    """The largest and the smallest value of each hundredth of the time are in it, nearly."""
    monkeypatch.setattr(thinning, "_HELD_ROWS", 5000)
    values = np.random.default_rng(2).normal(size=40_000)
    values[12_345], values[23_456] = 99.0, -99.0
    batch = SampleBatch.from_columns("a", np.arange(40_000) * SECOND, values)
    result = thin(batch, 1000, *sizes)
    found = result.values(Kind.FLOAT).to_numpy()
    assert 900 <= len(result) <= 1002
    assert (found.max(), found.min()) == (99.0, -99.0)
    assert np.isin(result.source_time, batch.source_time).all()
    assert (values[result.source_time // SECOND] == found).all()
    assert (result.source_time[0], result.source_time[-1]) == (0, 39_999 * SECOND)


def test_a_picture_of_it_is_the_same() -> None:
    """On 200 columns of pixels, the highest and lowest point of the line differ by less than a pixel of 200, mostly."""
    batch = walk(100_000)
    result = thin(batch, 2000)
    whole, few = (drawn(part, 100_000 * SECOND) for part in (batch, result))
    pixel = (whole.max() - whole.min()) / 200
    assert np.quantile(np.abs(whole - few), 0.9) < pixel
    assert np.abs(whole - few).max() < 3 * pixel


def drawn(batch: SampleBatch, end: int) -> np.ndarray:
    """Return the highest and lowest value in each of 200 spans, of the line through the samples."""
    times = np.linspace(0, end, 20_001)[:-1]
    line = np.interp(times, batch.source_time, batch.values(Kind.FLOAT).to_numpy()).reshape(200, -1)
    return np.stack([line.min(axis=1), line.max(axis=1)])


@given(
    seed=st.integers(0, 99),
    sizes=st.lists(st.integers(1, 400), min_size=1, max_size=4),
    points=st.integers(30, 60),
)
def test_where_values_become_bad_or_stop_is_kept(seed: int, sizes: list[int], points: int) -> None:
    rng = np.random.default_rng(seed)
    status = np.zeros(2000, np.uint64)
    values: list[float | None] = rng.normal(size=2000).tolist()
    for start, length in zip(rng.integers(0, 1900, 4), rng.integers(1, 90, 4), strict=True):
        status[start : start + length] = rng.choice([int(Status.EXP_INV), int(Status.DISCONNECTED)])
    values[int(rng.integers(0, 2000))] = None
    batch = SampleBatch.from_columns("a", np.arange(2000), values, status=status)
    result = thin(batch, points, *sizes)
    assert stretches(result) == stretches(batch)
    assert len(result) <= points + 25


def stretches(batch: SampleBatch) -> list[tuple[int, int, int]]:
    """Return of each run of samples that are drawn alike: how, and the times of its first and last one."""
    state = thinning._states(batch)
    edges = [0, *(np.flatnonzero(np.diff(state)) + 1).tolist(), len(batch)]
    return [
        (int(state[a]), int(batch.source_time[a]), int(batch.source_time[b - 1])) for a, b in itertools.pairwise(edges)
    ]


@pytest.mark.parametrize(
    "values",
    [
        pa.array(["off"] * 700 + ["on"] * 2 + ["off"] * 298),
        pa.array([False] * 700 + [True] * 2 + [False] * 298),
        pa.array([b"x"] * 700 + [b"y"] * 2 + [b"x"] * 298),
        pa.array([0] * 700 + [3] * 2 + [0] * 298, pa.int32()),
    ],
    ids=["text", "bool", "binary", "enum"],
)
def test_each_change_of_a_state_is_kept(values: pa.Array) -> None:
    kind = Kind.ENUM if pa.types.is_integer(values.type) else None
    batch = SampleBatch.from_columns("a", np.arange(1000), values, kind=kind)
    assert thin(batch, 10, 64).source_time.tolist() == [0, 699, 700, 701, 702, 999]


def test_a_state_that_flickers_is_bounded() -> None:
    batch = SampleBatch.from_columns("a", np.arange(100_000), pa.array(np.arange(100_000) % 2 == 0))
    assert 100 <= len(thin(batch, 100)) <= 204


def test_arrays_are_bounded() -> None:
    batch = SampleBatch.from_columns("a", np.arange(5000), [[float(n)] for n in range(5000)])
    assert 100 <= len(thin(batch, 100)) <= 204


def test_elements_stay_apart_and_in_order() -> None:
    """Short ones whole, long ones thinned, wherever the batches are cut."""
    counts = {"a": 3, "b": 900, "c": 1, "d": 2, "e": 5000, "f": 4}
    names = [name for name, count in counts.items() for _ in range(count)]
    times = np.concatenate([np.arange(count) for count in counts.values()])
    batch = SampleBatch.from_columns(names, times, times * 1.0)
    for sizes in [(1,), (899, 7), (10_000,)]:
        result = thin(batch, 100, *sizes)
        found = {name: int((result.codes == code).sum()) for code, name in enumerate(result.elements)}
        assert {name: found[name] for name in "acdf"} == {name: counts[name] for name in "acdf"}
        assert all(90 <= found[name] <= 102 for name in "be")
        assert (np.diff(result.codes) >= 0).all()


def test_values_of_several_kinds() -> None:
    """An element that was a number and became a text: both are kept, and the change between them."""
    number = pa.array([*map(float, range(1000)), *[None] * 1000])
    text = pa.array([*[None] * 1000, *["x"] * 1000])
    batch = SampleBatch.from_columns("a", np.arange(2000), {Kind.FLOAT: number, Kind.TEXT: text})
    result = thin(batch, 50)
    assert {999, 1000} <= set(result.source_time.tolist())
    assert len(result) < 60


@pytest.mark.parametrize("step", [0, 1, SECOND], ids=["one instant", "a burst", "a while"])
@pytest.mark.parametrize("status", [0, int(Status.EXP_INV)], ids=["good", "bad at times"])
def test_many_samples_in_a_small_part_of_the_time(step: int, status: int) -> None:
    batch = SampleBatch.from_columns(
        "a",
        np.arange(3000) * step,
        np.sin(np.arange(3000.0)),
        sequence=np.arange(3000),
        status=np.where(np.arange(3000) // 1500, status, 0),
    )
    for size in (60, 500, 3000):
        result = SampleBatch.concat(list(thinned(cut(batch, size), Interval(0, 10**18), 50)))
        assert {0, 2999} <= set(result.sequence.tolist())
        assert len(result) <= 54
        assert (np.diff(result.sequence.astype(np.int64)) > 0).all()
        assert bool(status) <= ({1499, 1500} <= set(result.sequence.tolist()))


def test_numbers_that_are_none_or_without_end() -> None:
    values = np.random.default_rng(3).normal(size=5000)
    values[::100], values[50::100], values[7] = np.inf, -np.inf, 1e308
    result = thin(SampleBatch.from_columns("a", np.arange(5000), values), 100)
    assert 90 <= len(result) <= 102
    values[1000:1010] = np.nan
    found = set(thin(SampleBatch.from_columns("a", np.arange(5000), values), 100).source_time.tolist())
    assert {999, 1000, 1009, 1010} <= found


def test_whole_numbers_beyond_those_of_a_float() -> None:
    values = [*range(2**62, 2**62 + 4000), 2**63 - 1, -(2**63)]
    result = thin(SampleBatch.from_columns("a", np.arange(4002), values), 100)
    assert {2**63 - 1, -(2**63)} <= set(result.values(Kind.INT).to_pylist())


def test_centuries() -> None:
    times = np.linspace(MIN_TIME, MAX_TIME - 1024, 10_000).astype(np.int64)
    batch = SampleBatch.from_columns("a", times, np.sin(np.arange(10_000.0)))
    result = SampleBatch.concat(list(thinned(iter([batch]), Interval(MIN_TIME, MAX_TIME), 100)))
    assert 90 <= len(result) <= 102
    assert (np.diff(result.source_time) > 0).all()
