"""Tells people by e-mail: a text and the same as HTML, over an encrypted connection unless said otherwise."""

from __future__ import annotations

import smtplib
import ssl
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from pathlib import Path
from typing import Annotated, ClassVar, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from archiver.config import Duration, is_loopback
from archiver.config.notifying import Zone
from archiver.model import PermanentError, TransientError
from archiver.model.time import NANOSECONDS
from archiver.ports import Options
from services.events.notify import wording
from services.events.notify.notice import Group
from services.events.notify.notifier import PEOPLE, Grouping
from services.events.notify.secrets import read_secret, without

_PORTS = {"starttls": 587, "tls": 465, "none": 25}
_NO_LOGIN = frozenset({530, 534, 535, 538})
"""Replies that say that one has to log in, or otherwise: of the settings, which somebody will mend."""


def _address(value: str) -> str:
    try:
        Address(addr_spec=value)
    except (ValueError, IndexError) as exc:
        raise ValueError("not an address: write somebody@example.org") from exc
    if value.count("@") != 1 or not value.isprintable() or " " in value:
        raise ValueError("not an address: write somebody@example.org")
    return value


MailAddress = Annotated[str, AfterValidator(_address)]
"""An address without a name."""


class MailOptions(Options):
    """Keys of ``[[notify]]`` with ``kind = "mail"``."""

    host: str = Field(min_length=1, description="the SMTP server")
    port: int = Field(0, ge=0, le=65535, description="0: 587 for starttls, 465 for tls, 25 for none")
    security: Literal["starttls", "tls", "none"] = Field(
        "starttls", description="starttls: encrypted before anything is said; tls: from the start; none: in clear"
    )
    ca_file: Path | None = Field(None, description="PEM; certificates to trust instead of the system's")
    user: str = Field("", description="to log in with the password; left out, without logging in")
    password_file: Path | None = Field(None, description="file that holds the password")
    password_env: str = Field("", description="environment variable that holds the password")
    sender: MailAddress = Field(description="address that the messages come from")
    to: tuple[MailAddress, ...] = Field(min_length=1, description="addresses that they go to")
    timezone: Zone = Field("UTC", description="of the times in the text, such as Europe/Berlin")
    timeout: Duration = Field("30s", validate_default=True, description="longest wait for each answer of the server")

    @model_validator(mode="after")
    def _password_is_safe(self) -> Self:
        if self.user and self.security == "none" and not is_loopback(self.host):
            raise ValueError('a password would go in clear: write security = "starttls", or no user')
        return self


class MailNotifier:
    """Sends a group as one e-mail; those of a group are a conversation.

    Parameters
    ----------
    name : str
    options : MailOptions
    """

    Options: ClassVar[type[Options]] = MailOptions
    grouping: ClassVar[Grouping] = PEOPLE

    def __init__(self, name: str, options: MailOptions) -> None:
        self.name = name
        self._options = options

    def send(self, group: Group) -> None:
        """Send a message; see `Notifier.send`."""
        options = self._options
        password = read_secret("password", options.password_file, options.password_env)
        where = f"{options.host}:{options.port or _PORTS[options.security]}"
        try:
            refused = self._deliver(message(group, options), password)
        except smtplib.SMTPRecipientsRefused as exc:
            raise _of_recipients(where, exc.recipients, all_of=True) from exc
        except smtplib.SMTPAuthenticationError as exc:  # somebody will mend the password
            raise TransientError(without(f"{where}: {_reply(exc.smtp_code, exc.smtp_error)}", password)) from exc
        except smtplib.SMTPResponseException as exc:
            text = without(f"{where}: {_reply(exc.smtp_code, exc.smtp_error)}", password)
            permanent = _is_permanent(exc.smtp_code) and isinstance(
                exc, smtplib.SMTPDataError | smtplib.SMTPSenderRefused
            )
            raise (PermanentError if permanent else TransientError)(text) from exc
        except (smtplib.SMTPException, OSError) as exc:
            raise TransientError(without(f"{where}: {exc or type(exc).__name__}", password)) from exc
        if refused:
            raise _of_recipients(where, refused, all_of=False)

    def _deliver(self, mail: EmailMessage, password: str) -> Mapping[str, tuple[int, bytes]]:
        """Send; return the recipients that were refused while others were not."""
        options = self._options
        port, timeout_s = options.port or _PORTS[options.security], options.timeout / NANOSECONDS
        server: smtplib.SMTP
        if options.security == "tls":
            server = smtplib.SMTP_SSL(options.host, port, timeout=timeout_s, context=self._trust())
        else:
            server = smtplib.SMTP(options.host, port, timeout=timeout_s)
        try:
            if options.security == "starttls":
                server.starttls(context=self._trust())  # raises when the server does not offer it
            if options.user:
                server.login(options.user, password)
            refused = server.send_message(mail, options.sender, options.to)
            with suppress(smtplib.SMTPException, OSError):  # the message is the server's by now
                server.quit()
            return refused
        finally:
            server.close()

    def _trust(self) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=self._options.ca_file)


def message(group: Group, options: MailOptions) -> EmailMessage:
    """Return a group as an e-mail; sent again it has the same ``Message-ID``, by which mail servers know it."""
    domain = options.sender.rpartition("@")[2]
    mail = EmailMessage(policy=SMTP)
    mail["From"] = options.sender
    mail["To"] = ", ".join(options.to)
    mail["Subject"] = wording.subject(group)
    mail["Date"] = format_datetime(datetime.now(UTC))
    mail["Message-ID"] = f"<{group.id}@{domain}>"
    mail["References"] = f"<{group.thread}@{domain}>"
    mail["Auto-Submitted"] = "auto-generated"
    mail.set_content(wording.plain(group, options.timezone), cte="quoted-printable")
    mail.add_alternative(wording.html(group, options.timezone), subtype="html", cte="quoted-printable")
    return mail


def _of_recipients(
    where: str, refused: Mapping[str, tuple[int, bytes]], *, all_of: bool
) -> TransientError | PermanentError:
    """Return the error for recipients that were refused; the others have the message already."""
    told = "; ".join(f"{address}: {_reply(*reply)}" for address, reply in refused.items())
    text = f"{where} refuses recipients: {told}{'' if all_of else '; the others have it'}"
    permanent = all(_is_permanent(code) for code, _ in refused.values())
    return PermanentError(text) if permanent else TransientError(text)


def _is_permanent(code: int) -> bool:
    """Return whether a server says that trying again makes no sense."""
    return code >= 500 and code not in _NO_LOGIN


def _reply(code: int, text: bytes | str) -> str:
    said = text.decode("utf-8", "replace") if isinstance(text, bytes) else text
    return f"{code} {' '.join(said.split())}"
