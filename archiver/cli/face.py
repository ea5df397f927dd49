"""What the commands need of an archive, whether it runs in another process or is opened here."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

from archiver import config
from archiver.model import ConfigurationError, Interval, NotFoundError, SampleBatch
from archiver.pipeline.verification import Plan
from archiver.query import Query
from archiver.security.keys import LOCAL_FILE

KEY_VARIABLE = "FOREBAY_KEY"


class Face(Protocol):
    """The operations behind the commands; answers are plain values, as the HTTP service gives them."""

    def submit(self, batch: SampleBatch) -> dict[str, int]:
        """Send samples through the intake; return counts by column of the ledger."""

    def query(self, query: Query, format_name: str) -> Iterator[bytes]:
        """Answer a query in a format: csv, json, ndjson, arrow or parquet; csv and ndjson end with the outcome."""

    def plan(self, query: Query) -> dict[str, Any]:
        """Return who would answer a query, at what cost, and why."""

    def values_at(self, elements: Sequence[str], time: int, backend: str | None, format_name: str) -> Iterator[bytes]:
        """Return the samples that held at an instant."""

    def explain(self, element: str, interval: Interval) -> dict[str, Any]:
        """Return what became of an element's samples."""

    def backends(self) -> list[dict[str, Any]]:
        """Return how every backend is doing."""

    def ledger(self) -> list[dict[str, Any]]:
        """Return the ledger's counts."""

    def elements(self, pattern: str) -> list[dict[str, Any]]:
        """Return the elements that match a glob."""

    def dead_letters(self, *, replayed: bool) -> list[dict[str, Any]]:
        """Return the dead letters, without their samples."""

    def dead_letter(self, letter_id: int) -> SampleBatch:
        """Return the samples of a dead letter."""

    def replay_dead_letter(self, letter_id: int, mended: SampleBatch | None) -> dict[str, int]:
        """Send a dead letter, or its mended samples, through the intake; return counts by column of the ledger."""

    def copy(
        self,
        source: str,
        target: str,
        interval: Interval,
        elements: Sequence[str] | None,
        progress: Callable[[int, int], None],
    ) -> dict[str, int]:
        """Fill one backend from another; return samples read, stored and found to be there."""

    def verify(
        self, backends: tuple[str, str], what: Plan, repair: str | None, progress: Callable[[int, int], None]
    ) -> dict[str, Any]:
        """Compare two backends, and repair one from the other; return the report as plain values."""


@contextmanager
def connect(path: Path | None, data: Path | None, *, create: bool = False) -> Iterator[Face]:
    """Give the running archive of a directory, or one that is opened here until the end of the block.

    Parameters
    ----------
    create : bool
        Whether a directory that is not there is made; a command that asks has nothing to find in it.

    Raises
    ------
    NotFoundError
        There is no such directory.
    """
    from archiver.cli.local import LocalFace
    from archiver.pipeline.lock import DirectoryInUseError

    try:
        local = LocalFace(settings_of(path, data, create=create))
        local.open()
    except DirectoryInUseError as exc:
        if "url" not in exc.info:
            raise
        from archiver.cli.remote import RemoteFace

        with RemoteFace(exc.info["url"], _key(exc.directory), exc.info.get("certificate")) as remote:
            yield remote
        return
    try:
        yield local
    finally:
        local.close()


def settings_of(path: Path | None, data: Path | None, *, create: bool) -> config.Settings:
    """Return the settings of an archive, as its file or its last run has them.

    Raises
    ------
    NotFoundError
        There is no such directory, and none is to be made.
    """
    try:
        settings = config.load(config.locate(path, data), overrides={"data": str(data) if data else None})
    except ConfigurationError:
        if data is not None and data.is_dir():
            _check_free(data)  # whoever runs there goes on with what was right before, and can be asked
        raise
    if not create and not settings.data.exists():
        raise NotFoundError(
            f"there is no archive in {settings.data}: name its directory with --data; "
            "`forebay up` and `forebay replay` make one"
        )
    return settings


def _key(data: Path) -> str | None:
    """Return the key for an archive that runs: that of the environment, else the one that it keeps for its own user."""
    given = os.environ.get(KEY_VARIABLE)
    if given:
        return given
    try:
        return (data / LOCAL_FILE).read_text(encoding="utf-8")
    except OSError:  # another user's: what this one may do without a key is for the archive to say
        return None


def _check_free(data: Path) -> None:
    from archiver.pipeline.lock import DirectoryLock

    lock = DirectoryLock(data)
    lock.acquire()
    lock.release()
