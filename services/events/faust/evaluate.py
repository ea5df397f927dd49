"""One shard: the rules over its instances, and how far it has come.

The samples of all journals are taken in the order in which they were received, as if there were one journal: what one
of them gave waits until all have come as far.
"""

from __future__ import annotations

import logging
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from analytics.events.engine import Engine, Program, RuleError
from analytics.events.event import Event
from analytics.events.rows import BEFORE_ALL
from archiver.model import SampleBatch
from services.events.faust.messages import Routed, batch_of, samples_bytes
from services.events.faust.shards import Shards

_LOG = logging.getLogger(__name__)
_WAITING = ".waiting"
"""Where a state has what waits, among the states of rules; no rule is called that."""


@dataclass
class Progress:
    """What a shard has taken in.

    Parameters
    ----------
    offset : int
        Of its last message.
    through : dict of int to int
        By journal: offset of the last entry.
    clocks : dict of int to int
        By journal: receive time, ns.
    """

    offset: int = -1
    through: dict[int, int] = field(default_factory=dict)
    clocks: dict[int, int] = field(default_factory=dict)

    def copy(self) -> Progress:
        """Return one that stays as it is."""
        return Progress(self.offset, dict(self.through), dict(self.clocks))


class Shard:
    """The instances of one shard; its messages come in order, again from any of them on after a fault.

    Parameters
    ----------
    number : int
    journals : int
        How many there are: time has passed when it has in all of them.
    programs : sequence of Program
    shards : Shards
    saved : mapping of str to bytes, optional
        State of rules, by name.
    progress : Progress, optional
        How far that state has come.
    """

    def __init__(
        self,
        number: int,
        journals: int,
        programs: Sequence[Program],
        shards: Shards,
        saved: Mapping[str, bytes] | None = None,
        progress: Progress | None = None,
    ) -> None:
        self.number = number
        self.progress = progress or Progress()
        self.failed: dict[str, str] = {}
        self.refused = 0
        self._journals = journals
        self._shards = shards
        self._engine = self._made(programs)
        saved = dict(saved or {})
        self._waiting = batch_of(saved.pop(_WAITING, b""))
        self._state = self._kept = self._engine.restore(saved)

    @property
    def late(self) -> int:
        """Samples that came too late for a rule, by now."""
        return self._state.late

    @property
    def repeated(self) -> int:
        """Samples that a rule had seen before, by now."""
        return self._state.repeated

    @property
    def waiting(self) -> int:
        """Samples that wait for another journal."""
        return self._waiting.num_rows

    @property
    def names(self) -> list[str]:
        """Names of all that its state consists of."""
        return [*(program.name for program in self._engine.programs), *([_WAITING] if self.waiting else [])]

    def take(self, messages: Sequence[tuple[int, Routed]]) -> list[Event]:
        """Take messages in, each with its offset; return what the rules found.

        Those that were taken in before change nothing.
        """
        batches = []
        for offset, message in messages:
            if offset <= self.progress.offset:
                continue
            self.progress.offset = offset
            batch = self._new_of(message)
            if batch is not None and batch.num_rows:
                batches.append(batch)
        return self._advance(self._in_order(batches))

    def changed(self) -> dict[str, bytes]:
        """Return what of the state was not kept, as `kept` was told last, by name."""
        return {**self._engine.save(self._state, self._kept), **self._saved_waiting()}

    def all(self) -> dict[str, bytes]:
        """Return the state, by name."""
        return {**self._engine.save(self._state), **self._saved_waiting()}

    def kept(self) -> None:
        """Note that the state is kept as it is now."""
        self._kept = self._state

    def _new_of(self, message: Routed) -> SampleBatch | None:
        """Return the samples of a message that did not come before; None where it is of no use."""
        seen = self.progress.through.get(message.journal)
        if seen is not None and message.after > seen:
            self._refuse(message, seen)
            return None
        if message.offsets and seen is not None and message.through <= seen:
            return None
        clock = self.progress.clocks.get(message.journal, BEFORE_ALL)
        self.progress.clocks[message.journal] = max(clock, message.clock)
        if not message.offsets:
            return None
        known = 0 if seen is None else bisect_right(message.offsets, seen)
        self.progress.through[message.journal] = message.through
        batch = batch_of(message.samples)
        return batch.slice(message.ends[known - 1]) if known else batch

    def _refuse(self, message: Routed, seen: int) -> None:
        """Take nothing of a message whose forerunner did not arrive: who routed it routes both again."""
        self.refused += 1
        _LOG.warning(
            "shard %d: entries %d to %d of journal %d are missing; what follows waits until they were sent again",
            *(self.number, seen + 1, message.after, message.journal),
        )

    def _in_order(self, batches: list[SampleBatch]) -> SampleBatch:
        """Return what all journals have come as far as, in the order in which it was received."""
        if self._journals == 1:
            return SampleBatch.concat(batches) if batches else SampleBatch.empty()
        batch = SampleBatch.concat([self._waiting, *batches]) if batches else self._waiting
        ready = batch.receive_time <= self._clock()
        self._waiting = batch.filter(~ready)
        given = batch.filter(ready)
        return given.take(np.argsort(given.receive_time, kind="stable"))

    def _saved_waiting(self) -> dict[str, bytes]:
        return {_WAITING: samples_bytes(self._waiting.compacted())} if self.waiting else {}

    def _clock(self) -> int:
        clocks = self.progress.clocks
        return min(clocks.values()) if len(clocks) == self._journals else BEFORE_ALL

    def _advance(self, batch: SampleBatch) -> list[Event]:
        while True:
            try:
                self._state, events = self._engine.advance(self._state, batch, self._clock())
            except RuleError as exc:
                self._take_out(exc)
            else:
                return events

    def _take_out(self, error: RuleError) -> None:
        """Go on without a rule that fails; a worker that is started anew tries it again."""
        _LOG.error("rule %s is taken out of shard %d: %s", error.rule, self.number, error, exc_info=error)
        self.failed[error.rule] = str(error)
        saved = self._engine.save(self._state)
        self._engine = self._made([program for program in self._engine.programs if program.name != error.rule])
        self._state, self._kept = self._engine.restore(saved), self._engine.initial()

    def _made(self, programs: Sequence[Program]) -> Engine:
        return Engine(programs, lambda rule, key: self._shards.of(rule, key) == self.number)
