"""Where a source was disconnected, as the status of its samples says: time about which nobody knows anything."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from archiver.model import Interval, SampleBatch, Status
from archiver.model.holding import Cause
from archiver.query.request import Missing

_LISTED = 100
_BIT = np.uint64(Status.DISCONNECTED)


class Silence:
    """Watches the samples of an answer go by.

    Parameters
    ----------
    end : int
        Until when silence lasts that no sample ends, ns.
    """

    def __init__(self, end: int) -> None:
        self._end = end
        self._open: tuple[str, int] | None = None
        self._found: list[tuple[str, int, int]] = []
        self._more = 0

    def watch(self, batches: Iterator[SampleBatch]) -> Iterator[SampleBatch]:
        """Yield the samples, in order of element and time, and note the silence between them."""
        for batch in batches:
            if batch.num_rows and (self._open is not None or batch.status.max() >= _BIT):
                self._look(batch)
            yield batch

    def missing(self) -> list[Missing]:
        """Return each stretch of silence of each element; only the first `_LISTED` of them by themselves."""
        if self._open is not None:
            self._close(self._end)
        reason = "the source was disconnected"
        told = [Missing(Interval(s, e), "", reason, (name,), Cause.DISCONNECTED) for name, s, e in self._found]
        if self._more:
            whole = Interval(min(s for _, s, _ in self._found), max(e for _, _, e in self._found))
            told.append(Missing(whole, "", f"{reason}, {self._more} times more", (), Cause.DISCONNECTED))
        return told

    def _look(self, batch: SampleBatch) -> None:
        codes, times, silent = batch.codes, batch.source_time, (batch.status & _BIT) != 0
        if self._open is not None:
            name, _ = self._open
            if batch.elements[int(codes[0])] != name:
                self._close(self._end)
            elif not silent[0]:
                self._close(int(times[0]))
        same = np.append(False, codes[1:] == codes[:-1])
        before = np.append(False, silent[:-1]) & same
        begins = silent & ~before
        if self._open is not None:
            begins[0] = False
        ends = before & ~silent
        left = np.append(silent[:-1] & (codes[1:] != codes[:-1]), False)  # an element's last sample here
        for row in np.flatnonzero(begins | ends | left).tolist():
            if begins[row]:
                self._open = (batch.elements[int(codes[row])], int(times[row]))
            if ends[row]:
                self._close(int(times[row]))
            if left[row]:
                self._close(self._end)

    def _close(self, end: int) -> None:
        assert self._open is not None, "it was opened before"
        name, start = self._open
        self._open = None
        if len(self._found) < _LISTED:
            self._found.append((name, start, max(start, end)))
        else:
            self._more += 1
