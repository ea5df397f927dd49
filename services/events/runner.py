"""Rules over the journal of this process: events and alarms of what is acknowledged, without a broker."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from analytics.alarms.classes import AlarmClass
from analytics.events.engine import Engine, Program, RuleError, version_of
from analytics.events.event import CAME, GONE, Event
from analytics.events.rules.documents import Rule
from analytics.events.rules.programs import program_of
from archiver.bootstrap import Archive
from archiver.model import ForebayError, SampleBatch
from archiver.model.time import now
from archiver.ports import JournalEntry
from services.events.raising import Raising
from services.events.store import EventStore
from services.events.taking import RETRY_S, OnDone, Taking

_LOG = logging.getLogger(__name__)
_ROWS = 20_000
_TICK_S = 0.25
_GRACE_NS = 1_000_000_000  # what is on its way to the journal is not overtaken by the clock
_CHECKPOINT_S = 2.0
_HOLD = "rules"
_STATE = "rule "


@dataclass(frozen=True)
class RunnerStatus:
    """How the rules are doing.

    Parameters
    ----------
    rules : int
        In force.
    lag : int
        Samples of the journal that they have not seen.
    late, repeated : int
        Samples that came too late for a rule, and those that one had seen before, since the state began.
    events : int
        Since the start.
    gaps : int
        Entries of the journal that were gone before the rules saw them, since the start.
    trouble : str
        What it waits for; empty when all is well.
    failed : mapping of str to str
        Rules that were taken out because they failed, and how.
    """

    rules: int
    lag: int
    late: int
    repeated: int
    events: int
    gaps: int
    trouble: str
    failed: Mapping[str, str]

    def to_row(self) -> dict[str, Any]:
        """Return it as plain values."""
        return asdict(self)


class Runner:
    """One thread that reads the journal behind the intake, as a lane does.

    Events and what they change are durable at once. Where the rules stand is kept every few seconds: after a crash they
    begin there again, and find the same events, whose ids are known.

    Parameters
    ----------
    archive : Archive
        Open.
    store : EventStore
    on_done : callable
        See `OnDone`.
    on_commit : callable
        Called after each commit that changed something.
    """

    def __init__(
        self,
        archive: Archive,
        store: EventStore,
        on_done: OnDone = lambda commit, done: None,
        on_commit: Callable[[], None] = lambda: None,
    ) -> None:
        self._archive = archive
        self._store = store
        self._taking = Taking(archive, store, on_done, on_commit)
        self._stopped = self._taking.stopped
        self._working = threading.Lock()
        self._engine = Engine(())
        self._state = self._kept = self._engine.initial()
        self._raising = Raising({}, {})
        self._stream = archive.journal.stream
        known = store.position(self._stream)
        self._offset = archive.journal.state().last if known is None else known
        self._checkpoint = time.monotonic()
        self._events = self._gaps = 0
        self._trouble = ""
        self._failed: dict[str, str] = {}
        self._thread = threading.Thread(target=self._run, name="rules", daemon=True)

    # -- life -----------------------------------------------------------------------------------------

    def start(self) -> None:
        """Start the thread; `use` says first which rules there are."""
        self._thread.start()

    def close(self) -> None:
        """Stop, and keep where the rules stand."""
        self._stopped.set()
        if self._thread.is_alive():
            self._thread.join()
        try:
            self._save()
        except ForebayError as exc:
            _LOG.warning("rules: %s; the next start reads some of the journal again", exc)

    def use(self, rules: Sequence[Rule], classes: Mapping[str, AlarmClass]) -> None:
        """Have just these rules in force; what is known of one that says the same as before stays known.

        A rule that is new begins with the latest sample of each element.

        Raises
        ------
        ConfigurationError
            A rule cannot run, or names a class of alarms that there is not; everything is as it was.
        """
        running = [rule for rule in rules if rule.enabled]
        programs = [program_of(rule) for rule in running]
        raising = Raising({rule.name: rule for rule in running}, classes)
        raising.check()
        with self._working:
            self._save()
            known, fresh = self._known(programs)
            events = self._begin(fresh, known)
            self._engine, self._raising = Engine(programs), raising
            self._state, self._kept = self._engine.restore(known), self._engine.initial()
            self._failed = {}
            self._forget([program.name for program in programs])
            self._take([*events, *self._over(fresh, events)])
            self._save()
        if not programs:
            self._archive.holds.release(_HOLD)

    def check(self, rule: Rule) -> None:
        """Raise `ConfigurationError` for a rule that cannot run."""
        program_of(rule)

    def members(self) -> dict[tuple[str, str], list[str]]:
        """Return the elements of each instance of each rule, by rule and key."""
        with self._working:
            return self._engine.members()

    def status(self) -> RunnerStatus:
        """Return how the rules are doing."""
        state = self._state
        lag = self._archive.journal.rows_after(self._offset) if self._engine.programs else 0
        counts = (lag, state.late, state.repeated, self._events, self._gaps)
        return RunnerStatus(len(self._engine.programs), *counts, self._trouble, dict(self._failed))

    # -- working --------------------------------------------------------------------------------------

    def _run(self) -> None:
        while not self._stopped.is_set():
            try:
                with self._working:
                    waits = self._once()
                self._trouble = ""
            except Exception as exc:  # noqa: BLE001 - without it there are no alarms any more
                expected = isinstance(exc, ForebayError)
                self._trouble = str(exc) if expected else repr(exc)
                _LOG.warning("rules: %s; it is tried again", self._trouble, exc_info=not expected)
                self._stopped.wait(RETRY_S)
                continue
            if waits:
                self._archive.journal.wait(self._offset, _TICK_S)

    def _once(self) -> bool:
        """Do what there is to do; return whether that was all."""
        entries = self._read()
        for entry in entries:
            batch = self._archive.catalog.canonical(entry.batch)
            self._advance(batch, int(entry.batch.receive_time.max(initial=0)))
            self._offset = entry.offset
        if not entries:
            self._advance(SampleBatch.empty(), now() - _GRACE_NS)
        self._taking.expire()
        if time.monotonic() - self._checkpoint > _CHECKPOINT_S:
            self._save()
        return not entries

    def _read(self) -> list[JournalEntry]:
        journal = self._archive.journal
        while True:
            first = journal.state().first
            if first > self._offset + 1:
                _LOG.error(
                    "rules: entries %d to %d of the journal were gone before they were looked at; a dry run "
                    "(forebay rules test) over that time tells what they would have found",
                    *(self._offset + 1, first - 1),
                )
                self._gaps += first - 1 - self._offset
                self._offset = first - 1
            entries = journal.read(self._offset, _ROWS)
            if not entries or entries[0].offset == self._offset + 1:
                return entries

    def _advance(self, batch: SampleBatch, clock: int) -> None:
        while True:
            try:
                state, events = self._engine.advance(self._state, batch, clock)
            except RuleError as exc:
                self._take_out(exc)
            else:
                break
        self._take(events)
        self._state = state

    def _take_out(self, error: RuleError) -> None:
        """Go on without a rule that fails; the next `use` tries it again."""
        _LOG.error("rule %s is taken out: %s", error.rule, error, exc_info=error)
        self._failed[error.rule] = str(error)
        saved = self._engine.save(self._state)
        self._engine = Engine([program for program in self._engine.programs if program.name != error.rule])
        self._state, self._kept = self._engine.restore(saved), self._engine.initial()

    def _take(self, events: Sequence[Event]) -> None:
        self._taking.take(self._raising, events, self._say)
        self._events += len(events)

    def _say(self, trouble: str) -> None:
        self._trouble = trouble

    def _save(self) -> None:
        """Keep where the rules stand."""
        self._checkpoint = time.monotonic()
        if self._state is self._kept and self._store.position(self._stream) == self._offset:
            return
        with self._store.commit() as commit:
            for name, state in self._engine.save(self._state, self._kept).items():
                commit.state(_STATE + name, state)
            commit.position(self._stream, self._offset)
        self._kept = self._state
        if self._engine.programs:
            self._archive.holds.hold(_HOLD, self._offset)

    def _known(self, programs: Sequence[Program]) -> tuple[dict[str, bytes], list[Program]]:
        """Return what was kept of rules that say the same as then, and the other rules."""
        known: dict[str, bytes] = {}
        for program in programs:
            state = self._store.state(_STATE + program.name)
            if state is not None and version_of(state) == program.version:
                known[program.name] = state
        return known, [program for program in programs if program.name not in known]

    def _begin(self, programs: Sequence[Program], known: dict[str, bytes]) -> list[Event]:
        """Let rules that are new see the latest samples; put what they know then among `known`."""
        if not programs:
            return []
        latest = self._archive.latest()
        engine = Engine(programs)
        in_order = latest.take(np.argsort(latest.source_time, kind="stable"))
        state, events = engine.advance(engine.initial(), in_order, now())
        known.update(engine.save(state))
        return events

    def _over(self, fresh: Sequence[Program], events: Sequence[Event]) -> list[Event]:
        """Return events that end what is active of rules that are gone, or that began anew and do not find it."""
        names = {program.name for program in self._engine.programs} - {program.name for program in fresh}
        found = {(event.rule, event.key) for event in events if event.kind == CAME}
        time = now()
        return [
            Event(alarm.rule, alarm.key, GONE, time, attributes={"reason": "the rule was changed or taken out"})
            for alarm in self._store.alarms()
            if alarm.active and alarm.rule not in names and (alarm.rule, alarm.key) not in found
        ]

    def _forget(self, names: Sequence[str]) -> None:
        """Forget the states of rules that are there no more: one that comes back begins anew."""
        with self._store.commit() as commit:
            commit.keep_states([_STATE + name for name in names])
