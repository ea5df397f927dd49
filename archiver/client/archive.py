"""An archive that runs elsewhere, with the verbs of a person who works with data."""

from __future__ import annotations

import contextlib
import io
import json
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Any

import pyarrow as pa

from archiver.client.answer import Answer
from archiver.client.connection import Connection, error_of
from archiver.model import InvalidInputError, SampleBatch, format_time
from archiver.model.ipc import to_ipc
from archiver.progress import counting
from archiver.query.formats import MEDIA_TYPES

Time = str | int | datetime
Names = str | Sequence[str]

_ARROW = MEDIA_TYPES["arrow"]
_PIECE = 1 << 20
_FIRST_S, _LONGEST_S = 0.05, 2.0


class Client:
    """The archive behind a URL.

    Parameters
    ----------
    url : str
        Such as ``http://127.0.0.1:8000``.
    key : str, optional
        What it is asked with; the environment's ``FOREBAY_KEY`` when left out.
    certificate : str, optional
        File with the certificate that it has, the only one that counts.
    progress : bool
        Whether long work shows a bar, on a terminal or in a notebook.
    """

    def __init__(
        self, url: str, key: str | None = None, certificate: str | None = None, *, progress: bool = True
    ) -> None:
        self._connection = Connection(url, key or os.environ.get("FOREBAY_KEY"), certificate)
        self._progress = progress

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the connection."""
        self._connection.close()

    # -- asking ---------------------------------------------------------------------------------------

    def query(self, elements: Names, start: Time, end: Time = "now", **asked: Any) -> Answer:
        """Return samples, or aggregates of them.

        Parameters
        ----------
        elements : str or sequence of str
            Names, aliases or globs.
        start, end : str, int or datetime
            ISO-8601 with a zone or ``now-1h``; ns since the epoch; or a datetime with a zone. The end is not included.
        **asked
            Anything else that ``POST /v1/query`` takes: ``aggregates=["mean"], bucket="1h"``, ``wide="linear"``,
            ``where="pump = 1"``, ``points=2000``, ``require="complete"``,
            ``ranges=[{"backend": …, "from": …, "to": …}]``.

        Raises
        ------
        ForebayError
            What the service says is wrong with it.
        """
        body = _question(elements, start, end, asked)
        with (
            self.bar("reading", "rows") as tell,
            self._connection.stream("POST", "/v1/query", json=body, headers={"Accept": _ARROW}) as answer,
        ):
            return Answer.read(
                io.BufferedReader(_Pieces(answer.iter_bytes(_PIECE)), _PIECE), lambda rows: tell(rows, 0)
            )

    def plan(self, elements: Names, start: Time, end: Time = "now", **asked: Any) -> dict[str, Any]:
        """Return who would answer a query, at what cost, and why; nothing is read."""
        body = _question(elements, start, end, asked)
        plan: dict[str, Any] = self._connection.request("POST", "/v1/query?plan=true", json=body).json()
        return plan

    def later(self, elements: Names, start: Time, end: Time = "now", *, key: str = "", **asked: Any) -> Job:
        """Have a long query read as a job by the service, and return that job.

        Parameters
        ----------
        key : str
            The same key gives the same job: what is asked again after a lost reply is read once.
        """
        headers = {"Accept": _ARROW, "Prefer": "respond-async", **({"Idempotency-Key": key} if key else {})}
        body = _question(elements, start, end, asked)
        found = self._connection.request("POST", "/v1/query", json=body, headers=headers).json()
        return Job(self, self._connection, found["id"])

    def latest(self, elements: Names = ()) -> Answer:
        """Return the newest sample of each element; of all when none is named."""
        return self._table("/v1/samples/latest", [("element", name) for name in _names(elements)])

    def at(self, elements: Names, instant: Time) -> Answer:
        """Return the sample that held at an instant, of each element that has one."""
        named = [("element", name) for name in _names(elements)]
        return self._table("/v1/samples/at", [*named, ("time", _time(instant))])

    def watch(self, elements: Names, every: str = "100ms") -> Iterator[dict[str, Any]]:
        """Yield samples as they come, the latest ones first, until the caller stops; see ``GET /v1/live``.

        What could not be given because this was too slow is an item with ``gap``.
        """
        asked = [*(("element", name) for name in _names(elements)), ("every", every)]
        with self._connection.stream("GET", "/v1/live", params=asked) as answer:
            kind = ""
            for line in answer.iter_lines():
                name, _, text = line.partition(": ")
                if name == "event":
                    kind = text
                elif name == "data" and kind == "gap":
                    yield {"gap": json.loads(text)}
                elif name == "data":
                    yield from json.loads(text).get("samples", ())

    def elements(self, pattern: str = "*", search: str = "") -> list[dict[str, Any]]:
        """Return what is known of the elements that match a glob, and have a text in name or description."""
        asked = {"pattern": pattern, "search": search}
        found: list[dict[str, Any]] = self._connection.request("GET", "/v1/elements", params=asked).json()["elements"]
        return found

    def backends(self) -> list[dict[str, Any]]:
        """Return how every backend is doing, and what it holds."""
        found: list[dict[str, Any]] = self._connection.request("GET", "/v1/backends").json()["backends"]
        return found

    def segments(self, backend: str | None = None, group: str | None = None) -> list[dict[str, Any]]:
        """Return the segments that backends hold: their times, sizes, and when retention drops them."""
        asked = {name: value for name, value in (("backend", backend), ("group", group)) if value is not None}
        found: list[dict[str, Any]] = self._connection.request("GET", "/v1/segments", params=asked).json()["segments"]
        return found

    def save_segment(self, path: Path | str, backend: str, group: str, start: Time, *, versions: bool = False) -> None:
        """Write the samples of one segment, as `segments` lists it, to a Parquet file; with `versions`, all of each."""
        asked = {"backend": backend, "group": group, "start": _time(start), "versions": versions}
        headers = {"Accept": MEDIA_TYPES["parquet"]}
        with self._connection.stream("GET", "/v1/segments/samples", params=asked, headers=headers) as answer:
            _save(answer.iter_bytes(_PIECE), path)

    def explain(self, element: str, start: Time, end: Time = "now") -> list[str]:
        """Return what became of an element's samples, in sentences."""
        asked = {"element": element, "start": _time(start), "end": _time(end)}
        found: list[str] = self._connection.request("GET", "/v1/explain", params=asked).json()["sentences"]
        return found

    # -- sending --------------------------------------------------------------------------------------

    def send(self, element: Names | pa.Array, source_time: Any, value: Any, **columns: Any) -> dict[str, int]:
        """Send samples; return how many ended in which column of the ledger, when they are durable.

        Parameters
        ----------
        element : str or sequence of str
            One name for all samples, or one each.
        source_time : array of int64, or of timestamps
            ns since the epoch; anything that pyarrow takes as timestamps, such as a pandas column.
        value : array
            Numbers, booleans, texts, …; null is "bad, no value".
        **columns
            ``status`` and ``sequence``, as of `archiver.model.SampleBatch.from_columns`.
        """
        batch = SampleBatch.from_columns(element, _nanoseconds(source_time), value, **columns)
        content = to_ipc(batch.to_arrow())
        answer = self._connection.request("POST", "/v1/samples", content=content, headers={"Content-Type": _ARROW})
        counts: dict[str, int] = answer.json()["counts"]
        return counts

    # -- putting right --------------------------------------------------------------------------------

    def copy(
        self, source: str, target: str, start: Time, end: Time = "now", elements: Names | None = None
    ) -> dict[str, int]:
        """Fill one backend from another, and return how many samples were read, stored, and there already.

        It is done by the archive as a job. What stops this function, such as Ctrl-C, cancels it; to do it again is
        harmless.

        Raises
        ------
        ForebayError
            What the service says is wrong with it.
        """
        asked = {"source": source, "target": target, "start": _time(start), "end": _time(end)}
        chosen = None if elements is None else _names(elements)
        return self._done("/v1/copy", {**asked, "elements": chosen}, f"filling {target}", "elements")

    def verify(self, one: str, other: str, *, repair: str | None = None, **asked: Any) -> dict[str, Any]:
        """Compare two backends, fill the one that `repair` names from the other, and return the report.

        ``same`` in it says whether they hold the same. For how it is done see `copy`.

        Parameters
        ----------
        **asked
            Anything else that ``POST /v1/verify`` takes: ``start``, ``end``, ``elements``, ``versions``, ``shown``.
        """
        body: dict[str, Any] = {**asked, "backends": [one, other], "repair": repair}
        body |= {name: _time(asked[name]) for name in ("start", "end") if name in asked}
        body |= {"elements": _names(asked["elements"])} if asked.get("elements") is not None else {}
        return self._done("/v1/verify", body, "comparing", "segments")

    def _done(self, path: str, asked: Mapping[str, Any], title: str, unit: str) -> dict[str, Any]:
        """Have something done as a job, and return what came of it."""
        found = self._connection.request("POST", path, json=asked, headers={"Prefer": "respond-async"}).json()
        job = Job(self, self._connection, found["id"], title, unit)
        try:
            return job.document()
        except KeyboardInterrupt:
            job.cancel()
            raise

    def _table(self, path: str, asked: Sequence[tuple[str, str]]) -> Answer:
        answer = self._connection.request("GET", path, params=list(asked), headers={"Accept": _ARROW})
        return Answer.read(answer.content)

    def bar(self, title: str, unit: str) -> Any:
        """Give a function that shows how far long work is, for the time of a block."""
        return counting(title, unit) if self._progress else contextlib.nullcontext(lambda done, total: None)


