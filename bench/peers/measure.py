"""One peer through everything: ingest beside its unit, size, queries, a resend, a SIGKILL."""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa

from archiver.model import Interval
from bench.data import SECOND, START
from bench.peers.plain_parquet import write
from bench.peers.port import Load, Peer

QUERIES = ("1 element, all", "1 element, 1 h", "mean of 60 s", "last of all", "100 elements, 1 h")
_ROUNDS = 7
_WARM_UP = 2
_READABLE_S = 120.0


@dataclass
class Figures:
    """What was measured of one peer; None where it does not apply.

    Parameters
    ----------
    rows : int
        Samples ingested.
    unit_s : float
        Seconds of pyarrow for the same, just before.
    acknowledged_s, readable_s : float
        Seconds from the first sample sent until all were acknowledged, and until the last ones could be read.
    bytes : int
        On the disk, when settled.
    queries_ms : dict of str to float
        Medians, warm.
    resent, doubled : int or None
        Samples sent again, and how many of them were stored again; None when they were refused.
    acknowledged, lost : int or None
        Samples acknowledged before a SIGKILL, and how many of those were gone after it.
    """

    name: str
    synced: str
    rows: int
    unit_s: float
    acknowledged_s: float = 0.0
    readable_s: float = 0.0
    bytes: int = 0
    queries_ms: dict[str, float] = field(default_factory=dict)
    resent: int = 0
    doubled: int | None = None
    acknowledged: int | None = None
    lost: int | None = None


def measure(peer: Peer, load: Load) -> Figures:
    """Return the figures of a peer, on directories of its own that are gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="forebay-bench-") as folder:
        unit = write(load, Path(folder) / "unit.parquet")
    with tempfile.TemporaryDirectory(prefix="forebay-bench-") as folder:
        try:
            peer.start(Path(folder))
            figures = Figures(peer.name, peer.synced, load.rows, unit)
            _ingest(peer, load, figures)
            figures.queries_ms = queries(peer, load)
            _resend(peer, load.first(max(1, len(load.batches) // 10)), figures)
        finally:
            peer.stop()
    with tempfile.TemporaryDirectory(prefix="forebay-bench-") as folder:
        try:
            _kill(peer, load, Path(folder), figures)
        finally:
            peer.stop()
    return figures


def _ingest(peer: Peer, load: Load, figures: Figures) -> None:
    name, last = load.names[-1], Interval(load.whole.end - 60 * SECOND, load.whole.end)
    newest = sum(_within(batch.codes == len(load.names) - 1, batch.source_time, last) for batch in load.batches)
    start = time.perf_counter()
    peer.ingest(load, lambda rows: None)
    figures.acknowledged_s = time.perf_counter() - start
    while peer.samples([name], last).num_rows < newest:
        if time.perf_counter() - start > figures.acknowledged_s + _READABLE_S:
            raise RuntimeError(f"{peer.name}: what was acknowledged is not readable after {_READABLE_S:g} s")
        time.sleep(0.01)
    figures.readable_s = time.perf_counter() - start
    peer.settle()
    figures.bytes = peer.size()
    if (stored := peer.count()) != load.rows:
        raise RuntimeError(f"{peer.name} holds {stored} of {load.rows} samples")


def queries(peer: Peer, load: Load) -> dict[str, float]:
    """Return the median time of each query, ms; each has to give as many rows as there are."""
    middle = START + load.samples * SECOND // 2
    hour = Interval(middle - 1800 * SECOND, middle + 1800 * SECOND)
    code, some = len(load.names) // 2, load.names[: max(1, len(load.names) // 10)]
    times = np.concatenate([batch.source_time[batch.codes == code] for batch in load.batches])
    name, minutes = load.names[code], Interval(START, START + load.samples // 60 * 60 * SECOND)
    of_some = sum(_within(batch.codes < len(some), batch.source_time, hour) for batch in load.batches)
    in_hour = _within(times > 0, times, hour)
    works: tuple[tuple[Callable[[], pa.Table], int], ...] = (
        (lambda: peer.samples([name], load.whole), len(times)),
        (lambda: peer.samples([name], hour), in_hour),
        (lambda: peer.means(name, minutes, 60), load.samples // 60),
        (lambda: peer.latest(load.names), len(load.names)),
        (lambda: peer.samples(some, hour), of_some),
    )
    return {
        title: _median_ms(work, rows, f"{peer.name}, {title}")
        for title, (work, rows) in zip(QUERIES, works, strict=True)
    }


def _within(chosen: np.ndarray, times: np.ndarray, interval: Interval) -> int:
    return int((chosen & (times >= interval.start) & (times < interval.end)).sum())


def _median_ms(work: Callable[[], pa.Table], rows: int, title: str) -> float:
    taken = []
    for _ in range(_WARM_UP + _ROUNDS):
        start = time.perf_counter()
        table = work()
        taken.append((time.perf_counter() - start) * 1e3)
        if table.num_rows != rows:
            raise RuntimeError(f"{title}: {table.num_rows} rows instead of {rows}")
    return statistics.median(taken[_WARM_UP:])


def _resend(peer: Peer, again: Load, figures: Figures) -> None:
    """Send the first batches once more."""
    figures.resent = again.rows
    try:
        peer.ingest(again, lambda rows: None)
    except Exception as exc:  # noqa: BLE001 - whatever its driver raises is its way of refusing
        print(f"  {peer.name} refuses a resend: {str(exc).splitlines()[0][:200]}")
        return
    peer.settle()
    figures.doubled = peer.count() - figures.rows


def _kill(peer: Peer, load: Load, directory: Path, figures: Figures) -> None:
    """SIGKILL after a third, start again, and count."""
    peer.start(directory)
    try:
        figures.acknowledged = peer.interrupt(load, load.rows // 3)
    except NotImplementedError:
        return
    peer.start(directory)
    peer.settle()
    figures.lost = max(0, figures.acknowledged - peer.count())
