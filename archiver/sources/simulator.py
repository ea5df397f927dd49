"""A simulated plant as a source: something to look at on any machine."""

from __future__ import annotations

from typing import ClassVar

import pyarrow as pa
from pydantic import ConfigDict, Field

from archiver.config.fields import LongerDuration, lasting
from archiver.model import Metadata, SampleBatch
from archiver.model.kind import VALUE_KINDS
from archiver.model.time import now
from archiver.ports import Options, Push
from archiver.sources.delivery import Beat, deliver
from archiver.sources.plant import METADATA, Plant


class SimulatorOptions(Options):
    """How often the plant is sampled, under which names, and which of all possible plants it is."""

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True)

    interval: LongerDuration = lasting("1s", "time between two samples")
    prefix: str = Field("plant:", description="begin of all names")
    seed: int = Field(0, description="the same seed gives the same plant, value by value")


class SimulatorSource:
    """Samples a simulated ion-beam plant at fixed intervals; see `Plant` for what it has.

    Parameters
    ----------
    name : str
    options : SimulatorOptions
    """

    Options: ClassVar[type[SimulatorOptions]] = SimulatorOptions

    def __init__(self, name: str, options: SimulatorOptions) -> None:
        self.name = name
        self._options = options
        self._plant = Plant(options.seed)

    @property
    def metadata(self) -> dict[str, Metadata]:
        """Unit, description and states of every element, by name."""
        return {self._options.prefix + name: metadata for name, metadata in METADATA.items()}

    async def run(self, push: Push) -> None:
        """Push a batch per interval until cancelled; a missed interval is a missed sample, as with a real plant."""
        beat = Beat(self._options.interval)
        while True:
            await deliver(push, self.sample(now()))
            await beat.wait()

    def sample(self, time: int) -> SampleBatch:
        """Let the plant run for one interval; return a sample of every element that has one then, at `time` (ns)."""
        readings = self._plant.step(self._options.interval / 1e9)
        values = {
            kind: pa.array([r.value if r.kind is kind else None for r in readings], kind.arrow_type)
            for kind in VALUE_KINDS
            if any(r.kind is kind for r in readings)
        }
        return SampleBatch.from_columns(
            [self._options.prefix + reading.name for reading in readings],
            [time] * len(readings),
            values,
            status=[int(reading.status) for reading in readings],
        )
