"""Brings in the compiled fast path when there is use for it, without anybody waiting for the compiler."""

from __future__ import annotations

import logging
from threading import Lock, Thread
from typing import Any

from archiver.sources.line_protocol.columns import Columns
from archiver.sources.line_protocol.table import SeriesTable

_log = logging.getLogger(__name__)


class Walker:
    """The compiled walk over the plain lines of a body; making one compiles it."""

    def __init__(self) -> None:
        from archiver.sources.line_protocol import kernel

        self._walk = kernel.walk

    def walk(
        self, data: Any, position: int, lines: int, times: tuple[int, int], table: SeriesTable, columns: Columns
    ) -> tuple[int, int]:
        """Add the rows of plain lines; return (position, lines) of the first other line, or of the end.

        Parameters
        ----------
        data : uint8 array
            The body.
        position, lines : int
            Where to begin, and how many lines there are before.
        times : tuple of int
            Nanoseconds per unit of a timestamp, and the time of lines without one (ns).
        """
        position, lines, columns.count = self._walk(
            data, position, lines, columns.count, *times, table.multiplier, table.slots, table.pool, columns.rows
        )
        return position, lines


class _Loader:
    def __init__(self) -> None:
        self._lock = Lock()
        self._thread: Thread | None = None
        self._walker: Walker | None = None

    def start(self) -> Thread:
        with self._lock:
            if self._thread is None:
                self._thread = Thread(target=self._load, name="line-protocol-compiler")
                self._thread.start()
            return self._thread

    def get(self, *, wanted: bool) -> Walker | None:
        if self._walker is None and wanted:
            self.start()
        return self._walker

    def _load(self) -> None:
        # Whatever goes wrong here costs speed only: the slow path gives the same results.
        try:
            self._walker = Walker()
        except ImportError as exc:
            _log.info("line protocol is decoded without compiled code: %s; pip install 'forebay[fast]'", exc)
        except Exception:  # noqa: BLE001 - logged; every kind costs speed only
            _log.exception("line protocol is decoded without compiled code: it could not be compiled")


_loader = _Loader()


def warm_up(*, wait: bool = False) -> bool:
    """Start compiling the fast path in the background, once; return whether it is ready.

    Parameters
    ----------
    wait : bool
        Return when it is ready, or cannot be (numba is not installed).
    """
    thread = _loader.start()
    if wait:
        thread.join()
    return _loader.get(wanted=False) is not None


def walker(*, wanted: bool) -> Walker | None:
    """Return the fast path when it is ready; when it is not and is `wanted`, start compiling it."""
    return _loader.get(wanted=wanted)
