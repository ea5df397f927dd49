"""The archive that another process runs on the same directory, over HTTP."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from types import TracebackType
from typing import Any

from archiver.client.connection import Connection, error_of
from archiver.model import Interval, SampleBatch, format_time
from archiver.model.ipc import from_ipc, to_ipc
from archiver.pipeline.verification import Plan
from archiver.query import Join, Query
from archiver.query.formats import MEDIA_TYPES

_ARROW = MEDIA_TYPES["arrow"]
_PIECE = 1 << 20


class RemoteFace:
    """`Face` over HTTP.

    Parameters
    ----------
    url : str
        Where ``forebay up`` answers.
    key : str, optional
        What it is asked with.
    certificate : str, optional
        File with the certificate that it has, the only one that counts.
    """

    def __init__(self, url: str, key: str | None = None, certificate: str | None = None) -> None:
        self._connection = Connection(url, key, certificate)

    def __enter__(self) -> RemoteFace:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._connection.close()

    def submit(self, batch: SampleBatch) -> dict[str, int]:
        """Send samples through the intake."""
        headers = {"Content-Type": _ARROW}
        answer = self._connection.request("POST", "/v1/samples", content=to_ipc(batch.to_arrow()), headers=headers)
        counts: dict[str, int] = answer.json()["counts"]
        return counts

    def query(self, query: Query, format_name: str) -> Iterator[bytes]:
        """Answer a query."""
        return self._stream("POST", "/v1/query", format_name, json={**_question(query), "outcome": True})

    def plan(self, query: Query) -> dict[str, Any]:
        """Return who would answer a query, at what cost, and why."""
        answer: dict[str, Any] = self._connection.request(
            "POST", "/v1/query", params={"plan": "true"}, json=_question(query)
        ).json()
        return answer

    def values_at(self, elements: Sequence[str], time: int, backend: str | None, format_name: str) -> Iterator[bytes]:
        """Return the samples that held at an instant."""
        parameters = [("element", name) for name in elements] + [("time", format_time(time))]
        parameters += [("backend", backend)] if backend else []
        return self._stream("GET", "/v1/samples/at", format_name, params=parameters)

    def explain(self, element: str, interval: Interval) -> dict[str, Any]:
        """Return what became of an element's samples."""
        parameters = {"element": element, "start": format_time(interval.start), "end": format_time(interval.end)}
        answer: dict[str, Any] = self._connection.request("GET", "/v1/explain", params=parameters).json()
        return answer

    def backends(self) -> list[dict[str, Any]]:
        """Return how every backend is doing."""
        rows = self._connection.request("GET", "/v1/backends").json()["backends"]
        return [{key: value for key, value in row.items() if key != "coverage"} for row in rows]

    def ledger(self) -> list[dict[str, Any]]:
        """Return the ledger's counts."""
        rows: list[dict[str, Any]] = self._connection.request("GET", "/v1/ledger").json()["totals"]
        return rows

    def elements(self, pattern: str) -> list[dict[str, Any]]:
        """Return the elements that match a glob."""
        rows = self._connection.request("GET", "/v1/elements", params={"pattern": pattern}).json()["elements"]
        return [{key: row[key] for key in ("element", "kind", "unit", "description")} for row in rows]

    def dead_letters(self, *, replayed: bool) -> list[dict[str, Any]]:
        """Return the dead letters, without their samples."""
        answer = self._connection.request("GET", "/v1/dead-letters", params={"replayed": str(replayed).lower()})
        rows: list[dict[str, Any]] = answer.json()["dead_letters"]
        return rows

    def dead_letter(self, letter_id: int) -> SampleBatch:
        """Return the samples of a dead letter."""
        answer = self._connection.request("GET", f"/v1/dead-letters/{letter_id}/samples", headers={"Accept": _ARROW})
        return SampleBatch(from_ipc(answer.content))

    def replay_dead_letter(self, letter_id: int, mended: SampleBatch | None) -> dict[str, int]:
        """Send a dead letter, or its mended samples, through the intake."""
        content = b"" if mended is None else to_ipc(mended.to_arrow())
        path = f"/v1/dead-letters/{letter_id}/replay"
        answer = self._connection.request("POST", path, content=content, headers={"Content-Type": _ARROW})
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
        return self._long("/v1/copy", what, progress)

    def verify(
        self, backends: tuple[str, str], what: Plan, repair: str | None, progress: Callable[[int, int], None]
    ) -> dict[str, Any]:
        """Compare two backends, and repair one from the other."""
        body = {
            "backends": list(backends),
            "start": format_time(what.interval.start),
            "end": format_time(what.interval.end),
            "elements": None if what.elements is None else list(what.elements),
            "versions": what.versions,
            "repair": repair,
            "shown": what.shown,
        }
        return self._long("/v1/verify", body, progress)

    def _long(self, path: str, what: dict[str, Any], progress: Callable[[int, int], None]) -> dict[str, Any]:
        """Ask for long work, telling how far it is; return what came of it."""
        headers = {"Accept": MEDIA_TYPES["ndjson"]}
        last: dict[str, Any] = {}
        with self._connection.stream("POST", path, json=what, headers=headers) as answer:
            for line in answer.iter_lines():
                last = json.loads(line)
                if "done" in last:
                    progress(last["done"], last["total"])
        if "detail" in last:
            raise error_of(last)
        return last

    def _stream(self, method: str, path: str, format_name: str, **arguments: Any) -> Iterator[bytes]:
        headers = {"Accept": MEDIA_TYPES[format_name]}
        with self._connection.stream(method, path, headers=headers, **arguments) as answer:
            yield from answer.iter_bytes(_PIECE)


def _question(query: Query) -> dict[str, Any]:
    """Return a query as ``POST /v1/query`` takes it."""
    return {
        "elements": list(query.elements),
        "start": format_time(query.interval.start),
        "end": format_time(query.interval.end),
        "ranges": [
            {"backend": r.backend, "from": format_time(r.interval.start), "to": format_time(r.interval.end)}
            for r in query.ranges
        ],
        "backend": query.backend,
        "groups": list(query.groups),
        "before": query.before,
        "limit": query.limit,
        "cursor": query.cursor,
        "aggregates": list(query.aggregates),
        "bucket": f"{query.bucket_ns}ns" if query.bucket_ns else "",
        "as_of": "" if query.as_of is None else format_time(query.as_of),
        "versions": query.versions,
        "points": query.points,
        "require": "complete" if query.complete else "",
        "where": "" if query.where is None else query.where.text,
        **({} if query.join is None else _wide(query.join)),
    }


def _wide(join: Join) -> dict[str, str]:
    return {
        "wide": str(join.match),
        "tolerance": "" if join.tolerance_ns is None else f"{join.tolerance_ns}ns",
        "step": f"{join.step_ns}ns" if join.step_ns else "",
        "times_of": join.times_of or "",
    }
