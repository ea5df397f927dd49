"""The composition root: picks the implementations that the configuration names, and ties them together."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextlib import ExitStack
from dataclasses import replace
from types import TracebackType

from archiver import registry
from archiver.asking import Asking
from archiver.config import LAST_RUN_FILE, BackendSettings, Settings
from archiver.filling import Filling
from archiver.knowledge import PlanningKnowledge
from archiver.model import (
    Interval,
    InvalidInputError,
    SampleBatch,
)
from archiver.pipeline.catalog import Catalog
from archiver.pipeline.copying import CopyReceipt
from archiver.pipeline.dead_letters import DeadLetters
from archiver.pipeline.delivery import LaneTools
from archiver.pipeline.holdings import Holdings
from archiver.pipeline.intake import Intake, IntakeReceipt
from archiver.pipeline.keeper import Keeper
from archiver.pipeline.lane import Lane
from archiver.pipeline.latest import Latest
from archiver.pipeline.ledger import Ledger
from archiver.pipeline.lock import DirectoryLock
from archiver.pipeline.maintenance import Maintenance
from archiver.pipeline.retention import drop_by_hand
from archiver.pipeline.routing import Router
from archiver.pipeline.store import Snapshots, Store
from archiver.pipeline.verification import Plan, Report
from archiver.ports import Backend, BackendContext, Journal, Segment
from archiver.query.limits import Callers
from archiver.security.files import replace_file

_LOG = logging.getLogger(__name__)
_PAUSED = "paused"


class Archive(Asking):
    """The whole archive in one process: intake, journal, lanes, query.

    Parameters
    ----------
    settings : Settings

    Examples
    --------
    ::

        with Archive(config.load(Path("forebay.toml"))) as archive:
            archive.intake.submit(batch).result()
            table = archive.query(Query(("T1",), interval)).table()
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.directory = settings.data.resolve()
        self.lock = DirectoryLock(self.directory)
        self.lanes = {}
        self._router = Router(settings.archive_groups())
        self._callers = Callers()
        self.on_answer = []
        self.on_reload: list[Callable[[Settings], list[str]]] = []

    # -- life -----------------------------------------------------------------------------------------

    def open(self) -> Archive:
        """Open the data directory, recover, and start the lanes.

        Raises
        ------
        DirectoryInUseError
            Another process works on it.
        """
        self.lock.acquire()
        with ExitStack() as undo:
            undo.callback(self.lock.release)
            self._open(undo)
            undo.pop_all()
        for lane in self.lanes.values():
            lane.start()
        self._keeper.start()
        self._maintenance.start()
        return self

    def _open(self, undo: ExitStack) -> None:
        """Put everything together; nothing runs yet but the journal's own thread."""
        self._store = Store(self.directory / "archive.db")
        undo.callback(self._store.close)
        self.catalog = Catalog(self._store)
        self.ledger = Ledger(self._store)
        self.dead_letters = DeadLetters(self._store)
        self.journal = self._make_journal()
        self.journal.open()
        undo.callback(self.journal.close)
        snapshots = Snapshots(self._store)
        self.holdings = Holdings(self._store, self.settings.intake.future)
        self._tools = LaneTools(self.journal, self.ledger, self.dead_letters, snapshots, self.holdings)
        self._known = PlanningKnowledge(self.holdings, self.dead_letters, self.catalog, lambda: self.lanes, snapshots)
        self._latest = Latest()
        self._keeper = Keeper(self._tools, self._latest, lambda: list(self.lanes.values()))
        self._maintenance = Maintenance(lambda: list(self.lanes.values()), self._known.keep)
        self.intake = Intake(
            self.journal, self.catalog, lambda: self._router, self._latest, self.settings.intake.future
        )
        self.holds = self._keeper.holds
        self.intake.resume_after(self._keeper.recover())
        self._filling = Filling(lambda: self.lanes, self._tools, self.intake)
        self.lanes = {backend.name: self._make_lane(backend, self._router) for backend in self.settings.backends}
        self.holdings.use(self.lanes, self.journal.state().newest + 1)
        self._note_settings()

    def _note_settings(self) -> None:
        """Write down what is in force: commands that find nobody running here go by it."""
        path = self.directory / LAST_RUN_FILE
        content = self.settings.model_dump_json(exclude={"data", "server"})
        try:
            replace_file(path, content.encode(), synced=False)  # private: addresses of databases have passwords
        except OSError as exc:
            _LOG.warning("%s could not be written: %s; other commands go by the one before", path, exc.strerror)

    def wait_ready(self, timeout_s: float = 60.0) -> bool:
        """Wait until every backend was reached, or has failed to answer; return whether all were reached."""
        reached = [lane.wait_reached(timeout_s) for lane in list(self.lanes.values())]
        return all(reached)

    def close(self, *, drain: bool = True) -> None:
        """Stop everything; with `drain`, the lanes first write what the journal holds, if their backends answer."""
        self._maintenance.stop()
        if drain:  # what a source had sent when it was stopped is still on its way to the journal
            self.intake.wait_appended(timeout_s=60.0)
        for lane in self.lanes.values():
            lane.stop(drain=drain)
        self._keeper.stop()
        for lane in self.lanes.values():
            lane.backend.close()
        self.lanes.clear()
        self.journal.close()
        self._known.keep()
        self._store.close()
        self.lock.release()

    def __enter__(self) -> Archive:
        return self.open()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def reload(self, settings: Settings) -> list[str]:
        """Put other groups and backends in force while running; return what changed, in words.

        A backend that is new starts with what the journal still holds; one that is gone lets go of the journal.

        Raises
        ------
        InvalidInputError
            A key changed that needs a restart: the data directory or the journal.
        """
        if settings.data.resolve() != self.directory or settings.journal != self.settings.journal:
            raise InvalidInputError("data and journal cannot change while running: restart forebay")
        old = {backend.name: backend for backend in self.settings.backends}
        new = {backend.name: backend for backend in settings.backends}
        router = Router(settings.archive_groups())
        kept = {
            name
            for name in self.lanes
            if new.get(name) == old[name] and self.lanes[name].router.groups == router.for_backend(name).groups
        }
        # all new lanes before the first old one ends: when one cannot be made, everything is as it was
        lanes = {name: self.lanes[name] if name in kept else self._make_lane(new[name], router) for name in new}
        replaced = [self.lanes[name] for name in old.keys() - kept]
        drained = [lane.flush(timeout_s=60.0) for lane in replaced]  # most of it before the intake has to wait
        with self._maintenance.paused(), self._keeper.paused():
            with self.intake.paused():  # what the old groups let in is for the old lanes, and nothing else is
                for lane, lately in zip(replaced, drained, strict=True):
                    lane.stop(drain=lately)
                self._router, self.lanes = router, lanes
                self.holdings.use(lanes, self.journal.state().newest + 1)
            for lane in replaced:
                lane.backend.close()
            for name in new.keys() - kept:
                lanes[name].start()
        served = (settings.server, settings.tls) == (self.settings.server, self.settings.tls)
        server = [] if served else ["the keys of server and tls wait for a restart"]
        self.settings = settings
        self.intake.future_ns = settings.intake.future
        self._note_settings()
        removed = [f"backend {name} removed" for name in old if name not in new]
        changed = [f"backend {name} {'changed' if name in old else 'added'}" for name in new if name not in kept]
        more = [line for use in self.on_reload for line in use(settings)]
        return removed + changed + more + server

    def _make_journal(self) -> Journal:
        settings = self.settings.journal
        kind = registry.load(registry.JOURNALS, settings.kind)
        journal: Journal = kind(self.directory, kind.Options.model_validate(settings.model_extra or {}))
        return journal

    def make_backend(self, settings: BackendSettings, router: Router | None = None) -> Backend:
        """Return a backend that is not open yet, for the groups in force or those of another router."""
        kind = registry.load(registry.BACKENDS, settings.kind)
        groups = (router or self._router).for_backend(settings.name).groups
        context = BackendContext(settings.name, self.directory, groups)
        backend: Backend = kind(context, settings.options(registry.BACKENDS))
        return backend

    def _make_lane(self, settings: BackendSettings, router: Router) -> Lane:
        backend = self.make_backend(settings, router)
        lane = Lane(backend, router.for_backend(settings.name), self._tools, settings.lane)
        saved = self._tools.snapshots.load(_PAUSED, "")
        if saved is not None and settings.name in json.loads(saved[1]):
            lane.pause()
        return lane

    # -- doing ----------------------------------------------------------------------------------------

    def flush(self, timeout_s: float = 300.0) -> bool:
        """Make the lanes write what the journal holds; return whether all backends have it."""
        done = [lane.flush(timeout_s) for lane in list(self.lanes.values())]
        return all(done)

    def keep(self) -> None:
        """Do the housekeeping now that otherwise happens in the background: snapshots, trimming, compaction."""
        self._keeper.once()
        self._maintenance.once()

    def pause(self, backend: str) -> None:
        """Write nothing more to a backend, until `resume` and over restarts; the journal keeps what it lacks.

        Raises
        ------
        NotFoundError
            There is no such backend.
        """
        self._lane(backend).pause()
        self._note_paused()

    def resume(self, backend: str) -> None:
        """Go on writing to a backend; raises as `pause` does."""
        self._lane(backend).resume()
        self._note_paused()

    def discard(self, backend: str) -> int:
        """Have a backend never get what it lacks by now; return about how many samples that are.

        The ledger has them as dropped, `copy` brings them from another backend, and the journal may forget them.
        What the backend stores before it hears of this is stored.
        """
        lane = self._lane(backend)
        lacking = lane.status().lag_samples
        lane.give_up_before(self.journal.state().last, "discarded")
        return lacking

    def drop_segments(self, backend: str, group: str, before: int) -> list[Segment]:
        """Drop the segments of a group in a backend that end at or before an instant (ns); see `drop_by_hand`."""
        with self._maintenance.paused():
            return drop_by_hand(self._lane(backend), group, before)

    def replay_dead_letter(
        self, letter_id: int, mended: SampleBatch | None = None, admits: Callable[[str], bool] | None = None
    ) -> Future[IntakeReceipt]:
        """Send a dead letter's samples, or mended ones in their place, through the intake; see `Intake.submit`."""
        kept = self.dead_letters.samples(letter_id)
        future = self.intake.submit(kept if mended is None else mended, admits=admits)
        future.add_done_callback(lambda done: None if done.exception() else self.dead_letters.mark_replayed(letter_id))
        return future

    def copy(
        self,
        source: str,
        target: str,
        interval: Interval,
        elements: Sequence[str] | None = None,
        progress: Callable[[int, int], None] | None = None,
    ) -> CopyReceipt:
        """Fill one backend from another; harmless to repeat.

        Raises
        ------
        NotFoundError
            There is no such backend.
        InvalidInputError
            Both are the same.
        UnsupportedError
            The source only passes samples on.
        """
        self._check_readable(source)
        if source == target:
            raise InvalidInputError(f"{source} cannot be filled from itself; name another backend")
        return self._filling.copy(source, target, interval, elements, progress)

    def verify(
        self,
        backends: tuple[str, str],
        what: Plan,
        repair: str | None = None,
        progress: Callable[[int, int], None] | None = None,
    ) -> Report:
        """Compare two backends, and fill the one named by `repair` from the other; harmless to repeat.

        Both are flushed first. What is received meanwhile, or waits for one whose lane is behind, is not compared: the
        report says up to which receive time everything was.

        Parameters
        ----------
        what : Plan
            Elements as in a query: names, aliases, globs; `received_until` is found here.

        Raises
        ------
        NotFoundError
            There is no such backend, or a glob matches nothing.
        InvalidInputError
            Both are the same, or `repair` is neither.
        UnsupportedError
            One of them only passes samples on.
        TransientError
            One of them does not answer.
        """
        self._check_readable(*backends)
        if what.elements is not None:
            named = {old for name in self._chosen(what.elements) for old in self.catalog.names(name)}
            what = replace(what, elements=sorted(named))
        return self._filling.verify(backends, what, repair, progress)

    def _note_paused(self) -> None:
        paused = [name for name, lane in self.lanes.items() if lane.is_paused]
        self._tools.snapshots.save(_PAUSED, "", 0, json.dumps(paused).encode())
