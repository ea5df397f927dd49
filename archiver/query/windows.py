"""The samples of several elements by time instead of by element: one window of time after the other, each in memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field, replace

from archiver.model import Interval, SampleBatch
from archiver.query.answer import Answer
from archiver.query.request import Missing, Part, Query

WINDOW_ROWS = 1_000_000
"""Most samples that a window holds, unless they are all of one instant."""
_GROWTH = 8

Ask = Callable[[Query], Answer]
"""Answers a query."""


@dataclass
class Gathered:
    """What became of the parts of several queries that together are one."""

    parts: list[Part] = field(default_factory=list)
    missing: list[Missing] = field(default_factory=list)

    def add(self, answer: Answer) -> None:
        """Take what a consumed answer says of itself; what goes on from one window to the next is one entry."""
        for part in answer.parts:
            for known in self.parts:
                if (known.backend, known.role) == (part.backend, part.role) and _touch(known, part):
                    known.interval = _both(known, part)
                    known.rows += part.rows
                    known.seconds += part.seconds
                    known.trouble = known.trouble or part.trouble
                    break
            else:
                self.parts.append(part)
        for missing in answer.missing:
            for number, lack in enumerate(self.missing):
                if replace(lack, interval=missing.interval) == missing and _touch(lack, missing):
                    self.missing[number] = replace(lack, interval=_both(lack, missing))
                    break
            else:
                self.missing.append(missing)


def _touch(one: Part | Missing, other: Part | Missing) -> bool:
    return one.interval.start <= other.interval.end and other.interval.start <= one.interval.end


def _both(one: Part | Missing, other: Part | Missing) -> Interval:
    starts, ends = (one.interval.start, other.interval.start), (one.interval.end, other.interval.end)
    return Interval(min(starts), max(ends))


def windows(query: Query, ask: Ask, gathered: Gathered) -> Iterator[tuple[Interval, SampleBatch]]:
    """Yield the samples of a query window by window, in order of time; in a window by element and time.

    The first window also holds the last sample before the interval of each element. How long a window is follows how
    many samples come: one that would hold more than `WINDOW_ROWS` is read again, shorter.

    Parameters
    ----------
    query : Query
        Elements, interval and who is asked; without aggregates, limit or cursor.
    gathered : Gathered
        Filled.
    """
    start, end = query.interval.start, query.interval.end
    length, before = end - start, 1
    while start < end:
        window = Interval(start, min(start + length, end))
        answer = ask(replace(query, interval=window, before=before))
        with closing(answer):
            held, share = _take(answer, window, sorted(query.elements))
        rows = sum(batch.num_rows for batch in held)
        if share < 1:
            length = max(1, min(length // 2, int(length * share * WINDOW_ROWS / (2 * rows))))
            continue
        gathered.add(answer)
        yield window, SampleBatch.concat(held).sorted()
        start, before = window.end, 0
        length = min(length * _GROWTH, max(1, length * WINDOW_ROWS // (2 * max(1, rows))))


def _take(answer: Answer, window: Interval, elements: list[str]) -> tuple[list[SampleBatch], float]:
    """Return the samples of a window, and about which share of them was read: 1 when it is all."""
    held: list[SampleBatch] = []
    rows = 0
    for batch in answer.batches:
        held.append(batch)
        rows += batch.num_rows
        if rows > WINDOW_ROWS and window.end - window.start > 1:
            name, time = batch.elements[int(batch.codes[-1])], int(batch.source_time[-1])
            done = elements.index(name) + max(0, time - window.start) / (window.end - window.start)
            return held, min(done / len(elements), 0.99)
    return held, 1.0
