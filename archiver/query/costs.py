"""What reading a backend costs, learnt from the answers it gave: how long to its first batch, and how fast after it."""

from __future__ import annotations

import json
import math
import threading
import time
from dataclasses import asdict, dataclass

_SHARE = 0.2
"""How much a new measurement counts."""
_MANY_ROWS = 10_000
"""Rows from which on a part tells how fast rows come; one of fewer tells how long the least takes."""
_SPREAD = 4.0
"""A first batch that takes longer than usual by so many mean deviations is late (as RFC 6298 has it for a reply)."""
_SHUNNED_S, _SHUNNED_LONGEST_S = 10.0, 300.0


@dataclass(frozen=True, slots=True)
class Cost:
    """What one backend was like of late.

    Parameters
    ----------
    latency_s : float
        Seconds until the first batch.
    deviation_s : float
        Mean deviation from it.
    rows_per_s : float
        How fast rows come; 0 as long as no part was large enough to tell.
    parts : int
        How many parts it was learnt from.
    few_s : float
        Seconds that a part of few rows took; 0 as long as there was none. The first batch of a large part may hold a
        million rows, and tells nothing of it.
    """

    latency_s: float
    deviation_s: float
    rows_per_s: float
    parts: int
    few_s: float = 0.0

    def seconds(self, rows: float) -> float:
        """Return how long so many rows take."""
        return (self.few_s or self.latency_s) + (rows / self.rows_per_s if self.rows_per_s else 0.0)


class Costs:
    """The costs of all backends; any thread learns and asks.

    Parameters
    ----------
    known : bytes
        From `dump`: what was learnt before.
    """

    def __init__(self, known: bytes = b"{}") -> None:
        self._lock = threading.Lock()
        self._costs = {name: Cost(**fields) for name, fields in json.loads(known).items()}
        self._shunned: dict[str, tuple[float, float]] = {}

    def dump(self) -> bytes:
        """Return everything that was learnt."""
        with self._lock:
            return json.dumps({name: asdict(cost) for name, cost in self._costs.items()}).encode()

    def learn(self, backend: str, first_s: float, rows: int, seconds: float) -> None:
        """Take a part that was read to its end.

        Parameters
        ----------
        first_s : float
            Seconds until its first batch, or until its end when it had none.
        rows : int
        seconds : float
            In all, waiting for it alone.
        """
        with self._lock:
            self._shunned.pop(backend, None)
            old = self._costs.get(backend, Cost(first_s, first_s / 2, 0.0, 0))
            rate, few_s = old.rows_per_s, old.few_s
            if rows < _MANY_ROWS:
                few_s = _mixed(few_s, min(seconds, 2 * few_s)) if few_s else seconds  # bad luck tells little
            elif seconds > 0:
                rate = _mixed(rate, rows / seconds) if rate else rows / seconds
            self._costs[backend] = Cost(
                _mixed(old.latency_s, first_s),
                _mixed(old.deviation_s, abs(first_s - old.latency_s)),
                rate,
                old.parts + 1,
                few_s,
            )

    def shun(self, backend: str) -> None:
        """Take that a backend failed, or was late: it is asked last for a while, for longer each time it happens."""
        with self._lock:
            _, length_s = self._shunned.get(backend, (0.0, _SHUNNED_S / 2))
            length_s = min(2 * length_s, _SHUNNED_LONGEST_S)
            self._shunned[backend] = (time.monotonic() + length_s, length_s)

    def is_shunned(self, backend: str) -> bool:
        """Return whether a backend failed, or was late, a while ago."""
        shunned = self._shunned.get(backend)
        return shunned is not None and time.monotonic() < shunned[0]

    def of(self, backend: str) -> Cost | None:
        """Return what is known of a backend, None when it was never read."""
        return self._costs.get(backend)

    def seconds(self, backend: str, rows: float | None) -> float | None:
        """Return how long a part takes, None when nothing is known."""
        cost = self.of(backend)
        return None if cost is None else cost.seconds(rows or 0.0)

    def patience_s(self, backend: str, least: float) -> float:
        """Return after how long a first batch is late: `least`, or more where the backend usually takes its time."""
        cost = self.of(backend)
        return least if cost is None else max(least, cost.latency_s + _SPREAD * cost.deviation_s)


def rank(seconds: float | None, best: float | None) -> int:
    """Return a cost in doublings of the best one: what is about as fast ranks the same, and so does the unknown."""
    if seconds is None or best is None or seconds <= 0 or best <= 0:
        return 0
    return round(math.log2(seconds / best))


def _mixed(old: float, new: float) -> float:
    return old + _SHARE * (new - old)
