"""Reads what was asked for: from the archive's query, to the series of an answer."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing
from itertools import chain

from archiver.model import Interval, SampleBatch
from archiver.model.status import is_gap
from archiver.model.time import MAX_TIME
from archiver.query import Query
from services.appliance.events import EventReader, Events
from services.appliance.metadata import meta_of
from services.appliance.names import Wanted
from services.appliance.series import Series
from services.appliance.times import Span
from services.common.asking import InTurn

_LOOKS_BACK = 100
"""Gaps one after the other, before an interval, behind which a sample is looked for."""


class Reading(InTurn):
    """Reads PVs one after the other, each when its turn comes; can be stopped from another thread.

    Parameters
    ----------
    view : View
        The archive, as whoever asks has it.
    """

    def series(self, wanted: Sequence[Wanted], spans: Sequence[Span], *, latest: bool) -> Iterator[Series]:
        """Yield what is answered about each PV in some intervals, one after the other.

        What is wrong with an operator is raised before the first one.
        """
        parts = [[self._events(pv, start, end) for start, end in spans] for pv in wanted]
        for pv, events in zip(wanted, parts, strict=True):
            known = pv.element.metadata
            meta = meta_of(known, latest=latest)
            yield Series(pv.name, meta, chain.from_iterable(events), known.kind, spans[0][0])

    def _events(self, pv: Wanted, start: int, end: int) -> Iterator[Events]:
        events = self._samples(pv.element.name, start, end)
        return events if pv.operator is None else pv.operator.run(events, start, end)

    def _samples(self, element: str, start: int, end: int) -> Iterator[Events]:
        """Yield the last sample at or before the start, then all up to the end, which belongs to the interval."""
        first, last = min(start + 1, MAX_TIME), min(end + 1, MAX_TIME)
        reader = EventReader()
        with closing(self.ask(Query((element,), Interval(first, last), before=1))) as answer:
            untouched = True
            for batch in answer.rows:
                if not isinstance(batch, SampleBatch) or not batch.num_rows:
                    continue
                if untouched and batch.source_time[0] <= start:
                    for earlier in self.before_gap(element, batch.slice(0, 1)):
                        yield from reader.read(earlier)
                untouched = False
                yield from reader.read(batch)

    def before_gap(self, element: str, first: SampleBatch) -> Iterator[SampleBatch]:
        """Yield the last sample before a gap, if a row is one: to these clients a gap is no sample."""
        for _ in range(_LOOKS_BACK):
            if first.kind_codes[0] or not is_gap(first.status)[0]:
                return
            first = self._view.values_at([element], int(first.source_time[0]) - 1)
            if not first.num_rows:
                return
            if first.kind_codes[0] or not is_gap(first.status)[0]:
                yield first