@dataclass(frozen=True)
class Job:
    """Long work that the service does by itself, such as reading the answer to a query."""

    client: Client
    connection: Connection
    id: str
    title: str = "the archive reads"
    unit: str = "rows"

    def state(self) -> dict[str, Any]:
        """Return how far it is, as ``GET /v1/jobs/{id}`` says it."""
        found: dict[str, Any] = self.connection.request("GET", f"/v1/jobs/{self.id}").json()
        return found

    def wait(self) -> Answer:
        """Return the answer when it is there.

        Raises
        ------
        ForebayError
            It failed, or was cancelled.
        """
        return Answer.read(self.connection.request("GET", self._result()).content)

    def document(self) -> dict[str, Any]:
        """Return what came of work whose result is a document; raises as `wait` does."""
        found: dict[str, Any] = self.connection.request("GET", self._result()).json()
        return found

    def save(self, path: Path | str) -> None:
        """Write the answer to a file when it is there, as an Arrow IPC stream; raises as `wait` does."""
        with self.connection.stream("GET", self._result()) as answer:
            _save(answer.iter_bytes(_PIECE), path)

    def _result(self) -> str:
        """Return where the result is, when it is there."""
        pause_s = _FIRST_S
        with self.client.bar(self.title, self.unit) as tell:
            while (found := self.state())["state"] in ("queued", "running"):
                far = found["progress"]
                tell(far.get("rows", far.get("done", 0)), far.get("expected", far.get("total")) or 0)
                time.sleep(pause_s)
                pause_s = min(2 * pause_s, _LONGEST_S)
        if found["state"] != "done":
            raise error_of(found["problem"] or {"status": 409, "detail": f"job {self.id} was {found['state']}"})
        return str(found["result"])

    def cancel(self) -> None:
        """Cancel it; or forget it, when it has ended."""
        self.connection.request("DELETE", f"/v1/jobs/{self.id}")


