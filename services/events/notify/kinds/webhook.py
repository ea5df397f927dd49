"""Tells anybody who takes JSON over HTTP, signed where both sides know a key."""

from __future__ import annotations

import hashlib
import hmac
import json
from pathlib import Path
from typing import ClassVar, Self

from pydantic import Field, model_validator

from archiver.model import TransientError
from archiver.model.time import NANOSECONDS, now
from archiver.ports import Options
from services.events.notify.kinds.http import URL, HttpOptions, post
from services.events.notify.notice import Group
from services.events.notify.notifier import PEOPLE, Grouping
from services.events.notify.secrets import read_secret

SIGNATURE, TIMESTAMP, KEY = "X-Forebay-Signature", "X-Forebay-Timestamp", "Idempotency-Key"
"""Headers: who it is from, when it was sent (s since the epoch), and what is the same when it is sent again."""


class WebhookOptions(HttpOptions):
    """Keys of ``[[notify]]`` with ``kind = "webhook"``."""

    url: str = Field("", pattern=f"{URL}|^$", description="address that takes POST; or one of the two that follow")
    url_file: Path | None = Field(None, description="file that holds the address, where that is a secret")
    url_env: str = Field("", description="environment variable that holds the address")
    secret_file: Path | None = Field(None, description="file that holds the key by which messages are signed")
    secret_env: str = Field("", description="environment variable that holds that key")

    @model_validator(mode="after")
    def _one_url(self) -> Self:
        if sum(map(bool, (self.url, self.url_file, self.url_env))) != 1:
            raise ValueError("needs one of url, url_file and url_env")
        return self


class WebhookNotifier:
    """Sends a group as one JSON document.

    Parameters
    ----------
    name : str
    options : WebhookOptions
    """

    Options: ClassVar[type[Options]] = WebhookOptions
    grouping: ClassVar[Grouping] = PEOPLE

    def __init__(self, name: str, options: WebhookOptions) -> None:
        self.name = name
        self._options = options

    def send(self, group: Group) -> None:
        """Send a message; see `Notifier.send`."""
        options = self._options
        url = options.url or read_secret("url", options.url_file, options.url_env)
        if not url.startswith(("http://", "https://")):
            raise TransientError("what url_file or url_env gives is no address: it must begin with https://")
        body = json.dumps(document(group), ensure_ascii=False, allow_nan=False).encode()
        headers = {KEY: group.id, TIMESTAMP: str(now() // NANOSECONDS)}
        secret = read_secret("secret", options.secret_file, options.secret_env)
        if secret:
            headers[SIGNATURE] = signature(secret, headers[TIMESTAMP], body)
        post(options, url, body, headers)


def document(group: Group) -> dict[str, object]:
    """Return a group as it is sent; each notice has its `id`, and `fresh` where it was not told before."""
    return {
        "version": 1,
        "id": group.id,
        "channel": group.channel,
        "group": dict(group.labels),
        "standing": len(group.standing),
        "notices": [{**notice.to_row(), "fresh": notice.id in group.fresh} for notice in group.notices],
    }


def signature(secret: str, timestamp: str, body: bytes) -> str:
    """Return what a receiver compares (`hmac.compare_digest`) with what it makes of time and body with the same key.

    Examples
    --------
    >>> signature("key", "1700000000", b"{}")[:15]
    'sha256=9d713ed4'
    """
    made = hmac.new(secret.encode(), timestamp.encode() + b"." + body, hashlib.sha256)
    return f"sha256={made.hexdigest()}"
