"""Rules, events and alarms as one caller sees them, and what he does, on record."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import Any, TypeVar

import pyarrow as pa

from analytics.alarms.actions import Action
from analytics.alarms.alarm import Alarm, Occurrence
from analytics.events.event import Event
from analytics.events.rules.documents import Rule
from archiver.model import Interval, NotFoundError, format_time
from archiver.model.time import now
from services.common.security import View
from services.events.commit import unknown_alarm
from services.events.frames import Annotation, Frame
from services.events.rulebook import RuleVersion
from services.events.service import EventService

T = TypeVar("T")


class Desk:
    """What a caller may see of rules, events and alarms, and do to them.

    A caller with archive groups sees what is about elements of his alone: an instance of a rule all of whose elements
    are his. What he does not see is not there for him.

    Parameters
    ----------
    service : EventService
    view : View
        The caller's, of the archive.
    """

    def __init__(self, service: EventService, view: View) -> None:
        self._service = service
        self._view = view

    # -- asking ---------------------------------------------------------------------------------------

    def sees(self, rule: str, key: str) -> bool:
        """Return whether an instance of a rule is there for the caller."""
        if self._view.sight.is_whole:
            return True
        elements = self._members.get((rule, key), ())
        return bool(elements) and all(self._view.sight.admits(name) for name in elements)

    @cached_property
    def _members(self) -> Mapping[tuple[str, str], Sequence[str]]:
        return self._service.runner.members()

    def check_holds(self) -> None:
        """Raise `UnauthorizedError` once the caller's credentials have ended."""
        self._view.check_holds()

    def alarms(self) -> list[Alarm]:
        """Return all alarms."""
        return [alarm for alarm in self._service.store.alarms() if self.sees(alarm.rule, alarm.key)]

    def alarm(self, name: str) -> Alarm:
        """Return an alarm by its id. Raises `NotFoundError` where there is none to be seen."""
        alarm = self._service.store.alarm(name)
        if not self.sees(alarm.rule, alarm.key):
            raise unknown_alarm(name)
        return alarm

    def occurrences(self, interval: Interval, alarm: str, limit: int) -> list[tuple[Alarm, Occurrence]]:
        """Return what came in an interval, newest first."""
        if alarm:
            self.alarm(alarm)
        found = self._service.store.occurrences(interval, alarm, None if self._restricted else limit)
        return [pair for pair in found if self.sees(pair[0].rule, pair[0].key)][:limit]

    def history(self, interval: Interval, alarm: str = "", limit: int | None = None) -> pa.Table:
        """Return transitions of an interval, as columns of `services.events.store.HISTORY`."""
        found = self._service.store.transitions(interval, alarm, limit=None if self._restricted else limit)
        if self._restricted:
            pairs = zip(found["rule"].to_pylist(), found["key"].to_pylist(), strict=True)
            found = found.filter(pa.array([self.sees(rule, key) for rule, key in pairs], pa.bool_()))
        return found if limit is None else found.slice(0, limit)

    def events(self, interval: Interval, rules: Sequence[str], limit: int) -> list[Event]:
        """Return events of an interval in order."""
        found = self._service.store.events(interval, rules, None if self._restricted else limit)
        return [event for event in found if self.sees(event.rule, event.key)][:limit]

    def frames(
        self, interval: Interval, rule: str, keys: Sequence[str], limit: int
    ) -> list[tuple[Frame, Sequence[Annotation]]]:
        """Return the frames that an interval meets, with what was written about each."""
        store = self._service.store
        found = store.frames(interval, rule, keys, None if self._restricted else limit)
        seen = [frame for frame in found if self.sees(frame.rule, frame.key)][:limit]
        return [(frame, store.annotations(frame)) for frame in seen]

    def rules(self) -> list[RuleVersion]:
        """Return the rules in force."""
        return self._service.rulebook.current()

    def rule_history(self, name: str) -> Sequence[RuleVersion]:
        """Return every version of a rule, newest first."""
        return self._service.rulebook.history(name)

    @property
    def _restricted(self) -> bool:
        return not self._view.sight.is_whole

    # -- doing ----------------------------------------------------------------------------------------

    def act(self, name: str, action: Action) -> Alarm:
        """Do something to an alarm."""
        alarm = self.alarm(name)
        what = type(action).__name__.lower()
        said = {"alarm": alarm.name, "id": name, "comment": getattr(action, "comment", getattr(action, "reason", ""))}
        return self._record(f"alarm: {what}", said, lambda: self._service.act(name, action))

    def annotate(self, frame: str, text: str) -> Annotation:
        """Write something about a frame."""

        def write() -> Annotation:
            with self._service.store.commit() as commit:
                return commit.annotate(frame, now(), self.user, text)

        self._check_frame(frame)
        return self._record("annotate frame", {"frame": frame}, write)

    def put_rule(self, rule: Rule) -> RuleVersion:
        """Put a rule in force."""
        self._view.check_whole()
        what = {"rule": rule.name, "version": rule.version}
        return self._record("put rule", what, lambda: self._service.put_rule(rule, self.user))

    def recalculate(self, name: str, interval: Interval, find: Callable[[Rule], Sequence[Event]]) -> list[Frame]:
        """Put in place of the frames that a rule opened in an interval those that it finds now; annotations stay.

        Parameters
        ----------
        name : str
        interval : Interval
        find : callable
            Gives the events of the rule.
        """
        self._view.check_whole()
        rule = self._service.rulebook.get(name)
        what = {"rule": name, "start": format_time(interval.start), "end": format_time(interval.end)}

        def calculate() -> list[Frame]:
            frames = Frame.of(find(rule))
            with self._service.store.commit() as commit:
                commit.recalculate(name, interval, frames)
            return frames

        return self._record("recalculate frames", what, calculate)

    def remove_rule(self, name: str) -> None:
        """Take a rule out."""
        self._view.check_whole()
        self._record("remove rule", {"rule": name}, lambda: self._service.remove_rule(name, self.user))

    @property
    def user(self) -> str:
        """Who does what is done."""
        return self._view.caller.principal.name

    def _check_frame(self, name: str) -> None:
        if self._restricted:
            found = self._service.store.frame(name)
            if found is None or not self.sees(found.rule, found.key):
                raise NotFoundError(f"there is no event frame {name!r}: list frames to see their ids")

    def _record(self, action: str, what: dict[str, Any], do: Callable[[], T]) -> T:
        with self._view.changing(action, **what):
            return do()
