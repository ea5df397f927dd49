"""Encrypted connections: what uvicorn is told, from the table ``[tls]``."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from archiver.config import TlsSettings
from archiver.model import ConfigurationError

_VERSIONS = {"1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}


def server_context(settings: TlsSettings) -> ssl.SSLContext:
    """Return the context of a server: its certificate, the oldest version, and whose clients are let in.

    Raises
    ------
    ConfigurationError
        A file cannot be read, or is not what it should be.
    """
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.minimum_version = _VERSIONS[settings.minimum]
    with _explained("tls.certificate, tls.key", settings.certificate, settings.key):
        context.load_cert_chain(settings.certificate, settings.key)
    if settings.client_ca is not None:
        with _explained("tls.client_ca", settings.client_ca):
            context.load_verify_locations(settings.client_ca)
        context.verify_mode = ssl.CERT_REQUIRED
    return context


@contextmanager
def _explained(key: str, *paths: Path) -> Iterator[None]:
    """Say in our words what is wrong with a file."""
    try:
        yield
    except OSError as exc:  # SSLError is one
        what = ", ".join(str(path) for path in paths)
        raise ConfigurationError([f"{key} = {what}: {exc.strerror or exc}; give PEM files that go together"]) from exc
