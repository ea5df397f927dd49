"""Runs the configured sources beside the service: each in a task of its own, started again when it fails."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Mapping, Sequence
from typing import Protocol, runtime_checkable

from archiver import registry
from archiver.bootstrap import Archive
from archiver.config import SourceSettings
from archiver.model import Metadata, SampleBatch
from archiver.pipeline.catalog import Catalog
from archiver.pipeline.intake import IntakeReceipt
from archiver.ports import Source

_LOG = logging.getLogger(__name__)
_FIRST_DELAY_S = 1.0
_LONGEST_DELAY_S = 60.0
_LONG_RUN_S = 60.0


@runtime_checkable
class DescribesElements(Protocol):
    """A source that knows more of its elements than their samples say."""

    @property
    def metadata(self) -> Mapping[str, Metadata]:
        """What is known of each element, by name."""


def describe(catalog: Catalog, source: Source) -> None:
    """Enter what a source knows of its elements, where nobody has described them yet: a person knows better."""
    if not isinstance(source, DescribesElements):
        return
    current = {version.name: version.metadata for version in catalog.elements()}
    for name, metadata in source.metadata.items():
        known = current.get(name, Metadata())
        if known == Metadata(kind=known.kind):
            catalog.describe(name, metadata)


class Sources:
    """The sources of an archive.

    Parameters
    ----------
    archive : Archive
        Open.
    """

    def __init__(self, archive: Archive) -> None:
        self._archive = archive
        self._tasks: dict[SourceSettings, asyncio.Task[None]] = {}

    async def use(self, settings: Sequence[SourceSettings]) -> list[str]:
        """Run just these sources: stop those that are not among them, start the new ones; return what changed."""
        gone = [known for known in self._tasks if known not in settings]
        fresh = [wanted for wanted in settings if wanted not in self._tasks]
        for known in gone:
            self._tasks[known].cancel()
        await asyncio.gather(*(self._tasks.pop(known) for known in gone), return_exceptions=True)
        for wanted in fresh:
            self._tasks[wanted] = asyncio.create_task(self._keep_running(wanted), name=f"source-{wanted.name}")
        return [*(f"source {s.name} stopped" for s in gone), *(f"source {s.name} started" for s in fresh)]

    async def push(self, batch: SampleBatch) -> IntakeReceipt:
        """Take a batch in; returns when it is durable.

        Raises
        ------
        BackpressureError
            The journal is full: the source waits and pushes the same again.
        """
        return await asyncio.wrap_future(await asyncio.to_thread(self._archive.intake.submit, batch))

    async def _keep_running(self, settings: SourceSettings) -> None:
        delay = _FIRST_DELAY_S
        while True:
            started = time.monotonic()
            try:
                source = self._make(settings)
                await asyncio.to_thread(describe, self._archive.catalog, source)
                await source.run(self.push)
            except Exception:  # noqa: BLE001 - whatever a source stumbles over, the others go on
                _LOG.exception("source %s failed; it starts again in %.0f s", settings.name, delay)
            else:
                _LOG.info("source %s has come to its end", settings.name)
                return
            if time.monotonic() - started > _LONG_RUN_S:
                delay = _FIRST_DELAY_S
            await asyncio.sleep(delay)
            delay = min(delay * 2, _LONGEST_DELAY_S)

    def _make(self, settings: SourceSettings) -> Source:
        kind = registry.load(registry.SOURCES, settings.kind)
        source: Source = kind(settings.name, settings.options(registry.SOURCES))
        return source
