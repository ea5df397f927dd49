"""Replay as a source: at recorded speed, faster, or as fast as it goes."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator
from typing import ClassVar

import numpy as np

from archiver.model import SampleBatch
from archiver.model.time import NANOSECONDS
from archiver.ports import Push
from archiver.sources.delivery import deliver
from archiver.sources.replay.options import ReplayOptions
from archiver.sources.replay.replay import Chunk, Replay

_STEP_S = 0.1
_log = logging.getLogger(__name__)


class Pace:
    """Says when samples are due: as far behind the first as they were recorded, divided by `speed`."""

    def __init__(self, speed: float) -> None:
        self._speed = speed
        self._first: int | None = None

    def due(self, batch: SampleBatch) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
        """Return seconds since the first sample, float64 per sample of a batch sorted by time; never descending."""
        if self._first is None:
            self._first = int(batch.source_time[0])
        seconds = (batch.source_time - self._first) / (NANOSECONDS * self._speed)
        return np.maximum.accumulate(np.maximum(seconds, 0.0))


class ReplaySource:
    """Pushes the samples of a file, once, with the times that they have there.

    Parameters
    ----------
    name : str
    options : ReplayOptions
    """

    Options: ClassVar[type[ReplayOptions]] = ReplayOptions

    def __init__(self, name: str, options: ReplayOptions) -> None:
        self.name = name
        self._options = options

    async def run(self, push: Push) -> None:
        """Push all samples and return; rows that cannot be read are logged."""
        chunks = iter(await asyncio.to_thread(Replay, self._options))
        pace = Pace(self._options.speed) if self._options.speed else None
        started = asyncio.get_running_loop().time()
        while (chunk := await asyncio.to_thread(_next, chunks)) is not None:
            for refusal in chunk.refused:
                _log.warning("%s line %d: %s", self._options.file, refusal.line, refusal.reason)
            if pace is None:
                await deliver(push, chunk.batch)
            elif chunk.batch.num_rows:
                await self._paced(push, chunk.batch, pace, started)

    async def _paced(self, push: Push, batch: SampleBatch, pace: Pace, started: float) -> None:
        clock = asyncio.get_running_loop().time
        batch = batch.take(np.argsort(batch.source_time, kind="stable"))
        due = pace.due(batch)
        position = 0
        while position < batch.num_rows:
            await asyncio.sleep(max(due[position] - (clock() - started), 0.0))
            end = int(np.searchsorted(due, clock() - started + _STEP_S, "right"))
            await deliver(push, batch.slice(position, end - position))
            position = end


def _next(chunks: Iterator[Chunk]) -> Chunk | None:
    return next(chunks, None)
