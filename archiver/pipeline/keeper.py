"""Housekeeping of the journal: absorb the intake's accounts, snapshot the latest values, trim."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

from archiver.model import ForebayError, SampleBatch
from archiver.model.ipc import from_ipc, to_ipc
from archiver.pipeline.delivery import LaneTools
from archiver.pipeline.holds import Holds
from archiver.pipeline.lane import Lane
from archiver.pipeline.latest import Latest, versions_of_last
from archiver.pipeline.ledger import INTAKE, decode

_LOG = logging.getLogger(__name__)
_TICK_S = 0.5
_HURRIED_S = 0.05
_SNAPSHOT_EVERY_S = 30.0
_SNAPSHOT_ROWS = 2_000_000
_SNAPSHOT_FULLNESS = 0.25
_LATEST = "latest"


class Keeper:
    """One thread that keeps the archive's own files small; every step is safe to be interrupted.

    Parameters
    ----------
    lanes : callable
        Gives the lanes now in force.

    Attributes
    ----------
    holds : Holds
        Others than the lanes for whom the journal keeps what they have not read.
    """

    def __init__(self, tools: LaneTools, latest: Latest, lanes: Callable[[], Iterable[Lane]]) -> None:
        self._tools = tools
        self._latest = latest
        self._lanes = lanes
        self.holds = Holds(tools.snapshots, tools.journal.stream)
        self._stop = threading.Event()
        self._working = threading.Lock()
        self._absorbing = threading.Lock()
        self._snapshot_offset = 0
        self._snapshot_time = time.monotonic()
        self._thread = threading.Thread(target=self._run, name="keeper", daemon=True)

    def recover(self) -> int:
        """Rebuild the latest values from their snapshot and the journal; return the newest receive time ever, ns."""
        journal = self._tools.journal
        saved = self._tools.snapshots.load(_LATEST, journal.stream)
        rows, offset = SampleBatch.empty(), journal.state().first - 1
        if saved is not None:
            rows, offset = SampleBatch(from_ipc(saved[1])), max(saved[0], offset)
        self._latest.reset(rows, offset)
        self._snapshot_offset = offset
        while entries := journal.read(offset, 1_000_000):
            for entry in entries:
                self._latest.update(versions_of_last(entry.batch), entry.offset)
            offset = entries[-1].offset
        return journal.state().newest

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self) -> None:
        """Stop the thread, and leave everything so that the next start is quick."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join()
        try:
            self.once()
        except Exception as exc:  # noqa: BLE001 - what comes after it must be closed all the same
            _warn(exc, "the next start does it")

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Do nothing until the end of the block: while lanes are exchanged, nobody speaks for what they need."""
        with self._working:
            yield

    def once(self) -> None:
        """Absorb, snapshot and trim now."""
        with self._working:
            self.absorb()
            self._catch_up()
            self._snapshot()
            self._trim()

    def absorb(self) -> None:
        """Move the intake's accounts from the journal to the ledger."""
        journal, ledger = self._tools.journal, self._tools.ledger
        with self._absorbing:  # requests absorb too, and each account counts once
            for offset, payload in journal.accounts(ledger.position(INTAKE, journal.stream)):
                ledger.record(INTAKE, journal.stream, offset, decode(payload))

    def _run(self) -> None:
        while not self._stop.wait(_HURRIED_S if self._tools.journal.overfull() else _TICK_S):
            try:
                with self._working:
                    self._tick()
            except Exception as exc:  # noqa: BLE001 - without it the journal fills up
                _warn(exc, "it is tried again")

    def _tick(self) -> None:
        self.absorb()
        self._catch_up()
        if self._snapshot_pays():
            self._snapshot()
        self._trim()
        self._drop_oldest()

    def _catch_up(self) -> None:
        """Take into account what others appended to the journal: the lanes pass it, and no intake here told of it."""
        reached, offset = min((lane.position or 0 for lane in self._lanes()), default=0), self._latest.offset
        while offset < reached and (entries := self._tools.journal.read(offset, 1_000_000)):
            for entry in entries:
                self._latest.update(versions_of_last(entry.batch), entry.offset)
            offset = entries[-1].offset

    def _snapshot_pays(self) -> bool:
        """Whether a snapshot lets the journal trim enough: it costs a row per element."""
        journal = self._tools.journal
        fresh = min((lane.position or 0 for lane in self._lanes()), default=self._latest.offset) > self._snapshot_offset
        late = time.monotonic() - self._snapshot_time > _SNAPSHOT_EVERY_S
        return fresh and (late or journal.state().rows > _SNAPSHOT_ROWS or journal.fullness() > _SNAPSHOT_FULLNESS)

    def _snapshot(self) -> None:
        for lane in self._lanes():
            lane.snapshot()
        offset = self._latest.offset  # before the rows are taken: they may be newer, never older
        rows = to_ipc(self._latest.versions().to_arrow())
        self._tools.snapshots.save(_LATEST, self._tools.journal.stream, offset, rows)
        self._snapshot_offset, self._snapshot_time = offset, time.monotonic()

    def _drop_oldest(self) -> None:
        journal = self._tools.journal
        if not journal.overfull():
            return
        state = journal.state()
        offset = state.first + state.entries // 10
        _LOG.error(
            "the journal is full: lanes that are behind lose what they lack up to offset %d (see the ledger)", offset
        )
        for lane in self._lanes():
            lane.give_up_before(offset, "journal full")

    def _trim(self) -> None:
        bounds = [lane.safe_offset for lane in self._lanes()]
        held = self.holds.bound(self._tools.journal.fullness())
        through = min([*bounds, self._snapshot_offset, *(() if held is None else (held,))])
        if through >= self._tools.journal.state().first:
            self.absorb()
            self._tools.journal.trim(through)


def _warn(exc: Exception, then: str) -> None:
    """Log an error, with where it came from unless it is one of ours."""
    expected = isinstance(exc, ForebayError)
    _LOG.warning("housekeeping: %s; %s", exc if expected else repr(exc), then, exc_info=not expected)
