"""How long the oldest entry of a journal has been waiting."""

from __future__ import annotations

import time
from collections import deque

from archiver.model.time import now
from archiver.ports import JournalState


class Waiting:
    """Since when entries wait, by a clock that nobody sets.

    Receive times tell it only of what was there when the journal was opened, and are looked at only then: a clock
    that is wrong for a moment must not make a fresh entry look old.

    Parameters
    ----------
    state : JournalState
        What was there when the journal was opened.
    resolution_s : float
        How exact it has to be.
    """

    def __init__(self, state: JournalState, resolution_s: float) -> None:
        self._last_found = state.last
        self._opened_wall, self._opened = now(), time.monotonic()
        self._resolution_s = resolution_s
        self._marks: deque[tuple[int, float]] = deque()  # an offset, and when it came: others soon after share it

    def note(self, offset: int) -> None:
        """Take down that an entry comes in now."""
        at = time.monotonic()
        if not self._marks or at - self._marks[-1][1] >= self._resolution_s:
            self._marks.append((offset, at))

    def of_oldest(self, state: JournalState) -> float:
        """Return how long the oldest entry has been waiting, s; 0 when there is none."""
        if state.oldest is None:
            return 0.0
        if state.first <= self._last_found:
            return max(0.0, (self._opened_wall - state.oldest) / 1e9) + time.monotonic() - self._opened
        while len(self._marks) > 1 and self._marks[1][0] <= state.first:
            self._marks.popleft()
        return time.monotonic() - self._marks[0][1]
