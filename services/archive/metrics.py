"""What the archive counts, as families of Prometheus."""

from __future__ import annotations

import shutil
import threading
import time
from collections import Counter
from collections.abc import Mapping, Sequence

from archiver.bootstrap import Archive
from archiver.model.time import NANOSECONDS, now
from archiver.pipeline.lane import LaneStatus
from archiver.pipeline.ledger import Outcome, Total
from archiver.query import Answer, Part
from services.common.telemetry import Exposition, Histogram

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)


class QueryCounts:
    """How long queries took, by the backends that were asked, and what each of these gave."""

    def __init__(self) -> None:
        self._seconds = Histogram(
            "forebay_query_seconds", "Queries, from asked to read, by the backends that answered.", "backends", _SECONDS
        )
        self._lock = threading.RLock()  # an answer that is forgotten may be counted while another is
        self._rows: Counter[tuple[str, str]] = Counter()
        self._waited: Counter[str] = Counter()

    def watch(self, answer: Answer) -> None:
        """Count an answer, once it was read."""
        started = time.perf_counter()
        answer.when_left(lambda parts: self._add(parts, time.perf_counter() - started))

    def expose(self, text: Exposition) -> None:
        """Add the families."""
        self._seconds.expose(text)
        with self._lock:
            rows, waited = sorted(self._rows.items()), sorted(self._waited.items())
        told = [({"backend": backend, "role": role}, count) for (backend, role), count in rows]
        text.add("forebay_query_rows_total", "counter", "Rows that backends gave, before the merge.", told)
        waits = [({"backend": backend}, seconds) for backend, seconds in waited]
        text.add("forebay_query_backend_seconds_total", "counter", "Seconds that queries waited for backends.", waits)

    def _add(self, parts: Sequence[Part], seconds: float) -> None:
        self._seconds.add("+".join(sorted({part.backend for part in parts})) or "none", seconds)
        with self._lock:
            for part in parts:
                self._rows[part.backend, str(part.role)] += part.rows
                self._waited[part.backend] += part.seconds  # type: ignore[assignment]  # a Counter holds floats as well


def expose(archive: Archive, totals: Sequence[Total], text: Exposition) -> None:
    """Add the archive's families; of samples, those of some totals of the ledger."""
    _samples(totals, text)
    _lanes({name: lane.status() for name, lane in list(archive.lanes.items())}, text)
    letters = [({"backend": name}, archive.dead_letters.count(name)) for name in list(archive.lanes)]
    text.add("forebay_dead_letters", "gauge", "Samples put aside that wait to be mended.", letters)
    _journal(archive, text)
    disk = shutil.disk_usage(archive.directory)
    text.add("forebay_disk_free_bytes", "gauge", "Bytes free on the disk of the data directory.", [({}, disk.free)])
    text.add("forebay_disk_size_bytes", "gauge", "Size of the disk of the data directory.", [({}, disk.total)])


def expose_service(connections: int, watchers: int, jobs: Mapping[str, int], text: Exposition) -> None:
    """Add the families of what the service itself does."""
    text.add("forebay_connections", "gauge", "Connections that are open, watchers included.", [({}, connections)])
    text.add("forebay_live_watchers", "gauge", "Clients that get samples as they come.", [({}, watchers)])
    states = [({"state": str(state)}, count) for state, count in jobs.items()]
    text.add("forebay_jobs", "gauge", "Jobs that are kept, by state.", states)


def _samples(totals: Sequence[Total], text: Exposition) -> None:
    values = [
        (
            {"lane": total.lane, "group": total.group, "outcome": total.outcome, "reason": total.reason},
            total.count,
        )
        for total in totals
        if total.outcome != Outcome.BUFFERED  # that is the lag, which falls again
    ]
    text.add("forebay_samples_total", "counter", "Samples by column of the ledger.", values)


def _lanes(statuses: dict[str, LaneStatus], text: Exposition) -> None:
    families = (
        ("lag_samples", "gauge", "Samples that the backend lacks.", lambda s: s.lag_samples),
        (
            "oldest_unflushed_seconds",
            "gauge",
            "Age of the oldest sample that the backend lacks.",
            lambda s: s.oldest_unflushed_s,
        ),
        ("retries", "gauge", "Failed attempts since the last success.", lambda s: s.retries),
        ("failures_total", "counter", "Failed attempts since the start.", lambda s: s.failures),
        ("written_samples_total", "counter", "Samples stored since the start.", lambda s: s.written),
        ("up", "gauge", "Whether the lane runs and its backend answers.", lambda s: int(s.state == "running")),
    )
    for name, kind, what, value in families:
        values = [({"backend": backend}, value(status)) for backend, status in statuses.items()]
        text.add(f"forebay_lane_{name}", kind, what, values)


def _journal(archive: Archive, text: Exposition) -> None:
    state = archive.journal.state()
    age = 0.0 if state.oldest is None else max(0.0, (now() - state.oldest) / NANOSECONDS)
    largest = getattr(getattr(archive.journal, "options", None), "max_bytes", None)  # a journal may know no bound
    for name, what, value in (
        ("entries", "Entries in the journal.", state.entries),
        ("samples", "Samples in the journal.", state.rows),
        ("bytes", "Bytes in the journal.", state.bytes),
        ("last_offset", "Offset of the newest entry of the journal: what the intake took, ever.", state.last),
        ("oldest_seconds", "Age of the oldest entry in the journal.", age),
        *([("limit_bytes", "Bytes that the journal may have.", largest)] if largest else []),
    ):
        text.add(f"forebay_journal_{name}", "gauge", what, [({}, value)])
