"""Runs a rule twice: as the engine does it, and by a reference that sees all samples of an instance in order."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from analytics.events.coding import encode
from analytics.events.engine import Engine, Program
from analytics.events.event import SUPPRESSED, UNSUPPRESSED, Event
from archiver.model import Kind, SampleBatch, Status
from archiver.model.status import BAD
from archiver.testing.rows import batch_of

NO_MORE = 10**15
"""A receive time after which nothing is due, ns: what the samples of a check say lies long before."""


class Sample(NamedTuple):
    """One sample, as a reference sees it.

    Parameters
    ----------
    element : str
    time : int
        ns.
    value : float, str or None
    sequence : int
    status : int
    input : int
        Number of the input that it feeds.
    """

    element: str
    time: int
    value: float | str | None
    sequence: int = 0
    status: int = 0
    input: int = 0

    @property
    def is_good(self) -> bool:
        """Whether it says something: it has a value that is a number or a text, and no status bit that is bad."""
        is_number = self.value is not None and self.value == self.value  # NaN is not itself
        return is_number and not self.status & int(BAD | Status.DISCONNECTED | Status.PAUSED)

    @property
    def said(self) -> float | str | None:
        """What it says, as events tell it: a number as a float, None for nothing and for what is no number."""
        if self.value is None or isinstance(self.value, str):
            return self.value
        return None if math.isnan(self.value) else float(self.value)


class Told(NamedTuple):
    """What a reference finds; see `Event`."""

    kind: str
    time: int
    value: float | str | None = None
    attributes: Mapping[str, object] = {}


class Arrival(NamedTuple):
    """Samples that came together.

    Parameters
    ----------
    samples : list of Sample
    received : list of int
        When each of them came, ns, ascending.
    clock : int
        Receive time afterwards, ns.
    restarts : bool
        The engine is saved afterwards, and another one goes on.
    """

    samples: list[Sample]
    received: list[int]
    clock: int
    restarts: bool = False


Reference = Callable[[list[Sample]], list[Told]]
"""Finds what happens in the samples of one instance: ordered, complete, and followed by nothing for ever."""


def batch_as_it_came(samples: Sequence[Sample], received: Sequence[int]) -> SampleBatch:
    """Return samples as a batch."""
    kinds = {float: Kind.FLOAT, str: Kind.TEXT, type(None): Kind.NONE, bool: Kind.BOOL, int: Kind.INT}
    return batch_of(
        (each.element, each.time, each.sequence, at, each.status, kinds[type(each.value)], each.value)
        for each, at in zip(samples, received, strict=True)
    )


def found(program: Program, arrivals: Sequence[Arrival]) -> list[Event]:
    """Return what an engine finds in samples as they come, and for ever after."""
    engine = Engine([program])
    state, events = engine.initial(), list[Event]()
    for arrival in [*arrivals, Arrival([], [], NO_MORE)]:
        before = encode(state)
        after, more = engine.advance(state, batch_as_it_came(arrival.samples, arrival.received), arrival.clock)
        assert encode(state) == before, "a step changed the state that it was given"
        state, events = after, events + more
        if arrival.restarts:
            saved = engine.save(state)
            engine = Engine([program])
            state = engine.restore(saved)
    order = state.rules[program.name].order
    assert not order.late, f"{order.late} samples came too late: the check itself is wrong"
    return sorted(events, key=lambda event: event.order)


def told(program: Program, reference: Reference, samples: Sequence[Sample]) -> list[Event]:
    """Return what a reference finds in samples, whatever order they are in."""
    keys = {key for sample in samples for _, key in program.inputs.places(sample.element) if key is not None}
    events = []
    for key in keys:
        last: dict[tuple[bool, int], int] = {}
        for kind, time, value, attributes in reference(_of_instance(program, key, samples)):
            track = kind in (SUPPRESSED, UNSUPPRESSED), time
            last[track] = last.get(track, -1) + 1
            events.append(Event(program.name, key, kind, time, last[track], value, attributes))
    return sorted(events, key=lambda event: event.order)


def _of_instance(program: Program, key: str, samples: Sequence[Sample]) -> list[Sample]:
    """Return the samples of an instance in order: from the first one that is its own, and what was held by then."""
    found: dict[tuple[int, str, int, int], tuple[Sample, bool]] = {}
    for sample in samples:
        for number, owner in program.inputs.places(sample.element):
            if owner in (key, None):
                identity = (sample.time, sample.element, sample.sequence, number)
                found.setdefault(identity, (sample._replace(input=number), owner is not None))
    ordered = [found[identity] for identity in sorted(found)]
    begin = [is_own for _, is_own in ordered].index(True)
    held = {(sample.element, sample.input): sample for sample, _ in ordered[:begin]}
    before = [sample for sample, _ in ordered[:begin] if held[sample.element, sample.input] is sample]
    return before + [sample for sample, _ in ordered[begin:]]
