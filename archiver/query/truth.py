"""When a condition holds: each of its elements, as a step signal, decides from its sample until its next.

At the instant of a sample that sample decides; of several at one instant, the last in sequence. What an element had
before the interval counts in it. A test is unknown before the first sample of its element, and a comparison while the
value is not good (`archiver.query.comparison`). `not` what is unknown is unknown; `and` is false as soon as one term is
false, `or` true as soon as one is true, whatever the rest. Only where the condition is true are samples given: what is
unknown is not true.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from archiver.model import Interval, SampleBatch
from archiver.model.batch import Int64s, Mask
from archiver.query.comparison import States, Test, judged
from archiver.query.condition import Condition, Truths
from archiver.query.request import Query
from archiver.query.windows import Windows, by_element

MOST_EDGES = 2_000_000
"""Changes of a condition that are kept; one that changes more often is read again for each element."""
_NOTHING = np.empty(0, np.int64)


@dataclass(frozen=True)
class Spans:
    """When something holds: from `edges[0]` until before `edges[1]`, from `edges[2]`, ….

    Parameters
    ----------
    edges : ndarray of int64
        ns, ascending.
    """

    edges: Int64s

    def contains(self, times: Int64s) -> Mask:
        """Return which times lie in a span."""
        result: Mask = np.searchsorted(self.edges, times, "right") % 2 == 1
        return result


class Truth:
    """When a condition holds in the interval of a query, read as far as it is looked at.

    Parameters
    ----------
    condition : Condition
    query : Query
        Its interval, who is asked and what was known count; the condition's elements may be of any group.
    windows : Windows
        Reads the condition's elements.
    states : callable
        Gives the state set of an element.
    """

    def __init__(self, condition: Condition, query: Query, windows: Windows, states: States) -> None:
        self._condition = condition
        self._query = Query(
            condition.elements,
            query.interval,
            ranges=query.ranges,
            backend=query.backend,
            as_of=query.as_of,
            complete=query.complete,
        )
        self._windows = windows
        self._states = states
        self._is_long = False
        self._restart()

    @classmethod
    def of(cls, query: Query, windows: Windows, states: States) -> Truth | None:
        """Return when the condition of a query holds; None when it has none."""
        return None if query.where is None else cls(query.where, query, windows, states)

    def filter(self, batches: Iterable[SampleBatch]) -> Iterator[SampleBatch]:
        """Yield the samples at whose source time the condition holds.

        Parameters
        ----------
        batches : iterable of SampleBatch
            In order of element and source time, in the interval.
        """
        for batch in batches:
            kept = batch.filter(self.holds(batch.source_time))
            if kept.num_rows:
                yield kept

    def holds(self, times: Int64s) -> Mask:
        """Return at which times in the interval the condition is true; quick where they ascend."""
        if not len(times):
            return np.empty(0, bool)
        if not self._is_long:
            self._extend(int(times.max()))
        if not self._is_long:
            return Spans(self._edges).contains(times)
        runs = np.flatnonzero(np.append(True, times[1:] < times[:-1]))
        return np.concatenate([self._walked(run) for run in np.split(times, runs[1:])])

    def _restart(self) -> None:
        self._pieces = self._read()
        self._begin = self._end = self._query.interval.start
        self._edges = _NOTHING

    def _extend(self, time: int) -> None:
        """Know more, at least until after a time."""
        held = [self._edges]
        count = len(self._edges)
        while self._end <= time:
            if count > MOST_EDGES:
                self._is_long = True
                self._restart()
                return
            self._end, edges = next(self._pieces)
            held.append(edges)
            count += len(edges)
        self._edges = np.concatenate(held) if len(held) > 1 else self._edges

    def _walked(self, times: Int64s) -> Mask:
        """Return at which ascending times it holds, with no more than a piece in memory."""
        if times[0] < self._begin:
            self._restart()
        found: list[Mask] = []
        while True:
            stop = int(np.searchsorted(times, self._end))
            found.append(Spans(self._edges).contains(times[:stop]))
            times = times[stop:]
            if not len(times):
                return np.concatenate(found)
            self._begin = self._end
            self._end, self._edges = next(self._pieces)

    def _read(self) -> Iterator[tuple[int, Int64s]]:
        """Yield until when the truth is known, and its edges: an even number, as a span ends with its piece."""
        last: dict[Test, Truths] = {test: np.zeros(1, np.int8) for test in self._condition.tests}
        for window, samples in self._windows.read(self._query):
            yield window.end, self._edges_of(window, samples, last)

    def _edges_of(self, window: Interval, samples: SampleBatch, last: dict[Test, Truths]) -> Int64s:
        """Return the edges in a window; `last` is what each test was before it, and afterwards at its end."""
        found = by_element(samples)
        steps: dict[Test, tuple[Int64s, Truths]] = {}
        for test in last:
            mine = found.get(test.element, SampleBatch.empty())
            truths = np.append(last[test], judged(test, mine, self._states))
            changes = np.flatnonzero(truths[1:] != truths[:-1])
            steps[test] = mine.source_time[changes], truths[np.append(0, changes + 1)]
            last[test] = truths[-1:]
        times = np.concatenate([np.array([window.start]), *(times for times, _ in steps.values())])
        times = np.sort(np.maximum(times, window.start), kind="stable")

        def known(test: Test) -> Truths:
            own, truths = steps[test]
            return truths[np.searchsorted(own, times, "right")]

        holds = self._condition.evaluate(known) > 0
        changes = np.flatnonzero(np.append(holds[0], holds[1:] != holds[:-1]))
        edges: Int64s = times[changes]
        return np.append(edges, window.end) if len(edges) % 2 else edges
