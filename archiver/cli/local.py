"""An archive that is opened in this process for one command."""

from __future__ import annotations

import fnmatch
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from typing import Any

from archiver.bootstrap import Archive
from archiver.config import Settings
from archiver.model import Interval, SampleBatch
from archiver.pipeline.verification import Plan
from archiver.query import Answer, Query
from archiver.query.formats import write
from archiver.security import AuditLog, Caller


class LocalFace:
    """`Face` on an `Archive` of this process."""

    def __init__(self, settings: Settings) -> None:
        self._archive = Archive(settings)
        self._audit = AuditLog(self._archive.directory)
        self._caller = Caller.here()

    def open(self) -> None:
        """Open the archive; see `Archive.open`."""
        self._archive.open()

    def close(self) -> None:
        """Write what was taken in, and close."""
        self._archive.close()

    def submit(self, batch: SampleBatch) -> dict[str, int]:
        """Send samples through the intake."""
        return dict(self._archive.intake.submit(batch).result().counts)

    def query(self, query: Query, format_name: str) -> Iterator[bytes]:
        """Answer a query."""
        self._archive.wait_ready()
        return write(self._archive.query(query), format_name, outcome=True)

    def plan(self, query: Query) -> dict[str, Any]:
        """Return who would answer a query, at what cost, and why."""
        self._archive.wait_ready()
        return self._archive.plan(query)

    def values_at(self, elements: Sequence[str], time: int, backend: str | None, format_name: str) -> Iterator[bytes]:
        """Return the samples that held at an instant."""
        self._archive.wait_ready()
        rows = self._archive.values_at(elements, time, backend)
        return write(Answer.of(rows, self._archive.unknown(elements, rows)), format_name)

    def explain(self, element: str, interval: Interval) -> dict[str, Any]:
        """Return what became of an element's samples."""
        self._archive.wait_ready()
        return self._archive.explain(element, interval).to_dict()

    def backends(self) -> list[dict[str, Any]]:
        """Return how every backend is doing."""
        self._archive.wait_ready()
        return [state.to_row() for state in self._archive.backend_states()]

    def ledger(self) -> list[dict[str, Any]]:
        """Return the ledger's counts."""
        self._archive.wait_ready()
        return [asdict(total) for total in self._archive.totals()]

    def elements(self, pattern: str) -> list[dict[str, Any]]:
        """Return the elements that match a glob."""
        found = [v for v in self._archive.catalog.elements() if fnmatch.fnmatchcase(v.name, pattern)]
        return [
            {"element": v.name, "kind": v.metadata.kind.name.lower(), "unit": v.metadata.unit,
             "description": v.metadata.description}
            for v in found
        ]  # fmt: skip

    def dead_letters(self, *, replayed: bool) -> list[dict[str, Any]]:
        """Return the dead letters, without their samples."""
        return [letter.to_row() for letter in self._archive.dead_letters.list(replayed=replayed)]

    def dead_letter(self, letter_id: int) -> SampleBatch:
        """Return the samples of a dead letter."""
        return self._archive.dead_letters.samples(letter_id)

    def replay_dead_letter(self, letter_id: int, mended: SampleBatch | None) -> dict[str, int]:
        """Send a dead letter, or its mended samples, through the intake."""
        with self._audit.change(self._caller, "replay dead letter", letter=letter_id, mended=mended is not None):
            return dict(self._archive.replay_dead_letter(letter_id, mended).result().counts)

    def copy(
        self,
        source: str,
        target: str,
        interval: Interval,
        elements: Sequence[str] | None,
        progress: Callable[[int, int], None],
    ) -> dict[str, int]:
        """Fill one backend from another."""
        self._archive.wait_ready()
        with self._audit.change(self._caller, "copy", source=source, target=target):
            return asdict(self._archive.copy(source, target, interval, elements, progress))

    def verify(
        self, backends: tuple[str, str], what: Plan, repair: str | None, progress: Callable[[int, int], None]
    ) -> dict[str, Any]:
        """Compare two backends, and repair one from the other."""
        self._archive.wait_ready()
        if repair is None:
            return self._archive.verify(backends, what, None, progress).to_dict()
        with self._audit.change(self._caller, "repair", backends=list(backends), repair=repair):
            return self._archive.verify(backends, what, repair, progress).to_dict()
