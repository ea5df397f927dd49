"""How a worker shows who it is: the settings of librdkafka that the archive has, as Faust takes them."""

from __future__ import annotations

import ssl
from collections.abc import Mapping

import faust
from faust.types.auth import CredentialsT

_KNOWN = {
    "security.protocol",
    "sasl.mechanism",
    "sasl.mechanisms",
    "sasl.username",
    "sasl.password",
    "ssl.ca.location",
    "ssl.certificate.location",
    "ssl.key.location",
    "ssl.key.password",
}


def credentials_of(client: Mapping[str, str]) -> CredentialsT | None:
    """Return what a worker connects with; None for nothing.

    Examples
    --------
    >>> credentials_of({"security.protocol": "plaintext"}) is None
    True
    """
    protocol = client.get("security.protocol", "plaintext").lower()
    context = _context(client) if protocol.endswith("ssl") else None
    if protocol.startswith("sasl"):
        mechanism = client.get("sasl.mechanism") or client.get("sasl.mechanisms", "PLAIN")
        return faust.SASLCredentials(
            username=client.get("sasl.username"),
            password=client.get("sasl.password"),
            mechanism=mechanism,
            ssl_context=context,
        )
    return None if context is None else faust.SSLCredentials(context)


def unknown(client: Mapping[str, str]) -> list[str]:
    """Return the security settings that a worker cannot follow."""
    return [name for name in client if name.startswith(("sasl.", "ssl.", "security.")) and name not in _KNOWN]


def _context(client: Mapping[str, str]) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=client.get("ssl.ca.location"))
    if certificate := client.get("ssl.certificate.location"):
        context.load_cert_chain(certificate, client.get("ssl.key.location"), client.get("ssl.key.password"))
    return context
