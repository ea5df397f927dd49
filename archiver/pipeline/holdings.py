"""What each backend holds, as its lane knows it: since when it stores which group, what it lost, dropped or was given.

The book is about *acknowledged* samples. A lane carries everything that is received while a group is configured, so
what it stores begins and ends at instants of receiving; a source time is certainly later than such an instant when it
lies further ahead than a source may be (`future`). What was there before anybody stored it is nobody's to lack.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

from archiver.model import ArchiveGroup, Interval, SmoothingKind, format_time
from archiver.model.holding import Cause, Holding, Lack, union, without
from archiver.model.time import ALWAYS, MAX_TIME, MIN_TIME
from archiver.pipeline.store import Store

_TERM, _FILL = "term", "fill"
_TABLES = """
CREATE TABLE IF NOT EXISTS holding (
    id INTEGER PRIMARY KEY, lane TEXT NOT NULL, "group" TEXT NOT NULL, what TEXT NOT NULL,
    start INTEGER NOT NULL, "end" INTEGER NOT NULL, text TEXT NOT NULL
);
"""
Patterns = tuple[tuple[str, ...], tuple[str, ...]]
"""Patterns of elements that belong, and of those that do not after all."""


@dataclass(frozen=True)
class _Entry:
    """A row of the book: a term (in receive time), a fill, or a lack (both in source time)."""

    id: int
    lane: str
    group: str
    what: str
    interval: Interval
    text: str = ""

    @cached_property
    def patterns(self) -> tuple[Patterns, ...]:
        """Patterns of a term or a fill, all of which an element has to meet."""
        return tuple((tuple(included), tuple(excluded)) for included, excluded in json.loads(self.text)["all"])

    @cached_property
    def smoothed(self) -> bool:
        """Whether a term or a fill is of what a smoothing left."""
        return bool(json.loads(self.text)["smoothed"])


@dataclass
class _Spans:
    """What one lane has of one element by one group: exact and thinned, and what it lacks."""

    exact: list[Interval] = field(default_factory=list)
    thinned: list[Interval] = field(default_factory=list)
    lacks: list[Lack] = field(default_factory=list)


class Holdings:
    """The book, kept in the archive's database and in memory.

    Parameters
    ----------
    store : Store
    future_ns : int
        How far ahead of the clock a source time may be (``intake.future``).
    """

    def __init__(self, store: Store, future_ns: int) -> None:
        self._store = store
        self.future_ns = future_ns
        self._lock = threading.RLock()
        store.create(_TABLES)
        with store.transaction() as connection:
            rows = connection.execute('SELECT id, lane, "group", what, start, "end", text FROM holding ORDER BY id')
            self._entries = [
                _Entry(number, lane, group, what, Interval(start, end), text)
                for number, lane, group, what, start, end, text in rows
            ]
        self._in_force: frozenset[str] = frozenset()
        self._forget()

    def _forget(self) -> None:
        self._matchers: dict[Patterns, Callable[[str], bool]] = {}
        self._signatures: dict[str, tuple[int, ...]] = {}
        self._built: dict[tuple[tuple[int, ...], tuple[str, ...]], tuple[Holding, ...]] = {}

    # -- writing --------------------------------------------------------------------------------------

    def knows(self, lane: str) -> bool:
        """Return whether a lane was here before."""
        return any(entry.lane == lane and entry.what == _TERM for entry in self._entries)

    def begin(self, lane: str, groups: Mapping[str, ArchiveGroup], received: int) -> None:
        """Take what a lane stores of what is received from an instant (ns) on; what it stored otherwise has ended."""
        wanted = {group.name: _text([_patterns(group)], group.smoothing.kind) for group in groups.values()}
        with self._lock:
            current = [e for e in self._entries if e.lane == lane and e.what == _TERM and e.interval.end == MAX_TIME]
            ended = [entry for entry in current if wanted.get(entry.group) != entry.text]
            same = {entry.group for entry in current if wanted.get(entry.group) == entry.text}
            ends = [replace(e, interval=Interval(min(e.interval.start, received), received)) for e in ended]
            fresh = [(lane, g, _TERM, Interval(received, MAX_TIME), t) for g, t in wanted.items() if g not in same]
            self._change([entry.id for entry in ended], [(e.lane, e.group, e.what, e.interval, e.text) for e in ends])
            self._change([], fresh)

    def use(self, lanes: Iterable[str], received: int) -> None:
        """Take which lanes are in force; the others have stored their last at an instant of receiving (ns)."""
        with self._lock:
            self._in_force = frozenset(lanes)
            for lane in {entry.lane for entry in self._entries} - self._in_force:
                self.begin(lane, {}, received)
            self._forget()

    def lack(
        self, lane: str, group: str, interval: Interval, cause: Cause, reason: str, *, follows: bool = False
    ) -> None:
        """Note that a lane's backend does not have all of a group (of all groups when empty) in an interval.

        It is joined with what it meets of the same cause; what retention drops is everything before its end.

        Parameters
        ----------
        follows : bool
            Nothing was stored since the last lack of this cause: both are one.
        """
        with self._lock:
            mine = [entry for entry in self._entries if (entry.lane, entry.group) == (lane, group)]
            fills = [entry.id for entry in mine if entry.what == _FILL]
            same = [entry for entry in mine if entry.what == cause]
            if cause is not Cause.RETENTION:
                same = [entry for entry in same if entry.id > max(fills, default=0)]
            last = same[-1:] if follows or cause is Cause.RETENTION else []
            met = [entry for entry in same if entry in last or _meet(entry.interval, interval)]
            spans = [interval, *(entry.interval for entry in met)]
            whole = Interval(min(span.start for span in spans), max(span.end for span in spans))
            self._change([entry.id for entry in met], [(lane, group, str(cause), whole, reason)])

    def fill(
        self,
        source: str,
        target: str,
        groups: Iterable[ArchiveGroup],
        interval: Interval,
        elements: Sequence[str] | None,
        shared: Iterable[str],
    ) -> None:
        """Note that a target got from a source what that has of an interval.

        Parameters
        ----------
        groups : iterable of ArchiveGroup
            Of the target.
        elements : sequence of str, optional
            Only these.
        shared : iterable of str
            Groups that were copied as they are in the source; the others got all that it has of their elements.
        """
        named = [(tuple(f"regex:{_quoted(name)}" for name in elements), ())] if elements else []
        with self._lock:
            fresh = []
            for group in groups:
                for entry in self._entries:
                    if entry.lane != source or entry.what not in (_TERM, _FILL):
                        continue
                    if group.name in shared and entry.group != group.name:
                        continue
                    patterns = [*entry.patterns, _patterns(group), *named]
                    kind = SmoothingKind.VALUE if entry.smoothed else SmoothingKind.NONE
                    text = _text(list(dict.fromkeys(patterns)), kind)
                    cuts = (span.intersect(interval) for span in self._of_entry(entry))
                    fresh += [(target, group.name, _FILL, cut, text) for cut in cuts if cut is not None]
            self._change([], fresh)

    def _change(self, gone: Sequence[int], fresh: Sequence[tuple[str, str, str, Interval, str]]) -> None:
        if not gone and not fresh:
            return
        with self._store.transaction() as connection:
            connection.executemany("DELETE FROM holding WHERE id = ?", [(number,) for number in gone])
            entries = []
            for lane, group, what, interval, text in fresh:
                row = (lane, group, what, interval.start, interval.end, text)
                query = 'INSERT INTO holding (lane, "group", what, start, "end", text) VALUES (?, ?, ?, ?, ?, ?)'
                number = connection.execute(query, row).lastrowid
                entries.append(_Entry(number or 0, lane, group, what, interval, text))
        self._entries = [entry for entry in self._entries if entry.id not in gone] + entries
        self._forget()

    # -- reading --------------------------------------------------------------------------------------

    def classes(
        self, elements: Iterable[str], groups: tuple[str, ...] = ()
    ) -> list[tuple[tuple[Holding, ...], list[str]]]:
        """Return what the backends hold of some elements, those of which they hold the same together.

        Parameters
        ----------
        groups : tuple of str
            Only as stored by these groups; by all when empty.
        """
        found: dict[tuple[int, ...], list[str]] = {}
        with self._lock:
            for element in elements:
                found.setdefault(self._signature(element), []).append(element)
            return [(self._holdings(signature, groups), members) for signature, members in found.items()]

    def _signature(self, element: str) -> tuple[int, ...]:
        """Return the ids of the terms and fills that an element belongs to."""
        known = self._signatures.get(element)
        if known is None:
            known = tuple(e.id for e in self._entries if e.what in (_TERM, _FILL) and self._belongs(e, element))
            self._signatures[element] = known
        return known

    def _belongs(self, entry: _Entry, element: str) -> bool:
        for patterns in entry.patterns:
            matches = self._matchers.get(patterns)
            if matches is None:
                matches = self._matchers[patterns] = ArchiveGroup("", patterns[0], (), patterns[1]).matches
            if not matches(element):
                return False
        return True

    def _holdings(self, signature: tuple[int, ...], groups: tuple[str, ...]) -> tuple[Holding, ...]:
        known = self._built.get((signature, groups))
        if known is None:
            mine = set(signature)
            entries = [e for e in self._entries if e.id in mine and (not groups or e.group in groups)]
            terms = [entry.interval for entry in entries if entry.what == _TERM]
            bounds = Interval(min((t.start for t in terms), default=0), max((t.end for t in terms), default=0))
            lanes = dict.fromkeys(entry.lane for entry in entries)
            known = tuple(self._holding(lane, [e for e in entries if e.lane == lane], bounds) for lane in lanes)
            self._built[signature, groups] = known
        return known

    def _holding(self, lane: str, entries: list[_Entry], bounds: Interval) -> Holding:
        whole = _Spans()
        for group in dict.fromkeys(entry.group for entry in entries):
            spans = self._of_group(lane, group, [e for e in entries if e.group == group], bounds)
            whole.exact += spans.exact
            whole.thinned += spans.thinned
            whole.lacks += spans.lacks
        exact = union(whole.exact)
        thinned = _minus(union(whole.thinned), exact)
        lacks = tuple(
            Lack(rest, lack.cause, lack.reason) for lack in whole.lacks for rest in _minus([lack.interval], exact)
        )
        return Holding(lane, tuple(exact), tuple(thinned), lacks, lane in self._in_force)

    def _of_group(self, lane: str, group: str, entries: list[_Entry], bounds: Interval) -> _Spans:
        spans = _Spans()
        before: _Entry | None = None
        for term in sorted((e for e in entries if e.what == _TERM), key=lambda e: e.interval.start):
            held = self._in_source_time(term, before, bounds)
            (spans.thinned if term.smoothed else spans.exact).append(held)
            before = term
        spans.lacks = _outside(union([*spans.exact, *spans.thinned]))
        later = [e for e in entries if e.what == _FILL] + [
            e for e in self._entries if e.lane == lane and e.group in (group, "") and e.what not in (_TERM, _FILL)
        ]
        for entry in sorted(later, key=lambda e: e.id):
            if entry.what == _FILL:
                (spans.thinned if entry.smoothed else spans.exact).append(entry.interval)
            else:
                spans.exact = without(union(spans.exact), entry.interval)
                spans.thinned = without(union(spans.thinned), entry.interval)
                spans.lacks.append(Lack(entry.interval, Cause(entry.what), entry.text))
        return spans

    def _in_source_time(self, term: _Entry, before: _Entry | None, bounds: Interval) -> Interval:
        """Return the source times of which everything was received in a term; `before` is the group's last one."""
        start, end = term.interval.start, term.interval.end
        if start == bounds.start:
            start = MIN_TIME  # nobody stored it before
        elif before is None or before.interval.end != start:
            start = min(start + self.future_ns, MAX_TIME)
        if end == bounds.end:
            end = MAX_TIME  # nobody stored it after
        return Interval(min(start, end), end)

    def _of_entry(self, entry: _Entry) -> list[Interval]:
        """Return what a term or fill holds by itself, what is lacking of its group left out."""
        held = entry.interval
        if entry.what == _TERM:
            terms = [e.interval for e in self._entries if e.what == _TERM and e.patterns == entry.patterns]
            held = self._in_source_time(entry, None, Interval(min(t.start for t in terms), max(t.end for t in terms)))
        spans = [held]
        for other in self._entries:
            mine = other.lane == entry.lane and other.group in (entry.group, "")
            if mine and other.what not in (_TERM, _FILL) and (entry.what == _TERM or other.id > entry.id):
                spans = without(spans, other.interval)
        return spans


