"""The tables of the configuration file that say who may come in, and over which connection."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field

from archiver.config.fields import Duration, LongerDuration, Table, lasting

Algorithm = Literal["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"]
"""Signatures with a private key; ``none`` and those with a shared secret cannot be configured."""

RoleName = Literal["read", "ingest", "operate", "administer"]
"""Names of `archiver.security.Role`."""


def is_loopback(host: str) -> bool:
    """Return whether an address or name is this machine's own, which no other one reaches.

    Examples
    --------
    >>> [is_loopback(host) for host in ("127.0.0.1", "::1", "localhost", "0.0.0.0", "archive.example")]
    [True, True, True, False, False]
    """
    name = host.strip("[]").rstrip(".").lower()
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return name == "localhost" or name.endswith(".localhost")


def _keys_of_issuer(value: str) -> str:
    parts = urlsplit(value)
    if parts.scheme == "http" and not is_loopback(parts.hostname or ""):
        raise ValueError("keys that come over http can be exchanged on the way: write https://, or a file")
    if parts.scheme not in ("", "http", "https"):
        raise ValueError("must be a file or an address that begins with https://")
    return value


class OidcSettings(Table):
    """Tokens of an OpenID Connect issuer (JWT), as ``Authorization: Bearer``; what is not pinned here is refused."""

    issuer: str = Field(min_length=1, description="claim `iss`, to the letter")
    audience: str = Field(min_length=1, description="one of the claim `aud`: the name of this archive at the issuer")
    jwks: Annotated[str, AfterValidator(_keys_of_issuer)] = Field(
        description="the issuer's public keys: a file, or the address that its discovery document calls `jwks_uri`"
    )
    algorithms: tuple[Algorithm, ...] = Field(("RS256",), min_length=1, description="signatures that count")
    leeway: Duration = lasting("30s", "how far the issuer's clock may be off")
    refresh: LongerDuration = lasting("1h", "age at which keys are fetched again; an unknown one is, sooner")
    name_claim: str = Field("sub", description="who it is, for the audit log")
    roles_claim: str = Field("roles", description="which roles; a dot leads into an object: realm_access.roles")
    roles: Mapping[str, RoleName] = Field(
        default_factory=dict, description="value of the claim: role; the values are names of roles when left out"
    )
    groups_claim: str = Field("", description="which archive groups; left out, every token sees all elements")


class SecuritySettings(Table):
    """Who may come in without a key, and whose tokens count."""

    anonymous: Literal["", "none", "read", "all"] = Field(
        "",
        description="what callers without credentials may do; left out: all, as long as there is no key and only this "
        "machine can call, and nothing otherwise",
    )
    oidc: OidcSettings | None = None


class TlsSettings(Table):
    """How connections are encrypted; without this table they are not."""

    certificate: Path = Field(description="PEM, with its chain")
    key: Path = Field(description="PEM, of the certificate")
    client_ca: Path | None = Field(None, description="PEM; only clients with a certificate of it are let in")
    minimum: Literal["1.2", "1.3"] = Field("1.2", description="oldest version of TLS")
