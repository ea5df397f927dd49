"""The steps of a plan read: in bounded pieces, from the next backend after an outage, with a record of both."""

from __future__ import annotations

import itertools
import time
from collections.abc import Generator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import numpy as np

from archiver.model import Interval, SampleBatch, TransientError
from archiver.model.merge import Key, after, key_of
from archiver.model.time import NANOSECONDS
from archiver.ports import Readable, Readers
from archiver.query.plan import Step
from archiver.query.request import Missing, Part, Query

CHUNK_ROWS = 1_000_000
"""How many samples one call of a reader is expected to give; more elements or time make more calls."""


@dataclass
class Record:
    """What was read from where, and what could not be; filled while an answer is consumed."""

    parts: list[Part] = field(default_factory=list)
    missing: list[Missing] = field(default_factory=list)
    errors: list[TransientError] = field(default_factory=list)
    finished: list[Step] = field(default_factory=list)
    cursor: str | None = None

    def part(self, backend: str, interval: Interval) -> Part:
        """Return a new part: each thread counts in its own."""
        part = Part(backend, interval)
        self.parts.append(part)
        return part

    def summary(self) -> list[Part]:
        """Return one part per backend and interval, in order of time."""
        sums: dict[tuple[int, int, str], Part] = {}
        for part in self.parts:
            key = (part.interval.start, part.interval.end, part.backend)
            total = sums.setdefault(key, Part(part.backend, part.interval))
            total.rows += part.rows
            total.seconds += part.seconds
        return [sums[key] for key in sorted(sums)]

    def failed(self, step: Step, tried: int, exc: TransientError, elements: Sequence[str]) -> None:
        """Note that a backend of a step failed, and whether another one takes over."""
        names = () if tuple(elements) == step.elements else tuple(elements)
        if tried + 1 < len(step.backends):
            reason = f"{exc}; answered by {step.backends[tried + 1]} instead"
        else:
            reason = str(exc)
            self.errors.append(exc)
        self.missing.append(Missing(step.interval, step.backends[tried], reason, names))


def read_step(step: Step, query: Query, readers: Readers, record: Record) -> Generator[SampleBatch, None, None]:
    """Yield the samples of a step, in order.

    A backend that raises `TransientError` is not asked again for this step: the next one goes on after the last
    sample that was given. When there is none left the stream ends, and the record says what is missing.
    """
    tried = 0
    part = record.part(step.backends[0], step.interval)
    rows = min(CHUNK_ROWS, max(query.limit, 10_000)) if query.limit else CHUNK_ROWS
    for elements, interval in chunks(readers[step.backends[0]], step.elements, step.interval, rows):
        last: Key | None = None
        while True:
            try:
                for batch in _read_chunk(readers[step.backends[tried]], elements, interval, query, part, last):
                    last = key_of(batch, -1, query.versions)
                    yield batch
                break
            except TransientError as exc:
                reached = last[0] if last else elements[0]
                record.failed(step, tried, exc, [name for name in step.elements if name >= reached])
                tried += 1
                if tried == len(step.backends):
                    return
                part = record.part(step.backends[tried], step.interval)
    record.finished.append(step)


def _read_chunk(
    reader: Readable, elements: Sequence[str], interval: Interval, query: Query, part: Part, last: Key | None
) -> Iterator[SampleBatch]:
    batches = reader.read(elements, interval, groups=query.groups or None, as_of=query.as_of, versions=query.versions)
    timed = _timed(batches, part)
    return timed if last is None else after(timed, last)


def _timed(batches: Iterator[SampleBatch], part: Part) -> Iterator[SampleBatch]:
    while True:
        start = time.perf_counter()
        batch = next(batches, None)
        part.seconds += time.perf_counter() - start
        if batch is None:
            return
        if batch.num_rows:
            part.rows += batch.num_rows
            yield batch


def chunks(
    reader: Readable, elements: Sequence[str], interval: Interval, rows: int
) -> Iterator[tuple[Sequence[str], Interval]]:
    """Yield what to ask of a reader one call after the other, in the order of the answer, about `rows` a call.

    Nobody is asked how much there is when one sample a second of each element would not be too many. Otherwise
    the rows of an element are taken from the reader's coverage, as if all elements had as many, evenly in time.
    """
    span_s = (interval.end - interval.start) / NANOSECONDS
    each, held = (0, interval) if span_s * len(elements) <= rows else _rows_of_an_element(reader, interval, rows)
    if each <= rows:
        size = max(1, rows // each) if each else len(elements)
        for first in range(0, len(elements), size):
            yield elements[first : first + size], interval
        return
    windows = -(-each // rows)
    step = (held.end - held.start) // windows
    edges = [interval.start, *(held.start + step * number for number in range(1, windows)), interval.end]
    for element in elements:
        for start, end in itertools.pairwise(edges):
            yield [element], Interval(start, end)


def _rows_of_an_element(reader: Readable, interval: Interval, enough: int) -> tuple[int, Interval]:
    """Return the expected rows of an element (0: few enough of all), and the time in which they lie."""
    total, held = 0, None
    try:
        for coverage in reader.coverage():
            whole = Interval(coverage.first, coverage.last + 1)
            shared = whole.intersect(interval)
            if shared is not None:
                total += coverage.rows * (shared.end - shared.start) // (whole.end - whole.start)
                held = Interval(min(held.start, shared.start), max(held.end, shared.end)) if held else shared
        if held is None or total <= enough:
            return 0, interval
        return max(1, total // max(1, len(reader.elements()))), held
    except TransientError:
        return 0, interval  # the read itself will meet the outage, and report it


def last_values(steps: Sequence[Step], time_ns: int, query: Query, readers: Readers, record: Record) -> SampleBatch:
    """Return the last sample before a time of each element of some steps, sorted by element.

    Steps are asked at the same time; of what several give for an element, the latest is taken.
    """

    def ask(step: Step) -> SampleBatch:
        for tried, backend in enumerate(step.backends):
            part = record.part(backend, step.interval)
            start = time.perf_counter()
            try:
                found = readers[backend].last_before(
                    step.elements, min(time_ns, step.interval.end), groups=query.groups or None, as_of=query.as_of
                )
            except TransientError as exc:
                record.failed(step, tried, exc, step.elements)
            else:
                part.rows += found.num_rows
                return found
            finally:
                part.seconds += time.perf_counter() - start
        return SampleBatch.empty()

    if len(steps) > 1:
        with ThreadPoolExecutor(len(steps), "query last values") as pool:
            found = SampleBatch.concat(list(pool.map(ask, steps))).sorted()
    else:
        found = ask(steps[0]).sorted() if steps else SampleBatch.empty()
    codes = found.codes
    return found.filter(np.append(codes[1:] != codes[:-1], True)) if found.num_rows else found
