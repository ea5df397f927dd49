"""What sources share: handing over so that nothing is lost when the archive is full, and a steady beat."""

from __future__ import annotations

import asyncio
import time

from archiver.model import BackpressureError, SampleBatch
from archiver.model.time import NANOSECONDS
from archiver.ports import Push


async def deliver(push: Push, batch: SampleBatch) -> None:
    """Push a batch; while the archive is full, wait as long as it says and push the same again."""
    while batch.num_rows:
        try:
            await push(batch)
        except BackpressureError as exc:
            await asyncio.sleep(exc.retry_after_s)
        else:
            return


class Beat:
    """A steady beat: `wait` returns at the next multiple of the interval after this was made.

    Multiples that went by while the caller was busy are left out.
    """

    def __init__(self, interval_ns: int) -> None:
        self._interval_s = interval_ns / NANOSECONDS
        self._start = time.monotonic()

    async def wait(self) -> None:
        """Wait for the next beat."""
        passed = (time.monotonic() - self._start) // self._interval_s
        await asyncio.sleep(max(self._start + (passed + 1) * self._interval_s - time.monotonic(), 0.0))
