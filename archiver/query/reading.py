"""The steps of a plan read: in bounded pieces, from the next backend after an outage, and from two when one is late."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field
from typing import TypeVar

import numpy as np

from archiver.model import Interval, SampleBatch, StoppedError, TransientError
from archiver.model.interruption import Interruption
from archiver.model.merge import Key, after, key_of
from archiver.model.time import NANOSECONDS
from archiver.ports import Readable, Readers
from archiver.query.choosing import Known, Step
from archiver.query.hedging import Runner, first_to_answer
from archiver.query.record import Record
from archiver.query.request import Part, Query, Role

T = TypeVar("T")

CHUNK_ROWS = 1_000_000
"""How many samples one call of a reader is expected to give; more elements or time make more calls."""


@dataclass
class Reading:
    """What all steps of one answer share.

    Parameters
    ----------
    query, readers, known
        As planned.
    record : Record
        Filled.
    hedge_s : float
        Shortest wait for a first batch before the next backend is asked as well.
    left_s : callable
        Gives how many seconds the answer may still take, None for as long as it likes.
    stop : Interruption
        Set when nobody wants the answer any more.
    """

    query: Query
    readers: Readers
    known: Known
    record: Record
    hedge_s: float = 1.0
    left_s: Callable[[], float | None] = lambda: None
    stop: Interruption = field(default_factory=Interruption)


def read_step(step: Step, reading: Reading) -> Generator[SampleBatch, None, None]:
    """Yield the samples of a step, in order.

    A backend that raises `TransientError` is not asked again for this step: the next one goes on after the last
    sample that was given. When there is none left the stream ends, and the record says what is missing. If the first
    batch is late, the next backend is asked as well, and the one that answers first goes on alone.
    """
    work = _StepReading(step, reading)
    try:
        yield from work.run()
    finally:
        work.learn()


class _StepReading:
    def __init__(self, step: Step, reading: Reading) -> None:
        self._step = step
        self._reading = reading
        self._order = list(step.backends)
        self._parts = {self._order[0]: reading.record.part(self._order[0], step)}

    def run(self) -> Generator[SampleBatch, None, None]:
        reading, step, query = self._reading, self._step, self._reading.query
        rows = min(CHUNK_ROWS, max(query.limit, 10_000)) if query.limit else CHUNK_ROWS
        amount = reading.known.amount
        reader = reading.readers[self._order[0]]
        known = None if amount is None else lambda interval: amount(self._order[0], interval)
        is_first = True
        for elements, interval in chunks(reader, step.elements, step.interval, rows, known):
            last: Key | None = None
            while True:
                try:
                    with closing(self._open(elements, interval, last, hedged=is_first)) as batches:
                        for batch in batches:
                            last = key_of(batch, -1, query.versions)
                            yield batch
                    break
                except TransientError as exc:
                    self._fail(exc, last[0] if last else elements[0])
                    if not self._order:
                        return
            is_first = False
        reading.record.finished.append(step)

    def learn(self) -> None:
        """Take what reading cost; of a part that was given up nothing is learnt but that."""
        for backend, part in self._parts.items():
            if not part.trouble and part.seconds:
                known = self._reading.known
                known.costs.learn(backend, part.first_s or part.seconds, part.rows, part.seconds)
                known.ways.learn_read(backend, self._step.elements, part.rows, part.seconds)

    def _open(
        self, elements: Sequence[str], interval: Interval, last: Key | None, *, hedged: bool
    ) -> Generator[SampleBatch, None, None]:
        """Return the samples of a piece from the first backend, or from the second where that one is late."""
        first = self._order[0]
        if not hedged or len(self._order) < 2 or not self._is_equal(self._order[1]):
            return self._read(first, elements, interval, last, Interruption())
        return self._hedged(elements, interval, last)

    def _hedged(
        self, elements: Sequence[str], interval: Interval, last: Key | None
    ) -> Generator[SampleBatch, None, None]:
        reading, (first, second) = self._reading, self._order[:2]

        def start(backend: str, role: Role) -> Runner:
            if backend not in self._parts:
                self._parts[backend] = reading.record.part(backend, self._step, role)
            interruption = Interruption()
            return Runner(backend, self._read(backend, elements, interval, last, interruption), interruption)

        patience_s = reading.known.costs.patience_s(first, reading.hedge_s)
        with first_to_answer(
            start(first, self._parts[first].role), lambda: start(second, Role.HEDGE), patience_s, reading
        ) as (winner, losers):
            for loser in losers:
                self._lose(loser, winner)
            yield from winner.batches

    def _is_equal(self, second: str) -> bool:
        step = self._step
        return second in self._reading.readers and not step.lacks(second) and not step.lacks(self._order[0])

    def _lose(self, loser: Runner, winner: Runner) -> None:
        part, costs = self._parts[loser.backend], self._reading.known.costs
        failure = loser.failure
        self._order.remove(loser.backend)
        if failure is None:
            self._order.insert(1, loser.backend)
        part.trouble = f"late: {winner.backend} answered before" if failure is None else str(failure)
        if failure is not None or part.role is not Role.HEDGE:
            costs.shun(loser.backend)

    def _read(
        self, backend: str, elements: Sequence[str], interval: Interval, last: Key | None, interruption: Interruption
    ) -> Generator[SampleBatch, None, None]:
        query, part = self._reading.query, self._parts[backend]
        with self._reading.stop.stopping(interruption.set):
            batches = self._reading.readers[backend].read(
                elements, interval, groups=query.groups or None, as_of=query.as_of, versions=query.versions
            )
            answers = timed(batches, len, part, interruption)
            filled = (batch for batch in answers if batch.num_rows)
            yield from filled if last is None else after(filled, last)

    def _fail(self, exc: TransientError, reached: str) -> None:
        """Go on with the next backend after an outage, or note that there is none."""
        reading, step = self._reading, self._step
        if reading.stop.is_set:
            raise StoppedError("the reader went away") from exc
        backend = self._order.pop(0)
        self._parts[backend].trouble = str(exc)
        reading.known.costs.shun(backend)
        names = [name for name in step.elements if name >= reached]
        if not self._order:
            reading.record.failed(step, backend, exc, names, reading.known.trouble(backend))
            return
        reading.record.lacks(step, self._order[0], names)
        if self._order[0] not in self._parts:
            self._parts[self._order[0]] = reading.record.part(self._order[0], step, Role.STAND_BY)
        self._parts[self._order[0]].trouble = ""


def timed(answers: Iterator[T], rows: Callable[[T], int], part: Part, interruption: Interruption) -> Iterator[T]:
    """Yield what a backend answers, and note in a part how long that took and how many rows it was."""
    while True:
        start = time.perf_counter()
        try:
            with interruption.applied():
                answer = next(answers, None)
        except TransientError as exc:
            if interruption.is_set:
                raise StoppedError("the reader went away") from exc
            raise
        finally:
            part.seconds += time.perf_counter() - start
        part.first_s = part.first_s or part.seconds
        if answer is None:
            return
        part.rows += rows(answer)
        yield answer


def chunks(
    reader: Readable,
    elements: Sequence[str],
    interval: Interval,
    rows: int,
    amount: Callable[[Interval], tuple[float, Interval] | None] | None = None,
) -> Iterator[tuple[Sequence[str], Interval]]:
    """Yield what to ask of a reader one call after the other, in the order of the answer, about `rows` a call.

    Nobody is asked how much there is when one sample a second of each element would not be too many. Otherwise
    the rows of an element are what `amount` expects, or taken from the reader's coverage, as if all elements had as
    many, evenly in time.
    """
    span_s = (interval.end - interval.start) / NANOSECONDS
    each, held = 0, interval
    if span_s * len(elements) > rows:
        expected = None if amount is None else amount(interval)
        if expected is None:
            each, held = _rows_of_an_element(reader, interval, rows)
        elif expected[0] * len(elements) > rows:
            each, held = max(1, round(expected[0])), expected[1]
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


def last_values(steps: Sequence[Step], time_ns: int, reading: Reading) -> SampleBatch:
    """Return the last sample before a time of each element of some steps, sorted by element.

    Steps are asked at the same time; of what several give for an element, the latest is taken.
    """
    query, record = reading.query, reading.record

    def ask(step: Step) -> SampleBatch:
        role = Role.FIRST
        for backend in step.backends:
            part, interruption = record.part(backend, step, role), Interruption()
            start = time.perf_counter()
            try:
                with reading.stop.stopping(interruption.set), interruption.applied():
                    found = reading.readers[backend].last_before(
                        step.elements, min(time_ns, step.interval.end), groups=query.groups or None, as_of=query.as_of
                    )
            except TransientError as exc:
                if reading.stop.is_set:
                    raise StoppedError("the reader went away") from exc
                role, part.trouble = Role.STAND_BY, str(exc)
                reading.known.costs.shun(backend)
                if backend == step.backends[-1]:
                    record.failed(step, backend, exc, step.elements, reading.known.trouble(backend))
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
