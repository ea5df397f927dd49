"""From journal entries to what one backend is to store: route to groups, smooth each, and say what was discarded.

The step is pure: `process` gives a new state and leaves the old one as it was, so that a write that fails, a crash,
and a query that looks beyond the backend's position all start from the state that belongs to that position.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa

from archiver.model import SampleBatch, SmoothingKind
from archiver.pipeline.ledger import Outcome, account
from archiver.pipeline.routing import Router
from archiver.ports import JournalEntry
from archiver.smoothing import RULES, Smoother


@dataclass(frozen=True)
class Processed:
    """What a run of journal entries comes to for one backend.

    Parameters
    ----------
    parts : mapping of group to SampleBatch
        To be stored.
    smoothed : list of Arrow tables
        Rows of the ledger for what was discarded.
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

    def held(self) -> dict[str, SampleBatch]:
        """Return samples that were neither stored nor discarded yet, by group."""
        held = {name: smoother.held() for name, smoother in self.smoothers.items()}
        return {name: batch for name, batch in held.items() if batch.num_rows}

    def dump(self) -> bytes:
        """Return the state as bytes."""
        parts = {name: smoother.dump() for name, smoother in self.smoothers.items()}
        header = json.dumps({name: len(part) for name, part in parts.items()}).encode()
        return len(header).to_bytes(4, "little") + header + b"".join(parts.values())

    @classmethod
    def load(cls, router: Router, state: bytes) -> LaneState:
        """Return the state that `dump` was given; a group that was not in there starts anew."""
        size = int.from_bytes(state[:4], "little")
        offset, smoothers = 4 + size, dict(cls.initial(router).smoothers)
        for name, length in json.loads(state[4:offset]).items():
            if name in smoothers:
                smoothers[name] = Smoother.load(router.groups[name].smoothing, state[offset : offset + length])
            offset += length
        return cls(smoothers)


def process(
    entries: Sequence[JournalEntry], router: Router, state: LaneState, elements: Collection[str] | None = None
) -> Processed:
    """Return what a run of journal entries comes to.

    Parameters
    ----------
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
        parts[name] = result.stored
        for rule in np.unique(result.rule).tolist():
            rows = result.rule == rule
            smoothed.append(account(result.discarded, Outcome.SMOOTHED, group=name, reason=RULES[rule], where=rows))
    filled = {name: batch for name, batch in parts.items() if batch.num_rows}
    return Processed(filled, smoothed, LaneState(smoothers))


def _only(batch: SampleBatch, elements: Collection[str]) -> SampleBatch:
    if not any(name in elements for name in batch.elements):
        return SampleBatch.empty()
    return batch.filter(batch.mask_elements(elements))
