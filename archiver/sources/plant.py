"""The physics of the simulated plant: an ion source with its vacuum, cooling, oxygen monitoring and valves.

Time constants are seconds; a step may be of any length. All randomness comes from one generator, in a fixed order, so
that a seed decides every value.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from archiver.model import Kind, Metadata, Status

CYCLE_S = 60.0
BEAM_S = 42.0
RAMP_S = 3.0
WEAR_PER_CYCLE = 0.004
WORN_OUT = 0.65
PROFILE_POINTS = 64
OXYGEN_CELLS = 4
PUMPS = 3
VALVES = 2
VALVE_STATES = {0: "closed", 1: "opening", 2: "open", 3: "closing", 4: "fault"}
VALVE_S = 2.0
OXYGEN_PERCENT = 20.9


class Reading(NamedTuple):
    """What one element says at one instant; kind NONE is "bad, no value"."""

    name: str
    kind: Kind
    value: object
    status: Status = Status(0)


METADATA: dict[str, Metadata] = {
    "BEAM:CURRENT": Metadata(Kind.FLOAT, "Ion beam current", "uA", 0.0, 120.0, precision=3),
    "BEAM:PULSES": Metadata(Kind.INT, "Pulses since commissioning"),
    "BEAM:PROFILE": Metadata(Kind.FLOATS, f"Horizontal beam profile, {PROFILE_POINTS} wires", "uA"),
    "BEAM:PERMIT": Metadata(Kind.BOOL, "Interlock chain closed"),
    "SOURCE:EFFICIENCY": Metadata(Kind.FLOAT, "Yield of the ion source; wears off", display_low=0.0, display_high=1.0),
    "STATE": Metadata(Kind.TEXT, "State of the plant"),
    "VACUUM:PRESSURE": Metadata(Kind.FLOAT, "Beam line pressure", "mbar", 1e-8, 1e-5, alarm_high=5e-6),
    "COOLING:INLET": Metadata(Kind.FLOAT, "Cooling water inlet", "degC", 10.0, 40.0, precision=2),
    "COOLING:OUTLET": Metadata(Kind.FLOAT, "Cooling water outlet", "degC", 10.0, 40.0, precision=2, alarm_high=38.0),
    **{
        f"PUMP{n}:{what}": Metadata(Kind.FLOAT, f"Pump {n} {what.lower()}", unit)
        for n in range(1, PUMPS + 1)
        for what, unit in (("SPEED", "rpm"), ("CURRENT", "A"))
    },
    **{
        f"OXYGEN{n}": Metadata(Kind.FLOAT, f"Oxygen cell {n}", "%", 18.0, 22.0, alarm_low=19.5, precision=2)
        for n in range(1, OXYGEN_CELLS + 1)
    },
    **{f"VALVE{n}": Metadata(Kind.ENUM, f"Valve {n}", states=VALVE_STATES) for n in range(1, VALVES + 1)},
}


class Plant:
    """The plant's state; `step` lets time pass.

    It shows what an archive has to keep apart: pulses of 42 s a minute whose height wears off until the source is
    exchanged; cells that drift slowly and drop out (no value, NaN, disconnected: cells 2, 3 and 4); pumps that trip;
    valves that take their time or get stuck; a text, a waveform and a counter.

    Parameters
    ----------
    seed : int

    Examples
    --------
    >>> Plant(7).step(1.0) == Plant(7).step(1.0)
    True
    """

    def __init__(self, seed: int) -> None:
        self._random = np.random.default_rng(seed)
        self._time = 0.0
        self._efficiency = 1.0
        self._pulses = 1_000_000
        self._cycle = 0
        self._heat = 0.0
        self._gas = 0.0
        self._level = 0.0
        self._pump_trip = np.zeros(PUMPS)
        self._pump_speed = np.full(PUMPS, 1450.0)
        self._sensitivity = self._random.normal(1.0, 0.005, OXYGEN_CELLS)
        self._drift = -self._random.uniform(1e-7, 6e-7, OXYGEN_CELLS)
        self._dropout = np.zeros(OXYGEN_CELLS)
        self._valve = [2] * VALVES
        self._valve_since = np.zeros(VALVES)

    def step(self, seconds: float) -> list[Reading]:
        """Let time pass; return what every element says then. A cell that is lost says so once, then nothing."""
        self._time += seconds
        return [*self._beam(), *self._vacuum(seconds), *self._oxygen(seconds), *self._valves(seconds)]

    def _noise(self, scale: float) -> float:
        return float(self._random.normal(0.0, scale))

    def _beam(self) -> list[Reading]:
        cycle, phase = divmod(self._time, CYCLE_S)
        started = int(cycle) - self._cycle
        self._cycle = int(cycle)
        self._pulses += started
        self._efficiency -= started * WEAR_PER_CYCLE * (1 + abs(self._noise(0.3)))
        if self._efficiency < WORN_OUT:
            self._efficiency = 1.0  # the source was exchanged
        permit = bool((self._pump_trip <= 0).sum() >= PUMPS - 1)
        height = min(phase / RAMP_S, 1.0, max(BEAM_S - phase, 0.0) / RAMP_S) if permit else 0.0
        state = "interlock" if not permit else "standby" if height == 0 else "ramping" if height < 1 else "beam on"
        self._level = 100.0 * self._efficiency * height
        current = max(self._level * (1 + self._noise(0.008)) + self._noise(0.05), 0.0)
        wires = np.linspace(-3.0, 3.0, PROFILE_POINTS)
        profile = current / 16 * np.exp(-((wires - 0.2 * math.sin(self._time / 900)) ** 2) / 2)
        profile += self._random.normal(0.0, 0.02, PROFILE_POINTS)
        return [
            Reading("BEAM:CURRENT", Kind.FLOAT, current),
            Reading("BEAM:PULSES", Kind.INT, self._pulses),
            Reading("BEAM:PROFILE", Kind.FLOATS, profile.tolist()),
            Reading("BEAM:PERMIT", Kind.BOOL, permit),
            Reading("SOURCE:EFFICIENCY", Kind.FLOAT, self._efficiency),
            Reading("STATE", Kind.TEXT, state),
        ]

    def _vacuum(self, seconds: float) -> list[Reading]:
        tripping = self._random.random(PUMPS) < seconds / 5400.0
        self._pump_trip = np.where(tripping, 45.0, self._pump_trip - seconds)
        wanted = np.where(self._pump_trip > 0, 0.0, 1450.0)
        self._pump_speed += (wanted - self._pump_speed) * (1 - math.exp(-seconds / 8.0))
        speed = np.maximum(self._pump_speed + self._random.normal(0.0, 2.0, PUMPS), 0.0)
        self._gas += (self._level / 100.0 - self._gas) * (1 - math.exp(-seconds / 20.0))
        pumping = max(float(self._pump_speed.sum()) / (PUMPS * 1450.0), 0.05)
        pressure = 2e-7 * (1 + 3 * self._gas) / pumping * math.exp(self._noise(0.02))
        self._heat += (self._level / 100.0 * 9.0 - self._heat) * (1 - math.exp(-seconds / 45.0))
        inlet = 18.0 + 2.0 * math.sin(2 * math.pi * self._time / 86_400.0)
        pumps = []
        for index, rpm in enumerate(speed.tolist(), 1):
            pumps.append(Reading(f"PUMP{index}:SPEED", Kind.FLOAT, rpm))
            pumps.append(Reading(f"PUMP{index}:CURRENT", Kind.FLOAT, 0.2 + 6.0 * (rpm / 1450.0) ** 2))
        return [
            Reading("VACUUM:PRESSURE", Kind.FLOAT, pressure),
            Reading("COOLING:INLET", Kind.FLOAT, inlet + self._noise(0.03)),
            Reading("COOLING:OUTLET", Kind.FLOAT, inlet + self._heat + self._noise(0.05)),
            *pumps,
        ]

    def _oxygen(self, seconds: float) -> list[Reading]:
        self._sensitivity *= np.exp(self._drift * seconds)
        before = self._dropout
        lost = self._random.random(OXYGEN_CELLS) < seconds / 1200.0
        self._dropout = np.where(lost & (before <= 0), 15.0, before - seconds)
        percent = OXYGEN_PERCENT * self._sensitivity + self._random.normal(0.0, 0.03, OXYGEN_CELLS)
        readings = []
        for index, value in enumerate(percent.tolist()):
            name = f"OXYGEN{index + 1}"
            if index == 0 or self._dropout[index] <= 0:
                readings.append(Reading(name, Kind.FLOAT, value))
            elif index == 1:
                readings.append(Reading(name, Kind.NONE, None, Status.AUT_INV))
            elif index == 2:
                readings.append(Reading(name, Kind.FLOAT, math.nan))
            elif before[index] <= 0:
                readings.append(Reading(name, Kind.NONE, None, Status.DISCONNECTED))
        return readings

    def _valves(self, seconds: float) -> list[Reading]:
        draws = self._random.random((VALVES, 2))
        self._valve_since += seconds
        for index, (move, stick) in enumerate(draws.tolist()):
            state = self._valve[index]
            moving = state in (1, 3)
            if moving and self._valve_since[index] >= VALVE_S:
                self._turn(index, 4 if stick < 0.05 else state + 1 if state == 1 else 0)
            elif state == 4 and self._valve_since[index] >= 30.0:
                self._turn(index, 0)
            elif state in (0, 2) and move < seconds / 90.0:
                self._turn(index, state + 1)
        return [Reading(f"VALVE{index + 1}", Kind.ENUM, state) for index, state in enumerate(self._valve)]

    def _turn(self, index: int, state: int) -> None:
        self._valve[index] = state
        self._valve_since[index] = 0.0
