"""The life of an alarm against a slow, obvious model, which keeps nothing but a log and reads all of it each time."""

from __future__ import annotations

import json

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from analytics.alarms.actions import (
    Acknowledge,
    Comment,
    Expire,
    Reset,
    ReturnToService,
    Shelve,
    Signal,
    Suppress,
    TakeOutOfService,
    Unshelve,
    Unsuppress,
)
from analytics.alarms.alarm import Alarm
from analytics.alarms.classes import Acknowledgement, AlarmClass
from analytics.alarms.encoding import decode_alarm, encode
from analytics.alarms.life import IllegalActionError, step
from analytics.events.event import CAME, GONE, HAPPENED, Event

LONGEST = 40
PLACES = st.tuples(st.integers(0, 30), st.integers(0, 2))


class Log:
    """What was done, in order; every question is answered by reading it from its beginning."""

    def __init__(self, policy: str) -> None:
        self.policy = policy
        self.entries: list[tuple[str, int]] = []

    def holds(self, begin: str, *ends: str) -> bool:
        """The last of the named entries is a beginning."""
        named = [what for what, _ in self.entries if what == begin or what in ends]
        return bool(named) and named[-1] == begin

    @property
    def shelved(self) -> bool:
        return self.holds("shelved", "unshelved") or self.once

    @property
    def once(self) -> bool:
        return self.holds("shelved once", "unshelved")

    @property
    def hidden(self) -> bool:
        return self.shelved or self.holds("suppressed", "unsuppressed") or self.holds("out", "in")

    def since_came(self) -> list[str]:
        """What was done from the newest coming on."""
        names = [what for what, _ in self.entries]
        comings = [place for place, what in enumerate(names) if what.startswith("came")]
        return names[comings[-1] :] if comings else []

    @property
    def active(self) -> bool:
        return self.holds_coming() and not any(what.startswith("gone") for what in self.since_came())

    def holds_coming(self) -> bool:
        return bool(self.since_came())

    def owes(self) -> set[str]:
        """Which acknowledgements are owed now."""
        story, owed = self.since_came(), set[str]()
        if self.policy == "none" or not story:
            return owed
        seen = "came shown" in story or "announced" in story
        if (seen or self.active) and "acknowledged came" not in story:
            owed.add("came")
        if self.policy == "came_and_gone" and "gone shown" in story and "acknowledged gone" not in story:
            owed.add("gone")
        return owed

    @property
    def condition(self) -> str:
        if self.active:
            return "active_unacknowledged" if self.owes() else "active_acknowledged"
        if self.owes():
            return "returned_unacknowledged"
        waits = self.policy == "latched" and self.holds_coming() and "reset" not in self.since_came()
        return "latched" if waits else "normal"

    @property
    def state(self) -> str:
        if self.holds("out", "in"):
            return "out_of_service"
        if self.holds("suppressed", "unsuppressed"):
            return "suppressed"
        return "shelved" if self.shelved else self.condition

    def add(self, what: str, time: int = 0) -> None:
        was_hidden = self.hidden
        self.entries.append((what, time))
        unanswered = "acknowledged came" not in self.since_came()
        new = "came shown" not in self.since_came() and "announced" not in self.since_came()
        if was_hidden and not self.hidden and self.active and new and unanswered:
            self.entries.append(("announced", time))


