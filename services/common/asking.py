"""Several questions to the archive for one request, one after the other, which end when the client goes away."""

from __future__ import annotations

import threading

from archiver.model import StoppedError
from archiver.query import Answer, Query
from services.common.security import View


class InTurn:
    """Asks the archive, a question at a time; can be stopped from another thread.

    Parameters
    ----------
    view : View
        The archive, as whoever asks has it.
    """

    def __init__(self, view: View) -> None:
        self._view = view
        self._lock = threading.Lock()
        self._answer: Answer | None = None
        self._stopped = False

    def ask(self, query: Query) -> Answer:
        """Return the answer to the next question; the one before is done with.

        Raises
        ------
        StoppedError
            Whoever asked went away.
        """
        answer = self._view.query(query)
        with self._lock:
            if self._stopped:
                answer.close()
                raise StoppedError("whoever asked went away")
            self._answer = answer
        return answer

    def cancel(self) -> None:
        """Stop reading, from another thread than the one that reads: that one gets a `StoppedError`."""
        with self._lock:
            self._stopped = True
            if self._answer is not None:
                self._answer.cancel()

    def close(self) -> None:
        """Let go of what is being read."""
        if self._answer is not None:
            self._answer.close()