class _Pieces(io.RawIOBase):
    """Pieces of bytes as a file."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces = pieces
        self._held = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        if not self._held:
            self._held = memoryview(next(self._pieces, b""))
        size = min(len(buffer), len(self._held))
        buffer[:size], self._held = self._held[:size], self._held[size:]
        return size


def _save(pieces: Iterator[bytes], path: Path | str) -> None:
    with Path(path).open("wb") as file:
        for piece in pieces:
            file.write(piece)


def _question(elements: Names, start: Time, end: Time, asked: Mapping[str, Any]) -> dict[str, Any]:
    return {"elements": _names(elements), "start": _time(start), "end": _time(end), **asked}


def _names(elements: Names) -> list[str]:
    return [elements] if isinstance(elements, str) else list(elements)


def _time(value: Time) -> str:
    if isinstance(value, datetime):
        if value.tzinfo is None:
            raise InvalidInputError(f"{value!r} has no time zone: add one, such as tzinfo=timezone.utc")
        return value.isoformat()
    return format_time(value) if isinstance(value, int) else value


def _nanoseconds(times: Any) -> Any:
    column = times if isinstance(times, pa.Array) else pa.array(times)
    return column.cast(pa.timestamp("ns")).cast(pa.int64()) if pa.types.is_timestamp(column.type) else column
