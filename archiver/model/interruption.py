"""How a reader that goes away reaches the call in which a backend is blocked.

A backend wraps what may take long::

    with interruptible(connection.cancel):
        rows = connection.execute(...)

The query that asked sets its `Interruption` from another thread; `connection.cancel` is then called from there, and the
blocked call ends with an error of the driver. Nobody who reads without a query is ever interrupted.
"""

from __future__ import annotations

import contextlib
import itertools
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from contextvars import ContextVar

from archiver.model.errors import StoppedError

_current: ContextVar[Interruption | None] = ContextVar("interruption", default=None)


class Interruption:
    """The wish that something stops, of one reader; set once, from any thread."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._stops: dict[int, Callable[[], object]] = {}
        self._numbers = itertools.count()
        self._is_set = False

    @property
    def is_set(self) -> bool:
        """Whether it is wished."""
        return self._is_set

    def set(self) -> None:
        """Wish it: everything that is under way is stopped before this returns, what begins later at once."""
        with self._lock:  # held: what is stopped cannot end meanwhile, and lend its connection to somebody else
            self._is_set = True
            for stop in list(self._stops.values()):
                with contextlib.suppress(Exception):  # the connection may be broken already, which stops it as well
                    stop()

    @contextlib.contextmanager
    def stopping(self, stop: Callable[[], object]) -> Iterator[None]:
        """Have something called when it is wished before the end of the block.

        Raises
        ------
        StoppedError
            It is wished already.
        """
        number = next(self._numbers)
        with self._lock:
            if self._is_set:
                raise StoppedError("the reader went away")
            self._stops[number] = stop
        try:
            yield
        finally:
            with self._lock:
                del self._stops[number]

    @contextlib.contextmanager
    def applied(self) -> Iterator[None]:
        """Make it the one that `interruptible` heeds, in this thread until the end of the block."""
        token = _current.set(self)
        try:
            yield
        finally:
            _current.reset(token)


def interruptible(stop: Callable[[], object]) -> AbstractContextManager[None]:
    """Have `stop` called from another thread when nobody wants the result of the block any more.

    Parameters
    ----------
    stop : callable
        Ends the call that is blocked, or makes the next one fail; harmless when there is none.
    """
    interruption = _current.get()
    return contextlib.nullcontext() if interruption is None else interruption.stopping(stop)
