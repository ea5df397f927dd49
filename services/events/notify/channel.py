"""One channel: a thread that tells one party what it is to be told, when it is due, and again until it has arrived."""

from __future__ import annotations

import logging
import random
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from archiver import registry
from archiver.config import NotifySettings
from archiver.model import BackpressureError, ForebayError, PermanentError, format_time
from archiver.model.time import MAX_TIME, NANOSECONDS, now
from services.events.notify.mailbox import Mailbox, Member, Pending
from services.events.notify.notice import Group
from services.events.notify.notifier import Grouping, Notifier, grouping_of
from services.events.notify.outbox import Outbox
from services.events.notify.quiet import quiet_until
from services.events.notify.routing import Match, Route

_LOG = logging.getLogger(__name__)
_POLL_S = 1.0
_LONGEST_STOP_S = 60.0


@dataclass(frozen=True)
class ChannelStatus:
    """How a channel is doing.

    Parameters
    ----------
    name, kind : str
    state : str
        ``idle``, ``waiting`` (for more alarms, or the end of quiet hours) or ``retrying``.
    waiting : int
        Notices that have not been told yet.
    oldest : int or None
        Since when the oldest of them waits, ns.
    next : int or None
        When it sends next, ns; None where nothing is due.
    sent : int
        Messages since the start.
    last_sent : int or None
        When the last of them was taken, ns.
    failures : int
        Failed attempts since the last success.
    last_error : str
        Why the last attempt failed; empty after a success.
    failed : int
        Notices that could not be told, and are kept.
    """

    name: str
    kind: str
    state: str
    waiting: int
    oldest: int | None
    next: int | None
    sent: int
    last_sent: int | None
    failures: int
    last_error: str
    failed: int

    def to_row(self) -> dict[str, Any]:
        """Return it as plain values."""
        times = {name: getattr(self, name) for name in ("oldest", "next", "last_sent")}
        return {
            **{
                name: getattr(self, name) for name in ("name", "kind", "state", "waiting", "failed", "sent", "failures")
            },
            **{name: None if time is None else format_time(time) for name, time in times.items()},
            "last_error": self.last_error,
        }


@dataclass
class _Trouble:
    """Attempts that failed one after the other, and when the next one makes sense (ns)."""

    failures: int = 0
    until: int = 0


