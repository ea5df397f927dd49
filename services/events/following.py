"""Events that workers found, in place of a runner of this process: from their topic into alarms and the archive."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from confluent_kafka import TopicPartition

from analytics.alarms.classes import AlarmClass
from analytics.events.engine import Engine
from analytics.events.event import GONE, Event
from analytics.events.rules.documents import Rule
from analytics.events.rules.programs import program_of
from archiver.bootstrap import Archive
from archiver.kafka import Cluster
from archiver.model import ForebayError, InvalidInputError
from archiver.model.time import now
from services.events.faust.messages import event_of
from services.events.faust.options import journal_options, worker_options
from services.events.faust.topics import POSITIONS, prepare
from services.events.raising import Raising
from services.events.runner import RunnerStatus
from services.events.store import EventStore
from services.events.taking import RETRY_S, OnDone, Taking

_LOG = logging.getLogger(__name__)
_HOLD = "rules"
_AT_ONCE = 500
_TICK_S = 0.25


class Follower:
    """One thread that reads the events of workers; it is used as `Runner` is.

    Events that are sent again are known by their ids. The journal keeps what the workers have not routed yet.

    Parameters
    ----------
    archive : Archive
        Open; its journal is on Kafka.
    store : EventStore
    on_done, on_commit : callable
        See `Taking`.
    """

    def __init__(
        self, archive: Archive, store: EventStore, on_done: OnDone, on_commit: Callable[[], None] = lambda: None
    ) -> None:
        self._archive = archive
        self._store = store
        self._taking = Taking(archive, store, on_done, on_commit)
        self._options = worker_options(archive.settings)
        self._journal = journal_options(archive.settings).partition
        self._cluster = Cluster(self._options.cluster)
        self._working = threading.Lock()
        self._rules: list[Rule] = []
        self._raising = Raising({}, {})
        self._members: dict[tuple[str, str], list[str]] | None = None
        self._streams: dict[int, str] = {}
        self._routed: int | None = None
        self._events = 0
        self._trouble = ""
        self._thread = threading.Thread(target=self._run, name="rules", daemon=True)

    # -- life -----------------------------------------------------------------------------------------

    def start(self) -> None:
        """Start the thread; `use` says first which rules there are."""
        self._thread.start()

    def close(self) -> None:
        """Stop."""
        self._taking.stopped.set()
        if self._thread.is_alive():
            self._thread.join()
        self._cluster.close()

    def use(self, rules: Sequence[Rule], classes: Mapping[str, AlarmClass]) -> None:
        """Make alarms as these rules say; what is active of one that is gone is over.

        Raises
        ------
        ConfigurationError
            A rule cannot run, or names a class of alarms that there is not; everything is as it was.
        """
        running = [rule for rule in rules if rule.enabled]
        for rule in running:
            program_of(rule)
        raising = Raising({rule.name: rule for rule in running}, classes)
        raising.check()
        with self._working:
            self._rules, self._raising, self._members = running, raising, None
            self._taking.take(raising, self._over(), self._say)

    def check(self, rule: Rule) -> None:
        """Raise `InvalidInputError`: workers have the rules of files only."""
        raise InvalidInputError(
            f"rule {rule.name!r}: the rules run on workers, which read them from files: add it to a file of "
            "events.rules, and start the workers again"
        )

    def members(self) -> dict[tuple[str, str], list[str]]:
        """Return the elements of each instance of each rule, by rule and key."""
        with self._working:
            if self._members is None:
                engine = Engine([program_of(rule) for rule in self._rules])
                engine.advance(engine.initial(), self._archive.latest(), now())
                self._members = engine.members()
            return self._members

    def status(self) -> RunnerStatus:
        """Return how the rules are doing, as far as it is known here: the workers tell the rest themselves."""
        journal = self._archive.journal
        lag = journal.rows_after(journal.state().first - 1 if self._routed is None else self._routed)
        return RunnerStatus(len(self._rules), lag, 0, 0, self._events, 0, self._trouble, {})

    # -- working --------------------------------------------------------------------------------------

    def _run(self) -> None:
        consumer = None
        while not self._taking.stopped.is_set():
            try:
                consumer = consumer or self._consumer()
                self._once(consumer)
                self._trouble = ""
            except Exception as exc:  # noqa: BLE001 - without it there are no alarms any more
                expected = isinstance(exc, ForebayError)
                self._trouble = str(exc) if expected else repr(exc)
                _LOG.warning("events: %s; it is tried again", self._trouble, exc_info=not expected)
                if consumer is not None:
                    consumer.close()
                    consumer = None  # what was read and not taken is read again
                self._taking.stopped.wait(RETRY_S)
        if consumer is not None:
            consumer.close()

    def _consumer(self) -> Any:
        """Return a consumer of the events from where they are known on, and of how far the journal was routed."""
        sizes = prepare(self._options)
        identity, count = self._cluster.topic(self._options.events, _missing)
        self._streams = {number: f"{identity}/{number}" for number in range(count)}
        known = {number: self._store.position(stream) for number, stream in self._streams.items()}
        consumer = self._cluster.consumer(auto_offset_reset="earliest")
        places = [
            TopicPartition(self._options.events, number, 0 if offset is None else offset + 1)
            for number, offset in known.items()
        ]
        if self._journal < sizes.journals:
            places.append(TopicPartition(self._options.changelog(POSITIONS), self._journal, 0))
        consumer.assign(places)
        return consumer

    def _once(self, consumer: Any) -> None:
        messages = consumer.consume(_AT_ONCE, _TICK_S)
        for message in messages:
            if message.error():
                raise self._cluster.error("events cannot be read", message.error())
        events = [message for message in messages if message.topic() == self._options.events]
        with self._working:
            self._take(events)
            self._taking.expire()
        self._hold(message for message in messages if message.topic() != self._options.events)

    def _take(self, messages: Sequence[Any]) -> None:
        events = [event for message in messages if (event := self._read(message)) is not None]
        self._taking.take(self._raising, events, self._say)
        self._events += len(events)
        if messages:
            with self._store.commit() as commit:
                for message in messages:
                    commit.position(self._streams[message.partition()], message.offset())

    def _read(self, message: Any) -> Event | None:
        try:
            return event_of(message.value())
        except ValueError as exc:
            _LOG.error(
                "topic %s, partition %d, offset %d: %s", message.topic(), message.partition(), message.offset(), exc
            )
            return None

    def _hold(self, messages: Iterable[Any]) -> None:
        """Keep of the journal what was not routed."""
        routed = self._routed
        for message in messages:
            routed = int(message.value())
        if routed is None:
            self._archive.holds.hold(_HOLD, self._archive.journal.state().first - 1)
        elif routed != self._routed:
            self._archive.holds.hold(_HOLD, routed)
        self._routed = routed

    def _over(self) -> list[Event]:
        """Return events that end what is active of rules that are gone."""
        names, time = {rule.name for rule in self._rules}, now()
        return [
            Event(alarm.rule, alarm.key, GONE, time, attributes={"reason": "the rule was taken out"})
            for alarm in self._store.alarms()
            if alarm.active and alarm.rule not in names
        ]

    def _say(self, trouble: str) -> None:
        self._trouble = trouble


def _missing() -> Any:
    raise AssertionError("the topic was made just now")
