"""The archive that another process runs on the same directory, over HTTP."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import TracebackType
from typing import Any
from urllib.parse import urlencode

import httpx

from archiver.model import (
    BackpressureError,
    ForebayError,
    Interval,
    InvalidInputError,
    NotFoundError,
    PermanentError,
    SampleBatch,
    TransientError,
    format_time,
)
from archiver.model.ipc import from_ipc, to_ipc
from archiver.query import Query
from archiver.query.formats import MEDIA_TYPES

_ARROW = MEDIA_TYPES["arrow"]
_PIECE = 1 << 20
_KINDS: dict[int, type[ForebayError]] = {400: InvalidInputError, 404: NotFoundError, 422: InvalidInputError}


class RemoteFace:
    """`Face` over HTTP.

    Parameters
    ----------
    url : str
        Where ``forebay up`` answers.
    """

    def __init__(self, url: str) -> None:
        self._client = httpx.Client(base_url=url, timeout=httpx.Timeout(600.0, connect=10.0))

    def __enter__(self) -> RemoteFace:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._client.close()

    def submit(self, batch: SampleBatch) -> dict[str, int]:
        """Send samples through the intake."""
        headers = {"Content-Type": _ARROW}
        answer = self._request("POST", "/v1/samples", content=to_ipc(batch.to_arrow()), headers=headers)
        counts: dict[str, int] = answer.json()["counts"]
        return counts

    def query(self, query: Query, format_name: str) -> Iterator[bytes]:
        """Answer a query."""
        parameters: list[tuple[str, str]] = [("element", name) for name in query.elements]
        parameters += [("start", format_time(query.interval.start)), ("end", format_time(query.interval.end))]
        parameters += [
            ("range", f"{r.backend}={format_time(r.interval.start)}/{format_time(r.interval.end)}")
            for r in query.ranges
        ]
        parameters += [("group", name) for name in query.groups]
        parameters += [("aggregate", name) for name in query.aggregates]
        single = {
            "backend": query.backend,
            "bucket": f"{query.bucket_ns}ns" if query.bucket_ns else None,
            "before": str(query.before) if query.before else None,
            "limit": str(query.limit) if query.limit else None,
            "cursor": query.cursor,
            "as_of": format_time(query.as_of) if query.as_of is not None else None,
            "versions": "true" if query.versions else None,
            "outcome": "true",
        }
        parameters += [(name, value) for name, value in single.items() if value is not None]
        return self._stream("/v1/samples", parameters, format_name)

    def values_at(self, elements: Sequence[str], time: int, backend: str | None, format_name: str) -> Iterator[bytes]:
        """Return the samples that held at an instant."""
        parameters = [("element", name) for name in elements] + [("time", format_time(time))]
        return self._stream("/v1/samples/at", parameters + ([("backend", backend)] if backend else []), format_name)

    def explain(self, element: str, interval: Interval) -> dict[str, Any]:
        """Return what became of an element's samples."""
        parameters = {"element": element, "start": format_time(interval.start), "end": format_time(interval.end)}
        answer: dict[str, Any] = self._request("GET", "/v1/explain", params=parameters).json()
        return answer

    def backends(self) -> list[dict[str, Any]]:
        """Return how every backend is doing."""
        rows = self._request("GET", "/v1/backends").json()["backends"]
        return [{key: value for key, value in row.items() if key != "coverage"} for row in rows]

    def ledger(self) -> list[dict[str, Any]]:
        """Return the ledger's counts."""
        rows: list[dict[str, Any]] = self._request("GET", "/v1/ledger").json()["totals"]
        return rows

    def elements(self, pattern: str) -> list[dict[str, Any]]:
        """Return the elements that match a glob."""
        rows = self._request("GET", "/v1/elements", params={"pattern": pattern}).json()["elements"]
        return [{key: row[key] for key in ("element", "kind", "unit", "description")} for row in rows]

    def dead_letters(self, *, replayed: bool) -> list[dict[str, Any]]:
        """Return the dead letters, without their samples."""
        answer = self._request("GET", "/v1/dead-letters", params={"replayed": str(replayed).lower()})
        rows: list[dict[str, Any]] = answer.json()["dead_letters"]
        return rows

    def dead_letter(self, letter_id: int) -> SampleBatch:
        """Return the samples of a dead letter."""
        answer = self._request("GET", f"/v1/dead-letters/{letter_id}/samples", headers={"Accept": _ARROW})
        return SampleBatch(from_ipc(answer.content))

    def replay_dead_letter(self, letter_id: int, mended: SampleBatch | None) -> dict[str, int]:
        """Send a dead letter, or its mended samples, through the intake."""
        content = b"" if mended is None else to_ipc(mended.to_arrow())
        path = f"/v1/dead-letters/{letter_id}/replay"
        answer = self._request("POST", path, content=content, headers={"Content-Type": _ARROW})
        counts: dict[str, int] = answer.json()["counts"]
        return counts

    def copy(
        self,
        source: str,
        target: str,
        interval: Interval,
        elements: Sequence[str] | None,
        progress: Callable[[int, int], None],
    ) -> dict[str, int]:
        """Fill one backend from another."""
        what = {
            "source": source,
            "target": target,
            "start": format_time(interval.start),
            "end": format_time(interval.end),
            "elements": None if elements is None else list(elements),
        }
        headers = {"Accept": MEDIA_TYPES["ndjson"]}
        last: dict[str, Any] = {}
        with self._translated(), self._client.stream("POST", "/v1/copy", json=what, headers=headers) as answer:
            _check(answer)
            for line in answer.iter_lines():
                last = json.loads(line)
                if "done" in last:
                    progress(last["done"], last["total"])
        if "detail" in last:
            raise _KINDS.get(last["status"], PermanentError)(last["detail"])
        return last

    def _request(self, method: str, path: str, **arguments: Any) -> httpx.Response:
        with self._translated():
            answer = self._client.request(method, path, **arguments)
        _check(answer)
        return answer

    @contextmanager
    def _translated(self) -> Iterator[None]:
        """Say in our words that nobody answers: the archive is on its way up or down, or ended in the middle."""
        try:
            yield
        except httpx.TransportError as exc:
            url = self._client.base_url
            raise TransientError(f"the archive at {url} does not answer ({exc}): it is starting or stopping") from exc

    def _stream(self, path: str, parameters: list[tuple[str, str]], format_name: str) -> Iterator[bytes]:
        headers = {"Accept": MEDIA_TYPES[format_name]}
        query = urlencode(parameters)
        with self._translated(), self._client.stream("GET", f"{path}?{query}", headers=headers) as answer:
            _check(answer)
            yield from answer.iter_bytes(_PIECE)


def _check(answer: httpx.Response) -> None:
    """Raise what the service said, as the error that it stands for."""
    if answer.status_code < 400:
        return
    answer.read()
    try:
        detail = str(answer.json()["detail"])
    except (ValueError, KeyError, TypeError):
        detail = answer.text[:500]
    if answer.status_code == 503:
        raise BackpressureError(detail, float(answer.headers.get("Retry-After", 1.0)))
    kind = _KINDS.get(answer.status_code, TransientError if answer.status_code >= 500 else PermanentError)
    raise kind(detail)
