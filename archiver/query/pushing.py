"""Aggregation pushed down: a backend makes the cells beside its data, and only what it leaves is read and made here."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import cast

import numpy as np

from archiver.model import Interval, SampleBatch, TransientError
from archiver.model.grid import Grid
from archiver.model.interruption import Interruption
from archiver.model.partials import Partials, interleaved, together
from archiver.model.reducing import reduced
from archiver.ports import Aggregated, SupportsAggregation
from archiver.query.choosing import Step
from archiver.query.prefetch import Prefetched
from archiver.query.reading import Reading, timed
from archiver.query.request import Part
from archiver.query.ways import Shape

Read = Callable[[Sequence[str], Interval], Iterator[SampleBatch]]
"""Gives the samples of some elements in an interval, from whoever the plan says."""


@dataclass(frozen=True)
class Pushing:
    """The cells of one answer.

    Parameters
    ----------
    reading : Reading
    elements : sequence of str
        Sorted; their places number them.
    grid : Grid
    until : int
        Instant beyond which no value is held, ns.
    read : callable
        See `Read`.
    """

    reading: Reading
    elements: Sequence[str]
    grid: Grid
    until: int
    read: Read

    def cells(self, steps: Sequence[Step]) -> Iterator[Partials]:
        """Yield the cells that have samples, in order, each once.

        What one step alone answers is made by its backend, if that can, and was not seen to take longer so.
        """
        pushed = [step for step in steps if self._is_alone(step, steps) and self._can(step)]
        theirs = {name for step in pushed for name in step.elements}
        ahead = len(pushed) > 1 or self.reading.left_s() is not None  # else nobody gains by a thread
        streams = [self._pushed(step, ahead=ahead) for step in pushed]
        if rest := [name for name in self.elements if name not in theirs]:
            streams.append(self._local(rest, self.grid.interval))
        return streams[0] if len(streams) == 1 else interleaved(streams)

    def _is_alone(self, step: Step, steps: Sequence[Step]) -> bool:
        return step.interval == self.grid.interval and all(
            other is step or not set(other.elements) & set(step.elements) for other in steps
        )

    def _can(self, step: Step) -> bool:
        query, reader = self.reading.query, self.reading.readers[step.backends[0]]
        return (
            query.as_of is None
            and query.where is None
            and getattr(reader, "aggregates", frozenset()).issuperset(query.aggregates)  # a protocol costs ten times it
            and not self.reading.known.ways.is_read_sooner(step.backends[0], self._shape(step))
        )

    def _shape(self, step: Step) -> Shape:
        return Shape.of(step.elements, self.reading.query.aggregates, self.grid.bucket_ns)

    def _local(self, elements: Collection[str], interval: Interval) -> Iterator[Partials]:
        if not elements:
            return iter(())
        samples = self.read(sorted(elements), interval)
        return reduced(samples, self.elements, self.grid, self.reading.query.aggregates, self.until)

    def _pushed(self, step: Step, *, ahead: bool) -> Iterator[Partials]:
        reading, backend = self.reading, step.backends[0]
        part, interruption = reading.record.part(backend, step), Interruption()
        part.aggregated = True
        waiting = dict.fromkeys(step.elements)
        rows, seconds = 0, 0.0
        with reading.stop.stopping(interruption.set):
            source = self._ask(step, part, interruption)
            answers = Prefetched(source, backend, interruption, left_s=reading.left_s) if ahead else source
            with closing(answers):
                try:
                    for answer in answers:
                        start = time.perf_counter()
                        cells = self._completed(answer)
                        seconds += time.perf_counter() - start
                        if len(cells):
                            rows += int(cells.numbers["count"].sum())
                            yield cells
                        for name in answer.elements:
                            del waiting[name]
                except TransientError as exc:
                    part.trouble = str(exc)
        if waiting:  # it is asked for the samples as well, and after an outage the next one is
            yield from self._local(waiting, self.grid.interval)
        else:
            reading.record.finished.append(step)
            reading.known.ways.learn_made(backend, self._shape(step), rows, part.seconds + seconds)

    def _ask(self, step: Step, part: Part, interruption: Interruption) -> Generator[Aggregated, None, None]:
        query, reader = self.reading.query, cast(SupportsAggregation, self.reading.readers[step.backends[0]])
        answers = reader.aggregate(step.elements, self.grid, query.aggregates, self.until, groups=query.groups or None)
        yield from timed(answers, lambda answer: len(answer.cells), part, interruption)

    def _completed(self, answer: Aggregated) -> Partials:
        """Return the cells of an answer, and of what it leaves."""
        interval = self.grid.interval
        given = [name for name in answer.elements if name not in set(answer.left)] if answer.left else answer.elements
        pieces = [self._numbered(answer)]
        pieces += self._local(answer.left, interval)
        if answer.end < interval.end:
            pieces += self._local(given, Interval(answer.end, interval.end))
        return together(pieces)

    def _numbered(self, answer: Aggregated) -> Partials:
        """Return the cells by the places of all elements."""
        index = {name: number for number, name in enumerate(self.elements)}
        places = np.array([index[name] for name in answer.elements], np.int64)
        owners, buckets = np.divmod(answer.cells.cells, self.grid.count)
        cells = places[owners] * self.grid.count + buckets
        return Partials(cells, answer.cells.numbers, answer.cells.typed)
