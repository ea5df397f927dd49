"""Data sets for measurements: what the peers were measured with, and what a deadband leaves of a plant."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from archiver.model import SampleBatch, Status

START = 1_767_225_600_000_000_000
SECOND = 1_000_000_000
JITTER_NS = 5_000_000


def element_names(elements: int) -> list[str]:
    """Return the names of the elements of a data set, sorted."""
    return [f"plant/area{i % 10}/device{i:05d}.value" for i in range(elements)]


def peers_data(elements: int = 1000, samples: int = 10_000, seed: int = 0, jitter_ns: int = JITTER_NS) -> SampleBatch:
    """Return samples of many elements, by time as they would arrive.

    Times are a second apart with normal jitter; values: half random walks of three decimals, a quarter setpoints that
    rarely change, a quarter noise in full precision; status 0 but for one in a thousand.

    Parameters
    ----------
    elements, samples : int
        Number of elements, and of samples of each.
    seed : int
    jitter_ns : int
        Standard deviation of the time of a sample against the whole second, ns.
    """
    random = np.random.default_rng(seed)
    steps = START + np.arange(samples, dtype=np.int64)[:, None] * SECOND
    times = np.sort(steps + random.normal(0, jitter_ns, (samples, elements)).astype(np.int64), axis=0)
    values = np.empty((samples, elements))
    for column in range(elements):
        values[:, column] = _values(column % 4, samples, random)
    status = np.where(random.random((samples, elements)) < 0.001, np.uint64(Status.EXP_INV), np.uint64(0))
    codes = np.tile(np.arange(elements, dtype=np.int32), samples)
    return _batch(codes, elements, times.ravel(), values.ravel(), status.ravel())


def deadband_data(elements: int = 1000, samples: int = 10_000, seed: int = 0, deadband: float = 0.05) -> SampleBatch:
    """Return what a value deadband leaves of random walks with three decimals, polled each second; by time.

    Times keep the millisecond of the poll; neighbours differ by more than the deadband. `samples` is the number of
    polls per element: fewer are left.
    """
    random = np.random.default_rng(seed)
    parts: list[tuple[NDArray[np.int32], NDArray[np.int64], NDArray[np.float64]]] = []
    for code in range(elements):
        walk = np.round(50 + np.cumsum(random.normal(0, 0.03, samples)), 3)
        kept = _deadband(walk, deadband)
        polls = START + kept * SECOND + random.integers(0, 20, len(kept)) * 1_000_000
        parts.append((np.full(len(kept), code, np.int32), polls, walk[kept]))
    codes, times, values = (np.concatenate(columns) for columns in zip(*parts, strict=True))
    order = np.argsort(times, kind="stable")
    return _batch(codes[order], elements, times[order], values[order], np.zeros(len(order), np.uint64))


def in_batches(batch: SampleBatch, rows: int = 10_000) -> Iterator[SampleBatch]:
    """Yield runs of samples, each with a receive time of its own: that of its last sample."""
    for start in range(0, batch.num_rows, rows):
        part = batch.slice(start, rows)
        yield part.with_receive_time(int(part.source_time[-1]))


def _values(kind: int, samples: int, random: np.random.Generator) -> NDArray[np.float64]:
    if kind < 2:
        return np.round(50 + np.cumsum(random.normal(0, 0.01, samples)), 3)
    if kind == 2:
        changes = random.random(samples) < 0.01
        return np.round(random.uniform(0, 100, samples), 1)[
            np.maximum.accumulate(np.where(changes, np.arange(samples), 0))
        ]
    return random.normal(0, 1, samples)


def _deadband(values: NDArray[np.float64], width: float) -> NDArray[np.int64]:
    kept, last = [0], values[0]
    for index, value in enumerate(values.tolist()):
        if abs(value - last) > width:
            kept.append(index)
            last = value
    return np.array(kept, np.int64)


def _batch(
    codes: NDArray[np.int32],
    elements: int,
    times: NDArray[np.int64],
    values: NDArray[np.float64],
    status: NDArray[np.uint64],
) -> SampleBatch:
    named = SampleBatch.from_columns("x", times, values, status=status)
    return named.with_elements(codes, element_names(elements))
