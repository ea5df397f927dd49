"""Streams merged: the same samples in the same order, whether rows are sorted, runs copied, or given as they are."""

from __future__ import annotations

import numpy as np
import pytest

from archiver.model import SampleBatch, merge
from archiver.model.identity import newest_versions

NAMES = ["a", "b", "c", "d"]
WAYS = {"rows": (10**9, 10**9), "copied": (0, 10**9), "whole": (0, 0)}
"""Rows a run from which on runs are copied, and from which on they are given as they are."""


def part(random, span, values, names=NAMES):
    """Make a sorted batch of some elements, with a few samples each between two times."""
    batches = []
    for name in names:
        times = np.unique(random.integers(*span, random.integers(0, 12)))
        given = values(random, len(times))
        batches.append(SampleBatch.from_columns(name, times, given, receive_time=random.integers(1, 9, len(times))))
    return SampleBatch.concat(batches).sorted()


def floats(random, count):
    return random.normal(0, 1, count)


def texts(random, count):
    return [None if number < 3 else f"t{number}" for number in random.integers(0, 9, count)]


def cut(random, batch):
    """Cut a stream into a few batches."""
    edges = np.sort(random.integers(0, batch.num_rows + 1, 2)).tolist()
    for start, stop in zip([0, *edges], [*edges, batch.num_rows], strict=True):
        yield batch.slice(start, stop - start)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("overlap", [False, True])
def test_samples_of_several_streams_come_in_order_each_once(monkeypatch, way, overlap):
    long_run, whole_run = WAYS[way]
    monkeypatch.setattr(merge, "_LONG_RUN", long_run)
    monkeypatch.setattr(merge, "_WHOLE_RUN", whole_run)
    random = np.random.default_rng(5)
    for _ in range(25):
        spans = [(0, 60), (40, 90), (0, 90)] if overlap else [(0, 30), (30, 60), (60, 90)]
        kinds = [floats, texts, floats]
        parts = [part(random, *each, NAMES[random.integers(0, 3) :]) for each in zip(spans, kinds, strict=True)]
        found = list(merge.merged([cut(random, batch) for batch in parts]))
        expected = newest_versions(SampleBatch.concat(parts).sorted())
        assert SampleBatch.concat(found).to_pylist() == expected.to_pylist()


def test_long_runs_are_not_copied(monkeypatch):
    monkeypatch.setattr(merge, "_LONG_RUN", 2)
    monkeypatch.setattr(merge, "_WHOLE_RUN", 5)
    batches = []
    for start in (10, 0):
        times = np.tile(np.arange(start, start + 5), 2)
        batches.append(SampleBatch.from_columns(["a"] * 5 + ["b"] * 5, times, np.arange(10.0)))
    given = list(merge.merged([iter([batch]) for batch in batches]))
    assert [(batch.present(), int(batch.source_time[0])) for batch in given] == [
        (["a"], 0),
        (["a"], 10),
        (["b"], 0),
        (["b"], 10),
    ]
    memory = [batch.column("source_time").buffers()[1].address for batch in batches]
    assert {batch.column("source_time").buffers()[1].address for batch in given} == set(memory)
