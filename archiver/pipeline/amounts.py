"""How much a backend holds of each group, counted by its lane: what a query may expect before it asks."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping

from archiver.model import Interval, SampleBatch
from archiver.ports import Coverage, WriteReceipt


class Amounts:
    """First and last source time and number of samples by group; written by one thread, read by any."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._held: dict[str, Coverage] = {}

    def reset(self, coverage: Iterable[Coverage]) -> None:
        """Take what the backend says."""
        with self._lock:
            self._held = {part.group: part for part in coverage}

    def add(self, parts: Mapping[str, SampleBatch], receipt: WriteReceipt) -> None:
        """Count a write."""
        with self._lock:
            for group, batch in parts.items():
                duplicate = receipt.duplicate.get(group)
                rows = batch.num_rows - (0 if duplicate is None else int(duplicate.sum()))
                if not rows or receipt.repeated:
                    continue
                first, last = int(batch.source_time.min()), int(batch.source_time.max())
                old = self._held.get(group) or Coverage(group, first, last, 0)
                self._held[group] = Coverage(group, min(first, old.first), max(last, old.last), old.rows + rows)

    def expected(self, interval: Interval, elements: int) -> tuple[float, Interval]:
        """Return how many samples one of the elements is expected to have in an interval, and where in it they lie.

        As if each had as many as the others, evenly in time.
        """
        rows, span = 0.0, None
        with self._lock:
            for part in self._held.values():
                whole = Interval(part.first, part.last + 1)
                shared = whole.intersect(interval)
                if shared is not None:
                    rows += part.rows * (shared.end - shared.start) / (whole.end - whole.start)
                    span = Interval(min(span.start, shared.start), max(span.end, shared.end)) if span else shared
        return rows / max(1, elements), span or interval
