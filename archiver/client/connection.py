"""Requests to a service, with its problems as the errors that they stand for."""

from __future__ import annotations

import os
import ssl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import httpx

from archiver.model import (
    BackpressureError,
    ForebayError,
    IncompleteError,
    InvalidInputError,
    LimitError,
    NotFoundError,
    PermanentError,
    QuotaError,
    TransientError,
)

_KINDS: dict[int, type[ForebayError]] = {
    400: InvalidInputError,
    404: NotFoundError,
    413: LimitError,
    422: InvalidInputError,
}


class Connection:
    """Where a service answers, and what it is asked with.

    Parameters
    ----------
    url : str
    key : str, optional
        An API key, or a token of the service's issuer.
    certificate : str, optional
        File with the certificate that the service has, the only one that counts.
    timeout_s : float
        For the service to say anything.
    """

    def __init__(
        self, url: str, key: str | None = None, certificate: str | None = None, timeout_s: float = 600.0
    ) -> None:
        headers = {} if key is None else {"Authorization": f"Bearer {key.strip()}"}
        verify = True if certificate is None else _trusting(certificate)
        timeout = httpx.Timeout(timeout_s, connect=10.0)
        self._client = httpx.Client(base_url=url, headers=headers, verify=verify, timeout=timeout)

    def close(self) -> None:
        """Let go of it."""
        self._client.close()

    def request(self, method: str, path: str, **arguments: Any) -> httpx.Response:
        """Return the answer to a request, read.

        Raises
        ------
        ForebayError
            What the service said was wrong.
        TransientError
            Nobody answers.
        """
        with self._translated():
            answer = self._client.request(method, path, **arguments)
        check(answer)
        return answer

    @contextmanager
    def stream(self, method: str, path: str, **arguments: Any) -> Iterator[httpx.Response]:
        """Give the answer to a request, to be read in the block; raises as `request` does."""
        with self._translated(), self._client.stream(method, path, **arguments) as answer:
            check(answer)
            yield answer

    @contextmanager
    def _translated(self) -> Iterator[None]:
        """Say in our words that nobody answers: the archive is on its way up or down, or ended in the middle."""
        try:
            yield
        except httpx.TransportError as exc:
            url = self._client.base_url
            raise TransientError(f"the archive at {url} does not answer ({exc}): it is starting or stopping") from exc


def check(answer: httpx.Response) -> None:
    """Raise what the service said, as the error that it stands for."""
    if answer.status_code < 400:
        return
    answer.read()
    try:
        document = {"detail": "", **answer.json()}
    except (ValueError, TypeError):
        document = {"detail": answer.text[:500]}
    retry_after_s = float(answer.headers.get("Retry-After", 1.0))
    raise error_of({**document, "status": answer.status_code}, retry_after_s)


def error_of(problem: Mapping[str, Any], retry_after_s: float = 1.0) -> ForebayError:
    """Return the error that a problem document stands for."""
    status, detail = problem["status"], str(problem["detail"])
    if status in (429, 503):
        return (QuotaError if status == 429 else BackpressureError)(detail, retry_after_s)
    if status == 401:
        return PermanentError(f"{detail}; give yours in the environment: FOREBAY_KEY")
    if "missing" in problem:
        return IncompleteError(problem["missing"])
    return _KINDS.get(status, TransientError if status >= 500 else PermanentError)(detail)


def _trusting(certificate: str) -> ssl.SSLContext:
    """Return a context that trusts one certificate, whatever name is in it, and shows ours when we are given one."""
    context = ssl.create_default_context(cafile=certificate)
    context.check_hostname = False
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    own = os.environ.get("FOREBAY_CLIENT_CERTIFICATE")
    if own:
        context.load_cert_chain(own, os.environ.get("FOREBAY_CLIENT_KEY"))
    return context
