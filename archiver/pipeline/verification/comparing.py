"""Reads both backends so that they compare: a hash of each element first, then only the samples that differ."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from archiver.model import Interval, SampleBatch
from archiver.model.batch import BASE_FIELDS, Int64s, Mask
from archiver.model.digest import Hashes, identity_words, mixed, name_hashes, sample_hashes
from archiver.pipeline.verification.report import Differences
from archiver.pipeline.verification.scopes import Scope, Side

_ROWS_AT_ONCE = 500_000
_ROWS_IN_CACHE = 1 << 15


@dataclass(frozen=True)
class Digest:
    """Of each element of a scope, in its order: number of samples, and the sum of their hashes.

    `unheld` counts the samples that were left out, since the other backend holds no values of their kind.
    """

    rows: Int64s
    hashes: Hashes
    unheld: int

    def total(self, elements: Sequence[str]) -> int:
        """Return one hash of all of it."""
        weighted = mixed(self.hashes + name_hashes(list(elements)))
        return int(weighted[self.rows > 0].sum(dtype=np.uint64))


class Comparison:
    """Two backends side by side.

    Parameters
    ----------
    sides : tuple of two Side
    executor : Executor
        With two threads: both backends are read at once.
    as_of : int or None
        Only what was received before or at this time (ns).
    versions : bool
        Compare all versions of each sample, with their receive times, not the valid one alone.

    Attributes
    ----------
    coarse, held : int
        Samples that the last `narrow` took for the same within the coarser resolution, and those that it left out,
        since a smoothing was not done with them.
    """

    def __init__(self, sides: tuple[Side, Side], executor: Executor, as_of: int | None, versions: bool) -> None:
        self._sides = sides
        self._executor = executor
        self._as_of = as_of
        self._versions = versions
        self._kinds = sides[0].backend.limits.kinds & sides[1].backend.limits.kinds
        self.step = max(side.backend.limits.resolution_ns for side in sides)
        self._undecided = np.concatenate([self.identities(side.held) for side in sides])
        self.coarse = self.held = 0

    def digests(self, scope: Scope, elements: Sequence[str], interval: Interval) -> tuple[Digest, Digest]:
        """Return the digests of some elements in an interval, of both backends."""
        one = self._executor.submit(self._digest, 0, scope, elements, interval)
        other = self._executor.submit(self._digest, 1, scope, elements, interval)
        return one.result(), other.result()

    def narrow(
        self, scope: Scope, elements: Sequence[str], interval: Interval, digests: tuple[Digest, Digest]
    ) -> Iterator[Differences]:
        """Yield the samples that differ, so many at a time that they fit in memory.

        Parameters
        ----------
        digests : tuple of two Digest
            Of the elements in the interval.
        """
        differ = np.flatnonzero((digests[0].rows != digests[1].rows) | (digests[0].hashes != digests[1].hashes))
        rows = np.maximum(digests[0].rows, digests[1].rows)
        middle = (interval.start + (interval.end - interval.start) // 2) // self.step * self.step
        for chosen in _runs(differ, rows):
            names = [elements[index] for index in chosen]
            if int(rows[chosen].sum()) <= _ROWS_AT_ONCE or middle <= interval.start:
                found = self._compared(scope, names, interval)
                if found.count:
                    yield found
                continue
            for half in (Interval(interval.start, middle), Interval(middle, interval.end)):
                yield from self.narrow(scope, names, half, self.digests(scope, names, half))

    def _digest(self, index: int, scope: Scope, elements: Sequence[str], interval: Interval) -> Digest:
        places = {name: place for place, name in enumerate(elements)}
        rows, hashes = np.zeros(len(elements), np.int64), np.zeros(len(elements), np.uint64)
        unheld = 0
        for read in self._read(index, scope, elements, interval):
            batch = self._comparable(read)
            unheld += read.num_rows - batch.num_rows
            table = np.fromiter((places.get(name, -1) for name in batch.elements), np.int64, len(batch.elements))
            for start in range(0, batch.num_rows, _ROWS_IN_CACHE):
                part = batch.slice(start, _ROWS_IN_CACHE)
                codes = part.codes
                begins = np.append(0, np.flatnonzero(codes[1:] != codes[:-1]) + 1)
                where = table[codes[begins]]
                np.add.at(hashes, where, np.add.reduceat(sample_hashes(part, received=self._versions), begins))
                np.add.at(rows, where, np.diff(begins, append=part.num_rows))
        return Digest(rows, hashes, unheld)

    def _read(self, index: int, scope: Scope, elements: Sequence[str], interval: Interval) -> Iterator[SampleBatch]:
        backend, groups = self._sides[index].backend, scope.read_from(index)
        for batch in backend.read(elements, interval, groups=groups, as_of=self._as_of, versions=self._versions):
            yield self._coarse(batch)

    def _coarse(self, batch: SampleBatch) -> SampleBatch:
        """Return samples at the start of the coarser backend's step, where that may have put them."""
        if self.step == 1:
            return batch
        times = pa.array(batch.source_time // self.step * self.step)
        return SampleBatch(batch.to_arrow().set_column(1, BASE_FIELDS[1], times))

    def _comparable(self, batch: SampleBatch) -> SampleBatch:
        """Return the samples whose kind of value both backends hold."""
        codes = batch.kind_codes
        lacking = [code for code in np.unique(codes).tolist() if code not in self._kinds]
        return batch.filter(~np.isin(codes, lacking)) if lacking else batch

    def _compared(self, scope: Scope, elements: Sequence[str], interval: Interval) -> Differences:
        one, other = self._executor.map(
            lambda index: SampleBatch.concat(
                [self._comparable(batch) for batch in self._read(index, scope, elements, interval)]
            ),
            (0, 1),
        )
        return self._differences((one, other))

    def _differences(self, batches: tuple[SampleBatch, SampleBatch]) -> Differences:
        contents = [self._contents(batch) for batch in batches]
        rest = [
            batch.filter(~np.isin(mine, theirs))
            for batch, mine, theirs in zip(batches, contents, contents[::-1], strict=True)
        ]
        rest = [self._decided(batch) for batch in rest]
        identities = [self.identities(batch) for batch in rest]
        _, *rows = np.intersect1d(identities[0], identities[1], return_indices=True)
        alone = []
        for index in (0, 1):
            left = np.ones(rest[index].num_rows, bool)
            left[rows[index]] = False
            if self.step > 1:  # one of several samples in a step is all that the coarser backend has
                there = np.isin(identities[index], self.identities(batches[1 - index]))
                self.coarse += int((left & there).sum())
                left &= ~there
            alone.append(rest[index].filter(left))
        changed = (rest[0].take(rows[0]), rest[1].take(rows[1]))
        return Differences((alone[0], alone[1]), changed)

    def _decided(self, batch: SampleBatch) -> SampleBatch:
        """Return the samples without those that a smoothing held when the comparison began."""
        if not len(self._undecided) or not batch.num_rows:
            return batch
        held: Mask = np.isin(self.identities(batch), self._undecided)
        self.held += int(held.sum())
        return batch.filter(~held)

    def identities(self, batch: SampleBatch) -> Hashes:
        """Return a hash per sample of what makes it the same in both, whatever its content."""
        return mixed(identity_words(self._coarse(batch), received=self._versions) + _names(batch))

    def _contents(self, batch: SampleBatch) -> Hashes:
        return mixed(sample_hashes(batch, received=self._versions) + _names(batch))


def _names(batch: SampleBatch) -> Hashes:
    hashes: Hashes = name_hashes(batch.elements)[batch.codes] if batch.num_rows else np.empty(0, np.uint64)
    return hashes


def _runs(chosen: NDArray[np.intp], rows: Int64s) -> Iterator[NDArray[np.intp]]:
    """Yield elements in runs that fit in memory together; one that does not is alone."""
    start, total = 0, 0
    for place, index in enumerate(chosen.tolist()):
        if place > start and total + int(rows[index]) > _ROWS_AT_ONCE:
            yield chosen[start:place]
            start, total = place, 0
        total += int(rows[index])
    if start < len(chosen):
        yield chosen[start:]
