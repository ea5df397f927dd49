"""The samples of several elements by time instead of by element: one window of time after the other, each in memory."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace

import numpy as np

from archiver.model import Interval, SampleBatch, Status
from archiver.model import time as clock
from archiver.model.holding import Cause
from archiver.model.interruption import Interruption
from archiver.query.answer import Answer
from archiver.query.record import Record
from archiver.query.request import Missing, Part, Query
from archiver.query.silence import Silence

WINDOW_ROWS = 1_000_000
"""Most samples that a window holds, unless they are all of one instant."""
_GROWTH = 8
_DISCONNECTED = np.uint64(Status.DISCONNECTED)

Ask = Callable[[Query], Answer]
"""Answers a query."""


class Windows:
    """Reads by windows, by a query of its own for each.

    Parameters
    ----------
    ask : callable
        Answers these queries.
    record : Record
        Told what became of them: what goes on from one window to the next is one part, and one thing missing.
    stop : Interruption
        Set when nobody wants the samples any more.
    """

    def __init__(self, ask: Ask, record: Record, stop: Interruption) -> None:
        self.ask = ask
        self._record = record
        self._stop = stop
        self._parts: list[Part] = []
        self._silence: dict[str, Silence] = {}

    def read(self, query: Query) -> Iterator[tuple[Interval, SampleBatch]]:
        """Yield the samples of a query window by window, in order of time; in a window by element, time, sequence.

        The first window also holds the last sample before the interval of each element. How long a window is follows
        how many samples come: one that would hold more than `WINDOW_ROWS` is read again, shorter.

        Parameters
        ----------
        query : Query
            Elements, interval and who is asked; without aggregates, limit or cursor.
        """
        start, end = query.interval.start, query.interval.end
        length, before = end - start, 1
        self._silence = {}
        while start < end:
            window = Interval(start, min(start + length, end))
            answer = self.ask(replace(query, interval=window, before=before))
            with closing(answer), self._stop.stopping(answer.cancel):
                held, share = _take(answer, window, sorted(query.elements))
            rows = sum(batch.num_rows for batch in held)
            if share < 1:
                length = max(1, min(length // 2, int(length * share * WINDOW_ROWS / (2 * rows))))
                continue
            samples = SampleBatch.concat(held).sorted()
            self._note(answer, samples, query.interval)
            if window.end == end:  # whoever has the last window may not ask for what comes after it
                self._record.missing += [missing for silence in self._silence.values() for missing in silence.missing()]
            yield window, samples
            start, before = window.end, 0
            length = min(length * _GROWTH, max(1, length * WINDOW_ROWS // (2 * max(1, rows))))

    def _note(self, answer: Answer, samples: SampleBatch, interval: Interval) -> None:
        for part in answer.parts:
            is_before = part.interval.end <= interval.start
            mine = [known for known in self._parts if (known.backend, known.role) == (part.backend, part.role)]
            near = next((known for known in mine if _touch(known, part)), None)
            if near is None or is_before:
                self._record.parts.append(part)
                if not is_before:
                    self._parts.append(part)
            else:
                near.interval = _both(near, part)
                near.rows += part.rows
                near.seconds += part.seconds
                near.trouble = near.trouble or part.trouble
        for missing in answer.missing:
            if missing.cause is not Cause.DISCONNECTED:  # one window cannot know how long that lasts
                self._lack(missing)
        if self._silence or (samples.status & _DISCONNECTED).any():
            for element, mine_only in by_element(samples).items():
                if element in self._silence or (mine_only.status & _DISCONNECTED).any():
                    until = max(interval.start, min(interval.end, clock.now()))
                    silence = self._silence.setdefault(element, Silence(until))
                    deque(silence.watch(iter([mine_only])), maxlen=0)

    def _lack(self, missing: Missing) -> None:
        known = self._record.missing
        for number, lack in enumerate(known):
            if replace(lack, interval=missing.interval) == missing and _touch(lack, missing):
                known[number] = replace(lack, interval=_both(lack, missing))
                return
        known.append(missing)


def by_element(samples: SampleBatch) -> dict[str, SampleBatch]:
    """Return the samples of each element that has some, of samples sorted by element."""
    changes = samples.codes[1:] != samples.codes[:-1]
    starts = np.flatnonzero(np.append(True, changes)[: samples.num_rows])
    ends = np.append(starts[1:], samples.num_rows)[: len(starts)]
    return {
        samples.elements[samples.codes[start]]: samples.slice(int(start), int(end - start))
        for start, end in zip(starts, ends, strict=True)
    }


def _touch(one: Part | Missing, other: Part | Missing) -> bool:
    return one.interval.start <= other.interval.end and other.interval.start <= one.interval.end


def _both(one: Part | Missing, other: Part | Missing) -> Interval:
    starts, ends = (one.interval.start, other.interval.start), (one.interval.end, other.interval.end)
    return Interval(min(starts), max(ends))


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
