"""The public keys of an issuer of tokens: from a file or an address, kept, and fetched again when they change."""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import jwt

_LOG = logging.getLogger(__name__)
_SOONEST_S = 30.0
_TIMEOUT_S = 5.0
_LARGEST = 2**20


class IssuerKeys:
    """The keys of a JSON Web Key Set (RFC 7517) that may check signatures.

    They are fetched when the first token comes, when they are `refresh_s` old, and when a token names one that is not
    among them; never more often than every half minute, whatever tokens name. When they cannot be fetched, those that
    are known go on to count.

    Parameters
    ----------
    place : str
        A file, or an address.
    refresh_s : float
        Age at which they are fetched again.
    clock : callable
        Seconds that only grow.
    """

    def __init__(self, place: str, refresh_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._place = place
        self._refresh_s = refresh_s
        self._clock = clock
        self._lock = threading.Lock()
        self._keys: dict[str | None, dict[str, Any]] = {}
        self._fetched: float | None = None
        self._content = b""
        self.version = 0

    def get(self, name: str | None, algorithm: str) -> jwt.PyJWK:
        """Return a key by its name (``kid``); a token without one means the only key that there is.

        Parameters
        ----------
        algorithm : str
            Of the signature that it is to check, one that is allowed.

        Raises
        ------
        jwt.PyJWTError
            There is none of this name, or it is for another algorithm.
        """
        with self._lock:
            age = None if self._fetched is None else self._clock() - self._fetched
            if age is None or age >= self._refresh_s or (self._find(name) is None and age >= _SOONEST_S):
                self._fetch()
            entry = self._find(name)
        if entry is None:
            raise jwt.InvalidKeyError("the issuer has no such key")
        if entry.get("alg", algorithm) != algorithm:
            raise jwt.InvalidAlgorithmError(f"the key is not for {algorithm}")
        return jwt.PyJWK(entry, algorithm)

    def _find(self, name: str | None) -> dict[str, Any] | None:
        if name is None and len(self._keys) == 1:
            return next(iter(self._keys.values()))
        return self._keys.get(name) if name is not None else None

    def _fetch(self) -> None:
        self._fetched = self._clock()
        try:
            content = self._read()
            if content != self._content:
                self._keys, self._content = _parse(content), content
                self.version += 1  # what was checked by a key that is gone is checked again
        except (OSError, ValueError, KeyError, TypeError, AttributeError, httpx.HTTPError) as exc:
            _LOG.error("the keys of the issuer (%s) cannot be read: %r", self._place, exc)

    def _read(self) -> bytes:
        if not self._place.startswith(("http://", "https://")):
            return Path(self._place).read_bytes()
        with httpx.stream("GET", self._place, timeout=_TIMEOUT_S, follow_redirects=False) as answer:
            answer.raise_for_status()
            content = b""
            for piece in answer.iter_bytes():
                content += piece
                if len(content) > _LARGEST:
                    raise ValueError(f"more than {_LARGEST} bytes")
        return content


def _parse(content: bytes) -> dict[str | None, dict[str, Any]]:
    """Return the keys of a set by name, without secrets and those for encryption."""
    keys: dict[str | None, dict[str, Any]] = {}
    for entry in json.loads(content)["keys"]:
        if entry.get("use", "sig") == "sig" and entry["kty"] != "oct":
            keys[entry.get("kid")] = entry
    return keys
