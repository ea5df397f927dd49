"""Files that somebody sends to be loaded: kept until they were, and looked into before that."""

from __future__ import annotations

import secrets
import shutil
import time
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path, PurePath
from typing import Any

from pydantic import ValidationError

from archiver.model import BackpressureError, InvalidInputError, NotFoundError
from archiver.pipeline.intake import Admits
from archiver.sources.replay import Replay, ReplayOptions
from archiver.sources.replay.proposing import look, preview
from services.archive.ingest import UNREADABLE, Ingest
from services.common.errors import TooLargeError
from services.common.security.view import Progress

_NAMED = 100
_KEPT_S = 24 * 3600
_ENDINGS = (".csv", ".txt", ".tsv", ".csv.gz", ".txt.gz", ".parquet", ".pq")


class Files:
    """Files in a directory, each in a folder of its own that its id names; forgotten after a day.

    Parameters
    ----------
    directory : Path
    largest : int
        Most bytes of one.
    """

    def __init__(self, directory: Path, largest: int) -> None:
        self._directory = directory
        self._largest = largest

    async def take(self, name: str, chunks: AsyncIterator[bytes]) -> dict[str, Any]:
        """Keep a file; return its id and what `look` says of it.

        Raises
        ------
        InvalidInputError
            It is of no kind that is read.
        TooLargeError
        """
        plain = PurePath(name.replace("\\", "/")).name
        if not plain.lower().endswith(_ENDINGS):
            raise InvalidInputError(f"name = {name!r}: send a file that ends in {', '.join(_ENDINGS)}")
        self._forget_old()
        folder = self._directory / secrets.token_hex(12)
        folder.mkdir(parents=True, mode=0o700)
        try:
            await self._write(folder / plain, chunks)
            return {"id": folder.name, "name": plain, **look(folder / plain)}
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise

    def options(self, file_id: str, mapping: dict[str, Any]) -> ReplayOptions:
        """Return how a file is to be read.

        Raises
        ------
        NotFoundError
            It is not there, or not any more.
        InvalidInputError
            The mapping contradicts itself.
        """
        folder = self._directory / PurePath(file_id).name
        found = list(folder.iterdir()) if file_id and folder.is_dir() else []
        if not found:
            raise NotFoundError(
                f"there is no file {file_id!r}; files are kept for {_KEPT_S // 3600} hours: send it again"
            )
        try:
            return ReplayOptions(file=found[0], **mapping)
        except ValidationError as exc:
            raise InvalidInputError(
                "; ".join(error["msg"].removeprefix("Value error, ") for error in exc.errors())
            ) from exc

    def try_out(self, options: ReplayOptions) -> dict[str, Any]:
        """Return the first samples that a file would become, and the first rows that would be refused."""
        for chunk in Replay(options):
            refused = [{"line": line, "reason": reason} for line, reason in chunk.refused[:_NAMED]]
            return {"samples": preview(chunk.batch), "refused": refused}
        return {"samples": [], "refused": []}

    def load(self, options: ReplayOptions, ingest: Ingest, admits: Admits | None, progress: Progress) -> dict[str, Any]:
        """Send a file through the intake; return what became of its rows: counts, and the first ones refused."""
        source = Replay(options)
        counts: Counter[str] = Counter()
        reasons: Counter[str] = Counter()
        refused: list[dict[str, Any]] = []
        for chunk in source:
            refused += [{"line": line, "reason": why} for line, why in chunk.refused[: _NAMED - len(refused)]]
            unread = {UNREADABLE: len(chunk.refused)} if chunk.refused else {}
            while True:
                try:
                    receipt = ingest.batch(chunk.batch, unread, admits)
                    break
                except BackpressureError as exc:
                    progress(chunk.done, source.total)  # which stops when it was cancelled
                    time.sleep(min(exc.retry_after_s, 1.0))
            counts.update(receipt.counts)
            reasons.update(receipt.reasons)
            progress(chunk.done, source.total)
        return {"counts": dict(counts), "reasons": dict(reasons), "refused": refused}

    def remove(self, file_id: str) -> None:
        """Forget a file."""
        shutil.rmtree(self._directory / PurePath(file_id).name, ignore_errors=True)

    async def _write(self, path: Path, chunks: AsyncIterator[bytes]) -> None:
        size = 0
        with path.open("xb") as file:
            async for chunk in chunks:
                size += len(chunk)
                if size > self._largest:
                    raise TooLargeError(f"the file is larger than {self._largest} bytes (server.max_body_bytes)")
                file.write(chunk)

    def _forget_old(self) -> None:
        if self._directory.is_dir():
            for folder in self._directory.iterdir():
                if time.time() - folder.stat().st_mtime > _KEPT_S:
                    shutil.rmtree(folder, ignore_errors=True)
