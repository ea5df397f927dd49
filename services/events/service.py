"""What watches the samples of an archive, in its process: rules, alarms, and who is told of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from analytics.alarms.actions import Action
from analytics.alarms.alarm import Alarm
from analytics.alarms.classes import Acknowledgement, AlarmClass, classes_of
from analytics.events.rules.documents import Rule
from analytics.events.rules.loading import load
from archiver.bootstrap import Archive
from archiver.config import Settings
from archiver.model.time import now
from services.events.commit import Commit
from services.events.notify import Notifications, Outbox, enqueue, notice_of
from services.events.raising import Done, Raising
from services.events.rulebook import Rulebook, RuleVersion
from services.events.runner import Runner
from services.events.store import FILE, EventStore
from services.events.waking import Waking

if TYPE_CHECKING:
    from services.events.following import Follower


class EventService:
    """Rules in force over an archive.

    Parameters
    ----------
    archive : Archive
        Open from `start` on.

    Attributes
    ----------
    store : EventStore
    rulebook : Rulebook
    runner : Runner or Follower
        Watches the samples, or has workers do so.
    notifications : Notifications
    outbox : Outbox
    waking : Waking
        Wakes those who watch alarms.
    """

    def __init__(self, archive: Archive) -> None:
        self._archive = archive
        self.classes = _classes(archive.settings)
        _rules_of_files(archive.settings)  # what is wrong with them is told before anything runs

    def start(self, waking: Waking) -> None:
        """Begin to watch.

        Parameters
        ----------
        waking : Waking
            Of the event loop in which callers are answered.
        """
        self.waking = waking
        self.store = EventStore(self._archive.directory / FILE)
        self.rulebook = Rulebook(self.store.store)
        self.outbox = Outbox(self.store.store)
        self.notifications = Notifications(self.outbox)
        self.runner = self._watcher()
        self.use(self._archive.settings)
        self._archive.on_reload.append(self.use)
        self.runner.start()

    def _watcher(self) -> Runner | Follower:
        """Return what finds the events, or fetches them from those who do."""
        given = self._archive, self.store, _queue_notices, self._changed
        if not self._archive.settings.events.topic:
            return Runner(*given)
        from services.events.following import Follower  # what it needs comes with the extra kafka

        return Follower(*given)

    def close(self) -> None:
        """Stop; what was not told yet is told after the next start."""
        self._archive.on_reload.remove(self.use)
        self.runner.close()
        self.notifications.close()
        self.store.close()

    def use(self, settings: Settings) -> list[str]:
        """Put in force what the configuration says of rules, classes and notifications; return what changed, in words.

        Raises
        ------
        ConfigurationError, InvalidInputError
            Something is wrong with it.
        """
        classes = _classes(settings)
        files = _rules_of_files(settings)
        before = {version.name: version.number for version in self.rulebook.current()}
        self.rulebook.use_files(files, now())
        self.runner.use(self.rulebook.rules(), classes)
        self.classes = classes
        after = {version.name: version.number for version in self.rulebook.current()}
        changed = [
            f"rule {name} changed" if name in before else f"rule {name} added"
            for name in after
            if after[name] != before.get(name)
        ]
        removed = [f"rule {name} removed" for name in before if name not in after]
        return changed + removed + self.notifications.use(settings.notify)

    def put_rule(self, rule: Rule, user: str) -> RuleVersion:
        """Put a rule in force.

        Raises
        ------
        ConfigurationError
            It cannot run, or names a class of alarms that there is not.
        InvalidInputError
            One of its name comes from a file.
        """
        Raising({rule.name: rule}, self.classes).check()
        self.runner.check(rule)
        version = self.rulebook.put(rule, user, now())
        self.runner.use(self.rulebook.rules(), self.classes)
        return version

    def remove_rule(self, name: str, user: str) -> None:
        """Take a rule out; what it found stays, and what is active of it is over."""
        self.rulebook.remove(name, user, now())
        self.runner.use(self.rulebook.rules(), self.classes)

    def act(self, alarm: str, action: Action) -> Alarm:
        """Do something to an alarm; return it as it is then. Raises as `Commit.act`."""
        with self.store.commit() as commit:
            after, transitions = commit.act(alarm, action)
            _queue_notices(commit, [(after, transition) for transition in transitions])
        self._changed()
        return after

    def _numbers(self) -> dict[str, int]:
        return {version.name: version.number for version in self.rulebook.current()}

    def _changed(self) -> None:
        self.notifications.wake()
        self.waking.wake()


def _queue_notices(commit: Commit, done: Sequence[Done]) -> None:
    notices = [notice_of(transition, alarm) for alarm, transition in done]
    enqueue(commit.connection, [notice for notice in notices if notice is not None])


def _classes(settings: Settings) -> dict[str, AlarmClass]:
    return classes_of(
        AlarmClass(own.name, own.priority, Acknowledgement(own.acknowledgement), own.longest_shelving)
        for own in settings.alarm_classes
    )


def _rules_of_files(settings: Settings) -> list[tuple[str, list[Rule]]]:
    return [(str(path), load(path)) for path in settings.events.rules]