class Channel:
    """Takes from the outbox what concerns it, and sends what is due.

    Parameters
    ----------
    settings : NotifySettings
    outbox : Outbox
    clock : callable, optional
        Gives the time, ns.

    Raises
    ------
    ConfigurationError
        The kind is not installed.
    """

    def __init__(self, settings: NotifySettings, outbox: Outbox, clock: Callable[[], int] = now) -> None:
        kind = registry.load(registry.NOTIFIERS, settings.kind)
        self.settings = settings
        self._notifier: Notifier = kind(settings.name, settings.options(registry.NOTIFIERS))
        self._grouping: Grouping = grouping_of(settings, kind.grouping)
        self._urgent = [Match(hours.unless) for hours in settings.quiet_hours if hours.unless is not None]
        route = Route(settings, self._grouping.by)
        self._mailbox = Mailbox(outbox.store, settings.name, route, self._grouping)
        self._clock = clock
        self._trouble = _Trouble()
        self._troubled: dict[str, _Trouble] = {}
        self._next = 0
        self._sent = 0
        self._last_sent: int | None = None
        self._last_error = ""
        self._stopped = threading.Event()
        self._stale = threading.Event()
        self._wake = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"notify-{settings.name}", daemon=True)

    # -- life -----------------------------------------------------------------------------------------

    def open(self) -> None:
        """Take part in the outbox from now on."""
        self._mailbox.open()

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def wake(self) -> None:
        """Look now at what is to be told."""
        self._stale.set()
        self._wake.set()

    def ask_to_stop(self) -> None:
        """Let the thread end after the message that it is sending."""
        self._stopped.set()
        self._wake.set()

    def join(self) -> None:
        """Wait until the thread has ended, or what it sends to has been slow for too long: then it is left behind."""
        self._thread.join(_LONGEST_STOP_S)
        if self._thread.is_alive():
            _LOG.warning("channel %s does not come to an end; its message is sent again later", self.settings.name)

    def status(self) -> ChannelStatus:
        """Return how it is doing."""
        waiting, oldest, failed = self._mailbox.backlog()
        failures = self._trouble.failures
        return ChannelStatus(
            self.settings.name,
            self.settings.kind,
            "retrying" if failures else "waiting" if waiting else "idle",
            waiting,
            oldest,
            self._next if 0 < self._next < MAX_TIME else None,
            self._sent,
            self._last_sent,
            failures,
            self._last_error,
            failed,
        )

    def _run(self) -> None:
        while not self._stopped.is_set():
            self._wake.clear()
            try:
                due = self.step()
            except Exception as exc:  # noqa: BLE001 - of the data base: a full disk, a lock; it goes on after that
                if self._last_error != str(exc):
                    _LOG.exception("channel %s cannot work on its queue; it tries again", self.settings.name)
                self._last_error = str(exc)
                due = MAX_TIME
            self._wake.wait(min(max((due - self._clock()) / NANOSECONDS, 0.0), _POLL_S))

    # -- work -----------------------------------------------------------------------------------------

    def step(self) -> int:
        """Take over what is new, and send what is due, until something fails; return when to come again (ns)."""
        taken = self._mailbox.take(self._clock())
        if not taken and not self._stale.is_set() and self._clock() < self._next:
            return self._next
        self._stale.clear()
        while taken and not self._stopped.is_set():  # all of a flood, so that it makes few messages
            taken = self._mailbox.take(self._clock())
        time = self._clock()
        groups = self._in_order(time)
        due = [group for when, group in groups if when <= time]
        for group in due:
            if self._stopped.is_set() or not self._send(group):
                break
        if due:
            self._next = time  # what comes next is looked up at once
        else:
            self._next = groups[0][0] if groups else MAX_TIME
        return self._next

    def _in_order(self, time: int) -> list[tuple[int, Pending]]:
        """Return when each group is to be told (ns), the first ones first; those that fail come after the others."""
        groups = [(self._due(group, time), group) for group in self._mailbox.pending()]
        return sorted(groups, key=lambda found: (found[0], self._trouble_of(found[1]).failures))

    def _due(self, group: Pending, time: int) -> int:
        """Return when a group is to be told, ns; `MAX_TIME` for never."""
        grouping = self._grouping
        if group.waits is not None:
            due = max(group.waits + grouping.wait_ns, group.sent + grouping.interval_ns if group.sent else 0)
        elif group.repeats and grouping.repeat_ns:
            due = group.sent + grouping.repeat_ns
        else:
            return MAX_TIME
        due = max(due, time)
        calm = quiet_until(self.settings.quiet_hours, due)
        if calm > due and not self._is_urgent(group):
            due = calm
        return max(due, self._trouble.until, self._trouble_of(group).until)

    def _trouble_of(self, group: Pending) -> _Trouble:
        return self._troubled.get(group.key, _Trouble())

    def _is_urgent(self, group: Pending) -> bool:
        """Return whether something is to be told of a group in quiet hours, too."""
        if not self._urgent:
            return False
        members = self._mailbox.members(group)
        told = [member.notice for member in members if (member.waits is None) == (group.waits is None)]
        return any(match(notice) for match in self._urgent for notice in told)

    def _send(self, group: Pending) -> bool:
        """Send the message of a group; return whether the other side answered."""
        members = self._mailbox.members(group)
        message = Group(
            self.settings.name,
            group.labels,
            tuple(member.notice for member in members),
            frozenset(member.notice.id for member in members if member.waits is not None),
            group.number,
            self._grouping.repeat_ns,
        )
        try:
            self._notifier.send(message)
        except PermanentError as exc:
            self._refused(group, members, str(exc))
        except Exception as exc:  # noqa: BLE001 - whatever a notifier stumbles over, what is to be told is not lost
            if not isinstance(exc, ForebayError):
                _LOG.exception("channel %s: its notifier is broken", self.settings.name)
            self._failed(group, members, exc)
            return False
        else:
            self._last_sent = self._clock()
            self._mailbox.told(group, members, self._last_sent)
            self._sent += 1
            self._arrived(group, "")
        return True

    def _arrived(self, group: Pending, error: str) -> None:
        """Note that the other side answers; `error` is what it refused the message for."""
        self._trouble = _Trouble()
        self._troubled.pop(group.key, None)
        self._last_error = error

    def _refused(self, group: Pending, members: Sequence[Member], reason: str) -> None:
        _LOG.error("channel %s: a message is refused for good: %s", self.settings.name, reason)
        self._mailbox.fail(group, members, reason, self._clock())
        self._arrived(group, reason)

    def _failed(self, group: Pending, members: Sequence[Member], error: Exception) -> None:
        """Wait before the next attempt, longer each time; set aside what has waited for too long."""
        time = self._clock()
        reason = str(error) or type(error).__name__
        if not self._trouble.failures:
            _LOG.warning("channel %s: a message cannot be sent, it is tried again: %s", self.settings.name, reason)
        old = [m for m in members if m.waits is not None and m.waits <= time - self.settings.give_up_after]
        if old:
            _LOG.error("channel %s gives up %d notices: %s", self.settings.name, len(old), reason)
            self._mailbox.fail(group, old, f"given up: {reason}", time)
        least = error.retry_after_s if isinstance(error, BackpressureError) else 0.0
        troubled = self._troubled.setdefault(group.key, _Trouble())
        for trouble in (self._trouble, troubled):
            trouble.failures += 1
            trouble.until = time + max(self._pause(trouble.failures), int(least * NANOSECONDS))
        self._last_error = reason

    def _pause(self, failures: int) -> int:
        """Return how long to wait after so many failures, ns: between half and all of what doubles each time."""
        longest = min(self.settings.retry_first * 2 ** min(failures - 1, 60), self.settings.retry_longest)
        return int(longest * random.uniform(0.5, 1.0))
