"""Something that happens too often: more than so many times in a sliding window."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from analytics.events.operator import Edges, Told
from analytics.events.patterns.occurrences import Occurrences
from analytics.events.rows import BEFORE_ALL, NEVER, Int32s, Int64s, Mask, Rows, grown


def _none(dtype: Any) -> Any:
    return field(default_factory=lambda: np.empty(0, dtype))


@dataclass(frozen=True)
class Counted:
    """What is remembered of each instance.

    Parameters
    ----------
    occurrences
        State of what counts.
    key : ndarray of int32
    time : ndarray of int64
        What happened in the last window, one more than the limit at most: by time for each instance; ns.
    until : ndarray of int64
        Per instance: while there are too many, when there are no more if nothing happens before, ns; else `NEVER`.
    """

    occurrences: Any
    key: Int32s = _none(np.int32)
    time: Int64s = _none(np.int64)
    until: Int64s = _none(np.int64)


@dataclass(frozen=True)
class Count:
    """A signal: true while something happened more than `more_than` times in the last `within`.

    At an instant t, what happened counts if it is less than `within` old: the window is (t - within, t]. It begins to
    be true at the sample that makes one too many. It ends at the instant at which the first of the last
    `more_than` + 1 gets as old as the window, unless another one happens until then, that instant included.

    Parameters
    ----------
    occurrences : Occurrences
    more_than : int
        At least 0.
    within : int
        ns, positive.
    """

    occurrences: Occurrences
    more_than: int
    within: int

    def initial(self) -> Counted:
        """Return the state before the first sample."""
        return Counted(self.occurrences.initial())

    def advance(self, state: Counted, rows: Rows, known: Int64s) -> Told:
        """Take samples in; see `Operator.advance`. The value that is told is the number in the window."""
        inner, counts = self.occurrences.advance(state.occurrences, rows, len(known))
        until = grown(state.until, len(known), NEVER)
        touched = until < known
        touched[rows.key[counts]] = True
        if not touched.any():
            return Told(Counted(inner, state.key, state.time, until), _NO_EDGES, _due(until))
        mine = touched[state.key]
        key = np.concatenate([state.key[mine], rows.key[counts]])
        time = np.concatenate([state.time[mine], rows.time[counts]])
        order = np.argsort(key, kind="stable")  # what was kept is no newer than what is new
        key, time = key[order], time[order]
        spans = self._spans(key, time, order >= mine.sum(), np.where(touched, until, NEVER))
        edges, until, reached = self._told(spans, key, time, until, known)
        kept = self._kept(key, time)
        keys, times = np.append(state.key[~mine], key[kept]), np.append(state.time[~mine], time[kept])
        return Told(Counted(inner, keys, times, until), edges, _due(until), reached)

    def _spans(self, key: Int32s, time: Int64s, is_new: Mask, until: Int64s) -> _Spans:
        """Return when there are too many, as every new one says, after what was known before."""
        place = np.flatnonzero(is_new)
        place = place[place >= self.more_than]
        first = place - self.more_than
        place, first = place[key[first] == key[place]], first[key[first] == key[place]]
        lasts = time[first] + self.within > time[place]
        place, first = place[lasts], first[lasts]
        begun = np.flatnonzero(until != NEVER)
        keys = np.append(begun.astype(np.int32), key[place])
        begin = np.append(np.full(len(begun), BEFORE_ALL), time[place])
        end = np.append(until[begun], time[first] + self.within)
        order = np.argsort(keys, kind="stable")
        return _Spans(keys[order], begin[order], end[order])

    def _told(
        self, spans: _Spans, key: Int32s, time: Int64s, until: Int64s, known: Int64s
    ) -> tuple[Edges, Int64s, Int64s]:
        """Return the edges of spans that hang together, when the last of each instance ends, and what that reached."""
        last = np.diff(spans.key, append=-1) != 0
        ended = spans.end < np.where(last, known[spans.key], np.append(spans.begin[1:], 0)[: len(last)])
        follows = np.append(True, ended[:-1])[: len(last)] | (np.diff(spans.key, prepend=-1) != 0)
        begun = follows & (spans.begin != BEFORE_ALL)
        until, reached = until.copy(), np.full(len(known), BEFORE_ALL)
        until[spans.key[last]] = np.where(ended[last], NEVER, spans.end[last])
        by_time = last & ended
        reached[spans.key[by_time]] = spans.end[by_time] + 1
        ends, end = spans.key[ended], spans.end[ended]
        left = _until(key, time, ends, end) - _until(key, time, ends, end - self.within)
        keys, times = np.append(spans.key[begun], ends), np.append(spans.begin[begun], end)
        truth = np.repeat(np.array([1, -1], np.int8), [begun.sum(), len(ends)])
        value = np.append(np.full(begun.sum(), self.more_than + 1.0), left)
        order = np.lexsort((times, keys))
        return Edges(keys[order], times[order], truth[order], value[order]), until, reached

    def _kept(self, key: Int32s, time: Int64s) -> Mask:
        """Return what may still count."""
        ends = np.flatnonzero(np.diff(key, append=-1))
        sizes = np.diff(ends, prepend=-1)
        from_end = np.repeat(ends, sizes) - np.arange(len(key))
        kept: Mask = (from_end <= self.more_than) & (time > np.repeat(time[ends], sizes) - self.within)
        return kept


@dataclass(frozen=True)
class _Spans:
    """When there are too many: from `begin` until before `end`, by instance; they overlap, or touch."""

    key: Int32s
    begin: Int64s
    end: Int64s


_NO_EDGES = Edges(np.empty(0, np.int32), np.empty(0, np.int64), np.empty(0, np.int8), np.empty(0, np.float64))


def _due(until: Int64s) -> Int64s:
    """Return when the end can be told: once no sample of that instant can come, which would be one more."""
    return np.where(until == NEVER, NEVER, until + (until != NEVER))


def _until(key: Int32s, time: Int64s, keys: Int32s, times: Int64s) -> Int64s:
    """Return how many rows, by instance and time, stand before the end of some instants."""
    is_row = np.repeat([True, False], [len(key), len(keys)])
    order = np.lexsort((~is_row, np.append(time, times), np.append(key, keys)))
    places = np.empty(len(order), np.int64)
    places[order] = np.cumsum(is_row[order])
    return places[len(key) :]
