"""The data base of events against dictionaries: random commits, some of which fail, and files opened again."""

from __future__ import annotations

import shutil
import tempfile
from copy import deepcopy
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from analytics.alarms.actions import Acknowledge, Comment, Shelve, Signal
from analytics.alarms.alarm import Alarm, alarm_id
from analytics.alarms.classes import DEFAULT_CLASSES
from analytics.alarms.life import IllegalActionError, step
from analytics.alarms.transition import SCHEMA, to_table
from analytics.events.event import CAME, GONE, HAPPENED, Event
from archiver.model import Interval
from services.events.frames import Frame
from services.events.store import FILE, EventStore

KEYS = st.sampled_from("ab")
TIMES = st.integers(0, 12)
EVENTS = st.builds(
    Event, st.just("hot"), KEYS, st.sampled_from([CAME, GONE, HAPPENED]), TIMES, st.integers(0, 1), st.just(1.5)
)
ACTIONS = st.one_of(
    st.builds(Acknowledge, TIMES, st.just("ann")),
    st.builds(Comment, TIMES, st.just("bob"), st.just("seen")),
    st.builds(Shelve, TIMES, st.just("cid"), st.just("noisy"), st.integers(1, 5)),
)
FRAMES = st.builds(
    Frame, st.sampled_from(["f", "g", "h"]), st.just("hot"), KEYS, TIMES, st.none() | st.integers(12, 20)
)
PARTS = st.lists(
    st.one_of(
        st.tuples(st.just("event"), EVENTS),
        st.tuples(st.just("action"), st.tuples(KEYS, ACTIONS)),
        st.tuples(st.just("frame"), FRAMES),
        st.tuples(st.just("recalculate"), st.tuples(TIMES, TIMES, FRAMES)),
        st.tuples(st.just("annotate"), st.sampled_from(["f", "g", "h"])),
        st.tuples(st.just("state"), st.binary(max_size=3)),
        st.tuples(st.just("position"), st.integers(0, 9)),
    ),
    max_size=6,
)


class Broken(Exception):  # noqa: N818
    """What makes a commit fail."""


class Kept:
    """What should be there."""

    def __init__(self) -> None:
        self.events: dict[str, Event] = {}
        self.alarms: dict[str, Alarm] = {}
        self.history: dict[str, object] = {}
        self.occurrences: dict[str, object] = {}
        self.frames: dict[str, Frame] = {}
        self.notes: list[tuple[str, int | None]] = []
        self.state: bytes | None = None
        self.position: int | None = None

    def take(self, after, told) -> None:
        self.alarms[after.id] = after
        if after.occurrence is not None:
            self.occurrences[after.occurrence.id] = after.occurrence
        for one in told:
            self.history.setdefault(one.id, one)


class StoreMachine(RuleBasedStateMachine):
    @initialize()
    def begin(self) -> None:
        self.directory = Path(tempfile.mkdtemp())
        self.store = EventStore(self.directory / FILE)
        self.kept = Kept()

    def teardown(self) -> None:
        if hasattr(self, "store"):
            self.store.close()
            shutil.rmtree(self.directory)

    @rule(parts=PARTS, fails=st.booleans())
    def commit(self, parts, fails):
        kept = deepcopy(self.kept)
        try:
            with self.store.commit() as tx:
                for name, given in parts:
                    getattr(self, f"do_{name}")(tx, kept, given)
                if fails:
                    raise Broken
        except Broken:
            return
        self.kept = kept

    def do_event(self, tx, kept, event):
        new = tx.events([event])
        assert new == ([] if event.id in kept.events else [event])
        kept.events[event.id] = kept.events.get(event.id, event)
        for one in new:
            before = tx.alarm(alarm_id(one.rule, one.key))
            assert before == kept.alarms.get(alarm_id(one.rule, one.key))
            done = step(before or Alarm(one.rule, one.key, DEFAULT_CLASSES["alert"]), Signal(one))
            tx.alarms([done])
            kept.take(*done)

    def do_action(self, tx, kept, given):
        key, action = given
        before = kept.alarms.get(alarm_id("hot", key))
        if before is None:
            return
        try:
            expected = step(before, action)
        except IllegalActionError:
            return
        assert tx.act(before.id, action) == expected
        kept.take(*expected)

    def do_frame(self, tx, kept, frame):
        tx.frames([frame])
        known = kept.frames.get(frame.id, frame)
        kept.frames[frame.id] = Frame(known.id, known.rule, known.key, known.opened, frame.closed, frame.attributes)

    def do_recalculate(self, tx, kept, given):
        start, end, frame = min(given[:2]), max(given[:2]), given[2]
        kept.frames = {name: one for name, one in kept.frames.items() if not start <= one.opened < end}
        tx.recalculate("hot", Interval(start, end), [])
        self.do_frame(tx, kept, frame)

    def do_annotate(self, tx, kept, frame):
        if frame in kept.frames:
            tx.annotate(frame, len(kept.notes), "ann", "x")
            kept.notes.append((frame, len(kept.notes)))

    def do_state(self, tx, kept, state):
        tx.state("runner", state)
        kept.state = state

    def do_position(self, tx, kept, position):
        tx.position("journal", position)
        kept.position = position

    @rule()
    def open_again(self):
        self.store.close()
        self.store = EventStore(self.directory / FILE)

    @invariant()
    def it_is_all_there(self):
        store, kept = self.store, self.kept
        assert store.events() == sorted(kept.events.values(), key=lambda event: event.order)
        assert {alarm.id: alarm for alarm in store.alarms()} == kept.alarms
        assert store.transitions().select(SCHEMA.names).equals(to_table(kept.history.values()))
        assert {one.id: one for _, one in store.occurrences()} == kept.occurrences
        assert {frame.id: frame for frame in store.frames()} == kept.frames
        lost = [note.time for note in store.lost_annotations()]
        assert lost == [time for frame, time in kept.notes if frame not in kept.frames]
        for frame in kept.frames.values():
            own = {time for name, time in kept.notes if name == frame.id}
            assert own <= {note.time for note in store.annotations(frame)} <= own | set(lost)
        assert (store.state("runner"), store.position("journal")) == (kept.state, kept.position)


def test_the_store_keeps_what_dictionaries_keep() -> None:
    run_state_machine_as_test(StoreMachine, settings=settings(settings.default, stateful_step_count=15))
