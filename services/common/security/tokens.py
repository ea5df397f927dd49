"""Tokens of an OpenID Connect issuer: signature, issuer, audience and time are checked, then roles and groups read."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import Any

import jwt

from archiver.config import OidcSettings
from archiver.model.time import NANOSECONDS
from archiver.security import Principal, Role
from archiver.security.keys import digest_of
from services.common.errors import UnauthorizedError
from services.common.security.issuer import IssuerKeys

_REMEMBERED = 1024
_LONGEST = 16 * 2**10


class Tokens:
    """Checks tokens of one issuer.

    Parameters
    ----------
    settings : OidcSettings
    keys : IssuerKeys, optional
        Those that the settings name, when left out.
    clock : callable
        Seconds since the epoch.
    """

    def __init__(
        self, settings: OidcSettings, keys: IssuerKeys | None = None, clock: Callable[[], float] = time.time
    ) -> None:
        self.settings = settings
        self._keys = keys or IssuerKeys(settings.jwks, settings.refresh / NANOSECONDS)
        self._clock = clock
        self._lock = threading.Lock()
        self._remembered: OrderedDict[str, tuple[float, int, Principal]] = OrderedDict()

    def remembered(self, text: str) -> Principal | None:
        """Return whose token a text is when it was checked before and still counts; None otherwise."""
        digest = digest_of(text)
        with self._lock:
            found = self._remembered.get(digest)
            if found is None:
                return None
            ends, version, principal = found
            if ends > self._clock() and version == self._keys.version:
                return principal
            del self._remembered[digest]
            return None

    def check(self, text: str) -> Principal:
        """Return whose token a text is.

        Raises
        ------
        UnauthorizedError
            It is none, or does not count; the message is for the log, and not for the caller.
        """
        if len(text) > _LONGEST or text.count(".") != 2:
            raise UnauthorizedError("unknown credentials")
        leeway = self.settings.leeway / NANOSECONDS
        try:
            claims = jwt.decode(
                text,
                self._key_of(jwt.get_unverified_header(text)),
                algorithms=list(self.settings.algorithms),
                issuer=self.settings.issuer,
                audience=self.settings.audience,
                leeway=leeway,
                options={"require": ["exp", "iss", "aud"]},
            )
        except jwt.PyJWTError as exc:
            raise UnauthorizedError(f"a token that does not count: {exc}") from exc
        principal = principal_of(claims, self.settings)
        ends = min(float(claims["exp"]) + leeway, self._clock() + self.settings.refresh / NANOSECONDS)
        with self._lock:
            self._remembered[digest_of(text)] = (ends, self._keys.version, principal)
            if len(self._remembered) > _REMEMBERED:
                self._remembered.popitem(last=False)
        return principal

    def _key_of(self, header: Mapping[str, Any]) -> jwt.PyJWK:
        """Return the key that the header of a token names; nothing else in there counts before the signature does."""
        algorithm = header.get("alg")
        if algorithm not in self.settings.algorithms:
            raise jwt.InvalidAlgorithmError(f"signatures with {str(algorithm)[:20]!r} do not count")
        return self._keys.get(header.get("kid"), str(algorithm))


def principal_of(claims: Mapping[str, Any], settings: OidcSettings) -> Principal:
    """Return who the claims of a token name, with what they allow; what they do not say is not allowed.

    Raises
    ------
    UnauthorizedError
        They name nobody.
    """
    name = _claim(claims, settings.name_claim)
    if not isinstance(name, str) or not name:
        raise UnauthorizedError(f"a token without the claim {settings.name_claim}")
    values = _texts(_claim(claims, settings.roles_claim))
    names: Mapping[str, str] = settings.roles or {role: role for role in Role}
    roles = [Role(names[value]) for value in values if value in names]
    groups = _texts(_claim(claims, settings.groups_claim)) if settings.groups_claim else None
    return Principal.of(f"oidc:{name[:200]}", roles, groups)


def _claim(claims: Mapping[str, Any], path: str) -> Any:
    """Return a claim: by its whole name, else along its dots; None when it is not there."""
    if path in claims:
        return claims[path]
    value: Any = claims
    for part in path.split("."):
        value = value.get(part) if isinstance(value, Mapping) else None
    return value


def _texts(value: Any) -> list[str]:
    """Return the values of a claim: a list, or words between blanks."""
    if isinstance(value, str):
        return value.split()
    return [text for text in value if isinstance(text, str)] if isinstance(value, list) else []
