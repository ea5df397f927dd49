"""How many wrong credentials an address may send before it has to wait."""

from __future__ import annotations

import ipaddress
import threading
import time
from collections.abc import Callable

from services.common.errors import TooManyFailuresError

_ADDRESSES = 10_000
_NETWORK_BITS = 64  # of IPv6: whoever has one address has all of its network


class Failures:
    """A bucket of tokens per address: each failure takes one, and one comes back every few seconds.

    Only failures are held up. A right key is let in whatever else comes from its address: behind a proxy that is
    everybody, and one who has forgotten a key must not lock out the rest.

    Parameters
    ----------
    burst : int
        Failures in a row.
    refill_s : float
        Seconds until another one.
    clock : callable
        Seconds that only grow.
    """

    def __init__(self, burst: int = 10, refill_s: float = 6.0, clock: Callable[[], float] = time.monotonic) -> None:
        self._burst = burst
        self._refill_s = refill_s
        self._clock = clock
        self._lock = threading.Lock()
        self._empty_until: dict[str, float] = {}

    def check(self, address: str) -> None:
        """Return when an address may fail once more.

        Raises
        ------
        TooManyFailuresError
            It says when that will be.
        """
        with self._lock:
            wait = self._wait(_network(address))
        if wait > 0:
            raise TooManyFailuresError("too many wrong credentials came from your address: wait, then try again", wait)

    def spend(self, address: str) -> bool:
        """Note a failure; return whether it was within the bounds."""
        network = _network(address)
        with self._lock:
            if self._wait(network) > 0:
                return False
            self._empty_until[network] = max(self._empty_until.get(network, 0.0), self._clock()) + self._refill_s
            if len(self._empty_until) > _ADDRESSES:
                self._forget()
            return True

    def _wait(self, network: str) -> float:
        """Return seconds until an address may fail again: a full bucket is `burst` failures ahead of an empty one."""
        ahead = self._empty_until.get(network, 0.0) - self._clock()
        return ahead - (self._burst - 1) * self._refill_s

    def _forget(self) -> None:
        """Let go of addresses whose bucket is full again, else of those that are next to be."""
        at = self._clock()
        left = {network: until for network, until in self._empty_until.items() if until > at}
        keep = sorted(left, key=left.__getitem__)[-_ADDRESSES // 2 :]
        self._empty_until = {network: left[network] for network in keep}


def _network(address: str) -> str:
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address
    if parsed.version == 4:
        return address
    return str(ipaddress.ip_network((parsed, _NETWORK_BITS), strict=False))
