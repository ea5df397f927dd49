"""All rules at once, as one pure step: `(state, batch, clock) -> (state, events)`.

The events of some samples are the same whatever batches they came in, in whatever order within the lateness of a rule,
and wherever the step ran. What that rests on: every instance has a clock of its own (`analytics.events.ordering`), and
operators see samples in order of time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import numpy as np

from analytics.events.coding import decode, encode
from analytics.events.event import ELEMENT_PREFIX, SUPPRESSED, UNSUPPRESSED, Event
from analytics.events.matching import Inputs
from analytics.events.operator import Found, Operator
from analytics.events.ordering import Order, admit, waited
from analytics.events.places import Places
from analytics.events.routing import Routes
from analytics.events.rows import BEFORE_ALL, EMPTY, NEVER, Int64s, Rows, grown
from archiver.model import SampleBatch

_NONE = np.empty(0, np.int64)
_APART = (SUPPRESSED, UNSUPPRESSED)


@dataclass(frozen=True)
class Program:
    """A rule as it runs.

    Parameters
    ----------
    name : str
    inputs : Inputs
        Which elements it looks at.
    operator : Operator
    lateness : int
        How much later than a newer sample of its instance a sample may come, ns.
    version : str
        Of the rule: what was remembered under another version is not for this one.
    """

    name: str
    inputs: Inputs
    operator: Operator
    lateness: int = 0
    version: str = ""


@dataclass(frozen=True)
class RuleState:
    """What is remembered of one rule.

    Parameters
    ----------
    order : Order
    operator
        State of its operator.
    shared : Rows
        Latest samples of the elements that are common to all instances, for those that come up; see `Places`.
    last : ndarray of int64
        Two per instance, as what suppresses it is numbered apart: time of its last event, ns.
    ordinal : ndarray of int64
        Two per instance: place of that event among those of that time.
    wake : int
        Greatest receive time until which nothing comes due without a sample, ns.
    """

    order: Order
    operator: Any
    shared: Rows = EMPTY
    last: Int64s = field(default_factory=_NONE.copy)
    ordinal: Int64s = field(default_factory=_NONE.copy)
    wake: int = NEVER


@dataclass(frozen=True)
class State:
    """What is remembered between steps: a state per rule, by name."""

    rules: dict[str, RuleState]

    @property
    def late(self) -> int:
        """Samples that came too late for a rule, by now; one that is late for two rules counts twice."""
        return sum(rule.order.late for rule in self.rules.values())

    @property
    def repeated(self) -> int:
        """Samples that a rule had seen before, by now."""
        return sum(rule.order.repeated for rule in self.rules.values())


class RuleError(Exception):
    """A rule failed: a fault in the program, not in the samples. The others can go on without it.

    Parameters
    ----------
    rule : str
        Its name.
    """

    def __init__(self, rule: str, reason: str) -> None:
        super().__init__(reason)
        self.rule = rule


def version_of(saved: bytes) -> str:
    """Return the version of the rule that a state was saved under; see `Engine.save`."""
    return str(decode(saved, {})["version"])


class Engine:
    """Rules, and the instances of theirs that came up; numbers of instances are never given anew.

    Parameters
    ----------
    programs : sequence of Program
        With different names.
    owns : callable, optional
        Says of a rule and the key of an instance whether it is looked after here; all are when left out. Engines that
        share the instances out among them find together what one finds.
    """

    def __init__(self, programs: Sequence[Program], owns: Callable[[str, str], bool] | None = None) -> None:
        self.programs = tuple(programs)
        self._places = [
            Places(program.inputs, None if owns is None else partial(owns, program.name)) for program in programs
        ]
        self._routes = Routes(self._feeds)

    def initial(self) -> State:
        """Return the state before the first sample."""
        return State({rule.name: RuleState(Order(), rule.operator.initial()) for rule in self.programs})

    def advance(self, state: State, batch: SampleBatch, clock: int) -> tuple[State, list[Event]]:
        """Take samples in, and the time.

        Parameters
        ----------
        state : State
            Stays as it is.
        batch : SampleBatch
            In order of arrival; may be empty.
        clock : int
            Receive time by now, ns; one that is before an earlier one counts as that.

        Returns
        -------
        state : State
        events : list of Event
            By time, rule, instance and ordinal.

        Raises
        ------
        RuleError
            Of the first rule that failed; nothing has changed.
        """
        fed = self._routes.of(batch)
        rules, events = dict(state.rules), list[Event]()
        for number, program in enumerate(self.programs):
            before = state.rules[program.name]
            if number in fed:
                known = len(before.order.newest)
                rows, shared = self._places[number].rows(fed[number], before.shared, known, program.lateness)
            elif clock < before.wake:
                continue
            else:
                rows, shared = EMPTY, before.shared
            try:
                rules[program.name], found = self._step(number, before, rows, shared, clock)
            except Exception as exc:
                raise RuleError(program.name, f"{type(exc).__name__}: {exc}") from exc
            events += found
        return State(rules), sorted(events, key=lambda event: event.order)

    def wants(self, element: str) -> bool:
        """Return whether a rule looks at an element."""
        if element.startswith(ELEMENT_PREFIX):
            return False
        return any(program.inputs.places(element) for program in self.programs)

    def members(self) -> dict[tuple[str, str], list[str]]:
        """Return the elements that came up of each instance, by rule and key."""
        return {
            (program.name, key): elements
            for program, places in zip(self.programs, self._places, strict=True)
            for key, elements in places.members().items()
        }

    def save(self, state: State, before: State | None = None) -> dict[str, bytes]:
        """Return the state of each rule as bytes; with `before`, of those that have changed since only."""
        changed = (
            number
            for number, program in enumerate(self.programs)
            if before is None or before.rules.get(program.name) is not state.rules[program.name]
        )
        return {
            self.programs[number].name: encode(
                {
                    "version": self.programs[number].version,
                    "elements": self._places[number].elements,
                    "state": state.rules[self.programs[number].name],
                }
            )
            for number in changed
        }

    def restore(self, saved: Mapping[str, bytes]) -> State:
        """Return the state that was saved; rules that are new, or of another version, begin anew.

        Raises
        ------
        ValueError
            The bytes of a rule are broken.
        RuntimeError
            This engine has seen samples: only a new one can take over what another one knew.
        """
        if len(self._routes):
            raise RuntimeError("a state is restored into an engine that has seen no sample")
        rules = self.initial().rules
        for number, program in enumerate(self.programs):
            if program.name not in saved:
                continue
            found = decode(saved[program.name], {"version": "", "elements": [], "state": None})
            if found["version"] != program.version:
                continue
            rules[program.name] = decode(encode(found["state"]), rules[program.name])
            for element in found["elements"]:
                self._places[number].feed(element)
        return State(rules)

    def _feeds(self, element: str) -> list[tuple[int, int]]:
        """Return the rules that an element feeds, each with the number of the feed."""
        if element.startswith(ELEMENT_PREFIX):
            return []
        fed = ((number, places.feed(element)) for number, places in enumerate(self._places))
        return [(number, feed) for number, feed in fed if feed is not None]

    def _step(
        self, number: int, before: RuleState, rows: Rows, shared: Rows, clock: int
    ) -> tuple[RuleState, list[Event]]:
        program, places = self.programs[number], self._places[number]
        count = len(places.keys)
        order, given, known = admit(before.order, rows, places.slots(), count, program.lateness, clock)
        step = program.operator.advance(before.operator, given, known)
        if step.reached is not None:
            order = replace(order, done=np.maximum(order.done, step.reached))
        last, ordinal = grown(before.last, 2 * count, BEFORE_ALL), grown(before.ordinal, 2 * count, 0)
        events = list[Event]()
        if step.found:
            last, ordinal = last.copy(), ordinal.copy()
            events = [_numbered(program.name, places.keys[found.key], found, last, ordinal) for found in step.found]
        wake = _wake(order, step.due, program.lateness)
        return RuleState(order, step.state, shared, last, ordinal, wake), events


def _numbered(rule: str, key: str, found: Found, last: Int64s, ordinal: Int64s) -> Event:
    place = 2 * found.key + (found.kind in _APART)
    ordinal[place] = ordinal[place] + 1 if last[place] == found.time else 0
    last[place] = found.time
    return Event(rule, key, found.kind, found.time, int(ordinal[place]), found.value, found.attributes)


def _wake(order: Order, due: Int64s | None, lateness: int) -> int:
    """Return at which receive time something comes due, or a sample that is held back can be given on."""
    if not len(order.pending) and (due is None or due.min(initial=NEVER) == NEVER):
        return NEVER
    first = np.full(len(order.newest), NEVER) if due is None else due.copy()
    np.minimum.at(first, order.pending.key, order.pending.time)
    waits = np.flatnonzero((first != NEVER) & (order.newest != BEFORE_ALL))
    if not len(waits):
        return NEVER
    return int((order.arrived[waits] + (first[waits] + waited(lateness) - order.newest[waits])).min())


def run(engine: Engine, batches: Sequence[SampleBatch]) -> Iterator[Event]:
    """Yield the events of some batches, from the beginning: what a rule would have found in them."""
    state = engine.initial()
    for batch in batches:
        state, events = engine.advance(state, batch, int(batch.receive_time.max(initial=BEFORE_ALL)))
        yield from events
