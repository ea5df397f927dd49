"""What becomes of events: alarms, frames, and notices of those who are to be told."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from analytics.alarms.actions import Action, Expire, Signal, Suppress, Unsuppress
from analytics.alarms.alarm import Alarm, alarm_id
from analytics.alarms.classes import AlarmClass
from analytics.alarms.life import step
from analytics.alarms.transition import Transition
from analytics.events.event import CAME, GONE, HAPPENED, SUPPRESSED, UNSUPPRESSED, Event
from analytics.events.rules.documents import RESERVED, Rule, States
from archiver.model import ConfigurationError
from archiver.model.near import did_you_mean
from services.events.commit import Commit
from services.events.frames import frames_of

Done = tuple[Alarm, Transition]
"""A change of an alarm, and how the alarm is with it."""


@dataclass(frozen=True)
class Raising:
    """Makes alarms of events, as the rules in force say.

    Parameters
    ----------
    rules : mapping of str to Rule
        By name; an event of another one changes an alarm that is there, and raises none.
    classes : mapping of str to AlarmClass
    """

    rules: Mapping[str, Rule]
    classes: Mapping[str, AlarmClass]

    def check(self) -> None:
        """Raise when a rule names a class that there is not.

        Raises
        ------
        ConfigurationError
        """
        problems = [
            f"rule {rule.name}: alarm = {rule.alarm!r}: no such class of alarms; "
            + did_you_mean(rule.alarm, list(self.classes), f"there are: {', '.join(self.classes)}")
            for rule in self.rules.values()
            if rule.alarm is not None and rule.alarm not in self.classes
        ]
        if problems:
            raise ConfigurationError(problems)

    def take(self, commit: Commit, events: Iterable[Event]) -> list[Done]:
        """Keep what events change; return the transitions of alarms.

        Parameters
        ----------
        commit : Commit
            Events that it has are not taken again.
        events : iterable of Event
            In order.
        """
        done: list[Done] = []
        for event in commit.events(events):
            _frame(commit, event)
            done += self._alarm(commit, event)
        return done

    def _alarm(self, commit: Commit, event: Event) -> list[Done]:
        rule = self.rules.get(event.rule)
        before = commit.alarm(alarm_id(event.rule, event.key))
        raises = rule is not None and rule.alarm is not None
        if isinstance(rule, States) and event.kind not in RESERVED:
            event = replace(event, kind=CAME if event.kind in rule.alarm_states else GONE)
            if (event.kind == CAME) is (before is not None and before.active):
                return []  # from one state to another in which the alarm is there, or is not
        if before is None:
            if not raises or event.kind not in (CAME, HAPPENED, SUPPRESSED):
                return []
            assert rule is not None
            before = Alarm(event.rule, event.key, self.class_of(rule))
            commit.alarms([(before, ())])
        elif raises:
            assert rule is not None
            before = replace(before, alarm_class=self.class_of(rule))
        action = self._action(before, event, rule)
        return [] if action is None else act(commit, before, action)

    def class_of(self, rule: Rule) -> AlarmClass:
        """Return the class of a rule's alarms."""
        return self.classes[rule.alarm or ""]

    def _action(self, alarm: Alarm, event: Event, rule: Rule | None) -> Action | None:
        if event.kind in (CAME, GONE, HAPPENED):
            return Signal(event, _text(rule, event))
        if event.kind == SUPPRESSED and alarm.suppression is None:
            return Suppress(event.time, f"suppressed_by of {event.rule}")
        if event.kind == UNSUPPRESSED and alarm.suppression is not None:
            return Unsuppress(event.time)
        return None


def expire(commit: Commit, due: Sequence[str], time: int) -> list[Done]:
    """End the shelvings that are due; return the transitions."""
    found = (commit.alarm(name) for name in due)
    return [done for alarm in found if alarm is not None for done in act(commit, alarm, Expire(time))]


def act(commit: Commit, alarm: Alarm, action: Action) -> list[Done]:
    """Do something to an alarm as it is in the transaction, and keep what became of it."""
    after, transitions = step(alarm, action)
    if after != alarm or transitions:
        commit.alarms([(after, transitions)])
    return [(after, transition) for transition in transitions]


def _text(rule: Rule | None, event: Event) -> str:
    if rule is None:
        return event.rule
    template = rule.text or rule.description or rule.name
    value = "no value" if event.value is None else event.value if isinstance(event.value, str) else f"{event.value:g}"
    filled = {"{key}": event.key, "{rule}": event.rule, "{value}": value}
    for name, text in filled.items():
        template = template.replace(name, text)
    return template


def _frame(commit: Commit, event: Event) -> None:
    opened = None if event.kind == HAPPENED else commit.open_frame(event.rule, event.key)
    commit.frames(frames_of(event, opened))
