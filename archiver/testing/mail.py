"""A private mail server for tests: aiosmtpd in this process, with STARTTLS, TLS and logging in."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from typing import Any

from archiver.testing.patience import SOON_S

USER, PASSWORD = "forebay", "geheim-7391"
"""Who may log in."""


class Mailboxes:
    """What was sent, and what is refused.

    Parameters
    ----------
    login : bool
        Whether one has to log in.

    Attributes
    ----------
    mails : list of EmailMessage
        Everything that was taken.
    replies : dict of str to str
        Recipient, or ``data`` for the message itself, to what is answered instead of taking it.
    """

    def __init__(self, *, login: bool = False) -> None:
        self.login = login
        self.mails: list[EmailMessage] = []
        self.replies: dict[str, str] = {}

    async def handle_RCPT(  # noqa: N802 - what aiosmtpd calls
        self, server: Any, session: Any, envelope: Any, address: str, options: Any
    ) -> str:
        """Take a recipient, or refuse it."""
        if self.login and not session.authenticated:
            return "530 5.7.0 Authentication required"
        if address in self.replies:
            return self.replies[address]
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802 - what aiosmtpd calls
        """Take a message, or refuse it."""
        if "data" in self.replies:
            return self.replies["data"]
        self.mails.append(message_from_bytes(envelope.content, policy=default))
        return "250 OK"


@contextmanager
def running_server(
    port: int, *, security: str = "none", context: ssl.SSLContext | None = None, login: bool = False
) -> Iterator[Mailboxes]:
    """Lend the mailboxes of a started mail server on 127.0.0.1.

    Parameters
    ----------
    port : int
    security : str
        ``none``, ``starttls`` or ``tls``.
    context : ssl.SSLContext, optional
        With its certificate.
    login : bool
        Whether one has to log in.
    """
    from aiosmtpd.controller import Controller
    from aiosmtpd.smtp import AuthResult

    def authenticate(server: Any, session: Any, envelope: Any, mechanism: str, data: Any) -> AuthResult:
        return AuthResult(success=(data.login, data.password) == (USER.encode(), PASSWORD.encode()), handled=False)

    kinds: dict[str, dict[str, Any]] = {
        "none": {},
        "starttls": {"tls_context": context, "require_starttls": True},
        "tls": {"ssl_context": context},
    }
    settings = {"authenticator": authenticate, "auth_require_tls": False, **kinds[security]}
    boxes = Mailboxes(login=login)
    controller = Controller(boxes, hostname="127.0.0.1", port=port, ready_timeout=SOON_S, **settings)
    controller.start()
    try:
        yield boxes
    finally:
        controller.stop()
