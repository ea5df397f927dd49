"""Who asks, and whether it may: the check at every door."""

from __future__ import annotations

import functools
import hmac
import logging
from urllib.parse import urlsplit

from starlette.concurrency import run_in_threadpool
from starlette.requests import HTTPConnection

from archiver.bootstrap import Archive
from archiver.config import OidcSettings, ServerSettings, Settings, is_loopback
from archiver.model import ConfigurationError, ForebayError
from archiver.security import AuditLog, Caller, Keys, Principal, Role
from archiver.security.keys import digest_of
from services.common.errors import ForbiddenError, UnauthorizedError
from services.common.security.credentials import HOW, presented
from services.common.security.failures import Failures
from services.common.security.tokens import Tokens
from services.common.security.view import View

_LOG = logging.getLogger(__name__)
_ANONYMOUS = {"none": (), "read": (Role.READ,), "all": (Role.ADMINISTER,)}


class Guard:
    """Checks credentials, and gives callers their view of an archive.

    Without a key or an issuer of tokens, everybody on this machine may do everything, as long as only this machine can
    call. Once there is either, credentials are needed at every door. Both unless ``security.anonymous`` says otherwise.

    Parameters
    ----------
    archive : Archive
    server : ServerSettings
        Where it listens.
    local_key : str, optional
        Text of the key that commands of the same user on this machine find in the data directory.
    """

    def __init__(self, archive: Archive, server: ServerSettings, local_key: str | None = None) -> None:
        self.keys = Keys(archive.directory)
        self.audit = AuditLog(archive.directory)
        self.failures = Failures()
        self._denials = Failures()  # bounds what is recorded: a key that is right has no reason to wait
        self._archive = archive
        self._is_local = is_loopback(server.host)
        self._local_digest = digest_of(local_key) if local_key else ""
        self._tokens: Tokens | None = None

    @property
    def archive(self) -> Archive:
        """The archive itself: for what a service does by itself, never for what a caller asks."""
        return self._archive

    async def admit(self, connection: HTTPConnection, role: Role, *, influx: bool = False) -> View:
        """Return what the sender of a request sees, when it may do what the role allows.

        Raises
        ------
        UnauthorizedError, ForbiddenError, TooManyFailuresError
        """
        caller = await self.identify(connection, influx=influx)
        principal = caller.principal
        if principal.may(role):
            return View(self._archive, caller, self.audit, functools.partial(self._holds, connection, role, influx))
        if principal.name == "anonymous":
            raise UnauthorizedError(f"this needs a key with the role {role}: {HOW}")
        if self._denials.spend(caller.origin):
            await run_in_threadpool(self._note, connection, caller, f"the role {role} is missing")
        raise ForbiddenError(f"{principal.name} may not do this: it needs the role {role}")

    def _holds(self, connection: HTTPConnection, role: Role, influx: bool) -> bool:
        """Return whether a request that was let in would be again: for answers that have no end."""
        text = presented(connection, influx=influx)
        try:
            principal = None if text is None else self._known(text)
            if principal is None and text is not None and self._needs_credentials:
                tokens = self._tokens_now()
                return tokens is not None and tokens.check(text).may(role)
            return (principal or self._anonymous(connection)).may(role)
        except ForebayError:
            return False

    async def identify(self, connection: HTTPConnection, *, influx: bool = False) -> Caller:
        """Return who sends a request, from where.

        Raises
        ------
        UnauthorizedError, TooManyFailuresError
            The credentials are wrong.
        """
        origin = connection.client.host if connection.client else ""
        request = getattr(connection.state, "request_id", "")
        text = presented(connection, influx=influx)
        principal = None if text is None else self._known(text)
        if principal is None and text is not None and self._needs_credentials:
            principal = await run_in_threadpool(self._look_closer, connection, text, Caller(_UNKNOWN, origin, request))
        return Caller(principal or self._anonymous(connection), origin, request)

    @property
    def _needs_credentials(self) -> bool:
        """Whether anybody was given credentials: then they are asked for, even when all have ended."""
        return len(self.keys) > 0 or self._archive.settings.security.oidc is not None

    def _anonymous(self, connection: HTTPConnection) -> Principal:
        chosen = self._archive.settings.security.anonymous
        if chosen:
            return Principal.of("anonymous", _ANONYMOUS[chosen])
        if not self._is_local or self._needs_credentials:
            return _NOBODY
        _check_from_here(connection)
        return Principal.of("anonymous", [Role.ADMINISTER])

    def _known(self, text: str) -> Principal | None:
        """Return whose key, or token that was checked before, a text is: quickly, and without a word on failures."""
        if self._local_digest and hmac.compare_digest(digest_of(text), self._local_digest):
            return Caller.here().principal
        key = self.keys.find(text)
        if key is not None:
            return key.principal
        tokens = self._tokens_now()
        return None if tokens is None else tokens.remembered(text)

    def _look_closer(self, connection: HTTPConnection, text: str, caller: Caller) -> Principal:
        """Return who a token names; or note the failure."""
        self.failures.check(caller.origin)
        tokens, why = self._tokens_now(), "unknown credentials"
        if tokens is not None:
            try:
                return tokens.check(text)
            except UnauthorizedError as exc:
                why = str(exc)
        if self.failures.spend(caller.origin):
            self._note(connection, caller, why)
        raise UnauthorizedError(f"these credentials are not valid, or not any more: {HOW}")

    def _tokens_now(self) -> Tokens | None:
        """Return what checks tokens by the settings in force."""
        settings: OidcSettings | None = self._archive.settings.security.oidc
        if settings is None:
            self._tokens = None
        elif self._tokens is None or self._tokens.settings is not settings:
            self._tokens = Tokens(settings)
        return self._tokens

    def _note(self, connection: HTTPConnection, caller: Caller, why: str) -> None:
        """Record that somebody was refused."""
        try:
            self.audit.record(caller, "refused", why, path=connection.url.path[:200])
        except ForebayError as exc:  # it is refused in any case
            _LOG.error("%s", exc)


def check_start(settings: Settings) -> None:
    """Raise when an archive would be open to other machines without anybody having asked for that.

    Raises
    ------
    ConfigurationError
        It says what to do.
    """
    host, security = settings.server.host, settings.security
    if is_loopback(host) or security.oidc is not None or security.anonymous or len(Keys(settings.data)):
        return
    raise ConfigurationError(
        [
            f"server.host = {host!r}: every machine that reaches it could read and write everything, since there is no "
            f"key yet; make one first: forebay keys create NAME --role administer --data {settings.data}",
            'or configure [security.oidc], or allow it: anonymous = "read" (or "all") in [security]',
        ]
    )


_NOBODY = Principal.of("anonymous", [])
_UNKNOWN = Principal.of("unknown", [])


def _check_from_here(connection: HTTPConnection) -> None:
    """Raise when a page from elsewhere has made a browser on this machine ask: it can reach what only we can."""
    host = connection.headers.get("host", "localhost")
    if not is_loopback(urlsplit(f"//{host}").hostname or ""):
        raise ForbiddenError(
            f"asked as {host!r}, this archive answers only with a key: make one with `forebay keys create`"
        )
    origin = connection.headers.get("origin")
    if origin is not None and urlsplit(origin).netloc != host:
        raise ForbiddenError(f"a page of {origin} may not ask this archive without a key")
