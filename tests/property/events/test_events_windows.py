"""Windows, against the aggregate of each of them by itself."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analytics.checks.events import signals
from analytics.checks.events import windows as reference
from analytics.checks.events.arrivals import arrivals, samples_of
from analytics.checks.events.driver import found, told
from analytics.events.engine import Engine, Program
from analytics.events.latch import Latch
from analytics.events.matching import Inputs, Pattern
from analytics.events.signals.threshold import Band
from analytics.events.windows import Aggregate, Beyond, Windows
from archiver.model import SampleBatch, Status

OF = ("mean", "min", "max", "sum", "count", "std", "first", "last", "range")
devices = Inputs({"value": [Pattern("{device}.*")]})
samples = samples_of(["A.x", "A.y", "B.x"], (0.0, 0.1, 0.7, 1e9, -3.3, None, math.inf), 40, (0, 0, int(Status.AUT_INV)))
lateness = st.integers(0, 6)


@given(samples, st.sampled_from(OF), st.integers(1, 12), st.integers(1, 15), lateness, st.data())
def test_each_window_has_the_number_of_its_samples(samples, of, size, every, late, data):
    program = Program("window", devices, Aggregate(Windows(of, size, every)), late)
    expected = told(program, lambda mine: reference.told(mine, of, size, every), samples)
    assert found(program, data.draw(arrivals(samples, late))) == expected


@given(samples, st.sampled_from(OF), st.integers(1, 12), st.integers(1, 15), st.integers(0, 9), lateness, st.data())
def test_a_number_beyond_its_limit(samples, of, size, every, on_delay, late, data):
    program = Program("w", devices, Latch(Beyond(Windows(of, size, every), Band(0.5, -1.0)), on_delay), late)

    def expected(mine):
        said = reference.beyond(mine, of, size, every, 0.5, -1.0)
        return signals.latched(said, on_delay, whole=late > 0)

    assert found(program, data.draw(arrivals(samples, late))) == told(program, expected, samples)


@pytest.mark.parametrize("of", OF)
def test_all_bits_are_the_same_whatever_the_batches(of):
    rng = np.random.default_rng(3)
    times = np.sort(rng.integers(0, 10**6, 20_000))
    names = rng.choice(["A.x", "A.y", "B.x"], len(times)).tolist()
    batch = SampleBatch.from_columns(
        names, times, rng.normal(size=len(times)) * 1e3, receive_time=times, sequence=np.arange(len(times))
    )

    def run(size):
        engine = Engine([Program("w", devices, Aggregate(Windows(of, 30_000, 7_000)))])
        state, events = engine.initial(), []
        for begin in range(0, len(batch), size):
            part = batch.slice(begin, size)
            state, more = engine.advance(state, part, int(part.receive_time[-1]))
            events += more
        return [(event.id, event.value) for event in events]

    whole = run(len(batch))
    assert len(whole) > 250
    for size in (13, 1000):
        assert sorted(run(size)) == sorted(whole)
