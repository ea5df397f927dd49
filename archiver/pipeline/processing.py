"""From journal entries to what one backend is to store: route to groups, smooth each, and say what was discarded.

The step is pure: `process` gives a new state and leaves the old one as it was, so that a write that fails, a crash,
and a query that looks beyond the backend's position all start from the state that belongs to that position.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from archiver.model import SampleBatch, Smoothing, SmoothingKind
from archiver.model.identity import duplicates
from archiver.pipeline.ledger import Outcome, account
from archiver.pipeline.routing import Router
from archiver.ports import Journal, JournalEntry
from archiver.smoothing import RULES, Smoothed, Smoother, judge_late

_ROWS_AT_ONCE = 1_000_000


@dataclass(frozen=True)
class Processed:
    """What a run of journal entries comes to for one backend.

    Parameters
    ----------
    parts : mapping of group to SampleBatch
        To be stored.
    smoothed : list of Arrow tables
        Rows of the ledger for what was discarded, or is held already.
    state : LaneState
        After the last entry.
    """

    parts: Mapping[str, SampleBatch]
    smoothed: Sequence[pa.Table]
    state: LaneState


@dataclass(frozen=True)
class LaneState:
    """The smoothers of one backend's groups at one journal offset; groups without smoothing have none."""

    smoothers: Mapping[str, Smoother] = field(default_factory=dict)

    @classmethod
    def initial(cls, router: Router) -> LaneState:
        """Return the state before the first entry."""
        groups = router.groups.values()
        return cls({g.name: Smoother(g.smoothing) for g in groups if g.smoothing.kind is not SmoothingKind.NONE})

    def held(self, elements: Collection[str] | None = None) -> dict[str, SampleBatch]:
        """Return samples, of some elements or of all, that were neither stored nor discarded yet, by group."""
        chosen = self.smoothers.items()
        held = {name: (s if elements is None else s.copy(elements)).held() for name, s in chosen}
        return {name: batch for name, batch in held.items() if batch.num_rows}

    def dump(self) -> bytes:
        """Return the state as bytes."""
        parts = {name: smoother.dump() for name, smoother in self.smoothers.items()}
        header = json.dumps({name: len(part) for name, part in parts.items()}).encode()
        return len(header).to_bytes(4, "little") + header + b"".join(parts.values())

    @classmethod
    def load(cls, router: Router, state: bytes) -> tuple[LaneState, dict[str, SampleBatch]]:
        """Return the state that `dump` was given, and what groups held that do not smooth any more, by group.

        A group that was not in there starts anew. What is returned apart has to be stored: nobody else holds it.
        """
        size = int.from_bytes(state[:4], "little")
        offset, smoothers = 4 + size, dict(cls.initial(router).smoothers)
        released: dict[str, SampleBatch] = {}
        for name, length in json.loads(state[4:offset]).items():
            part = state[offset : offset + length]
            offset += length
            if name in smoothers:
                smoothers[name] = Smoother.load(router.groups[name].smoothing, part)
            elif (held := Smoother.load(Smoothing(), part).held()).num_rows:
                released[name] = held
        return cls(smoothers), released


def runs_of(journal: Journal, after: int) -> Iterator[list[JournalEntry]]:
    """Yield the entries after an offset, in runs that are bounded: a backend may be far behind."""
    while entries := journal.read(after, _ROWS_AT_ONCE):
        yield entries
        after = entries[-1].offset


ArchivedAround = Callable[[str, SampleBatch], SampleBatch]
"""Gives, for a group and late samples of it, what is archived around them."""


def process(
    entries: Sequence[JournalEntry],
    router: Router,
    state: LaneState,
    elements: Collection[str] | None = None,
    archived_around: ArchivedAround | None = None,
) -> Processed:
    """Return what a run of journal entries comes to.

    Parameters
    ----------
    archived_around : callable, optional
        Asks the backend, to judge samples that come late to a smoothed group; without it they are stored.
    elements : collection of str, optional
        Only these, for a preview; the resulting state then is of these alone.
    """
    batches = [entry.batch for entry in entries]
    if elements is not None:
        batches = [_only(batch, elements) for batch in batches]
    parts = router.split(SampleBatch.concat(batches))
    smoothed: list[pa.Table] = []
    smoothers = {}
    for name, smoother in state.smoothers.items():
        smoothers[name] = after = smoother.copy(elements)
        if name not in parts:
            continue
        result = after.apply(parts[name])
        smoothed += _discarded(name, result.discarded, result.rule)
        parts[name] = result.stored
        if archived_around is not None and result.late.any():
            parts[name], tables = _without_late(name, result, after, archived_around)
            smoothed += tables
    filled = {name: batch for name, batch in parts.items() if batch.num_rows}
    return Processed(filled, smoothed, LaneState(smoothers))


def _without_late(
    group: str, result: Smoothed, after: Smoother, archived_around: ArchivedAround
) -> tuple[SampleBatch, list[pa.Table]]:
    """Return what is to be stored when the late samples are judged, and the account of those that are not."""
    late, kept, held = result.stored.filter(result.late), result.stored.filter(~result.late), after.held()
    again = duplicates(late, held)
    tables = [account(late, Outcome.DUPLICATE, group=group, reason="held already", where=again)]
    late = late.filter(~again)
    if not late.num_rows:
        return kept, tables
    archived = SampleBatch.concat([archived_around(group, late), kept, held])
    discard, rule = judge_late(after.smoothing, late, archived)
    tables += _discarded(group, late.filter(discard), rule[discard])
    return SampleBatch.concat([kept, late.filter(~discard)]), tables


def _discarded(group: str, batch: SampleBatch, rule: NDArray[np.uint8]) -> list[pa.Table]:
    return [
        account(batch, Outcome.SMOOTHED, group=group, reason=RULES[index], where=rule == index)
        for index in np.unique(rule).tolist()
    ]


def _only(batch: SampleBatch, elements: Collection[str]) -> SampleBatch:
    if not any(name in elements for name in batch.elements):
        return SampleBatch.empty()
    return batch.filter(batch.mask_elements(elements))
