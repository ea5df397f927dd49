"""Compiled or not is a matter of speed only."""

import subprocess
import sys

import numpy as np
import pytest

from archiver.model import SampleBatch, Smoothing, SmoothingKind
from archiver.smoothing import Smoother, compiling

QUIET = """
import sys
from archiver.model import SampleBatch, Smoothing, SmoothingKind
from archiver.smoothing import Smoother
import archiver.smoothing.whatif
smoother = Smoother(Smoothing(SmoothingKind.VALUE, 1.0))
assert smoother.apply(SampleBatch.from_columns("a", [0, 1], [0.0, 0.5])).stored.num_rows == 1
assert "numba" not in sys.modules
"""


def walk(count, elements):
    random = np.random.default_rng(3)
    names = [f"e{i}" for i in range(elements)] * (count // elements)
    values = np.cumsum(random.normal(0, 0.3, (count // elements, elements)), axis=0).ravel()
    values[random.random(count) < 0.01] = np.nan
    status = random.choice([0, 0, 0, 0, 0, 0, 0, 1], count).astype(np.uint64)
    times = np.arange(count) // elements * 10**9 + random.integers(-(10**8), 10**9, count)
    return SampleBatch.from_columns(names, times, values, status=status, receive_time=np.arange(count))


def test_importing_and_small_batches_do_not_load_numba():
    subprocess.run([sys.executable, "-c", QUIET], check=True)


@pytest.mark.parametrize("kind", [kind for kind in SmoothingKind if kind is not SmoothingKind.NONE])
def test_compiled_and_not_give_the_same(kind, monkeypatch):
    pytest.importorskip("numba")
    rule = Smoothing(kind, 0.5, min_interval_ns=2 * 10**9, heartbeat_ns=30 * 10**9, status_mask=1)
    batch = walk(4 * compiling.LARGE, 16)
    fast, plain = Smoother(rule), Smoother(rule)
    compiled = fast.apply(batch)
    assert compiling._loaded
    monkeypatch.setattr(compiling, "_loaded", {})
    monkeypatch.setattr(compiling, "numba_installed", lambda: False)
    expected = plain.apply(batch)
    assert compiled.stored.receive_time.tolist() == expected.stored.receive_time.tolist()
    assert compiled.discarded.receive_time.tolist() == expected.discarded.receive_time.tolist()
    assert compiled.rule.tolist() == expected.rule.tolist()
    assert fast.dump() == plain.dump()
    assert 0 < compiled.discarded.num_rows < batch.num_rows
    assert not compiling._loaded


def test_without_a_folder_for_the_cache_it_compiles_all_the_same(monkeypatch):
    numba = pytest.importorskip("numba")
    given = []

    def njit(**options):
        given.append(options)
        if options.get("cache"):
            raise RuntimeError("cannot cache function: no locator available")
        return lambda kernel: kernel

    monkeypatch.setattr(numba, "njit", njit)
    assert compiling.compile_kernel(print) is print
    assert given == [{"nogil": True, "cache": True}, {"nogil": True}]
