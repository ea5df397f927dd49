"""Retention and compaction of the backends, in a thread of their own, since they may take long."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

from archiver.model import ForebayError
from archiver.pipeline.lane import Lane
from archiver.pipeline.retention import drop_expired
from archiver.ports import SupportsCompaction

_LOG = logging.getLogger(__name__)
_EVERY_S = 60.0


class Maintenance:
    """Calls what each backend offers, once a minute; a failure is logged and tried again.

    Parameters
    ----------
    lanes : callable
        Gives the lanes now in force.
    keep : callable
        Keeps what was learnt meanwhile and is of use after a restart; called at each round.
    """

    def __init__(self, lanes: Callable[[], Iterable[Lane]], keep: Callable[[], object] = lambda: None) -> None:
        self._lanes = lanes
        self._keep = keep
        self._stop = threading.Event()
        self._working = threading.Lock()
        self._thread = threading.Thread(target=self._run, name="maintenance", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self) -> None:
        """Stop after the step that is running."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join()

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Do nothing until the end of the block, after the round that is running: a lane's backend may be exchanged."""
        with self._working:
            yield

    def once(self) -> None:
        """Drop segments older than their group's retention, and compact, in every backend that can."""
        with self._working:
            for lane in self._lanes():
                if self._stop.is_set():
                    return
                if lane.position is None:
                    continue
                try:
                    _maintain(lane)
                except ForebayError as exc:
                    _LOG.warning("maintenance of %s: %s; it is tried again", lane.backend.name, exc)
                except Exception:  # noqa: BLE001 - a bug in one backend must not end it for the others
                    _LOG.exception("maintenance of %s: unexpected error; it is tried again", lane.backend.name)

    def _run(self) -> None:
        while not self._stop.wait(_EVERY_S):
            self.once()
            self._keep()


def _maintain(lane: Lane) -> None:
    drop_expired(lane)
    if isinstance(lane.backend, SupportsCompaction):
        lane.backend.compact()
