"""Fills one backend from another: a new backend gets the past, a repaired one what it missed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from archiver.model import Interval, SampleBatch
from archiver.pipeline.routing import Router
from archiver.ports import Backend

_ELEMENTS_AT_ONCE = 100
_ROWS_AT_ONCE = 1_000_000


@dataclass(frozen=True, slots=True)
class CopyReceipt:
    """How many samples were read, group by group, how many of them were stored and how many were there already."""

    read: int
    stored: int
    duplicates: int


def copy(
    source: Backend,
    target: Backend,
    router: Router,
    interval: Interval,
    elements: Sequence[str] | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> CopyReceipt:
    """Copy samples, all versions of them, from one backend to another; harmless to repeat.

    Parameters
    ----------
    router : Router
        Over the groups of the target. A group that the source has too is copied as it is there; another one gets all
        that the source has of its elements. Nothing is smoothed on the way.
    elements : sequence of str, optional
        Only these; all that the source has when left out.
    progress : callable, optional
        Called with elements done and elements in all.
    """
    names = [name for name in (elements or source.elements()) if router.groups_of(name)]
    held = {part.group for part in source.coverage()}
    read = stored = duplicate = 0
    for start in range(0, len(names), _ELEMENTS_AT_ONCE):
        chunk = names[start : start + _ELEMENTS_AT_ONCE]
        for group in router.groups:
            members = [name for name in chunk if group in router.groups_of(name)]
            groups = [group] if group in held else None
            for batch in _gathered(source.read(members, interval, groups=groups, versions=True)):
                receipt = target.write({group: batch})
                read += batch.num_rows
                duplicate += receipt.duplicates
                stored += batch.num_rows - receipt.duplicates
        if progress is not None:
            progress(min(start + _ELEMENTS_AT_ONCE, len(names)), len(names))
    return CopyReceipt(read, stored, duplicate)


def _gathered(batches: Iterator[SampleBatch]) -> Iterator[SampleBatch]:
    waiting: list[SampleBatch] = []
    rows = 0
    for batch in batches:
        waiting.append(batch)
        rows += batch.num_rows
        if rows >= _ROWS_AT_ONCE:
            yield SampleBatch.concat(waiting)
            waiting, rows = [], 0
    if rows:
        yield SampleBatch.concat(waiting)