def _patterns(group: ArchiveGroup) -> Patterns:
    return tuple(group.elements), tuple(group.exclude)


def _text(patterns: Sequence[Patterns], kind: SmoothingKind) -> str:
    return json.dumps({"all": patterns, "smoothed": kind is not SmoothingKind.NONE})


def _quoted(name: str) -> str:
    return "".join(char if char.isalnum() else f"\\{char}" for char in name)


def _meet(one: Interval, other: Interval) -> bool:
    return one.start <= other.end and other.start <= one.end


def _minus(intervals: Sequence[Interval], cuts: Iterable[Interval]) -> list[Interval]:
    result = list(intervals)
    for cut in cuts:
        result = without(result, cut)
    return result


def _outside(held: list[Interval]) -> list[Lack]:
    """Return what lies before, between and after what is held, and why."""
    lacks = []
    for rest in _minus([ALWAYS], held):
        before = [span.end for span in held if span.end <= rest.start]
        after = [span.start for span in held if span.start >= rest.end]
        if after:
            lacks.append(Lack(rest, Cause.NOT_YET, f"it has everything from {format_time(after[0])} on only"))
        else:
            until = format_time(before[-1]) if before else "never"
            lacks.append(Lack(rest, Cause.NO_LONGER, f"it has everything until {until} only"))
    return lacks
