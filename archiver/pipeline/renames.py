"""Reads an element under every name it had: a rename loses nothing of the past."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import replace

import numpy as np

from archiver.model import Interval, SampleBatch
from archiver.model.grid import Grid
from archiver.model.merge import merged
from archiver.model.partials import Partials
from archiver.pipeline.latest import last_of_each
from archiver.pipeline.tail import TailedBackend
from archiver.ports import Aggregated, Coverage


class RenamedReader:
    """The reading verbs of a backend, in the elements' present names.

    Parameters
    ----------
    reader : TailedBackend
    names : callable
        Gives, for an element, every name it has or had (`Catalog.names`).
    """

    def __init__(self, reader: TailedBackend, names: Callable[[str], Sequence[str]]) -> None:
        self._reader = reader
        self._names = names
        self.name = reader.name

    def read(
        self,
        elements: Sequence[str],
        interval: Interval,
        *,
        groups: Sequence[str] | None = None,
        as_of: int | None = None,
        versions: bool = False,
    ) -> Iterator[SampleBatch]:
        """Yield samples in order; see `archiver.ports.Readable.read`."""
        plain: list[str] = []
        for element in sorted(set(elements)):
            names = self._names(element)
            if tuple(names) == (element,):
                plain.append(element)
                continue
            if plain:
                yield from self._reader.read(plain, interval, groups=groups, as_of=as_of, versions=versions)
                plain = []
            streams = [
                _renamed(self._reader.read([name], interval, groups=groups, as_of=as_of, versions=versions), element)
                for name in names
            ]
            yield from merged(streams, versions=versions)
        if plain:
            yield from self._reader.read(plain, interval, groups=groups, as_of=as_of, versions=versions)

    @property
    def in_process(self) -> bool:
        """Whether the backend leaves the work of a read to this process."""
        return self._reader.in_process

    @property
    def aggregates(self) -> frozenset[str]:
        """Which aggregates the backend makes by itself."""
        return self._reader.aggregates

    def aggregate(
        self,
        elements: Sequence[str],
        grid: Grid,
        aggregates: Collection[str],
        until: int,
        *,
        groups: Sequence[str] | None = None,
    ) -> Iterator[Aggregated]:
        """Yield the cells of elements that had one name only; see `archiver.ports.SupportsAggregation.aggregate`."""
        plain = [element for element in elements if tuple(self._names(element)) == (element,)]
        answers = self._reader.aggregate(plain, grid, aggregates, until, groups=groups) if plain else iter(())
        if len(plain) == len(elements):
            yield from answers
            return
        start = 0
        for answer in answers:
            stop = bisect_right(elements, answer.elements[-1])
            yield _among(elements[start:stop], answer, grid)
            start = stop
        rest = elements[start:]
        if rest:
            yield Aggregated(rest, Partials.none(), rest, grid.interval.end)

    def last_before(
        self,
        elements: Sequence[str],
        time: int,
        *,
        groups: Sequence[str] | None = None,
        as_of: int | None = None,
    ) -> SampleBatch:
        """Return the last sample of each element before a time; see `archiver.ports.Readable.last_before`."""
        found: list[SampleBatch] = []
        plain: list[str] = []
        for element in set(elements):
            names = self._names(element)
            if tuple(names) == (element,):
                plain.append(element)
                continue
            found += _renamed([self._reader.last_before(names, time, groups=groups, as_of=as_of)], element)
        if plain:
            found.append(self._reader.last_before(plain, time, groups=groups, as_of=as_of))
        return last_of_each(SampleBatch.concat(found)).sorted()

    def elements(self) -> list[str]:
        """Return the names of all elements that have a sample, as they were stored."""
        return self._reader.elements()

    def coverage(self) -> list[Coverage]:
        """Return what the backend holds."""
        return self._reader.coverage()


def _renamed(batches: Iterable[SampleBatch], element: str) -> Iterator[SampleBatch]:
    for batch in batches:
        yield batch.with_elements(np.zeros(batch.num_rows, np.int32), [element])


def _among(elements: Sequence[str], answer: Aggregated, grid: Grid) -> Aggregated:
    """Return an answer about some of the elements as one about all of them: the others are left."""
    told = set(answer.elements)
    places = np.array([place for place, name in enumerate(elements) if name in told], np.int64)
    owners, buckets = np.divmod(answer.cells.cells, grid.count)
    cells = replace(answer.cells, cells=places[owners] * grid.count + buckets)
    left = sorted([*answer.left, *(name for name in elements if name not in told)])
    return Aggregated(elements, cells, left, answer.end)
