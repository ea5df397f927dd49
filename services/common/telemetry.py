"""What a service counts, in the text format of Prometheus."""

from __future__ import annotations

import bisect
import itertools
import logging
import threading
import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from starlette.types import ASGIApp, Message, Receive, Scope, Send

MEDIA_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_LOG = logging.getLogger(__name__)
_ESCAPES = str.maketrans({"\\": r"\\", "\n": r"\n", '"': r"\""})


class Exposition:
    """Metrics as text, family by family.

    Examples
    --------
    >>> text = Exposition()
    >>> text.add("up", "gauge", "Whether it runs.", [({}, 1)])
    >>> print(text.render(), end="")
    # HELP up Whether it runs.
    # TYPE up gauge
    up 1
    """

    def __init__(self) -> None:
        self._lines: list[str] = []

    def add(self, name: str, kind: str, help_text: str, values: Iterable[tuple[Mapping[str, str], float]]) -> None:
        """Add a family: its name, ``counter`` or ``gauge``, what it says, and a value per set of labels."""
        self.add_rows(name, kind, help_text, (("", labels, value) for labels, value in values))

    def add_rows(
        self, name: str, kind: str, help_text: str, rows: Iterable[tuple[str, Mapping[str, str], float]]
    ) -> None:
        """Add a family whose rows have names of their own: what follows the family's, labels, value."""
        self._lines += [f"# HELP {name} {help_text}", f"# TYPE {name} {kind}"]
        self._lines += [f"{name}{suffix}{_labels(labels)} {_number(value)}" for suffix, labels, value in rows]

    def render(self) -> str:
        """Return the text."""
        return "".join(f"{line}\n" for line in self._lines)


class Histogram:
    """How often something took how long, by labels.

    Parameters
    ----------
    name, help_text : str
    label : str
        The one label.
    bounds : sequence of float
        Upper bounds of the buckets, ascending.
    """

    def __init__(self, name: str, help_text: str, label: str, bounds: Sequence[float]) -> None:
        self._name, self._help, self._label = name, help_text, label
        self._bounds = tuple(bounds)
        self._lock = threading.RLock()  # an answer that is forgotten may be counted while another is
        self._counts: dict[str, list[int]] = {}
        self._sums: dict[str, float] = {}

    def add(self, value: str, seconds: float) -> None:
        """Count one thing with a value of the label."""
        with self._lock:
            counts = self._counts.setdefault(value, [0] * (len(self._bounds) + 1))
            counts[bisect.bisect_left(self._bounds, seconds)] += 1
            self._sums[value] = self._sums.get(value, 0.0) + seconds

    def expose(self, text: Exposition) -> None:
        """Add the family."""
        with self._lock:
            counts, sums = {key: list(row) for key, row in self._counts.items()}, dict(self._sums)
        rows: list[tuple[str, dict[str, str], float]] = []
        for value, row in sorted(counts.items()):
            labels, total = {self._label: value}, list(itertools.accumulate(row))
            bounds = [*map(repr, self._bounds), "+Inf"]
            rows += [("_bucket", {**labels, "le": le}, count) for le, count in zip(bounds, total, strict=True)]
            rows += [("_sum", labels, sums[value]), ("_count", labels, total[-1])]
        text.add_rows(self._name, "histogram", self._help, rows)


class RequestCounter:
    """ASGI middleware that counts requests and their seconds by method, route and status."""

    def __init__(self, app: ASGIApp, counts: RequestCounts) -> None:
        self._app = app
        self._counts = counts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on and count it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started, status = time.perf_counter(), 500

        async def sending(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, sending)
        finally:
            route = getattr(scope.get("route"), "path", "other")  # the template: its values are without bound
            seconds = time.perf_counter() - started
            self._counts.add((scope["method"], route, str(status)), seconds)
            _LOG.info("%s %s: %d in %.3f s", scope["method"], scope["path"], status, seconds)


class RequestCounts:
    """How many requests were answered, and in how many seconds altogether."""

    def __init__(self) -> None:
        self._requests: Counter[tuple[str, str, str]] = Counter()
        self._seconds: Counter[tuple[str, str, str]] = Counter()

    def add(self, key: tuple[str, str, str], seconds: float) -> None:
        """Count one request: method, route and status, and how long it took."""
        self._requests[key] += 1
        self._seconds[key] += seconds  # type: ignore[assignment]  # a Counter holds floats as well

    def expose(self, text: Exposition) -> None:
        """Add the families ``http_requests_total`` and ``http_request_seconds_total``."""
        names = ("method", "route", "status")
        for name, what, counts in (
            ("http_requests_total", "Requests answered.", self._requests),
            ("http_request_seconds_total", "Seconds spent on requests.", self._seconds),
        ):
            values = [(dict(zip(names, key, strict=True)), value) for key, value in sorted(counts.items())]
            text.add(name, "counter", what, values)


def _labels(labels: Mapping[str, str]) -> str:
    if not labels:
        return ""
    return "{" + ",".join(f'{name}="{value.translate(_ESCAPES)}"' for name, value in labels.items()) + "}"


def _number(value: float) -> str:
    return str(value) if isinstance(value, int) else repr(float(value))
