"""The simulated plant: the same for the same seed, and with everything in it that an archive must keep apart."""

import asyncio
import math
from itertools import pairwise

import pytest

from archiver.model import Kind, Status
from archiver.sources.plant import METADATA, VALVE_STATES, WORN_OUT, Plant
from archiver.sources.simulator import SimulatorOptions, SimulatorSource


@pytest.fixture(scope="module")
def shift():
    """Eight hours in steps of two seconds: readings by name."""
    plant = Plant(1)
    history = {}
    for _ in range(14_400):
        for reading in plant.step(2.0):
            history.setdefault(reading.name, []).append(reading)
    return history


def test_the_seed_decides_every_value():
    def run(seed):
        source = SimulatorSource("s", SimulatorOptions(seed=seed))
        return [repr(source.sample(step).to_pylist()) for step in range(300)]

    assert run(3) == run(3)
    assert run(3) != run(4)


def test_every_element_is_described_and_of_its_kind(shift):
    assert set(shift) == set(METADATA)
    for name, readings in shift.items():
        assert {reading.kind for reading in readings} <= {METADATA[name].kind, Kind.NONE}


def test_the_beam_pulses_and_wears_off(shift):
    current = [reading.value for reading in shift["BEAM:CURRENT"]]
    assert min(current) < 1
    assert 90 < max(current) < 120
    efficiency = [reading.value for reading in shift["SOURCE:EFFICIENCY"]]
    assert min(efficiency) < WORN_OUT + 0.02
    assert any(later > earlier + 0.3 for earlier, later in pairwise(efficiency))
    pulses = [reading.value for reading in shift["BEAM:PULSES"]]
    assert pulses == sorted(pulses)
    assert pulses[-1] - pulses[0] == 480
    assert {len(reading.value) for reading in shift["BEAM:PROFILE"]} == {64}


def test_pumps_trip_and_the_interlock_opens_when_two_are_down(shift):
    assert any(reading.value < 200 for reading in shift["PUMP1:SPEED"])
    assert {reading.value for reading in shift["STATE"]} >= {"standby", "ramping", "beam on"}
    assert {type(reading.value) for reading in shift["BEAM:PERMIT"]} == {bool}


def test_oxygen_drifts_and_drops_out_in_three_different_ways(shift):
    def mean(readings):
        values = [r.value for r in readings if isinstance(r.value, float) and not math.isnan(r.value)]
        return sum(values) / len(values)

    first = shift["OXYGEN1"]
    assert mean(first[-1000:]) < mean(first[:1000]) - 0.05
    assert {reading.kind for reading in first} == {Kind.FLOAT}
    assert any(r.kind is Kind.NONE and r.status == Status.AUT_INV for r in shift["OXYGEN2"])
    assert any(r.kind is Kind.FLOAT and math.isnan(r.value) for r in shift["OXYGEN3"])
    gone = [r for r in shift["OXYGEN4"] if r.kind is Kind.NONE]
    assert {r.status for r in gone} == {Status.DISCONNECTED}
    assert len(shift["OXYGEN4"]) < len(first)


def test_valves_go_through_all_their_states(shift):
    for name in ("VALVE1", "VALVE2"):
        assert {reading.value for reading in shift[name]} == set(VALVE_STATES)


def test_a_batch_has_every_kind_and_one_time():
    source = SimulatorSource("s", SimulatorOptions(prefix="p/"))
    batch = source.sample(5)
    assert set(batch.kinds) == {Kind.FLOAT, Kind.INT, Kind.BOOL, Kind.TEXT, Kind.ENUM, Kind.FLOATS}
    assert set(batch.source_time.tolist()) == {5}
    assert set(batch.elements) == set(source.metadata)
    assert source.metadata["p/VALVE1"].states[2] == "open"


def test_it_pushes_until_cancelled():
    pushed = []

    async def push(batch):
        pushed.append(batch)
        if len(pushed) == 3:
            raise asyncio.CancelledError

    async def main():
        with pytest.raises(asyncio.CancelledError):
            await SimulatorSource("s", SimulatorOptions(interval="1ms")).run(push)

    asyncio.run(main())
    times = [int(batch.source_time[0]) for batch in pushed]
    assert times == sorted(set(times))
