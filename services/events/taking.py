"""What is done with events, wherever they were found: kept, made alarms of, archived."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

from analytics.events.event import Event
from archiver.bootstrap import Archive
from archiver.model import BackpressureError
from archiver.model.time import now
from services.events.archiving import samples_of
from services.events.commit import Commit
from services.events.raising import Done, Raising, expire
from services.events.store import EventStore

RETRY_S = 1.0
"""How long to wait before what could not be done is tried again."""

OnDone = Callable[[Commit, Sequence[Done]], None]
"""Keeps more of what became of alarms in the same transaction, such as notices."""


class Taking:
    """Takes events in; those that were taken before change nothing.

    Parameters
    ----------
    archive : Archive
        Open.
    store : EventStore
    on_done : callable
        See `OnDone`.
    on_commit : callable
        Called after each commit that changed something.

    Attributes
    ----------
    stopped : threading.Event
        Ends what waits.
    """

    def __init__(self, archive: Archive, store: EventStore, on_done: OnDone, on_commit: Callable[[], None]) -> None:
        self._archive = archive
        self._store = store
        self._on_done = on_done
        self._on_commit = on_commit
        self.stopped = threading.Event()

    def take(self, raising: Raising, events: Sequence[Event], tell: Callable[[str], None]) -> None:
        """Make events durable: in the data base, then in the archive.

        Parameters
        ----------
        raising : Raising
        events : sequence of Event
        tell : callable
            Is told what it waits for.

        Raises
        ------
        BackpressureError
            It was stopped while the archive took nothing.
        """
        if not events:
            return
        with self._store.commit() as commit:
            self._on_done(commit, raising.take(commit, events))
        self._on_commit()
        while True:
            try:
                self._archive.intake.submit(samples_of(events)).result()
            except BackpressureError as exc:
                tell(f"events wait for the archive: {exc}")
                if self.stopped.wait(RETRY_S):
                    raise
            else:
                return

    def expire(self) -> None:
        """End the shelvings that are due."""
        if due := self._store.due(clock := now()):
            with self._store.commit() as commit:
                self._on_done(commit, expire(commit, due, clock))
            self._on_commit()
