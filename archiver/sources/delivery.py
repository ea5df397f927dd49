"""How sources hand over what they hold: nothing is lost when the archive is full."""

from __future__ import annotations

import asyncio

from archiver.model import BackpressureError, SampleBatch
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
