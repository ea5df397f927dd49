"""How much a request, and a caller, may ask for; what is not limited costs nothing to check."""

from __future__ import annotations

import functools
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

from archiver.model import LimitError, QuotaError
from archiver.query.prefetch import TOO_LONG

_MINUTE_S = 60.0


@dataclass(frozen=True, slots=True)
class Limits:
    """What one request may ask for, and one caller; 0 is no limit.

    Parameters
    ----------
    elements : int
        Of one request.
    rows : int
        Of its answer.
    seconds : float
        Spent on the answer; the time in which its reader is busy with what it has does not count.
    caller_queries : int
        Answers of one caller that are read at the same time.
    caller_rows_per_minute : int
        Of all answers of one caller.
    hedge_s : float
        Shortest wait for a first batch before another backend is asked as well.
    """

    elements: int = 0
    rows: int = 0
    seconds: float = 0.0
    caller_queries: int = 0
    caller_rows_per_minute: int = 0
    hedge_s: float = 1.0

    def check(self, elements: int) -> None:
        """Raise for a request for too many elements.

        Raises
        ------
        LimitError
        """
        if self.elements and elements > self.elements:
            raise LimitError(
                f"the query asks for {elements} elements, and {self.elements} are allowed (query.max_elements): "
                "ask in several queries"
            )


class Lease:
    """One answer, from the admission until `close`.

    Parameters
    ----------
    leave : callable
        Called once, with the rows that were given.
    """

    def __init__(self, leave: Callable[[int], object] = lambda rows: None) -> None:
        self._leave: Callable[[int], object] | None = leave
        self.rows = 0

    def close(self) -> None:
        """Count the answer as read; more often than once is harmless."""
        leave, self._leave = self._leave, None
        if leave is not None:
            leave(self.rows)


@dataclass
class _Caller:
    running: int = 0
    rows: float = 0.0
    since: float = 0.0


class Callers:
    """Who reads how much, by caller: an address, or whatever name the caller goes by."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._callers: dict[str, _Caller] = {}

    def admit(self, caller: str, limits: Limits) -> Lease:
        """Let a caller ask.

        Raises
        ------
        QuotaError
            It reads too many answers already, or has had too many rows of late; it says when to come again.
        """
        with self._lock:
            known = self._callers.setdefault(caller, _Caller(since=time.monotonic()))
            self._drain(known, limits)
            if limits.caller_queries and known.running >= limits.caller_queries:
                raise QuotaError(
                    f"{known.running} queries of this caller are being answered, and {limits.caller_queries} are "
                    "allowed at a time (query.caller_queries): wait until one is done"
                )
            if limits.caller_rows_per_minute and known.rows >= limits.caller_rows_per_minute:
                excess = known.rows - limits.caller_rows_per_minute + 1
                raise QuotaError(
                    f"this caller has had its {limits.caller_rows_per_minute} rows a minute "
                    "(query.caller_rows_per_minute): ask again later, or for aggregates",
                    excess / limits.caller_rows_per_minute * _MINUTE_S,
                )
            known.running += 1
        return Lease(functools.partial(self._leave, caller))

    def _leave(self, caller: str, rows: int) -> None:
        with self._lock:
            known = self._callers[caller]
            known.running -= 1
            known.rows += rows
            if not known.running and not known.rows:
                del self._callers[caller]

    def _drain(self, known: _Caller, limits: Limits) -> None:
        """Let rows be forgotten as time passes: as many a minute as are allowed in one."""
        now = time.monotonic()
        known.rows = max(0.0, known.rows - (now - known.since) / _MINUTE_S * limits.caller_rows_per_minute)
        known.since = now


class Budget:
    """What is left of the limits of one request; `lease` is told what is given."""

    def __init__(self, limits: Limits, lease: Lease) -> None:
        self.limits = limits
        self._lease = lease
        self._seconds = 0.0
        self._since: float | None = None

    def left_s(self) -> float | None:
        """Return how many seconds the answer may still take, None for as long as it likes."""
        if not self.limits.seconds:
            return None
        running = 0.0 if self._since is None else time.monotonic() - self._since
        return max(0.0, self.limits.seconds - self._seconds - running)

    def rest(self) -> Limits:
        """Return the limits of a query that is asked for this one: the time that is left; its rows are not given."""
        left_s = self.left_s()
        return replace(self.limits, rows=0, seconds=0.0 if left_s is None else max(left_s, 0.001))

    @contextmanager
    def working(self) -> Iterator[None]:
        """Count the time of the block.

        Raises
        ------
        LimitError
            At its end, when there is no time left.
        """
        self._since = time.monotonic()
        try:
            yield
        finally:
            self._seconds += time.monotonic() - self._since
            self._since = None
        if self.limits.seconds and self._seconds > self.limits.seconds:
            raise LimitError(TOO_LONG)

    def spend(self, rows: int) -> None:
        """Count rows that are about to be given.

        Raises
        ------
        LimitError
            They are too many.
        """
        if self.limits.rows and self._lease.rows + rows > self.limits.rows:
            raise LimitError(
                f"the answer has more than {self.limits.rows} rows (query.max_rows): ask for a shorter interval, "
                "fewer elements, aggregates, or pages (limit)"
            )
        self._lease.rows += rows