class AlarmLife(RuleBasedStateMachine):
    """Drive both with the same actions."""

    @initialize(policy=st.sampled_from(Acknowledgement))
    def begin(self, policy: Acknowledgement) -> None:
        self.clock = 100
        self.alarm = Alarm("hot", "T1", AlarmClass("trip", 70, policy, longest_shelving_ns=LONGEST))
        self.log = Log(policy.value)
        self.given: list[Signal] = []
        self.newest: tuple[int, int] | None = None
        self.history: dict[str, object] = {}
        self.due = 0
        self.announced: list[str] = []

    def act(self, action, legal: bool) -> bool:
        """Take an action on the real one; it is refused exactly where the model says so."""
        try:
            alarm, told = step(self.alarm, action)
        except IllegalActionError:
            assert not legal, action
            return False
        assert legal, action
        assert not told or told[0].before == self.alarm.state
        for one in told:
            assert self.history.setdefault(one.id, one) == one
        self.announced += [one.occurrence for one in told if one.annunciated]
        assert alarm.revision == self.alarm.revision + sum(one.effect != "late" for one in told)
        self.alarm = alarm
        return True

    def operate(self, action, legal: bool, *entries: str) -> None:
        if self.act(action, legal):
            for entry in entries:
                self.log.add(entry, self.clock)

    @rule(kind=st.sampled_from([CAME, GONE, HAPPENED]), place=PLACES, ahead=st.integers(0, 4), late=st.booleans())
    def signal(self, kind, place, ahead, late):
        newest = self.newest or (0, -1)
        time, ordinal = place if late else (newest[0] + ahead, newest[1] + 1 if ahead == 0 else place[1])
        same = [one for one in self.given if (one.event.time, one.event.ordinal) == (time, ordinal)]
        self.feed(same[0] if same else Signal(Event("hot", "T1", kind, time, ordinal)))

    @rule(data=st.data())
    def again(self, data):
        if self.given:
            self.feed(data.draw(st.sampled_from(self.given)))

    def feed(self, signal: Signal) -> None:
        event = signal.event
        place = event.time, event.ordinal
        if event.id in self.history:  # it is kept by id, and the first one counts
            before = self.alarm
            self.alarm, told = step(self.alarm, signal)
            assert self.alarm == before
            assert {one.id for one in told} <= {event.id}
            return
        self.given.append(signal)
        taken = self.newest is None or place > self.newest
        self.act(signal, True)
        assert event.id in self.history
        if not taken:
            assert self.history[event.id].effect == "late"
            return
        self.newest = place
        if self.log.active is not (event.kind == GONE):
            assert self.history[event.id].effect == "repeated"
            return
        word = "hidden" if self.log.hidden else "shown"
        if event.kind != GONE:
            self.log.add(f"came {word}")
        if event.kind != CAME:
            self.log.add(f"gone {word}")
            if self.log.once:
                self.log.add("unshelved")

    @rule()
    def acknowledge(self):
        owed = sorted(self.log.owes())
        self.operate(Acknowledge(self.clock, "ann"), bool(owed), *(f"acknowledged {one}" for one in owed))

    @rule()
    def reset(self):
        self.operate(Reset(self.clock, "ann"), self.log.condition == "latched", "reset")

    @rule(duration=st.integers(1, LONGEST) | st.none())
    def shelve(self, duration):
        word = "shelved once" if duration is None else "shelved"
        legal = not self.log.shelved
        self.operate(Shelve(self.clock, "bob", "noisy", duration), legal, word)
        self.due = self.clock + (duration or LONGEST) if legal else self.due

    @rule()
    def unshelve(self):
        self.operate(Unshelve(self.clock, "bob"), self.log.shelved, "unshelved")

    @rule(passed=st.integers(0, LONGEST))
    def expire(self, passed):
        self.clock += passed
        ends = self.log.shelved and self.clock >= self.due
        self.operate(Expire(self.clock), True, *(["unshelved"] if ends else []))

    @rule(on=st.booleans())
    def suppress(self, on):
        action = Suppress(self.clock, "stopped") if on else Unsuppress(self.clock)
        legal = self.log.holds("suppressed", "unsuppressed") is not on
        self.operate(action, legal, "suppressed" if on else "unsuppressed")

    @rule(out=st.booleans())
    def serve(self, out):
        action = TakeOutOfService(self.clock, "cid", "test") if out else ReturnToService(self.clock, "cid")
        self.operate(action, self.log.holds("out", "in") is not out, "out" if out else "in")

    @rule()
    def comment(self):
        self.operate(Comment(self.clock, "dee", "seen"), True)

    @invariant()
    def they_agree(self):
        assert (self.alarm.state, self.alarm.condition) == (self.log.state, self.log.condition)
        assert self.alarm.active is self.log.active
        assert self.alarm.hidden is self.log.hidden

    @invariant()
    def an_occurrence_is_announced_once_at_most(self):
        assert len(set(self.announced)) == len(self.announced)
        shown = sum(what in ("came shown", "announced") for what, _ in self.log.entries)
        assert len(self.announced) == shown

    @invariant()
    def a_store_can_keep_it(self):
        assert decode_alarm(json.loads(json.dumps(encode(self.alarm)))) == self.alarm


TestAlarmLife = AlarmLife.TestCase
