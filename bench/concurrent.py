"""A crowd of readers beside an ingest that goes on: every answer is checked, and everything sent has to be there."""

from __future__ import annotations

import json
import multiprocessing
import statistics
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.sharedctypes import Synchronized
from multiprocessing.synchronize import Event
from pathlib import Path
from urllib.parse import urlencode

from bench.registry import Row, bench
from bench.service import Client, Service, post_all

READERS, ROUNDS = 200, 3
_ELEMENTS, _SAMPLES = 100, 10_000
_BASE = 1_767_225_600 * 10**9
_SECOND = 10**9
_LINES, _BODIES = 10_000, 20
_ALONE_S = 4.0


@dataclass(frozen=True)
class Question:
    """What a reader asks, and whether the answer is right."""

    kind: str
    path: str
    is_right: Callable[[list[dict[str, float]]], bool]


@bench("concurrent")
def concurrent() -> Iterator[Row]:
    """Readers of all kinds at once, with ingest by line protocol: how long they wait, and what is left of its rate."""
    with tempfile.TemporaryDirectory() as folder, Service(Path(folder)) as url:
        post_all(url, "/api/v2/write", history())
        with ingesting(url) as sent:
            alone = _rate(sent, lambda: time.sleep(_ALONE_S))
            took: dict[str, list[float]] = {}
            beside = _rate(sent, lambda: took.update(crowd(url, READERS, ROUNDS)))
        lost = sent.value - held(url)
        if lost:
            raise RuntimeError(f"{lost} of {sent.value} samples that were acknowledged are not there (or doubled)")
        yield Row(f"ingest beside {READERS} readers", beside, "ingest alone", alone, "samples/s")
        single = _waits(crowd(url, 1, 40))
    for kind, seconds in took.items():
        every = sorted(seconds)
        name = f"{READERS} readers at once, {kind}: median (99 of 100: {every[int(len(every) * 0.99)] * 1e3:.0f} ms)"
        yield Row(name, statistics.median(every) * 1e3, "one reader alone", single[kind], "ms", higher_is_better=False)


def questions(number: int) -> list[Question]:
    """Return what a reader asks in a round, each about an element of its own."""
    element = f"E{number % _ELEMENTS}"
    whole = {"element": element, "start": str(_BASE), "end": str(_BASE + _SAMPLES * _SECOND)}
    hour = {**whole, "end": str(_BASE + 3600 * _SECOND)}
    asked = [
        ("last value", "/v1/samples/latest", {"element": element}, lambda rows: [r["value"] for r in rows] == [9999.5]),
        ("an hour", "/v1/samples", hour, lambda rows: [r["value"] for r in rows] == [n + 0.5 for n in range(3600)]),
        (
            *("aggregates", "/v1/samples", {**whole, "aggregate": "count,max", "bucket": "1000s"}),
            lambda rows: (sum(r["count"] for r in rows), max(r["max"] for r in rows)) == (_SAMPLES, 9999.5),
        ),
        (
            *("a plot", "/v1/samples", {**whole, "points": "500"}),
            lambda rows: 400 < len(rows) < 700 and rows[-1]["value"] == 9999.5,
        ),
    ]
    return [Question(kind, f"{path}?{urlencode(query)}", right) for kind, path, query, right in asked]


def crowd(url: str, readers: int, rounds: int) -> dict[str, list[float]]:
    """Have readers ask all at once, each over a connection of its own; return seconds by kind of question.

    Raises
    ------
    RuntimeError
        An answer is wrong, or none: for this crowd there is room.
    """
    start = threading.Barrier(readers)

    def read(number: int) -> list[tuple[str, float]]:
        client, took = Client(url), []
        asked = questions(number)
        start.wait()
        for step in range(number, number + rounds):  # all kinds at any time
            question = asked[step % len(asked)]
            begun = time.perf_counter()
            answer = client.send("GET", question.path)
            took.append((question.kind, time.perf_counter() - begun))
            if not question.is_right(json.loads(answer)["samples"]):
                raise RuntimeError(f"{question.path}: a wrong answer: {answer[:300]!r}")
        client.close()
        return took

    found: dict[str, list[float]] = {}
    with ThreadPoolExecutor(readers) as pool:
        for kind, seconds in (pair for took in pool.map(read, range(readers)) for pair in took):
            found.setdefault(kind, []).append(seconds)
    return found


@contextmanager
def ingesting(url: str) -> Iterator[Synchronized[int]]:
    """Send line protocol from a process of its own until the end of the block; give how many samples were taken."""
    spawn = multiprocessing.get_context("spawn")
    sent, stop = spawn.Value("q", 0), spawn.Event()
    process = spawn.Process(target=_ingest, args=(url, sent, stop))
    process.start()
    try:
        while not sent.value and process.is_alive():
            time.sleep(0.01)
        yield sent
    finally:
        stop.set()
        process.join()
    if process.exitcode:
        raise RuntimeError("the ingest ended with an error; see above")


def _ingest(url: str, sent: Synchronized[int], stop: Event) -> None:
    client, number = Client(url), 0
    while not stop.is_set():
        client.send("POST", "/api/v2/write", _lines("L", _BASE - (number + 1) * 10**13, _LINES // _ELEMENTS))
        sent.value += _LINES
        number += 1


def history() -> list[bytes]:
    """Return bodies of line protocol with what the questions are about."""
    each = _SAMPLES // _BODIES
    starts = range(0, _SAMPLES, each)
    return [_lines("E", _BASE + first * _SECOND, each, first) for first in starts]


def _lines(prefix: str, start: int, count: int, first: int = 0) -> bytes:
    rows = (
        f"m,element={prefix}{element} value={first + n}.5 {start + n * _SECOND}"
        for element in range(_ELEMENTS)
        for n in range(count)
    )
    return "\n".join(rows).encode()


def held(url: str) -> int:
    """Return how many samples the archive has of what was ingested."""
    asked = {"element": "L*", "start": "2000-01-01T00:00:00Z", "end": "2100-01-01T00:00:00Z", "aggregate": "count"}
    client = Client(url)
    rows = json.loads(client.send("GET", f"/v1/samples?{urlencode(asked)}"))["samples"]
    client.close()
    return sum(row["count"] for row in rows)


def _rate(sent: Synchronized[int], work: Callable[[], object]) -> float:
    before, begun = sent.value, time.perf_counter()
    work()
    return (sent.value - before) / (time.perf_counter() - begun)


def _waits(took: dict[str, list[float]]) -> dict[str, float]:
    return {kind: statistics.median(seconds) * 1e3 for kind, seconds in took.items()}
