"""Which rules the samples of a batch feed, for all rules at once."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import repeat
from typing import Any

import numpy as np
from numpy.typing import NDArray

from analytics.events.rows import Int32s, Int64s, Rows, Values
from archiver.model import SampleBatch

Feeds = Callable[[str], Iterable[tuple[int, int]]]
"""Gives what an element feeds: numbers of rules, each with the number of the feed there."""


class Routes:
    """Remembers of each element what it feeds.

    Parameters
    ----------
    feeds : callable
        Asked once for each element.
    """

    def __init__(self, feeds: Feeds) -> None:
        self._feeds = feeds
        self._ids: dict[str, int] = {}
        self._rules: list[int] = []
        self._numbers: list[int] = []
        self._begins: list[int] = [0]
        self._flat: tuple[Int64s, NDArray[Any], Int32s] | None = None

    def __len__(self) -> int:
        return len(self._ids)

    def of(self, batch: SampleBatch) -> dict[int, Rows]:
        """Return the samples of a batch by rule, in order of arrival; `key` and `slot` are the number of the feed."""
        elements = self._elements(batch)
        begins, rules, numbers = self._table()
        begin = begins[elements]
        counts = begins[elements + 1] - begin
        if not counts.any():
            return {}
        origin = np.arange(len(batch))
        if not (counts == 1).all():
            origin = np.repeat(origin, counts)
            begin = np.repeat(begin - np.cumsum(counts) + counts, counts) + np.arange(len(origin))
        rule = rules[begin]
        if (rule == rule[0]).all():
            return {int(rule[0]): _rows(batch, origin, numbers[begin])}
        order = np.argsort(rule, kind="stable")
        rows = _rows(batch, origin[order], numbers[begin[order]])
        rule = rule[order]
        ends = np.append(np.flatnonzero(rule[1:] != rule[:-1]) + 1, len(rule)).tolist()
        starts = [0, *ends[:-1]]
        return {int(rule[start]): rows.part(start, end) for start, end in zip(starts, ends, strict=True)}

    def _elements(self, batch: SampleBatch) -> Int64s:
        """Return the number of the element of each sample."""
        names, codes = batch.elements, batch.codes
        used = np.unique(codes) if len(names) > len(codes) else np.arange(len(names))
        mine = names if len(used) == len(names) else [names[code] for code in used.tolist()]
        numbers = np.zeros(len(names), np.int64)
        numbers[used] = np.fromiter(map(self._ids.get, mine, repeat(-1)), np.int64, len(mine))
        elements: Int64s = numbers[codes]
        if (elements < 0).any():
            for code in np.unique(codes[elements < 0]).tolist():
                numbers[code] = self._new(names[code])
            elements = numbers[codes]
        return elements

    def _new(self, element: str) -> int:
        number = self._ids[element] = len(self._ids)
        for rule, feed in self._feeds(element):
            self._rules.append(rule)
            self._numbers.append(feed)
        self._begins.append(len(self._rules))
        self._flat = None
        return number

    def _table(self) -> tuple[Int64s, NDArray[Any], Int32s]:
        """Return where the feeds of each element begin, and rule and number of each feed."""
        if self._flat is None:
            kind = np.int16 if max(self._rules, default=0) < np.iinfo(np.int16).max else np.int64  # sorts faster
            self._flat = np.array(self._begins), np.array(self._rules, kind), np.array(self._numbers, np.int32)
        return self._flat


def _rows(batch: SampleBatch, origin: Int64s, feed: Int32s) -> Rows:
    values = Values.of(batch)
    is_all = len(origin) == len(batch) and (origin[1:] > origin[:-1]).all()
    at = slice(None) if is_all else origin
    return Rows(
        key=feed,
        slot=feed,
        input=np.zeros(len(feed), np.int16),
        time=batch.source_time[at],
        received=batch.receive_time[at],
        sequence=batch.sequence[at],
        number=values.number[at],
        text=None if values.text is None else values.text[at],
        good=values.good[at],
        status=values.status[at],
    )
